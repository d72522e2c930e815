"""Names that both the light command line and the heavy modules need."""

from enum import StrEnum
from typing import Literal, get_args

#: The networks that detect blur, as in `defocus_edge.networks.segmentation.registry`, which loads Keras.
Network = Literal["msdu", "defusion", "maganet", "lite"]
NETWORKS: tuple[Network, ...] = get_args(Network)


class Dataset(StrEnum):
    """What can be learnt from: synthetic scenes, photographs with masks in the layout of a set, or both."""

    SYNTHETIC = "synthetic"
    MIXED = "mixed"
    CUHK = "cuhk"
    DUT = "dut"
    PAIRS = "pairs"
