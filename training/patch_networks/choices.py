"""Names that the light command line needs. Imports nothing heavy."""

from enum import StrEnum


class PatchNetwork(StrEnum):
    """The baselines with a small network."""

    DHDE = "dhde"
    CNN_METRIC = "cnn-metric"
