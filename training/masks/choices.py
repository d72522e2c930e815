"""Names that both the light command line and the heavy modules need."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from defocus_edge.networks.segmentation.names import NETWORK_NAMES


def _check_network(name: str) -> str:
    """Refuse a name that no network has."""
    if name not in NETWORK_NAMES:
        msg = f"network must be one of {', '.join(NETWORK_NAMES)}"
        raise ValueError(msg)
    return name


#: Value of all pixels in the mask of a picture without mask, and of each pixel whose disparity is not known.
UNLABELLED = -1.0
#: The networks that detect blur, as in `defocus_edge.networks.segmentation.registry`, which loads Keras.
Network = Annotated[str, AfterValidator(_check_network)]


class Dataset(StrEnum):
    """What can be learnt from: synthetic scenes, photographs with masks in the layout of a set, or both."""

    SYNTHETIC = "synthetic"
    MIXED = "mixed"
    CUHK = "cuhk"
    DUT = "dut"
    PAIRS = "pairs"
