"""Folders of thousands of pictures: `planning` names the work, an engine does it, `tables` sum it up."""
