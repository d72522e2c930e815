"""Names and defaults of the refinement that the light command line needs. Imports nothing."""

#: Name of the only stage, of its checkpoint and of the folder of its configurations.
REFINEMENT = "refinement"
#: The weights that measure the samples: those whose maps are to be refined.
EDGE_PRESET = "edge-v2"
