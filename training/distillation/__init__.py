"""Narrow networks that learn the answers of wide ones."""
