"""Folders of thousands of pictures: `planning` names what to do, an engine has it done, `tables` tells of it."""
