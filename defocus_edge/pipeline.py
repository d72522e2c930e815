"""From a photo to a blur map: the estimator and its settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge._ahead import load_ahead
from defocus_edge.arrays import ImageWarning
from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.choices import (
    AUTO,
    DEFAULT_MAX_RADIUS,
    DEFAULT_PRESET,
    BitDepth,
    Engine,
    MaxRadius,
    Precision,
    ReadOut,
)
from defocus_edge.estimation.edges import EdgeSettings
from defocus_edge.estimation.light_range import warn_of_small_range
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.estimation.stages import measure, spread, trust_depth_edges
from defocus_edge.files.images import load_with_depth
from defocus_edge.networks.context import ContextEvaluator
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.engines import start_engine
from defocus_edge.networks.forks import check_process
from defocus_edge.networks.presets import load_context_weights
from defocus_edge.propagation.settings import PropagationSettings, choose_propagation

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworks

# A picture and the bits of its samples, in a list that is emptied, so that nobody holds the picture longer than needed.
_Loaded = list[tuple[NDArray[np.float32], int | None]]
#: Value of `EstimatorSettings.preset` for networks that were handed over in memory.
OWN_NETWORKS = "networks in memory"


def estimate_blur(image: ArrayLike | str | Path, **options: Any) -> BlurEstimate:
    """Estimate the blur map of one picture, in px. For many pictures make one `BlurEstimator`.

    Parameters
    ----------
    image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
        As for `BlurEstimator.estimate`.
    **options
        As for `BlurEstimator`, and `edges` and `bit_depth` as for `BlurEstimator.estimate`.

    Returns
    -------
    BlurEstimate

    Raises
    ------
    NoEdgesError
        If the picture has no edge.
    ValueError, TypeError
        If an argument is not as described.
    """
    edges, bit_depth = options.pop("edges", None), options.pop("bit_depth", AUTO)
    return BlurEstimator(**options).estimate(image, edges, bit_depth=bit_depth)


class BlurEstimator:
    """Loads the networks once and estimates the blur of any number of pictures.

    Parameters
    ----------
    preset : str, Path or EdgeNetworks
        Name of the weights, see `list_presets`, a folder that `python -m training` wrote, or networks in memory.
    read_out : {'median', 'expectation', 'argmax'}
        How a radius is read from the softmax over the 23 levels: their median or their mean, or the most probable level
        as in the paper.
    depth_penalty : float, optional
        How much depth edges stop the propagation (Ψ in the paper); 0 switches that off. Unless given, it is that of
        `propagation`.
    depth_threshold : float, optional
        Probability of E-NET above which a point counts as a depth edge. Unless given, it is that calibrated for the
        preset.
    edge_settings : EdgeSettings, optional
        How edges are found.
    propagation : PropagationSettings or 'paper', optional
        How blur spreads; ``"paper"`` is `PropagationSettings.paper`.
    tile_side : int, optional
        Side in px of the tiles that the networks see. Smaller tiles need less memory and give the same result. Unless
        given, it is chosen for the width of the networks, see `DenseEvaluator`.
    max_radius : float or 'auto'
        Largest radius in px to look for. The networks know radii up to 6 px; for larger ones they also see the picture
        at half its size, a quarter and so on. ``"auto"`` goes on while the shorter side keeps 96 px, and to 96 px of
        radius at most. 6 is the single scale of the paper.
    edge_step : int
        Measure about one edge point in `edge_step`. Even one point needs the maps around it, so thinning saves little:
        3 took 0.9 of the time on two photographs and moved the map by 6 % on average.
    grid_step : {1, 3}, optional
        With 3, the networks look at the middle of each square of 3×3 px that holds edge points, and its points share
        the answer. That is no longer exact, but less than half the work. Unless given, it is that of the networks; all
        presets have 1.
    precision : {'float32', 'bfloat16'}
        Precision of the networks' convolutions. On these photographs, on a processor with bfloat16 instructions,
        bfloat16 took 0.65 of the time and moved the map by 0.003 px on average, by up to 1.5 px where an edge point
        became a depth edge.
    device : str
        ``"auto"`` (the first GPU that the backend sees, else the CPU), ``"cpu"``, or ``"gpu:0"``.
    engine : {'auto', 'onnxruntime', 'keras'}
        What runs the networks. onnxruntime is faster on the CPU and starts without TensorFlow; Keras also runs on GPUs,
        and in bfloat16. The numbers are the same within 1e-4. ``"auto"`` is onnxruntime if it is installed (extra
        ``onnx``) and nothing else asks for Keras, see `defocus_edge.networks.engines.choose_engine`.
    context : bool
        Correct the points by what surrounds them, if the preset names a network for that, see
        `defocus_edge.estimation.context`.
    stretch_range : bool
        Stretch the range of values that the picture uses to [0, 1] first, so that exposure and contrast change no
        radius.

    Attributes
    ----------
    settings : EstimatorSettings
    device : str
        Where the networks run: ``"cpu:0"`` or ``"gpu:N"``.
    engine : str
        What runs them: ``"onnxruntime"`` or ``"keras"``.

    Raises
    ------
    PresetError
        If the preset is unknown or damaged.
    ValueError
        If an option is out of its range; `DeviceError` if the device is not there.
    ImportError
        If the engine is not installed.

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
        tile_side: int | None = None,
        max_radius: MaxRadius = DEFAULT_MAX_RADIUS,
        edge_step: int = 1,
        grid_step: int | None = None,
        precision: Precision = "float32",
        device: str = AUTO,
        engine: Engine = AUTO,
        context: bool = True,
        stretch_range: bool = True,
    ) -> None:
        running = start_engine(preset, engine=engine, precision=precision, device=device, grid_step=grid_step)
        self.device, self.engine = running.device, running.name
        self.settings = EstimatorSettings(
            preset=str(preset) if isinstance(preset, str | Path) else OWN_NETWORKS,
            read_out=read_out,
            depth_threshold=running.config.depth_threshold if depth_threshold is None else depth_threshold,
            edges=edge_settings or EdgeSettings(),
            propagation=choose_propagation(propagation, depth_penalty),
            tile_side=tile_side,
            max_radius=max_radius,
            edge_step=edge_step,
            grid_step=running.config.grid_step,
            precision=precision,
            stretch_range=stretch_range,
            context=running.config.context if context else None,
        )
        self._evaluator = DenseEvaluator(running, tile_side=tile_side)
        named = self.settings.context
        self._context = ContextEvaluator(load_context_weights(named)) if named else None

    @classmethod
    def from_authors_weights(cls, folder: str | Path, **options: Any) -> Self:
        """Make an estimator with the weights that the authors of the paper published, run as their code runs them.

        Parameters
        ----------
        folder : str or Path
            Folder with ``blur/0.mat`` … ``blur/21.mat`` and ``edge/0.mat`` … ``edge/25.mat`` (GPL-3.0, not part of this
            package).
        **options
            As for `BlurEstimator`, except `preset`. The defaults are the settings of the authors' code:
            ``read_out="argmax"``, ``max_radius=6``, ``stretch_range=False`` and `PropagationSettings.authors_code`.

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
        defaults = {"read_out": "argmax", "propagation": PropagationSettings.authors_code(), "max_radius": MAX_RADIUS}
        defaults |= {"stretch_range": False}
        from defocus_edge.networks.edge.authors_weights import import_authors_weights  # here: it loads Keras

        return cls(import_authors_weights(folder), **{**defaults, **options})

    def estimate(
        self,
        image: ArrayLike | str | Path,
        edges: NDArray[np.bool_] | None = None,
        *,
        bit_depth: BitDepth = AUTO,
        max_radius: MaxRadius | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> BlurEstimate:
        """Estimate the blur map of one picture.

        Parameters
        ----------
        image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
            uint8, uint16, or float in [0, 1]; sRGB-encoded as files are. At least 20 px on each side. Alpha is
            dropped. See `as_image`.
        edges : (H, W) ndarray of bool, optional
            Edge map of any detector; that of Canny's detector unless given. A pixel of a reduced picture is an edge if
            any pixel of its block is.
        bit_depth : int or 'auto'
            Bits of the samples of a uint16 picture, as for `as_image`; `BlurEstimate.bit_depth` says which were taken.
        max_radius : float or 'auto', optional
            Largest radius in px to look for; that of the estimator unless given.
        progress : callable, optional
            Called with (edge points done, all edge points) of one scale; each scale begins anew.

        Returns
        -------
        BlurEstimate

        Raises
        ------
        NoEdgesError
            If the picture has no edge: nothing shows how blurred it is.
        ValueError, TypeError
            If `image` is no picture, `edges` does not fit it, or it is too small for radii of `max_radius`.
        ForkError
            In a process that was forked from one that had started networks. It is a `RuntimeError`.

        Warns
        -----
        ImageWarning
            If the picture uses less than 1/8 of its range, or if all its edges are depth edges.
        """
        check_process()
        loaded = [load_with_depth(image, bit_depth=bit_depth)]
        return self._estimate_loaded(loaded, edges, max_radius=max_radius, progress=progress)

    def estimate_many(
        self,
        images: Iterable[ArrayLike | str | Path],
        *,
        errors: Literal["raise", "return"] = "raise",
        bit_depth: BitDepth = AUTO,
        max_radius: MaxRadius | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[BlurEstimate | Exception]:
        """Estimate the blur maps of many pictures, such as files, the slices of a stack or the frames of a video.

        While one picture is estimated, a thread reads the next. Nothing else is kept, so that memory stays the same
        however many there are.

        Parameters
        ----------
        images : iterable
            Pictures or paths, each as for `estimate`. An array (N, H, W, 3) is N pictures. A generator runs in the
            reading thread, one picture ahead.
        errors : {'raise', 'return'}
            ``"raise"`` raises the error of a picture in its place and ends; ``"return"`` yields it instead of an
            estimate and goes on. Errors of the iterable itself are always raised.
        bit_depth, max_radius, progress
            As for `estimate`, for all pictures.

        Yields
        ------
        BlurEstimate or Exception
            In the order of the pictures; never an exception with ``errors="raise"``.

        Raises
        ------
        TypeError, ValueError
            If `images` is one path, or `errors` neither of its values, at once.
        NoEdgesError, ValueError, TypeError, OSError
            As `estimate`, with ``errors="raise"``.

        Examples
        --------
        >>> for path, estimate in zip(paths, estimator.estimate_many(paths)):  # doctest: +SKIP
        ...     write_map(path.with_suffix(".tif"), estimate.radius)
        """
        if errors not in ("raise", "return"):
            msg = f"errors must be 'raise' or 'return'. Got: {errors!r}."
            raise ValueError(msg)
        if isinstance(images, str | PathLike):
            msg = f"images must be several pictures or paths. Got: one path, {str(images)!r}. Pass it to estimate."
            raise TypeError(msg)
        check_process()
        load = partial(_load_alone, bit_depth=bit_depth)
        return self._stream(load_ahead(load, images), errors == "return", max_radius=max_radius, progress=progress)

    def _stream(
        self, pictures: Iterator[_Loaded | Exception], returns_errors: bool, **options: Any
    ) -> Iterator[BlurEstimate | Exception]:
        """Estimates of loaded pictures, and errors of reading or estimating them."""
        for loaded in pictures:
            result: BlurEstimate | Exception
            try:
                if isinstance(loaded, Exception):
                    raise loaded
                result = self._estimate_loaded(loaded, None, **options)
            except Exception as error:
                if not returns_errors:
                    raise
                result = error
            yield result

    def _estimate_loaded(
        self,
        loaded: _Loaded,
        edges: NDArray[np.bool_] | None,
        *,
        max_radius: MaxRadius | None,
        progress: Callable[[int, int], None] | None,
    ) -> BlurEstimate:
        """Estimate the map of a picture, which is taken out of its list, so that it can be freed early."""
        settings = self.settings if max_radius is None else replace(self.settings, max_radius=max_radius)
        picture, bits = loaded.pop()
        warn_of_small_range(picture)
        pictures = [picture]  # the list holds the only reference to the copy
        del picture
        blur = measure(
            pictures[0],
            self._evaluator,
            edges=edges,
            edge_settings=settings.edges,
            edge_step=settings.edge_step,
            read_out=settings.read_out,
            depth_threshold=settings.depth_threshold,
            max_radius=settings.max_radius,
            close_boundaries=settings.propagation.close_boundaries,
            stretch=settings.stretch_range,
            overwrite_image=True,
            context=self._context,
            progress=progress,
        )
        found, source = blur.found, blur
        if len(found) and found.is_depth_edge.all():
            msg = f"All {len(found)} edge points are depth edges: the map rests on them, with low confidence."
            warnings.warn(ImageWarning(msg), stacklevel=2)
            source = trust_depth_edges(blur)
        # `spread` gets the only reference: it frees the picture, 288 MB at 24 megapixels, before it needs most memory.
        radius, confidence = spread(
            pictures.pop(),
            source,
            settings=settings.propagation,
            stretch=settings.stretch_range,
            overwrite_image=True,
        )
        return BlurEstimate(
            radius,
            confidence,
            found.points,
            found.radius,
            found.confidence,
            found.is_depth_edge,
            settings,
            blur.scale,
            bits,
        )


def _load_alone(image: ArrayLike | str | Path, *, bit_depth: BitDepth) -> _Loaded:
    """Picture and its bits, alone in a list."""
    return [load_with_depth(image, bit_depth=bit_depth)]
