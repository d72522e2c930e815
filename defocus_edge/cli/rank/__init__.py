"""Bursts of a folder: `command` reads what is asked for, `run` measures and rates, `table` writes the order."""
