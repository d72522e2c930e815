"""The server of the page."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from defocus_edge.files.images import write_picture

#: Pictures of scikit-image to begin with.
EXAMPLES = ("chelsea", "coffee", "astronaut", "rocket")


class PortError(OSError):
    """A port that cannot be served."""


@contextmanager
def serve(*, host: str, port: int, max_pixels: int, max_megabytes: int) -> Iterator[str]:
    """Serve the page while the block runs; yield its address.

    Whatever is uploaded or made lies in a folder of its own, which is deleted at the end. Raises `PortError` if the
    address cannot be used.
    """
    check_port(host, port)
    with tempfile.TemporaryDirectory(prefix="defocus_edge_page_", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        # Read by Gradio when it is loaded: where uploads go; no statistics, no check for a newer version.
        os.environ["GRADIO_TEMP_DIR"] = str(root / "uploads")
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        results = root / "results"
        results.mkdir()
        from defocus_edge.web.page import build_page, make_theme, read_head

        page = build_page(results, max_pixels=max_pixels, examples=write_examples(root / "examples"))
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            ssr_mode=False,
            max_file_size=f"{max_megabytes}mb",
            footer_links=[],
            theme=make_theme(),
            head=read_head(),
        )
        try:
            yield address
        finally:
            page.close(verbose=False)


def check_port(host: str, port: int) -> None:
    """Raise `PortError` if the address is taken or not ours."""
    try:
        kind, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        msg = f"Port {port} of {host} cannot be used: {error.strerror or error}. Choose another with --port."
        raise PortError(msg) from error


def write_examples(folder: Path) -> list[Path]:
    """Write some pictures of scikit-image; those that need a download are left out."""
    import skimage.data

    folder.mkdir()
    paths = []
    for name in EXAMPLES:
        draw: Callable[[], object] = getattr(skimage.data, name)
        try:
            picture = draw()
        except Exception:  # noqa: BLE001 - no network, no example
            continue
        paths.append(folder / f"{name}.png")
        write_picture(paths[-1], picture)  # type: ignore[arg-type]  # scikit-image has no types for it
    return paths
