"""Benchmarks: each runs both sides on this machine and prints what it measured."""
