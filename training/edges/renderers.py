"""What B-NET and E-NET learn from: the pictures of one side of the split, and what renders crops of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from training.data.mattes import load_mattes
from training.data.sources import Sources, load_sources
from training.edges.batches import CropSource
from training.edges.crops import CropSampler
from training.edges.settings import SamplerName

#: What renders crops: NumPy on the CPU, or JAX on an accelerator, as cameras make them.
Renderer = Literal["dense", "device"]


def name_renderer(sampler: SamplerName) -> Renderer:
    """What renders the crops that a sampler draws or cuts into patches."""
    return "device" if sampler == "device" else "dense"


def load_run_sources(root: Path, renderer: Renderer, *, development: bool, stride: int) -> Sources:
    """Pictures of one side of the split that a renderer can use.

    Raises FileNotFoundError or ImageReadError if pictures are missing or cannot be read.
    """
    sources = load_sources(root, development=development, stride=stride)
    if renderer == "device":
        salient, sources.mattes = load_mattes(root, development=development, stride=stride)
        sources.cutouts += salient
    return sources


def build_renderer(
    sources: Sources, renderer: Renderer, *, families: dict[str, float], level_share: float
) -> CropSource:
    """Build what draws crops without end."""
    if renderer == "device":
        from training.edges.device.sampler import DeviceCropSampler  # here, since it needs JAX

        return DeviceCropSampler(sources, families=families, level_share=level_share)
    return CropSampler(sources, families=families, level_share=level_share)
