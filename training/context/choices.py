"""Names and defaults of the context network that the light command line needs. Imports nothing."""

#: Name of the only stage, of its checkpoint and of the folder of its configurations.
CONTEXT = "context"
#: The weights that measure the samples: those whose points are to be corrected.
EDGE_PRESET = "edge-v2"
