"""Trains the network that corrects edge points by what surrounds them."""
