"""Which frame of a burst is the sharpest where it matters."""
