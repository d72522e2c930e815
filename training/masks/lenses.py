"""Scenes of which more is known than the radius: what they are in focus, and the depth that a thin lens saw.

Behind a thin lens the signed radius is linear in the disparity q, which is proportional to the inverse of the distance:

    s = a + b q,   b ≥ 0,

where a and b stand for the aperture, the focus and the units. It is negative behind the focus and positive in front of
it; its absolute value is the radius that is seen. Relative disparity is 0 at the far end of a picture and 1 at its near
end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from synth.scenes import Scene
from training.masks.choices import UNLABELLED

AnyScene = TypeVar("AnyScene", bound=Scene)


@dataclass(frozen=True)
class FocusedScene(Scene):
    """A scene, and what it is with all radii 0.

    Attributes
    ----------
    sharp : (H, W, 3) ndarray of float32
        Linear light of the same surfaces, all of them in focus.
    """

    sharp: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LensScene(FocusedScene):
    """A scene whose radii follow from its disparity.

    Attributes
    ----------
    disparity : (H, W) ndarray of float32
        Relative disparity, 0 to 1; `UNLABELLED` in pixels where it is not known.
    focus : float
        Relative disparity of what is in focus; below 0 or above 1 if nothing is.
    sided : bool
        Whether the picture shows which end is near. If it does not, the disparity may be that of the scene turned
        around, with the same radii.
    """

    disparity: NDArray[np.float32]
    focus: float
    sided: bool = True


def add_sharp(scene: Scene, sharp: NDArray[np.float32]) -> FocusedScene:
    """Say of a scene what its light is in focus, (H, W, 3)."""
    return FocusedScene(**vars(scene), sharp=sharp)


def add_disparity(
    scene: FocusedScene, disparity: NDArray[np.float32], *, focus: float, sided: bool = True
) -> LensScene:
    """Say of a scene what its relative disparity (H, W) is; values that are not from 0 to 1 are not known."""
    known = np.where((disparity >= 0) & (disparity <= 1), disparity, np.float32(UNLABELLED))
    return LensScene(**vars(scene), disparity=known.astype(np.float32), focus=focus, sided=sided)


def turn_scene(scene: AnyScene, quarters: int) -> AnyScene:
    """Turn a scene by quarters of a full turn, against the clock."""
    maps = {name: value for name, value in vars(scene).items() if isinstance(value, np.ndarray)}
    return replace(scene, **{name: np.ascontiguousarray(np.rot90(value, quarters)) for name, value in maps.items()})


def measure_depth(scene: Scene) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Signed radius in px and relative disparity of each pixel, (H, W) each.

    Radii are negative behind the focus. Where the disparity is not known, it is `UNLABELLED` and radii are positive. If
    a picture does not show which end is near, it is the lower one, as it is of the ground.
    """
    if not isinstance(scene, LensScene):
        return scene.radius, np.full_like(scene.radius, UNLABELLED)
    disparity, focus, known = scene.disparity, scene.focus, scene.disparity >= 0
    if not scene.sided and disparity[0].mean() > disparity[-1].mean():
        disparity, focus = np.where(known, 1 - disparity, disparity), 1 - focus
    return np.where(known & (disparity < focus), -scene.radius, scene.radius), disparity
