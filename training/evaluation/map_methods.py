"""Methods that map the blur of a picture, all behind one call: our networks, the authors', true radii, baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.baselines import BASELINES

if TYPE_CHECKING:
    from defocus_edge.estimation.result import BlurEstimate
    from defocus_edge.pipeline import BlurEstimator
    from training.baselines.registry import Baseline, Unit
    from training.data.development import DevelopmentScene

#: Radii and depth labels at the edge points are the true ones: what is left is the propagation's error.
TRUE_POINTS = "true"
#: The weights that the authors of the paper published, run as their code runs them.
AUTHORS = "authors"


@dataclass(frozen=True)
class MapMethod:
    """What makes a map of a scene.

    Attributes
    ----------
    name : str
        For tables.
    measure : callable
        Takes a scene, gives a (H, W) map of float32 or a `BlurEstimate`. Only the method of true radii looks at more
        than the picture. Raises `NoEdgesError` where nothing shows how blurred the picture is.
    unit : {'px', 'score'}
        Of the map: disk radius in px, or a relative blurriness of 0 to 1 that means nothing between pictures.
    """

    name: str
    measure: Callable[[DevelopmentScene], NDArray[np.float32] | BlurEstimate]
    unit: Unit = "px"


def load_map_methods(words: Sequence[str], *, authors: str | Path | None = None) -> list[MapMethod]:
    """Load methods by name.

    Parameters
    ----------
    words : sequence of str
        ``true`` for true radii at the edge points, a name of `BASELINES`, or a preset of edge networks by name or
        folder.
    authors : str or Path, optional
        Folder of the authors' weights: one more method, the last one.

    Returns
    -------
    list of MapMethod
        In the order of the words; folders have their last name.

    Raises
    ------
    PresetError
        If a word is none of these, or a preset is damaged.
    FileNotFoundError
        If a file of the authors' weights is missing.
    ValueError
        If two methods have one name, or there is none.
    """
    from defocus_edge.estimation.result import EstimatorSettings
    from defocus_edge.pipeline import BlurEstimator
    from training.evaluation.edges import estimate_with_truth

    methods = []
    for word in words:
        if word == TRUE_POINTS:
            methods.append(MapMethod(TRUE_POINTS, partial(estimate_with_truth, settings=EstimatorSettings("none"))))
        elif word in BASELINES:
            methods.append(_wrap_baseline(BASELINES[word]))
        else:
            methods.append(_wrap_estimator(Path(word).name, BlurEstimator(word)))
    if authors is not None:
        methods.append(_wrap_estimator(AUTHORS, BlurEstimator.from_authors_weights(authors)))
    names = [method.name for method in methods]
    if not names or len(set(names)) < len(names):
        msg = f"methods must be at least one, each once. Got: {', '.join(names) or 'none'}."
        raise ValueError(msg)
    return methods


def _wrap_baseline(baseline: Baseline) -> MapMethod:
    return MapMethod(baseline.name, lambda scene: baseline.measure(scene.image), baseline.unit)


def _wrap_estimator(name: str, estimator: BlurEstimator) -> MapMethod:
    return MapMethod(name, lambda scene: estimator.estimate(scene.image))
