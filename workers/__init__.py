"""What runs on the cluster: drivers, trainables, layers."""
