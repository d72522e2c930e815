"""Draw what each method calls blurred in twelve hard pictures: `python docs/hard_cases.py [FILE]`.

The photographs come with scikit-image; what it lacks is put together from them or drawn. Prints for each method the
share of pixels that it gets right, where the right answer is known.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import skimage.data
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from defocus_edge import BlurDetector
from defocus_edge.arrays import as_image
from defocus_edge.choices import METHODS
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb

Image = NDArray[np.float32]
#: A picture (H, W, 3) and what is blurred in it (H, W), None where nobody knows.
Case = tuple[Image, "NDArray[np.bool_] | None"]
#: Size of all pictures, rows and columns.
SHAPE = (288, 384)
#: Where the picture of the documentation lies.
PICTURE = Path(__file__).resolve().parent / "pictures" / "hard-cases.jpg"
_JPEG_QUALITY = 82
_SEED = 12


def take(photo: Any, *, top: int = 0, left: int = 0) -> Image:
    """A part of a photograph with the size of all cases; it is enlarged only if it is smaller."""
    image = as_image(photo)
    part = image[top : top + SHAPE[0], left : left + SHAPE[1]]
    return part if part.shape[:2] == SHAPE else np.asarray(cv2.resize(part, SHAPE[::-1], interpolation=cv2.INTER_AREA))


def fit(photo: Any) -> Image:
    """A whole photograph at the size of all cases."""
    return np.clip(cv2.resize(as_image(photo), SHAPE[::-1], interpolation=cv2.INTER_AREA), 0, 1)


def blur(image: Image, radius: float) -> Image:
    """A picture out of focus, by a radius in px of linear light."""
    return np.asarray(encode_srgb(blur_with_disk(decode_srgb(image), radius)), dtype=np.float32)


def place(front: Image, matte: Image, back: Image) -> Case:
    """Something sharp in front of something blurred."""
    light = decode_srgb(front) * matte[..., None] + decode_srgb(back) * (1 - matte[..., None])
    return np.asarray(encode_srgb(light), dtype=np.float32), matte < 0.5


def make_bokeh() -> Case:
    """A horse before far lights."""
    matte = 1 - fit(skimage.data.horse().astype(np.uint8) * 255)[..., 0]
    lights = np.clip(take(skimage.data.hubble_deep_field(), top=300, left=200) * 1.8, 0, 1)
    return place(take(skimage.data.gravel()), matte.astype(np.float32), blur(lights, 7.0))


def make_half(photo: Image, radius: float) -> Case:
    """A picture whose right half is out of focus."""
    is_blurred = np.zeros(SHAPE, dtype=bool)
    is_blurred[:, SHAPE[1] // 2 :] = True
    return np.where(is_blurred[..., None], blur(photo, radius), photo), is_blurred


def make_water() -> Case:
    """Ripples that get smaller with the distance, out of focus in the far half."""
    rng = np.random.default_rng(_SEED)
    rows, cols = np.indices(SHAPE, dtype=np.float32)
    far = 1 / (0.15 + rows / SHAPE[0])
    height = sum(
        np.sin(rng.uniform(0.05, 0.3) * far * cols + rng.uniform(20, 90) * far + rng.uniform(0, 6)) for _ in range(12)
    )
    bright = 0.35 + 0.1 * np.asarray(height, dtype=np.float32)
    water = np.clip(np.dstack([0.5 * bright, 0.8 * bright, bright]), 0, 1).astype(np.float32)
    is_blurred = rows < SHAPE[0] // 2
    return np.where(is_blurred[..., None], blur(water, 3.0), water), is_blurred


def make_fog() -> Case:
    """A sharp photograph whose contrast falls with the height in the picture."""
    veil = np.linspace(0.85, 0.0, SHAPE[0], dtype=np.float32)[:, None, None]
    return (fit(skimage.data.camera()) * (1 - veil) + 0.75 * veil).astype(np.float32), np.zeros(SHAPE, dtype=bool)


def make_hair() -> Case:
    """Sharp dark hair against a bright, blurred background."""
    rng = np.random.default_rng(_SEED)
    drawn = np.zeros((*SHAPE, 1), dtype=np.uint8)
    cv2.circle(drawn, (SHAPE[1] // 2, SHAPE[0] + 20), 150, 255, -1, cv2.LINE_AA)
    for angle in rng.uniform(-1.4, 1.4, 260):
        length, bend = rng.uniform(150, 235), rng.normal(0, 0.25)
        along = np.linspace(120, length, 20)
        turn = angle + bend * ((along - 120) / 100) ** 2
        line = np.column_stack([SHAPE[1] / 2 + along * np.sin(turn), SHAPE[0] + 20 - along * np.cos(turn)])
        cv2.polylines(drawn, [line.round().astype(np.int32)], False, 255, 1, cv2.LINE_AA)
    matte = drawn[..., 0].astype(np.float32) / 255
    back = np.clip(0.55 + 0.6 * blur(fit(skimage.data.coffee()), 6.0), 0, 1)
    return place(0.35 * take(skimage.data.grass()), matte, back)


def make_grid() -> Case:
    """A sharp wire grid before a blurred photograph."""
    drawn = np.zeros((*SHAPE, 1), dtype=np.uint8)
    for at in range(-SHAPE[0], SHAPE[1] + SHAPE[0], 36):
        cv2.line(drawn, (at, 0), (at + SHAPE[0], SHAPE[0]), 255, 3, cv2.LINE_AA)
        cv2.line(drawn, (at, 0), (at - SHAPE[0], SHAPE[0]), 255, 3, cv2.LINE_AA)
    matte = drawn[..., 0].astype(np.float32) / 255
    return place(0.6 * take(skimage.data.brick()), matte, blur(fit(skimage.data.coffee()), 5.0))


SHARP, BLURRED = np.zeros(SHAPE, dtype=bool), np.ones(SHAPE, dtype=bool)
#: The cases by name.
CASES: dict[str, Callable[[], Case]] = {
    "plain clothing": lambda: (take(skimage.data.astronaut(), top=180, left=60), None),
    "sky": lambda: (take(skimage.data.rocket(), top=60, left=140), SHARP),
    "bokeh lights": make_bokeh,
    "dark surround": lambda: (fit(skimage.data.retina()), SHARP),
    "macro": lambda: (take(skimage.data.chelsea(), left=40), None),
    "whole picture sharp": lambda: (take(skimage.data.brick()), SHARP),
    "whole picture blurred": lambda: (blur(fit(skimage.data.coffee()), 4.0), BLURRED),
    "text": lambda: make_half(fit(skimage.data.page()), 2.5),
    "water": make_water,
    "fog": make_fog,
    "backlit hair": make_hair,
    "grid": make_grid,
}


def detect(detector: BlurDetector, image: Image) -> tuple[Image, NDArray[np.bool_]]:
    """Probability and mask; one half everywhere where a method has no answer."""
    try:
        found = detector.detect(image)
    except NoEdgesError:
        return np.full(SHAPE, 0.5, dtype=np.float32), BLURRED
    return found.probability, found.mask


def main(path: Path) -> None:
    """Draw all cases, one a row, and print the shares that are right."""
    detectors = {method: BlurDetector(method) for method in METHODS}
    figure = Figure(figsize=(1.32 * (1 + len(METHODS)), 1.02 * len(CASES)), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.0, right=1.0, bottom=0.0, top=0.985, wspace=0.03, hspace=0.2)
    panels = figure.subplots(len(CASES), 1 + len(METHODS))
    right: dict[str, dict[str, str]] = {}
    for row, (name, make) in zip(panels, CASES.items(), strict=True):
        image, truth = make()
        row[0].imshow(np.clip(image, 0, 1))
        row[0].set_title(name, fontsize=8, pad=2)
        right[name] = {}
        for axes, (method, detector) in zip(row[1:], detectors.items(), strict=True):
            probability, mask = detect(detector, image)
            axes.imshow(probability, cmap="gray", vmin=0, vmax=1)
            axes.contour(mask, levels=[0.5], colors="tab:red", linewidths=0.6)
            right[name][method] = "–" if truth is None else f"{(mask == truth).mean():.2f}"
            axes.set_title(method if truth is None else f"{method} {right[name][method]}", fontsize=8, pad=2)
        for axes in row:
            axes.set_axis_off()
    figure.savefig(path, pil_kwargs={"quality": _JPEG_QUALITY})
    print("| picture |", " | ".join(METHODS), "|")
    print("|---" * (1 + len(METHODS)) + "|")
    for name, shares in right.items():
        print(f"| {name} |", " | ".join(shares.values()), "|")


if __name__ == "__main__":
    mpl.rcParams["font.size"] = 8
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
