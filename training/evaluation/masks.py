"""Blur detectors against masks of scenes or photographs: figures, curves, tables and plots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import write_picture
from defocus_edge.metrics import (
    NATIVE_SIZE,
    THRESHOLDS,
    AverageCurves,
    MaskCurves,
    MaskProtocol,
    average_curves,
    measure_mask,
    summarize_masks,
)
from training.data.mask_datasets import MaskPair, MaskSetError
from training.evaluation.mask_methods import MaskMethod
from training.masks.parts import resize
from training.masks.scenes import MaskScene, read_scene
from training.runs.log import write_rows
from training.runs.tables import PICTURES_FILE, SUMMARY_FILE, Row, divide, group_by

#: Columns of the table, in this order, as far as the protocol has them.
FIGURES = (
    "max-of-mean Fβ",
    "max Fβ",
    "adaptive Fβ",
    "MAE",
    "AUC",
    "AUC at 101 thresholds",
    "AUFβ",
    "IoU",
    "boundary Fβ",
    "calibration error",
    "accuracy at best α",
    "mean-of-max Fβ",
    "max Fβ of mean PR",
    "best α",
)
SECONDS = "s/MP"
#: Further files of `write_report`: the curves and their plots.
CURVES_FILE = "curves.csv"
PLOT_FILES = ("precision_recall.png", "f_beta.png", "roc.png")
# Counts of `MaskCurves` at each threshold, and the number of thresholds in a tenth.
_COUNTS = ("true_positives", "false_positives")
_TENTH = (len(THRESHOLDS) - 1) // 10
# Size of a plot: 640×520 px.
_INCHES = (6.4, 5.2)
_DPI = 100
# Figures of single pictures; only protocols with means have them.
_PICTURE_FIGURES = ("mean-of-max Fβ", "adaptive Fβ", "MAE", "AUC", "AUFβ", "IoU", "boundary Fβ")


@dataclass(frozen=True, eq=False)
class MaskScore:
    """Curves of one detector on one picture, and the seconds that the detector took for each megapixel."""

    detector: str
    picture: str
    seconds: float
    curves: MaskCurves


def score_masks(
    pictures: Iterable[MaskScene | MaskPair],
    methods: Mapping[str, MaskMethod],
    *,
    protocol: MaskProtocol | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[MaskScore]:
    """Score each method on each picture.

    Raises ValueError if there is no method, or a map does not fit; the message names the method and the picture.

    Parameters
    ----------
    pictures : iterable of MaskScene or MaskPair
        Pairs are read one at a time.
    methods : mapping
        Name to `MaskMethod`.
    protocol : MaskProtocol, optional
        Means over pictures at native size unless given. For another size pictures and masks are resized first, see
        `resize_scene`.
    say : callable, optional
        Called with a line for each pair that cannot be read; no method is scored on it.
    """
    protocol = MaskProtocol() if protocol is None else protocol
    if not methods:
        raise ValueError("methods must name at least one. Got: none.")
    scores = []
    for picture in pictures:
        try:
            scene = picture if isinstance(picture, MaskScene) else read_scene(picture)
        except (OSError, ImageReadError, MaskSetError) as error:
            say(f"{picture.name}: {error}")
            continue
        scene = resize_scene(scene, protocol.size)
        scores += [_score_method(scene, name, method) for name, method in methods.items()]
    return scores


def resize_scene(scene: MaskScene, size: str) -> MaskScene:
    """Resize a scene to the size of a protocol, see `MaskProtocol`.

    Smaller sizes are means over areas, larger ones linear. A pixel is blurred if at least half of what it covers is.
    """
    if size == NATIVE_SIZE:
        return scene
    width, height = (int(side) for side in size.split("x"))
    image = np.clip(resize(scene.image, (height, width)), 0, 1)
    mask = resize(scene.mask.astype(np.float32), (height, width)) >= 0.5
    return MaskScene(scene.name, scene.family, image, mask)


def tabulate_masks(scores: Sequence[MaskScore], protocol: MaskProtocol) -> list[Row]:
    """Make one row for each detector, in order of appearance.

    Each row has ``detector``, ``protocol``, ``pictures``, the `FIGURES` and ``s/MP``, the median time, since the first
    picture may compile.
    """
    rows: list[Row] = []
    for (name,), own in group_by(scores, "detector").items():
        figures = summarize_masks([score.curves for score in own], protocol)
        row: Row = {"detector": name, "protocol": figures["protocol"], "pictures": figures["pictures"]}
        row |= {figure: figures[figure] for figure in FIGURES if figure in figures}
        rows.append(row | {SECONDS: float(np.median([score.seconds for score in own]))})
    return rows


def tabulate_reliability(scores: Sequence[MaskScore]) -> list[Row]:
    """Share of all pixels in each tenth of the probability, and share of those that are blurred.

    If a probability means what it says, the last figure is within the tenth.
    """
    rows: list[Row] = []
    for (name,), own in group_by(scores, "detector").items():
        counts = [np.sum([getattr(one.curves, kind) for one in own], axis=0) for kind in _COUNTS]
        # Pixels from one tenth of the thresholds to the next; a probability of 1 belongs to the last tenth.
        blurred, sharp = (-np.diff(np.append(count[:-1:_TENTH], 0)) for count in counts)
        pixels = blurred + sharp
        for tenth in range(len(pixels)):
            row: Row = {"detector": name, "probability": f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}"}
            row |= {"pixels": divide(pixels[tenth], pixels.sum()), "blurred": divide(blurred[tenth], pixels[tenth])}
            rows.append(row)
    return rows


def tabulate_pictures(scores: Sequence[MaskScore], protocol: MaskProtocol) -> list[Row]:
    """Make one row for each picture and detector, to find the worst pictures."""
    rows: list[Row] = []
    for score in scores:
        figures = summarize_masks([score.curves], MaskProtocol("per-image mean", protocol.size))
        row: Row = {"detector": score.detector, "picture": score.picture, "size": protocol.size}
        row |= {name.removeprefix("mean-of-"): figures[name] for name in _PICTURE_FIGURES}
        rows.append(row | {SECONDS: score.seconds})
    return rows


def write_report(folder: str | Path, scores: Sequence[MaskScore], protocol: MaskProtocol) -> None:
    """Write tables (CSV) and plots (PNG) into a folder, which is made if it is missing; each file whole or not at all.

    Raises ValueError without scores.
    """
    if not scores:
        msg = "scores must hold at least one picture. Got: none."
        raise ValueError(msg)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    groups = group_by(scores, "detector")
    curves = {name: average_curves([score.curves for score in own], protocol) for (name,), own in groups.items()}
    write_rows(folder / SUMMARY_FILE, tabulate_masks(scores, protocol))
    write_rows(folder / CURVES_FILE, _tabulate_curves(curves))
    write_rows(folder / PICTURES_FILE, tabulate_pictures(scores, protocol))
    for file, picture in zip(PLOT_FILES, plot_mask_curves(curves), strict=True):
        write_picture(folder / file, picture)


def plot_mask_curves(curves: Mapping[str, AverageCurves]) -> list[NDArray[np.uint8]]:
    """Draw precision over recall, Fβ over the threshold, and the ROC, as RGB pictures (520, 640, 3) of uint8.

    `curves` maps the name of a detector to its curves, all of one protocol, whose name becomes the title.
    """
    return [
        _plot(curves, "recall", "precision", lambda own: (own.recall, own.precision)),
        _plot(curves, "threshold", "Fβ", lambda own: (THRESHOLDS, own.f_beta)),
        _plot(
            curves,
            "false positive rate",
            "true positive rate",
            lambda own: (np.append(own.false_positive_rate, 0), np.append(own.true_positive_rate, 0)),
        ),
    ]


def _plot(
    curves: Mapping[str, AverageCurves],
    x_label: str,
    y_label: str,
    take: Callable[[AverageCurves], tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> NDArray[np.uint8]:
    """Draw one curve of each detector."""
    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, own in curves.items():
        axes.plot(*take(own), label=name)
    axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, 1), ylim=(0, 1.01))
    axes.set_title("; ".join(dict.fromkeys(own.protocol.name for own in curves.values())))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right" if x_label != "recall" else "lower left")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _score_method(scene: MaskScene, name: str, method: MaskMethod) -> MaskScore:
    """Run one method on one scene and compare its map with the mask."""
    start = time.perf_counter()
    probability = method.detect(scene.image)
    seconds = (time.perf_counter() - start) / (scene.mask.size / 1e6)
    try:
        return MaskScore(name, scene.name, seconds, measure_mask(probability, scene.mask, threshold=method.threshold))
    except ValueError as error:
        msg = f"Method {name!r} on {scene.name!r}: {error}"
        raise ValueError(msg) from error


def _tabulate_curves(curves: Mapping[str, AverageCurves]) -> list[Row]:
    """Make one row for each detector and threshold."""
    return [
        {
            "detector": name,
            "protocol": own.protocol.name,
            "threshold": float(threshold),
            "precision": float(own.precision[number]),
            "recall": float(own.recall[number]),
            "Fβ": float(own.f_beta[number]),
            "false positive rate": float(own.false_positive_rate[number]),
            "true positive rate": float(own.true_positive_rate[number]),
        }
        for name, own in curves.items()
        for number, threshold in enumerate(THRESHOLDS)
    ]
