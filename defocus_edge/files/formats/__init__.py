"""Formats that packages of extras decode, and what their files have in common."""
