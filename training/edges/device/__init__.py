"""Crops rendered on the accelerator."""
