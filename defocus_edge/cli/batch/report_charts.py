"""Charts of the report, as SVG inside the page: histograms of a folder, and the scale of the maps' colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from defocus_edge.blur_levels import MAX_RADIUS

# Widths of the bars: half a px, and a tenth.
_RADIUS_STEP, _SHARE_STEP = 0.5, 0.1
# Size of a chart, and where its bars begin and end, in units of SVG.
_WIDTH, _HEIGHT, _BASE, _TOP = 320, 130, 108, 18
_SCALE_HEIGHT, _SCALE_BAR = 44, 22
# Colours of the scale that are written; browsers fill in between.
_STOPS = 13


def draw_radius_histogram(radii: Sequence[float]) -> str:
    """Pictures by the radius of their sharpest box in px; the last bar has all above the largest blur level."""
    bars = round(MAX_RADIUS / _RADIUS_STEP) + 1
    counts = Counter(min(int(radius / _RADIUS_STEP), bars - 1) for radius in radii)
    names = [f"{number * _RADIUS_STEP:g} to {(number + 1) * _RADIUS_STEP:g} px" for number in range(bars - 1)]
    ticks = {number: f"{number * _RADIUS_STEP:g}" for number in range(0, bars, 2)}
    return _draw_histogram(
        "Pictures by radius of the sharpest box, px",
        [counts[number] for number in range(bars)],
        [*names, f"{MAX_RADIUS:g} px or more"],
        ticks,
    )


def draw_share_histogram(shares: Sequence[float]) -> str:
    """Pictures by their blurred share in per cent."""
    bars = round(1 / _SHARE_STEP)
    counts = Counter(min(int(share / _SHARE_STEP), bars - 1) for share in shares)
    names = [f"{10 * number} to {10 * number + 10} %" for number in range(bars)]
    ticks = {number: f"{10 * number}" for number in range(0, bars + 1, 2)}
    return _draw_histogram("Pictures by blurred share, %", [counts[number] for number in range(bars)], names, ticks)


def _draw_histogram(title: str, counts: Sequence[int], names: Sequence[str], ticks: dict[int, str]) -> str:
    """Bars with their counts above and marks of their left edges below."""
    width, most = _WIDTH / len(counts), max(*counts, 1)
    parts = []
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        height, left = (_BASE - _TOP) * count / most, number * width
        label = f'<text x="{left + width / 2:.1f}" y="{_BASE - height - 4:.1f}" text-anchor="middle">{count}</text>'
        parts.append(
            f'<rect class="bar" x="{left + 1:.1f}" y="{_BASE - height:.1f}" width="{width - 2:.1f}" '
            f'height="{height:.1f}"><title>{name}: {count}</title></rect>{label if count else ""}'
        )
    last = len(counts)
    anchors = {0: "start", last: "end"}
    parts += [
        f'<text x="{number * width:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchors.get(number, "middle")}">{mark}</text>'
        for number, mark in ticks.items()
    ]
    told = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True) if count)
    axis = f'<path class="axis" d="M0 {_BASE}H{_WIDTH}"/>'
    return _frame(title, told or "none", "".join(parts) + axis, _HEIGHT)


def draw_scale() -> str:
    """Colours of the map's thumbnails, which are the same for all pictures."""
    import numpy as np

    from defocus_edge.plots import colour_radii

    shares = np.linspace(0, 1, _STOPS)
    colours = colour_radii((MAX_RADIUS * shares).astype(np.float32), MAX_RADIUS)
    stops = "".join(
        f'<stop offset="{share:.4f}" stop-color="#{bytes(colour).hex()}"/>'
        for share, colour in zip(shares, colours, strict=True)
    )
    marks = "".join(
        f'<text x="{_WIDTH * radius / MAX_RADIUS:.1f}" y="{_SCALE_HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'
        for radius, anchor, text in (
            (0, "start", "0"),
            (MAX_RADIUS / 2, "middle", f"{MAX_RADIUS / 2:g}"),
            (MAX_RADIUS, "end", f"{MAX_RADIUS:g} or more"),
        )
    )
    bar = f'<rect y="4" width="{_WIDTH}" height="{_SCALE_BAR}" fill="url(#scale)"/>'
    told = f"from dark blue at 0 to yellow at {MAX_RADIUS:g} px and more"
    content = f'<defs><linearGradient id="scale">{stops}</linearGradient></defs>{bar}{marks}'
    return _frame("Colours of the maps, px", told, content, _SCALE_HEIGHT)


def _frame(title: str, told: str, content: str, height: int) -> str:
    """A chart with its title, and what it tells for those who do not see it."""
    picture = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{title}. {told}">{content}</svg>'
    return f"<figure><figcaption>{title}</figcaption>{picture}</figure>"
