"""One file for each network that detects blur; its name is the network's name."""
