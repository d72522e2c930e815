"""Pixels of a photograph that are out of focus, by the blur map with a threshold or by a segmentation network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.choices import AUTO, MAP_METHOD, METHOD_PRESETS, Method
from defocus_edge.files.images import load_image
from defocus_edge.methods import choose_method
from defocus_edge.networks.devices import choose_device, use_device
from defocus_edge.networks.forks import check_process
from defocus_edge.networks.presets import load_segmentation_preset
from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from defocus_edge.networks.segmentation.tiles import LARGEST_SIDE, OVERLAP, MapEvaluator
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.probability import smooth_probability
from defocus_edge.radius_networks import RadiusEstimator
from defocus_edge.thresholds import find_threshold

#: With the method `threshold` the odds of blur are (radius / threshold) to this power. 4 has the least cross entropy on
#: the development scenes of `training.masks.scenes`, with the default threshold.
STEEPNESS = 4.0
# Probability at the threshold of the method `threshold`.
_EVEN = 0.5


@dataclass(frozen=True, eq=False)
class BlurMask:
    """Which pixels of a picture are out of focus.

    ``np.asarray(result)`` is the mask.

    Attributes
    ----------
    probability : (H, W) ndarray of float32
        0 to 1, 1 = blurred.
    mask : (H, W) ndarray of bool
        True = blurred: where the probability is above the threshold.
    method : str
    preset : str
        Name or folder of the weights.
    threshold : float
        Threshold of the probability.
    """

    probability: NDArray[np.float32]
    mask: NDArray[np.bool_]
    method: str
    preset: str
    threshold: float

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.mask, dtype=dtype, copy=copy)


class BlurDetector:
    """Loads the networks of a method once and finds the blurred pixels of any number of pictures.

    Parameters
    ----------
    method : {'threshold', 'msdu', 'defusion', 'maganet', 'lite'} or str, optional
        ``threshold`` is the blur map of `BlurEstimator` with a threshold; the others are segmentation networks. One of
        another name needs a preset that you trained. Unless given, it is the method of the preset, and ``threshold``
        without a preset or with an option that only the map has.
    preset : str or Path, optional
        Name of the weights, see `list_presets`, or a folder that `python -m training` wrote.
    threshold : float, optional
        Probability of a segmentation network above which a pixel counts as blurred; the one calibrated for the preset
        unless given.
    alpha, radius : float, optional
        Threshold of the method ``threshold``: see `threshold_blur_map`, also for the default.
    largest_side : int
        Side in px above which a segmentation network sees the picture in tiles; smaller needs less memory.
    overlap : int
        Overlap of the tiles in px.
    device : str
        ``"auto"``, ``"cpu"`` or ``"gpu:0"``, as for `BlurEstimator`.
    **options
        Options of `BlurEstimator`, with the method ``threshold`` only.

    Raises
    ------
    PresetError
        If the preset is unknown, damaged, or belongs to another method.
    ValueError
        If the method is unknown, or an option is out of its range or belongs to another method.

    Examples
    --------
    >>> detector = BlurDetector("msdu")  # doctest: +SKIP
    >>> detector.detect(image).mask  # doctest: +SKIP

    References
    ----------
    F. Yang, X. Xiao, "Multi-scale dilated U-net for blur detection", 2020 (``msdu``).
    C. Tang et al., "DeFusionNET: defocus blur detection via recurrently fusing and refining multi-scale deep features",
    CVPR 2019 (``defusion``).
    Z. Jiang et al., "MA-GANet: a multi-attention generative adversarial network for defocus blur detection", IEEE
    Transactions on Image Processing 30, 2021 (``maganet``).
    M. Tan, Q. V. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019 (the encoder
    of ``lite``, which is ours).
    """

    def __init__(
        self,
        method: Method | str | None = None,
        *,
        preset: str | Path | None = None,
        threshold: float | None = None,
        alpha: float | None = None,
        radius: float | None = None,
        largest_side: int = LARGEST_SIDE,
        overlap: int = OVERLAP,
        device: str = AUTO,
        **options: Any,
    ) -> None:
        map_options = {"alpha": alpha, "radius": radius, **options}
        method = choose_method(method, preset=preset, map_options=map_options)
        methods = (MAP_METHOD, *NETWORK_NAMES)
        if method not in methods:
            msg = f"method must be one of {methods}. Got: {method!r}."
            raise ValueError(msg)
        if preset is None and method not in METHOD_PRESETS:
            msg = f"preset must be a folder that holds a trained {method}: none comes with the package. Got: None."
            raise ValueError(msg)
        check_process()
        self.method = method
        self.device = choose_device(device)
        self._measure: Callable[..., NDArray[np.float32]]
        self.preset = str(METHOD_PRESETS[method] if preset is None else preset)
        if method == MAP_METHOD:
            _refuse(f"method {method!r}", threshold=threshold)
            self.threshold = _EVEN
            find_threshold(np.zeros((1, 1), dtype=np.float32), alpha=alpha, radius=radius)  # refuses wrong ones now
            estimator = BlurEstimator(self.preset, device=self.device, **options)
            self._measure = partial(_measure_radius, estimator=estimator, alpha=alpha, radius=radius)
        else:
            _refuse(f"method {method!r}", **map_options)
            with use_device(self.device):
                self.threshold, self._measure = self._load_network(threshold, largest_side, overlap)

    def _load_network(
        self, threshold: float | None, largest_side: int, overlap: int
    ) -> tuple[float, Callable[..., NDArray[np.float32]]]:
        """The threshold, and the function from a picture to its probability."""
        if threshold is not None and not 0 < threshold < 1:
            msg = f"threshold must be between 0 and 1. Got: {threshold}."
            raise ValueError(msg)
        trained = load_segmentation_preset(self.preset, network=self.method)
        if trained.threshold is None:
            _refuse(f"method {self.method!r}", threshold=threshold)
            estimator = RadiusEstimator(trained, largest_side=largest_side, overlap=overlap, device=self.device)
            return _EVEN, partial(_measure_share, estimator=estimator)
        from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS

        stride = SEGMENTATION_NETWORKS[self.method].stride
        evaluator = MapEvaluator(
            trained.model,
            stride=stride,
            largest_side=largest_side,
            overlap=overlap,
            seen_side=trained.seen_side,
        )

        def measure(image: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
            return smooth_probability(evaluator.predict(image, **options), image, trained.smoothing)

        return trained.threshold if threshold is None else threshold, measure

    def detect(self, image: ArrayLike | str | Path, *, progress: Callable[[int, int], None] | None = None) -> BlurMask:
        """Find the blurred pixels of one picture.

        Parameters
        ----------
        image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
            As for `BlurEstimator.estimate`.
        progress : callable, optional
            Called with (done, all): numbers of edge points with the method ``threshold``, of tiles with the others.

        Returns
        -------
        BlurMask

        Raises
        ------
        NoEdgesError
            With the method ``threshold``, if the picture has no pattern edge.
        ForkError
            As for `BlurEstimator.estimate`.
        ValueError, TypeError
            If `image` is no picture.
        """
        check_process()
        with use_device(self.device):
            probability = self._measure(load_image(image), progress=progress)
        return BlurMask(probability, probability > self.threshold, self.method, self.preset, self.threshold)


def detect_blur(image: ArrayLike | str | Path, *, method: Method | str | None = None, **options: Any) -> BlurMask:
    """Find the blurred pixels of one picture. For many pictures make one `BlurDetector`.

    Parameters
    ----------
    image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
        As for `BlurEstimator.estimate`.
    method : {'threshold', 'msdu', 'defusion', 'maganet', 'lite'} or str, optional
    **options
        As for `BlurDetector`.

    Returns
    -------
    BlurMask

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    """
    return BlurDetector(method, **options).detect(image)


def _measure_radius(
    image: NDArray[np.float32],
    *,
    estimator: BlurEstimator,
    alpha: float | None,
    radius: float | None,
    progress: Callable[[int, int], None] | None,
) -> NDArray[np.float32]:
    """Probability of blur from the blur map of a picture."""
    return compare_radius(estimator.estimate(image, progress=progress).radius, alpha=alpha, radius=radius)


def _measure_share(
    image: NDArray[np.float32], *, estimator: RadiusEstimator, progress: Callable[[int, int], None] | None
) -> NDArray[np.float32]:
    """Probability of blur from the map of a network that answers with a radius."""
    return compare_radius(estimator.estimate(image, progress=progress))


def compare_radius(
    radius_map: NDArray[np.float32], *, alpha: float | None = None, radius: float | None = None
) -> NDArray[np.float32]:
    """Probability of blur, from a map (H, W) of radii in px: it grows with the radius and is one half at the threshold.

    `alpha` and `radius` are as for `threshold_blur_map`.
    """
    threshold = find_threshold(radius_map, alpha=alpha, radius=radius)
    odds = (radius_map / np.float32(threshold)) ** np.float32(STEEPNESS) if threshold else np.float32(np.inf)
    probability = np.float32(1) - np.float32(1) / (np.float32(1) + odds)
    above = radius_map > threshold
    least = np.nextafter(np.float32(_EVEN), np.float32(1))  # rounding must not move a pixel across the threshold
    return np.where(above, np.maximum(probability, least), np.minimum(probability, np.float32(_EVEN)))


def _refuse(owner: str, **options: Any) -> None:
    """Refuse options that a method does not have."""
    for name, value in options.items():
        if value is not None:
            msg = f"{name} does not go with {owner}. Got: {name}={value!r}."
            raise ValueError(msg)
