"""From a photo to a blur map: edges, networks, propagation, in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.choices import AUTO, DEFAULT_MAX_RADIUS, DEFAULT_PRESET, MaxRadius, Precision, ReadOut
from defocus_edge.estimation.edges import EdgeSettings, find_edges, thin_edges
from defocus_edge.estimation.point_blur import PointBlur, measure_points
from defocus_edge.estimation.pyramid import PyramidBlur, choose_scales, measure_pyramid, reduce_any
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.files.images import load_image
from defocus_edge.networks.devices import choose_device, use_device
from defocus_edge.networks.edge.authors_weights import import_authors_weights
from defocus_edge.networks.edge.dense import TILE_SIDE, DenseEvaluator
from defocus_edge.networks.presets import load_edge_networks
from defocus_edge.propagation.propagate import NoEdgesError, PreparedSpread, prepare_spread
from defocus_edge.propagation.settings import PropagationSettings

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworks

#: What the settings name as preset for networks that were handed over in memory.
OWN_NETWORKS = "networks in memory"
# All points count, if barely.
_LEAST_CONFIDENCE = np.float32(1e-3)


class BlurEstimator:
    """Loads the networks once and estimates the blur of any number of pictures.

    Parameters
    ----------
    preset : str, Path or EdgeNetworks
        Name of the weights, see `list_presets`, a folder that `python -m training` wrote, or networks in memory.
    read_out : {'median', 'expectation', 'argmax'}
        Median or mean of the 23 levels under the softmax, or the most probable one as in the paper.
    depth_penalty : float, optional
        How much depth edges stop the propagation (Ψ in the paper); 0 switches that off. That of `propagation` unless
        given.
    depth_threshold : float, optional
        Probability of E-NET above which a point counts as a depth edge; the one calibrated for the preset unless given.
    edge_settings : EdgeSettings, optional
        How edges are found.
    propagation : PropagationSettings or 'paper', optional
        How blur spreads; ``"paper"`` is `PropagationSettings.paper`.
    tile_side : int
        Side in px of the tiles that the networks see; smaller needs less memory, the result is the same.
    max_radius : float or 'auto'
        Largest radius in px to look for. The networks know radii up to 6 px: beyond that they see the picture at half
        its size, a quarter and so on, too. ``"auto"`` goes on while 96 px are left on the shorter side, and to 96 px at
        most; 6 is the single scale of the paper.
    edge_step : int
        Measure one edge point in so many. The maps are needed for a single point, so that little is won: on astronaut
        and coffee of scikit-image 3 took 0.9 of the processor's time and moved the map by 6 % on average.
    precision : {'float32', 'bfloat16'}
        Of the networks' convolutions. On the same photographs and a processor with such instructions bfloat16 took 0.65
        of the time; 1.2 % of the points moved by 0.125 px or more, the map by 0.003 px (0.3 %) on average, and by up to
        1.5 px in places where an edge point changed from pattern to depth edge.
    device : str
        ``"auto"`` (the first GPU that the backend sees, else the CPU), ``"cpu"``, or ``"gpu:0"``.

    Attributes
    ----------
    settings : EstimatorSettings
    device : str
        Where the networks run: ``"cpu:0"`` or ``"gpu:N"``.

    Raises
    ------
    PresetError
        If the preset is unknown or damaged.
    ValueError
        If an option is out of its range; `DeviceError` if the device is not there.

    Notes
    -----
    Any number of threads may use one estimator.

    Examples
    --------
    >>> estimator = BlurEstimator()  # doctest: +SKIP
    >>> estimator.estimate(image).radius  # doctest: +SKIP

    References
    ----------
    A. Karaali, N. Harte, C. R. Jung, "Deep Multi-Scale Feature Learning for Defocus Blur Estimation", IEEE Transactions
    on Image Processing 31, 2022, arXiv:2009.11939.
    """

    def __init__(
        self,
        preset: str | Path | EdgeNetworks = DEFAULT_PRESET,
        *,
        read_out: ReadOut = "median",
        depth_penalty: float | None = None,
        depth_threshold: float | None = None,
        edge_settings: EdgeSettings | None = None,
        propagation: PropagationSettings | Literal["paper"] | None = None,
        tile_side: int = TILE_SIDE,
        max_radius: MaxRadius = DEFAULT_MAX_RADIUS,
        edge_step: int = 1,
        precision: Precision = "float32",
        device: str = AUTO,
    ) -> None:
        self.device = choose_device(device)
        with use_device(self.device):
            networks = load_edge_networks(preset) if isinstance(preset, str | Path) else preset
        self.settings = EstimatorSettings(
            preset=str(preset) if isinstance(preset, str | Path) else OWN_NETWORKS,
            read_out=read_out,
            depth_threshold=networks.config.depth_threshold if depth_threshold is None else depth_threshold,
            edges=edge_settings or EdgeSettings(),
            propagation=_choose_propagation(propagation, depth_penalty),
            tile_side=tile_side,
            max_radius=max_radius,
            edge_step=edge_step,
            precision=precision,
        )
        self._evaluator = DenseEvaluator(networks, tile_side=tile_side, precision=precision, device=self.device)

    @classmethod
    def from_authors_weights(cls, folder: str | Path, **options: Any) -> Self:
        """Estimator with the weights that the authors of the paper published, run as their code runs them.

        Parameters
        ----------
        folder : str or Path
            Holds ``blur/0.mat`` … ``blur/21.mat`` and ``edge/0.mat`` … ``edge/25.mat`` (GPL-3.0, not part of this
            package).
        **options
            As for `BlurEstimator`, but for `preset`. The defaults are the settings of the authors' code:
            ``read_out="argmax"``, ``max_radius=6`` and `PropagationSettings.authors_code`.

        Returns
        -------
        BlurEstimator

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        PresetError
            If a file does not fit the networks.
        """
        defaults = {
            "read_out": "argmax",
            "propagation": PropagationSettings.authors_code(),
            "max_radius": MAX_RADIUS,
        }
        return cls(import_authors_weights(folder), **{**defaults, **options})

    def estimate(
        self,
        image: ArrayLike | str | Path,
        edges: NDArray[np.bool_] | None = None,
        *,
        max_radius: MaxRadius | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> BlurEstimate:
        """Blur map of one picture.

        Parameters
        ----------
        image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
            uint8, uint16, or float in [0, 1]; sRGB-encoded as files are. At least 20 px on each side. Alpha is
            dropped. See `as_image`.
        edges : (H, W) ndarray of bool, optional
            Edge map of any detector; Canny's otherwise. A reduced picture has an edge where a pixel of the block has.
        max_radius : float or 'auto', optional
            px; that of the estimator unless given.
        progress : callable, optional
            Called with (edge points done, all edge points), for each scale from the start.

        Returns
        -------
        BlurEstimate

        Raises
        ------
        NoEdgesError
            If the picture has no pattern edge: nothing shows how blurred it is.
        ValueError, TypeError
            If `image` is no picture, `edges` does not fit it, or it is too small for radii of `max_radius`.
        """
        settings = self.settings if max_radius is None else replace(self.settings, max_radius=max_radius)
        rgb = load_image(image)  # a copy of our own
        edges = None if edges is None else _check_edges(edges, rgb.shape[:2])
        scales = choose_scales(rgb.shape, settings.max_radius)

        def measure(picture: NDArray[np.float32], look_at: NDArray[np.bool_] | None, scale: int) -> PointBlur:
            here = find_edges(picture, settings=settings.edges) if edges is None else reduce_any(edges, scale)
            return measure_points(
                picture,
                thin_edges(here if look_at is None else here & look_at, settings.edge_step),
                self._evaluator,
                read_out=settings.read_out,
                depth_threshold=settings.depth_threshold,
                progress=progress,
            )

        blur = measure_pyramid(rgb, scales, measure, close=settings.propagation.close_boundaries)
        found = blur.found
        _check_points(found, rgb.shape)
        spread = _prepare_spread(rgb, blur, settings=settings, overwrite_image=True)
        del rgb  # at 24 megapixels 288 MB that the next step needs
        radius, confidence = _spread(spread, blur)
        return BlurEstimate(
            radius,
            confidence,
            found.points,
            found.radius,
            found.confidence,
            found.is_depth_edge,
            settings,
            blur.scale,
        )


def estimate_blur(image: ArrayLike | str | Path, **options: Any) -> BlurEstimate:
    """Blur map of one picture, in px: the one-liner. For many pictures make one `BlurEstimator`.

    Parameters
    ----------
    image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
        As for `BlurEstimator.estimate`.
    **options
        As for `BlurEstimator`, and `edges` as for `BlurEstimator.estimate`.

    Returns
    -------
    BlurEstimate

    Raises
    ------
    NoEdgesError
        If the picture has no pattern edge.
    ValueError, TypeError
        If an argument is not as described.
    """
    edges = options.pop("edges", None)
    return BlurEstimator(**options).estimate(image, edges)


def spread_points(
    image: NDArray[np.float32],
    points: NDArray[np.integer],
    point_radius: NDArray[np.float32],
    point_confidence: NDArray[np.float32],
    is_depth_edge: NDArray[np.bool_],
    *,
    settings: EstimatorSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Dense radius and confidence from what is known at edge points: the last stage of the pipeline.

    Parameters
    ----------
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    points : (N, 2) ndarray of int
    point_radius : (N,) ndarray of float32
        px.
    point_confidence : (N,) ndarray of float32
    is_depth_edge : (N,) ndarray of bool
        These points stop the propagation; the others are its source.
    settings : EstimatorSettings
        Its `propagation` is used.

    Returns
    -------
    radius, confidence : (H, W) ndarray of float32

    Raises
    ------
    NoEdgesError
        If all points are depth edges.
    """
    found = PointBlur(points.astype(np.int32, copy=False), point_radius, point_confidence, is_depth_edge)
    single = PyramidBlur(found, np.ones(len(points), dtype=np.int32), None)
    return _spread(_prepare_spread(image, single, settings=settings, overwrite_image=False), single)


def _prepare_spread(
    image: NDArray[np.float32], blur: PyramidBlur, *, settings: EstimatorSettings, overwrite_image: bool
) -> PreparedSpread:
    """How far the pattern points spread in a picture."""
    found = blur.found
    depth_edges = np.zeros(image.shape[:2], dtype=bool)
    depth_edges[tuple(found.points[found.is_depth_edge & (blur.scale == 1)].T)] = True
    return prepare_spread(
        image,
        found.points[~found.is_depth_edge],
        depth_edges,
        settings=settings.propagation,
        boundaries=blur.boundaries,
        overwrite_image=overwrite_image,
    )


def _spread(spread: PreparedSpread, blur: PyramidBlur) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Dense radius and confidence. A point of a reduced picture stands for so many of the picture along its edge."""
    pattern = ~blur.found.is_depth_edge
    return spread.run(
        blur.found.radius[pattern],
        np.maximum(blur.found.confidence[pattern], _LEAST_CONFIDENCE),
        point_weight=blur.scale[pattern].astype(np.float32),
    )


def _check_points(found: PointBlur, shape: tuple[int, ...]) -> None:
    """Refuse a picture without a pattern edge."""
    if not len(found):
        msg = f"No edges found in the image of {shape[0]}×{shape[1]} px: nothing shows how blurred it is."
        raise NoEdgesError(msg)
    if found.is_depth_edge.all():
        msg = f"All {len(found)} edge points of the image are depth edges, where blur cannot be measured."
        raise NoEdgesError(msg)


def _choose_propagation(
    propagation: PropagationSettings | Literal["paper"] | None, depth_penalty: float | None
) -> PropagationSettings:
    if isinstance(propagation, str) and propagation != "paper":
        msg = f"propagation must be 'paper' or PropagationSettings. Got: {propagation!r}."
        raise ValueError(msg)
    chosen = PropagationSettings.paper() if propagation == "paper" else propagation or PropagationSettings()
    return chosen if depth_penalty is None else replace(chosen, depth_penalty=depth_penalty)


def _check_edges(edges: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    edges = np.asarray(edges)
    if edges.dtype != bool:
        msg = f"edges must be a bool array, True at edges. Got: {edges.dtype}; pass for example edges > 0."
        raise TypeError(msg)
    if edges.shape != shape:
        msg = f"edges must have the shape of the image, {shape}. Got: {edges.shape}."
        raise ValueError(msg)
    return edges
