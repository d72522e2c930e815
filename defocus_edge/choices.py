"""Names and defaults that both the light command line and the heavy modules need. Imports only `typing`."""

from typing import Literal, get_args

#: How a radius is read from the probabilities of the levels, see `blur_levels.read_radius`.
ReadOut = Literal["median", "expectation", "argmax"]
READ_OUTS: tuple[ReadOut, ...] = get_args(ReadOut)
DEFAULT_READ_OUT: ReadOut = "median"
#: Whose settings the propagation has: ours, or the paper's.
Propagation = Literal["default", "paper"]
DEFAULT_PROPAGATION: Propagation = "default"
#: How blurred pixels are found: the blur map with a threshold, or a segmentation network.
Method = Literal["threshold", "msdu", "defusion", "maganet", "lite"]
METHODS: tuple[Method, ...] = get_args(Method)
#: The method that reads the blur map.
MAP_METHOD: Method = "threshold"
#: Programs that masks may be made for.
MaskUser = Literal["colmap"]
#: The method where none is named and nothing asks for another one.
DEFAULT_METHOD: Method = "threshold"
#: Precision of the convolutions.
Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DEFAULT_PRECISION: Precision = "float32"
#: What runs the edge networks: onnxruntime on the CPU, or Keras on any device.
Engine = Literal["auto", "onnxruntime", "keras"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
#: Stands for the largest radius that fits the picture, or for the first device that is there.
AUTO: Literal["auto"] = "auto"
#: Largest radius to look for, px.
MaxRadius = float | Literal["auto"]
DEFAULT_MAX_RADIUS: MaxRadius = AUTO
#: Largest depth penalty, px: far more than any picture is wide, so nothing passes a depth edge.
LARGEST_DEPTH_PENALTY = 1e6
#: Pages of a file that are worked on.
Pages = Literal["first", "all"]
DEFAULT_PAGES: Pages = "first"
#: Bits of the samples of a picture that is stored as 16 bits; ``"auto"`` finds them.
BitDepth = int | Literal["auto"]
#: Most pixels of a picture that is decoded, by the header of its file; Pillow refuses pictures from the same number on.
DEFAULT_MAX_PIXELS = 178_956_970
#: What runs the workers of a batch: processes of this computer, or Ray Data.
BatchEngine = Literal["local", "ray"]
#: Kind of the table that a batch writes.
TableKind = Literal["csv", "parquet"]
#: How the frames of a folder are put together to compare them: by time and camera, by folder, or all of them.
BurstRule = Literal["time", "folder", "all"]
#: Longest time in s from one frame of a burst to the next. Clocks of whole seconds make a second of any fraction, and
#: people who press the button again and again take about one.
DEFAULT_GAP = 2.0
#: Programs for which ratings are written beside photographs.
SidecarKind = Literal["lightroom", "darktable", "both"]
#: The preset for work on many pictures: a seventh of the time of the default, see docs/speed.md.
FAST_PRESET = "edge-fast"
#: The preset that is used when none is named.
DEFAULT_PRESET = "edge-v2"
#: The preset of each method that finds blurred pixels, unless another is named.
METHOD_PRESETS: dict[str, str] = {
    "threshold": DEFAULT_PRESET,
    "msdu": "msdu-v1",
    "defusion": "defusion-v1",
    "maganet": "maganet-v1",
    "lite": "lite-v4",
}
#: How the name of an ONNX file must end.
ONNX_SUFFIX = ".onnx"
