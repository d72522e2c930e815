"""Blur maps in pixels."""
