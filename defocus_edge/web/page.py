"""The layout of the page, and what happens when somebody uses it."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from defocus_edge.arrays import ImageWarning
from defocus_edge.choices import DEFAULT_PRESET, FAST_PRESET, MAP_METHOD, METHODS
from defocus_edge.estimation.reduction import TooSmallError
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.web.work import Result, measure_photo, sharpen_photo, write_mask

#: Presets of the map that the page offers, the fast one first: somebody waits.
PAGE_PRESETS = (FAST_PRESET, DEFAULT_PRESET)
#: Seconds after which what somebody uploaded and what was made of it is deleted.
KEPT_SECONDS = 3600
#: People who may wait at once; others are told to come back.
LONGEST_QUEUE = 16
_METHOD_LABELS = {MAP_METHOD: "threshold of the map (px)"}
# What a photograph may do wrong; all other exceptions are bugs.
_EXPECTED = (ImageReadError, NoEdgesError, TooSmallError, OSError, MemoryError)
# Only one photograph is worked on at once, so that memory is bounded, however many people there are.
_ONE_AT_ONCE: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1, "api_visibility": "private"}
_QUICK: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_WELCOME = "Drop a photograph: JPEG, PNG, TIFF, WebP, HEIC, camera raw and more. It stays on this computer."
_FONTS = ["system-ui", "sans-serif"]
_SHOW = "(packed) => { window.blurViewer.show(packed); }"
_MOVE = "(threshold) => { window.blurViewer.setThreshold(threshold); }"


def make_theme() -> Any:
    """Theme whose fonts are those of the system: nothing is loaded from elsewhere."""
    theme = gr.themes.Default(font=_FONTS, font_mono=["ui-monospace", "monospace"])
    # Gradio's own small print, and its links on dark ground, have too little contrast (WCAG 2.2, 1.4.3).
    return theme.set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        link_text_color_dark="*secondary_300",
        link_text_color_hover_dark="*secondary_200",
    )


def read_head() -> str:
    """Script and style of the viewer, for the head of the page."""
    folder = files("defocus_edge.web")
    script, style = (folder.joinpath(f"viewer.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return f"<style>{style}</style><script>{script}</script>"


def build_page(root: Path, *, max_pixels: int, examples: list[Path]) -> gr.Blocks:
    """Build the page.

    Parameters
    ----------
    root : Path
        Folder for the results; each user gets one below it.
    max_pixels : int
        Larger photographs are refused.
    examples : list of Path
        Photographs to begin with.
    """
    visits = _Visits(root, max_pixels)
    with gr.Blocks(title="defocus_edge", analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
        gr.Markdown("# How blurred is each part of a photograph?")
        visit = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=forget)
        packed = gr.JSON(visible="hidden")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                photo = gr.File(label="Photograph", type="filepath", elem_id="photo")
                preset = gr.Dropdown(
                    list(PAGE_PRESETS),
                    value=PAGE_PRESETS[0],
                    label="Map",
                    info=f"{DEFAULT_PRESET} is more exact, and slower.",
                )
                method = gr.Dropdown(
                    [(_METHOD_LABELS.get(name, f"network {name}"), name) for name in METHODS],
                    value=MAP_METHOD,
                    label="Mask by",
                )
                threshold = gr.Slider(
                    0, 6, value=1, step=0.01, label="Blurred above (px)", interactive=True, elem_id="threshold"
                )
                gr.Examples([str(path) for path in examples], inputs=photo, label="Examples")
            with gr.Column(scale=3, min_width=320):
                status = gr.Markdown(_WELCOME, elem_classes="blur-status", elem_id="status")
                gr.HTML(files("defocus_edge.web").joinpath("viewer.html").read_text(encoding="utf-8"))
                downloads = gr.File(label="Downloads", file_count="multiple", interactive=False, visible=False)
                sharpen = gr.Button("Sharpen the photograph", visible=False, elem_id="sharpen")
                pair = gr.ImageSlider(label="Before and after", format="jpeg", interactive=False, visible=False)
        shown = [visit, status, packed, threshold, downloads, sharpen, pair]
        measured = gr.on(
            [photo.change, preset.input, method.input],
            visits.measure,
            [photo, preset, method, visit],
            shown,
            **_ONE_AT_ONCE,
        )
        measured.then(None, packed, js=_SHOW, api_visibility="private")
        threshold.input(None, threshold, js=_MOVE, api_visibility="private")
        threshold.release(visits.mask, [visit, threshold], [visit, downloads], **_QUICK)
        sharpen.click(visits.sharpen, visit, [status, pair, downloads], show_progress_on=status, **_ONE_AT_ONCE)
    return page.queue(max_size=LONGEST_QUEUE, default_concurrency_limit=1)


def forget(result: Result | None) -> None:
    """Delete the files of a visit that is over."""
    if result:
        shutil.rmtree(result.folder, ignore_errors=True)


class _Visits:
    """Answers to what users do; `Result` is what the server knows of one."""

    def __init__(self, root: Path, max_pixels: int) -> None:
        self._root, self._max_pixels = root, max_pixels

    def measure(
        self,
        photo: str | None,
        preset: str,
        method: Any,
        before: Result | None,
        progress: gr.Progress = gr.Progress(),
    ) -> list[Any]:
        """Measure a photograph; a sentence says what is wrong with it."""
        if photo is None:
            forget(before)
            return [None, _WELCOME, None, gr.skip(), *_hide(3)]
        path = Path(photo)
        folder = before.folder if before else Path(tempfile.mkdtemp(dir=self._root))
        folder.mkdir(exist_ok=True)  # it may have been deleted meanwhile
        try:
            with _blame(path) as remarks:
                result, packed = measure_photo(
                    *(path, folder),
                    preset=preset,
                    method=method,
                    max_pixels=self._max_pixels,
                    before=before,
                    progress=lambda done, count: progress((done, count), desc="Measuring"),
                )
        except _SaidError as error:
            forget(Result(folder, path, preset, method, 0))
            return [None, f"**{error}**", None, gr.skip(), *_hide(3)]
        is_radius = packed["is_radius"]
        slider = gr.Slider(
            maximum=packed["top"] if is_radius else 1,
            value=round(packed["threshold"], 2),
            label="Blurred above (px)" if is_radius else "Blurred above (probability)",
        )
        text = "<br>".join([f"**{_escape(path.name)}** · {packed['summary']}", *map(_escape, remarks)])
        files_shown = gr.File(result.list_downloads(), visible=True)
        return [result, text, packed, slider, files_shown, gr.Button(visible=True), gr.ImageSlider(visible=False)]

    def mask(self, result: Result | None, threshold: float) -> list[Any]:
        """Write the mask anew."""
        if not result:
            return [None, gr.skip()]
        result = write_mask(result, threshold)
        return [result, result.list_downloads()]

    def sharpen(
        self,
        result: Result | None,
        progress: gr.Progress = gr.Progress(),
    ) -> list[Any]:
        """Sharpen the photograph."""
        if not result:
            return [gr.skip()] * 3
        try:
            with _blame(result.photo):
                before, after = sharpen_photo(
                    result,
                    max_pixels=self._max_pixels,
                    progress=lambda done, count: progress((done, count), desc="Sharpening"),
                )
        except _SaidError as error:
            return [f"**{error}**", gr.skip(), gr.skip()]
        changed = np.abs(after.astype(int) - before).max(axis=2) > 0
        text = f"**{_escape(result.photo.name)}** · {changed.mean():.0%} of the pixels were sharpened."
        return [text, gr.ImageSlider((before, after), visible=True), result.list_downloads()]


class _SaidError(Exception):
    """What is wrong with a photograph, in a sentence for the page."""


@contextmanager
def _blame(photo: Path) -> Iterator[list[str]]:
    """Turn what a photograph may do wrong into a sentence that names it as its owner does, without our folders.

    Yields a list, to which the texts of the warnings about the photograph are added at the end.
    """
    remarks: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ImageWarning)
            yield remarks
    except _EXPECTED as error:
        text = "there is not enough memory for it." if isinstance(error, MemoryError) else str(error)
        raise _SaidError(_escape(f"{photo.name}: {text.replace(str(photo), photo.name)}")) from error
    texts = [str(one.message) for one in caught if issubclass(one.category, ImageWarning)]
    remarks += dict.fromkeys(text.replace(str(photo), photo.name) for text in texts)


def _escape(text: str) -> str:
    """Text that Markdown and HTML show as it is."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]#|~" else letter for letter in text)


def _hide(count: int) -> list[Any]:
    """Updates that hide the last components of a result."""
    return [gr.update(visible=False)] * count
