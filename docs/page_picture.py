"""Take the picture of the page in the browser: `python docs/page_picture.py`. Needs chromium and chromedriver."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from selenium import webdriver

from defocus_edge.files.images import read_image, write_picture
from defocus_edge.web.serving import serve

#: Where the picture of the documentation lies.
PICTURE = Path(__file__).resolve().parent / "pictures" / "page.jpg"
_PORT, _WIDTH, _HEIGHT, _PATIENCE = 7979, 1180, 900, 120  # the last in seconds
_DONE = "return !!document.querySelector('#blur-viewer') && !document.querySelector('#blur-viewer').hidden"


def main() -> None:
    """Serve the page, drop a photograph on it, and take its picture."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={_WIDTH},{_HEIGHT + 140}"):
        options.add_argument(word)
    limits = {"max_pixels": 10_000_000, "max_megabytes": 10}
    with tempfile.TemporaryDirectory() as folder, serve(host="127.0.0.1", port=_PORT, **limits) as address:
        photo = Path(folder) / "coffee.png"
        write_picture(photo, skimage.data.coffee())
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            browser.get(address)
            browser.implicitly_wait(_PATIENCE)
            browser.find_element("css selector", "#photo input[type=file]").send_keys(str(photo))
            for _ in range(_PATIENCE):
                if browser.execute_script(_DONE):
                    break
                time.sleep(1)
            time.sleep(2)
            shot = Path(folder) / "shot.png"
            browser.save_screenshot(str(shot))
        finally:
            browser.quit()
        pixels = np.rint(255 * read_image(shot)).astype(np.uint8)[:_HEIGHT]
        PICTURE.write_bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes())


if __name__ == "__main__":
    main()
