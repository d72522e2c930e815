"""Names and defaults of the distillation that the light command line needs. Imports nothing."""

#: Name of the only stage, of its checkpoint and of the folder of its configurations.
STUDENT = "student"
#: The weights that give the answers.
TEACHER = "edge-v2"
