"""Datasets, losses, loops and evaluation of the networks."""
