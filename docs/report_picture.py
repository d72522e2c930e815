"""Draw the picture of the page on reports: `python docs/report_picture.py [FILE]`. Needs Chromium.

Measures photographs of scikit-image, sharp and out of focus, writes their report, and takes a picture of the page.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data

from defocus_edge.arrays import as_image
from defocus_edge.cli.app import main as run_command
from defocus_edge.files.images import read_image, write_picture
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb

#: Where the picture of the documentation lies.
PICTURE = Path(__file__).resolve().parent / "pictures" / "report.jpg"
#: Photographs of scikit-image, and the blur in px that is added to each.
PHOTOS = {"astronaut": 0.0, "chelsea": 0.0, "coffee": 2.0, "rocket": 0.0, "camera": 4.0}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SIZE = "1280,1000"


def write_photos(folder: Path) -> None:
    """Write the photographs, and a file that is none."""
    for name, radius in PHOTOS.items():
        image = as_image(getattr(skimage.data, name)())
        blurred = encode_srgb(blur_with_disk(decode_srgb(image), radius)) if radius else image
        write_picture(folder / f"{name}.png", np.rint(255 * np.clip(blurred, 0, 1)).astype(np.uint8))
    (folder / "unfinished.jpg").write_bytes(b"\xff\xd8")


def main(path: Path) -> None:
    """Write the report in a folder for the time of the run, and take its picture."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"Install one of {', '.join(_BROWSERS)}.")
    with tempfile.TemporaryDirectory() as place:
        photos, maps = Path(place, "photos"), Path(place, "maps")
        photos.mkdir()
        write_photos(photos)
        run_command(["batch", str(photos), str(maps), "--report", "--preset", "edge-fast"])
        shot = Path(place, "shot.png")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={_SIZE}", f"--screenshot={shot}"]
        subprocess.run([browser, *options, (maps / "report.html").as_uri()], check=True, capture_output=True)
        write_picture(path, np.rint(255 * read_image(shot)).astype(np.uint8))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
