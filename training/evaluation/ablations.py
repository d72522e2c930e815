"""What each part of the pipeline is worth: the dense error without it, or with another in its place.

The networks run once for each scene; the variants differ in how their output is read, filtered and spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import read_radius
from defocus_edge.choices import ReadOut
from defocus_edge.estimation.edges import edge_points, find_edges
from defocus_edge.estimation.point_blur import measure_confidence
from defocus_edge.estimation.result import EstimatorSettings
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.pipeline import spread_points
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.propagation.settings import PropagationSettings
from training.baselines.matting_propagation import propagate_by_matting
from training.baselines.sparse_filters import filter_by_colour_and_confidence, smooth_along_edges
from training.runs.log import write_rows
from training.runs.tables import Row, average_known, group_by_family

if TYPE_CHECKING:
    from defocus_edge.networks.edge.dense import EdgePrediction
    from defocus_edge.networks.edge.networks import EdgeNetworks
    from training.data.development import DevelopmentScene

FloatArray = NDArray[np.float32]

#: Networks of two short trainings that differ in the patches only, by the names of their rows.
SHORT_TRAININGS: dict[str, Path] = {
    "short training": Path(__file__).parent / "ablation_presets" / "small",
    "short training, single-scale patches": Path(__file__).parent / "ablation_presets" / "single-scale",
}
# As in the pipeline: all points count, if barely.
_LEAST_CONFIDENCE = np.float32(1e-3)
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class PointBlur:
    """What the networks say of the edge points of a picture.

    Attributes
    ----------
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    points : (N, 2) ndarray of int32
        Row and column of all edge points.
    prediction : EdgePrediction
    is_depth_edge : (N,) ndarray of bool
        Not all of them.
    """

    image: FloatArray
    points: NDArray[np.int32]
    prediction: EdgePrediction
    is_depth_edge: NDArray[np.bool_]

    def read(self, read_out: ReadOut) -> tuple[FloatArray, FloatArray]:
        """Radius in px and confidence at all points."""
        radius = read_radius(self.prediction.blur, read_out=read_out)
        return radius, np.maximum(measure_confidence(self.prediction.blur, radius), _LEAST_CONFIDENCE)


@dataclass(frozen=True)
class AblationScore:
    """Mean absolute error in px of one variant's map of one scene; NaN where nothing could be measured."""

    method: str
    family: str
    picture: str
    error: float = NAN


class PointEstimator:
    """Runs networks on the edge points of pictures, and stops before the propagation.

    Parameters
    ----------
    networks : EdgeNetworks
    """

    def __init__(self, networks: EdgeNetworks) -> None:
        self._evaluator = DenseEvaluator(networks)
        self._depth_threshold = networks.config.depth_threshold

    def estimate(self, image: FloatArray) -> PointBlur:
        """Blur and kind of the edge points of a picture, (H, W, 3) float32 in [0, 1].

        Raises
        ------
        NoEdgesError
            If there is no edge point, or all are depth edges.
        """
        points = edge_points(find_edges(image))
        if not len(points):
            msg = "No edges found."
            raise NoEdgesError(msg)
        prediction = self._evaluator.predict(image, points)
        is_depth_edge = prediction.edge[:, 1] > self._depth_threshold
        if is_depth_edge.all():
            msg = f"All {len(points)} edge points are depth edges."
            raise NoEdgesError(msg)
        return PointBlur(image, points, prediction, is_depth_edge)


def spread(
    found: PointBlur,
    *,
    read_out: ReadOut = "median",
    propagation: PropagationSettings | None = None,
    change: Callable[[PointBlur, FloatArray, FloatArray], FloatArray] | None = None,
) -> FloatArray:
    """Map of the points, (H, W) float32 in px, as the pipeline makes it but for what is given.

    Parameters
    ----------
    found : PointBlur
    read_out : {'median', 'expectation', 'argmax'}
    propagation : PropagationSettings, optional
    change : callable, optional
        Takes points, radii and confidences, gives other radii.
    """
    radius, confidence = found.read(read_out)
    if change is not None:
        radius = change(found, radius, confidence)
    settings = EstimatorSettings("none", propagation=propagation or PropagationSettings())
    blur_map, _ = spread_points(found.image, found.points, radius, confidence, found.is_depth_edge, settings=settings)
    return blur_map


def spread_by_matting(found: PointBlur) -> FloatArray:
    """Map by the matting Laplacian: points weigh as in the pipeline, depth edges stop nothing."""
    radius, confidence = found.read("median")
    pattern = ~found.is_depth_edge
    at = tuple(found.points[pattern].T)
    values, weight = np.zeros((2, *found.image.shape[:2]), dtype=np.float32)
    values[at] = radius[pattern]
    weight[at] = confidence[pattern] ** np.float32(PropagationSettings().confidence_power)
    return propagate_by_matting(values, weight, found.image)


def spread_by_matting_all(found: PointBlur) -> FloatArray:
    """Map by the matting Laplacian as it is used without E-NET: all edge points are its sources and count alike."""
    radius, _ = found.read("argmax")
    values, weight = np.zeros((2, *found.image.shape[:2]), dtype=np.float32)
    values[tuple(found.points.T)] = radius
    weight[tuple(found.points.T)] = 1
    return propagate_by_matting(values, weight, found.image)


def _smooth_edges(found: PointBlur, radius: FloatArray, _: FloatArray) -> FloatArray:
    """Connected edge filter on the pattern edges."""
    pattern = ~found.is_depth_edge
    changed = radius.copy()
    changed[pattern] = smooth_along_edges(found.points[pattern], radius[pattern])
    return changed


def _filter_bilaterally(found: PointBlur, radius: FloatArray, confidence: FloatArray) -> FloatArray:
    """Probabilistic joint bilateral filter on the pattern edges."""
    pattern = ~found.is_depth_edge
    changed = radius.copy()
    changed[pattern] = filter_by_colour_and_confidence(
        found.points[pattern], radius[pattern], confidence[pattern], found.image
    )
    return changed


#: Name of a variant to what makes its map of the points; the default is the pipeline itself.
VARIANTS: dict[str, Callable[[PointBlur], FloatArray]] = {
    "default": spread,
    "no depth penalty": lambda found: spread(found, propagation=replace(PropagationSettings(), depth_penalty=0.0)),
    "matting Laplacian": spread_by_matting,
    "connected edge filter": lambda found: spread(found, change=_smooth_edges),
    "joint bilateral filter": lambda found: spread(found, change=_filter_bilaterally),
    "argmax": lambda found: spread(found, read_out="argmax"),
    "expectation": lambda found: spread(found, read_out="expectation"),
    "paper's propagation": lambda found: spread(found, propagation=PropagationSettings.paper()),
    "paper's, no depth penalty": lambda found: spread(
        found, propagation=replace(PropagationSettings.paper(), depth_penalty=0.0)
    ),
    "matting Laplacian of all edge points": spread_by_matting_all,
}


def score_ablations(
    scenes: Iterable[DevelopmentScene],
    networks: EdgeNetworks,
    *,
    others: Mapping[str, EdgeNetworks] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[AblationScore]:
    """Dense errors of all variants.

    Parameters
    ----------
    scenes : iterable of DevelopmentScene
    networks : EdgeNetworks
    others : dict, optional
        Name to networks: a last row for each, all else as in the default.
    say : callable, optional
        Called with a line for each scene that networks have no map for.

    Returns
    -------
    list of AblationScore
        For each scene one of each variant.
    """
    own = PointEstimator(networks)
    rivals = {name: PointEstimator(rival) for name, rival in (others or {}).items()}
    scores: list[AblationScore] = []
    for scene in scenes:
        scores += _score_variants(scene, own, VARIANTS, say)
        for name, rival in rivals.items():
            scores += _score_variants(scene, rival, {name: spread}, say)
    return scores


def _score_variants(
    scene: DevelopmentScene,
    estimator: PointEstimator,
    variants: dict[str, Callable[[PointBlur], FloatArray]],
    say: Callable[[str], None],
) -> list[AblationScore]:
    try:
        found = estimator.estimate(scene.image)
    except NoEdgesError as error:
        say(f"{scene.name}: {error}")
        return [AblationScore(name, scene.family, scene.name) for name in variants]
    scores = []
    for name, make in variants.items():
        try:
            error_px = float(np.abs(make(found) - scene.radius).mean())
        except ValueError as error:  # the matting's equations may be too much for its solver
            say(f"{scene.name}, {name}: {error}")
            error_px = NAN
        scores.append(AblationScore(name, scene.family, scene.name, error_px))
    return scores


def summarize_ablations(scores: Sequence[AblationScore]) -> list[Row]:
    """One row for each variant, one column for each family: mean of the dense error in px over its scenes.

    Parameters
    ----------
    scores : sequence of AblationScore

    Returns
    -------
    list of dict
        ``variant``, then the families in order of appearance; several families are followed by ``all``.
    """
    rows: dict[str, Row] = {}
    for family, variant, members in group_by_family(scores):
        row = rows.setdefault(variant, {"variant": variant})
        row[family] = average_known(score.error for score in members)
    return list(rows.values())


def write_ablations(path: str | Path, scores: Sequence[AblationScore]) -> None:
    """Write the error of each variant and scene as a CSV file, whole or not at all."""
    rows = [
        {"family": score.family, "picture": score.picture, "variant": score.method, "MAE (px)": score.error}
        for score in scores
    ]
    write_rows(Path(path), rows)
