"""Names and defaults that both the light command line and the heavy modules need. Imports nothing heavy."""

from typing import Literal, get_args

#: How a radius is read from the probabilities of the levels, see `blur_levels.read_radius`.
ReadOut = Literal["median", "expectation", "argmax"]
READ_OUTS: tuple[ReadOut, ...] = get_args(ReadOut)
#: How blurred pixels are found: a threshold on the blur map, or a segmentation network.
Method = Literal["threshold", "msdu", "defusion", "maganet"]
METHODS: tuple[Method, ...] = get_args(Method)
#: Precision of the networks' convolutions.
Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
#: Largest radius: what the size of the picture allows. Device: the first GPU, else the CPU.
AUTO: Literal["auto"] = "auto"
#: Largest radius to look for, px.
MaxRadius = float | Literal["auto"]
DEFAULT_MAX_RADIUS: MaxRadius = AUTO
#: The preset that is used when none is named.
DEFAULT_PRESET = "edge-v1"
#: The preset of each method that finds blurred pixels, unless another is named.
METHOD_PRESETS: dict[Method, str] = {
    "threshold": DEFAULT_PRESET,
    "msdu": "msdu-v1",
    "defusion": "defusion-v1",
    "maganet": "maganet-v1",
}
