"""One module for each table of scores."""
