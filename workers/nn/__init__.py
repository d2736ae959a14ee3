"""Layers and networks in plain PyTorch: no Ray, no client of the service."""
