"""Photographs and maps, in and out. Nothing else opens a file of either."""
