"""Trains the network that refines the spread blur map."""
