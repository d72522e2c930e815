"""Methods that map the blur of a picture, all behind one call: our networks, the authors', baselines, true radii."""

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
    from defocus_edge.radius_networks import RadiusEstimator
    from training.baselines.registry import Baseline, Unit
    from training.data.development import DevelopmentScene

#: Method whose edge points carry their true radius and label. Its error is that of the propagation alone.
TRUE_POINTS = "true"
#: The weights that the authors of the paper published, run as their code runs them.
AUTHORS = "authors"


@dataclass(frozen=True)
class MapMethod:
    """A method that makes a map of a scene."""

    #: Name of the method in tables.
    name: str
    #: Takes a scene and gives a (H, W) map of float32 or a `BlurEstimate`. Only `TRUE_POINTS` looks at more than the
    #: picture. Raises `NoEdgesError` if nothing shows how blurred the picture is.
    measure: Callable[[DevelopmentScene], NDArray[np.float32] | BlurEstimate]
    #: Unit of the map: disk radius in px, or a blurriness of 0 to 1 that compares parts of one picture only.
    unit: Unit = "px"
    #: Name or folder of its networks, if it has any.
    preset: str | None = None


def load_map_methods(words: Sequence[str], *, authors: str | Path | None = None) -> list[MapMethod]:
    """Load methods by name.

    Raises PresetError or FileNotFoundError if a word is none of these, a preset is damaged, or a file of the authors'
    weights is missing. Raises ValueError if two methods have one name, or there is none.

    Parameters
    ----------
    words : sequence of str
        ``true``, a name of `BASELINES`, or a preset by name or folder: of edge networks, or of a network that answers
        with a radius. A folder's last name becomes the name of its method.
    authors : str or Path, optional
        Folder of the authors' weights: they become the last method.
    """
    from defocus_edge.estimation.result import EstimatorSettings
    from defocus_edge.networks.preset_files import CONFIG_FILE, find_preset, read_config
    from defocus_edge.networks.segmentation.names import NETWORK_NAMES
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.radius_networks import RadiusEstimator
    from training.evaluation.edges import estimate_with_truth

    methods = []
    for word in words:
        if word == TRUE_POINTS:
            methods.append(MapMethod(TRUE_POINTS, partial(estimate_with_truth, settings=EstimatorSettings("none"))))
        elif word in BASELINES:
            baseline = BASELINES[word]
            methods.append(MapMethod(word, partial(_run_baseline, baseline), baseline.unit))
        elif read_config(find_preset(word) / CONFIG_FILE)["network"] in NETWORK_NAMES:
            network = RadiusEstimator(word)
            methods.append(MapMethod(Path(word).name, partial(_run_network, network), preset=word))
        else:
            methods.append(MapMethod(Path(word).name, partial(_run_estimator, BlurEstimator(word)), preset=word))
    if authors is not None:
        authors_own = BlurEstimator.from_authors_weights(authors)
        methods.append(MapMethod(AUTHORS, partial(_run_estimator, authors_own)))
    names = [method.name for method in methods]
    if not names or len(set(names)) < len(names):
        msg = f"methods must be at least one, each once. Got: {', '.join(names) or 'none'}."
        raise ValueError(msg)
    return methods


def _run_baseline(baseline: Baseline, scene: DevelopmentScene) -> NDArray[np.float32]:
    """Map of the picture of a scene."""
    return baseline.measure(scene.image)


def _run_network(estimator: RadiusEstimator, scene: DevelopmentScene) -> NDArray[np.float32]:
    """Map of the picture of a scene."""
    return estimator.estimate(scene.image)


def _run_estimator(estimator: BlurEstimator, scene: DevelopmentScene) -> BlurEstimate:
    """Map of the picture of a scene."""
    return estimator.estimate(scene.image)
