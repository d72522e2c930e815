"""What each part of the pipeline is worth: the error of the map without it, or with another part in its place.

The networks run once for each scene, on the scene itself and not on reduced pictures. The variants differ in how the
output of the networks is read, filtered and spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.estimation.context import judge_points
from defocus_edge.estimation.light_range import stretch_range
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.stages import measure, spread
from defocus_edge.networks.context import ContextEvaluator
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.presets import load_context_weights
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.propagation.settings import PropagationSettings
from training.baselines.matting_propagation import propagate_by_matting
from training.baselines.sparse_filters import filter_by_colour_and_confidence, smooth_along_edges
from training.runs.log import write_rows
from training.runs.tables import NAN, Row, average_known, group_by_family

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworks
    from training.data.development import DevelopmentScene

FloatArray = NDArray[np.float32]
#: Makes a map, (H, W) in px, from a picture and the blur at its edge points.
Variant = Callable[[FloatArray, PointBlur], FloatArray]

#: Names of rows to presets of two short trainings that differ only in their patches.
SHORT_TRAININGS: dict[str, Path] = {
    "short training": Path(__file__).parent / "ablation_presets" / "small",
    "short training, single-scale patches": Path(__file__).parent / "ablation_presets" / "single-scale",
}


@dataclass(frozen=True)
class AblationScore:
    """Mean absolute error in px of one variant's map of one scene; NaN where nothing could be measured."""

    method: str
    family: str
    picture: str
    error: float = NAN


def make_map(image: FloatArray, found: PointBlur, propagation: PropagationSettings | None = None) -> FloatArray:
    """Spread the points as the pipeline does."""
    return spread(image, PyramidBlur.at_one_scale(found), settings=propagation)[0]


def spread_by_matting(image: FloatArray, found: PointBlur) -> FloatArray:
    """Spread the points by the matting Laplacian. They weigh as in the pipeline; depth edges stop nothing."""
    pattern = found.select(~found.is_depth_edge)
    weight = pattern.positive_confidence ** np.float32(PropagationSettings().confidence_power)
    return _solve_matting(image, pattern, weight)


def spread_by_matting_all(image: FloatArray, found: PointBlur) -> FloatArray:
    """Spread all edge points by the matting Laplacian, with equal weights, as is usual without E-NET."""
    return _solve_matting(image, found.reread(read_out="argmax"), np.ones(len(found), dtype=np.float32))


def _solve_matting(image: FloatArray, sources: PointBlur, weight: FloatArray) -> FloatArray:
    """Draw radii and weights into maps and fill the rest by the matting Laplacian."""
    values, weights = np.zeros((2, *image.shape[:2]), dtype=np.float32)
    values[tuple(sources.points.T)] = sources.radius
    weights[tuple(sources.points.T)] = weight
    return propagate_by_matting(values, weights, image)


def smooth_edges(found: PointBlur) -> PointBlur:
    """Filter the radii of the pattern edges along connected edges."""
    pattern = ~found.is_depth_edge
    radius = found.radius.copy()
    radius[pattern] = smooth_along_edges(found.points[pattern], radius[pattern])
    return replace(found, radius=radius)


def filter_bilaterally(image: FloatArray, found: PointBlur) -> PointBlur:
    """Filter the radii of the pattern edges by the probabilistic joint bilateral filter."""
    pattern = ~found.is_depth_edge
    radius = found.radius.copy()
    radius[pattern] = filter_by_colour_and_confidence(
        found.points[pattern], radius[pattern], found.positive_confidence[pattern], image
    )
    return replace(found, radius=radius)


_FREE = replace(PropagationSettings(), depth_penalty=0.0)
_PAPER = PropagationSettings.paper()
_PAPER_FREE = replace(_PAPER, depth_penalty=0.0)
#: Name of a variant to its function; the default is the pipeline itself, at one scale.
VARIANTS: dict[str, Variant] = {
    "default": make_map,
    "no depth penalty": lambda image, found: make_map(image, found, _FREE),
    "matting Laplacian": spread_by_matting,
    "connected edge filter": lambda image, found: make_map(image, smooth_edges(found)),
    "joint bilateral filter": lambda image, found: make_map(image, filter_bilaterally(image, found)),
    "paper's propagation": lambda image, found: make_map(image, found, _PAPER),
    "paper's, no depth penalty": lambda image, found: make_map(image, found, _PAPER_FREE),
}
#: The same without the context network: it corrects medians only.
UNCORRECTED_VARIANTS: dict[str, Variant] = {
    "no context network": make_map,
    "no context network, argmax": lambda image, found: make_map(image, found.reread(read_out="argmax")),
    "no context network, expectation": lambda image, found: make_map(image, found.reread(read_out="expectation")),
    "matting Laplacian of all edge points": spread_by_matting_all,
}


def score_ablations(
    scenes: Iterable[DevelopmentScene],
    networks: EdgeNetworks,
    *,
    others: Mapping[str, EdgeNetworks] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[AblationScore]:
    """Measure the errors of the maps of all variants.

    Returns one score for each scene and variant.

    Parameters
    ----------
    others : dict, optional
        Names to other networks. Each adds a last row that is otherwise like the default.
    say : callable, optional
        Called with a line for each scene for which networks have no map.
    """
    own = DenseEvaluator(KerasEngine(networks))
    rivals = {name: DenseEvaluator(KerasEngine(rival)) for name, rival in (others or {}).items()}
    preset = networks.config.context
    context = ContextEvaluator(load_context_weights(preset)) if preset else None
    scores: list[AblationScore] = []
    for scene in scenes:
        found = _measure(scene, own)
        corrected = found if context is None else _correct(scene, found, context)
        maps = {name: partial(make, scene.image, corrected) for name, make in VARIANTS.items()}
        maps |= {name: partial(make, scene.image, found) for name, make in UNCORRECTED_VARIANTS.items()}
        scores += _score_maps(scene, maps, say)
        for name, rival in rivals.items():
            scores += _score_maps(scene, {name: partial(make_map, scene.image, _measure(scene, rival))}, say)
    return scores


def _measure(scene: DevelopmentScene, evaluator: DenseEvaluator) -> PointBlur:
    """Run the two networks on a scene."""
    return measure(scene.image, evaluator, max_radius=MAX_RADIUS, keep_softmax=True).found


def _correct(scene: DevelopmentScene, found: PointBlur, context: ContextEvaluator) -> PointBlur:
    """Correct points by what surrounds them, as the pipeline does."""
    return judge_points(PyramidBlur.at_one_scale(found), [stretch_range(scene.image)], context).found


def _score_maps(
    scene: DevelopmentScene, maps: Mapping[str, Callable[[], FloatArray]], say: Callable[[str], None]
) -> list[AblationScore]:
    """Measure the error of the map that each function makes of a scene."""
    errors = dict.fromkeys(maps, NAN)
    for name, make in maps.items():
        try:
            errors[name] = float(np.abs(make() - scene.radius).mean())
        except NoEdgesError as error:  # the first variant tells: without a pattern edge no other has a map
            say(f"{scene.name}: {error}")
            break
        except ValueError as error:  # the matting's equations may be too much for its solver
            say(f"{scene.name}, {name}: {error}")
    return [AblationScore(name, scene.family, scene.name, error) for name, error in errors.items()]


def summarize_ablations(scores: Sequence[AblationScore]) -> list[Row]:
    """Average the error in px over the scenes of a family: one row for each variant, one column for each family.

    Each row has ``variant``, then the families in order of appearance. ``all`` follows if there are several.
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
