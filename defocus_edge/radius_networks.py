"""The blur radius of each pixel straight from a network, without edges and propagation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.choices import AUTO
from defocus_edge.files.images import load_image
from defocus_edge.networks.devices import choose_device, use_device
from defocus_edge.networks.forks import check_process
from defocus_edge.networks.preset_files import PresetError
from defocus_edge.networks.presets import SegmentationPreset, load_segmentation_preset
from defocus_edge.networks.segmentation.tiles import LARGEST_SIDE, OVERLAP, MapEvaluator


class RadiusEstimator:
    """Loads a network that answers with a radius once, and maps the blur of any number of pictures.

    No preset of this kind comes with the package: `python -m training dmenet` makes one. `BlurEstimator` is what the
    package is for; this is to compare it with networks of other people.

    Parameters
    ----------
    preset : str, Path or SegmentationPreset
        Folder that `python -m training` wrote, or a preset that is loaded.
    largest_side : int
        Side in px above which the network sees the picture in tiles; smaller needs less memory.
    overlap : int
        Overlap of the tiles in px.
    device : str
        ``"auto"``, ``"cpu"`` or ``"gpu:0"``, as for `BlurEstimator`.

    Raises
    ------
    PresetError
        If the preset is unknown or damaged, or its network answers with a mask.
    ValueError
        If an option is out of its range.
    """

    def __init__(
        self,
        preset: str | Path | SegmentationPreset,
        *,
        largest_side: int = LARGEST_SIDE,
        overlap: int = OVERLAP,
        device: str = AUTO,
    ) -> None:
        check_process()
        self.device = choose_device(device)
        with use_device(self.device):
            trained = preset if isinstance(preset, SegmentationPreset) else load_segmentation_preset(preset)
            from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
            from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS

            network = SEGMENTATION_NETWORKS[trained.network]
            if network.answer != "radius":
                msg = f"preset must hold a network that answers with a radius. Got: {trained.network}, a mask."
                raise PresetError(msg)
            self._largest = np.float32(LARGEST_RADIUS)
            self._evaluator = MapEvaluator(
                trained.model, stride=network.stride, largest_side=largest_side, overlap=overlap
            )

    def estimate(
        self, image: ArrayLike | str | Path, *, progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Map the blur of one picture.

        Parameters
        ----------
        image : (H, W, 3), (H, W, 4) or (H, W) array_like, or path
            As for `BlurEstimator.estimate`.
        progress : callable, optional
            Called with (tiles done, all tiles).

        Returns
        -------
        (H, W) ndarray of float32
            Radius of the circle of confusion in px, 0 to 12.

        Raises
        ------
        ForkError
            As for `BlurEstimator.estimate`.
        ValueError, TypeError
            If `image` is no picture.
        """
        check_process()
        with use_device(self.device):
            return self._largest * self._evaluator.predict(load_image(image), progress=progress)
