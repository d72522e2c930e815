"""The two stages of an estimate: `measure` the blur at edge points, then `spread` it over the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from defocus_edge.choices import DEFAULT_MAX_RADIUS, MaxRadius, ReadOut
from defocus_edge.estimation.context import judge_points
from defocus_edge.estimation.edges import EdgeSettings, check_edges, find_edges, thin_edges
from defocus_edge.estimation.light_range import find_step, stretch_range
from defocus_edge.estimation.point_blur import LEAST_CONFIDENCE, PointBlur, measure_points
from defocus_edge.estimation.pyramid import Places, PyramidBlur, drop_unproven, merge_scales
from defocus_edge.estimation.reduction import choose_scales, reduce_any, reduce_pictures
from defocus_edge.networks.context import ContextEvaluator
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.propagation.propagate import NoEdgesError, prepare_spread
from defocus_edge.propagation.settings import PropagationSettings

#: Depth edges keep this share of their confidence where no pattern edge is there to measure.
DEPTH_EDGE_CONFIDENCE = np.float32(0.1)


def measure(
    image: NDArray[np.float32],
    evaluator: DenseEvaluator,
    *,
    edges: NDArray[np.bool_] | None = None,
    edge_settings: EdgeSettings | None = None,
    edge_step: int = 1,
    read_out: ReadOut = "median",
    depth_threshold: float | None = None,
    max_radius: MaxRadius = DEFAULT_MAX_RADIUS,
    close_boundaries: bool = True,
    keep_softmax: bool = False,
    stretch: bool = True,
    overwrite_image: bool = False,
    context: ContextEvaluator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PyramidBlur:
    """Measure the blur at the edge points of a picture: the first stage of the pipeline.

    `image` is (H, W, 3) RGB in [0, 1], sRGB-encoded. The options are those of `BlurEstimator` and
    `BlurEstimator.estimate`, and more. `stretch` is ``stretch_range``; with `overwrite_image` that happens in the
    memory of `image`. `close_boundaries` links depth edges of reduced pictures along contours, see
    `PropagationSettings`. `keep_softmax` keeps the output of the networks for `PointBlur.reread`, at a single scale
    only (``max_radius=6``). `context` corrects the points by what surrounds them, see `judge_points`. A
    picture without edges gives a result without points. Errors are those of `BlurEstimator.estimate`, except
    NoEdgesError.
    """
    edges = None if edges is None else check_edges(edges, image.shape[:2])
    step = find_step(image)
    if stretch:
        step /= float(np.ptp(image)) or 1
        image = stretch_range(image, overwrite=overwrite_image)
    scales = choose_scales(image.shape, max_radius)
    pictures = reduce_pictures(image, scales)
    edge_maps = [
        find_edges(picture, settings=edge_settings, step=step) if edges is None else reduce_any(edges, scale)
        for picture, scale in zip(pictures, scales, strict=True)
    ]
    measured: list[PointBlur] = []
    found: list[PointBlur] = []
    places = Places.everywhere(pictures[-1].shape)
    for number in reversed(range(len(scales))):  # from coarse to fine
        picture, scale = pictures[number], scales[number]
        points = measure_points(
            picture,
            thin_edges(edge_maps[number] & places.look_at, edge_step),
            evaluator,
            read_out=read_out,
            depth_threshold=evaluator.config.depth_threshold if depth_threshold is None else depth_threshold,
            keep_softmax=keep_softmax,
            progress=progress,
        )
        measured.insert(0, points)
        if number:
            points = drop_unproven(points, edge_maps[number - 1], is_coarsest=number == len(scales) - 1)
        found.insert(0, points)
        if number:
            places = places.narrow(points, scale, pictures[number - 1].shape)
    if not any(len(part) for part in found):  # an unproven radius is better than none
        found = measured
    merged = merge_scales(pictures, scales, found, close=close_boundaries)
    if context is None:
        return merged
    return judge_points(merged, pictures, context, grid_step=evaluator.config.grid_step)


def trust_depth_edges(blur: PyramidBlur) -> PyramidBlur:
    """Take all points for pattern edges, with a tenth of their confidence: better than no map if no other is there."""
    found = blur.found
    confidence = np.maximum(found.confidence * DEPTH_EDGE_CONFIDENCE, LEAST_CONFIDENCE)
    trusted = replace(found, confidence=confidence, depth_probability=np.zeros_like(found.depth_probability))
    return PyramidBlur(trusted, blur.scale)


def spread(
    image: NDArray[np.float32],
    blur: PyramidBlur,
    *,
    settings: PropagationSettings | None = None,
    stretch: bool = True,
    overwrite_image: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Spread the blur at edge points over the whole picture: the last stage of the pipeline.

    `image` is (H, W, 3) RGB in [0, 1], sRGB-encoded; `stretch` is ``stretch_range`` of `BlurEstimator`. Pattern edges
    are the sources, depth edges stop the propagation. A point of a picture reduced by s counts s times: it stands for
    that many points along its edge. With `overwrite_image` the content of `image` is lost; its memory is freed before
    the filter runs if the caller keeps no other reference.

    Returns radius in px and confidence, 0 to 1, of each pixel; see `propagate_blur`. Raises NoEdgesError if there is no
    point, or if all points are depth edges.
    """
    found = blur.found
    if not len(found):
        msg = f"No edges found in the image of {image.shape[0]}×{image.shape[1]} px: nothing shows how blurred it is."
        raise NoEdgesError(msg)
    pattern = ~found.is_depth_edge
    if not pattern.any():
        msg = f"All {len(found)} edge points of the image are depth edges, where blur cannot be measured well."
        raise NoEdgesError(msg)
    depth_edges = np.zeros(image.shape[:2], dtype=bool)
    depth_edges[tuple(found.points[~pattern & (blur.scale == 1)].T)] = True
    if stretch:
        image = stretch_range(image, overwrite=overwrite_image)
    prepared = prepare_spread(
        image,
        found.points[pattern],
        depth_edges,
        settings=settings,
        boundaries=blur.boundaries,
        overwrite_image=overwrite_image,
    )
    del image, depth_edges
    return prepared.run(
        found.radius[pattern],
        found.positive_confidence[pattern],
        point_weight=blur.scale[pattern].astype(np.float32),
    )
