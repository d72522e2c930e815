"""The page as somebody meets it: a server in a process of its own, uploads over HTTP, and a real browser."""

import http.client
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from defocus_edge import BlurEstimator, read_map
from defocus_edge.files.images import read_image, write_picture

#: The map that the page begins with.
PRESET = "edge-fast"
#: Seconds that a busy machine has for anything.
PATIENCE = 120
MEGABYTES = 2
MAX_PIXELS = 1_000_000
#: Most memory of the server, bytes: the networks' libraries, and no picture of 30 000 px.
MOST_MEMORY = 2_500_000_000
RANGE = "#threshold input[type=range]"


def wait_for(find):
    end = time.monotonic() + PATIENCE
    while not (found := find()):
        assert time.monotonic() < end, "It did not come."
        time.sleep(0.1)
    return found


def find_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address, process and temporary folder of a server; at the end Ctrl-C must stop it and remove what it kept."""
    port, folder = find_port(), tmp_path_factory.mktemp("server")
    words = ["-m", "defocus_edge", "serve", "--port", port, "--max-upload", MEGABYTES, "--max-pixels", MAX_PIXELS]
    environment = {"TMPDIR": str(folder), "PYTHONPATH": str(Path.cwd()), "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            stderr=stream,
            stdout=stream,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    wait_for(lambda: b"Open http" in log.read_bytes() or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    yield f"http://127.0.0.1:{port}", process, folder
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0, log.read_text()
    assert log.read_text().splitlines() == [f"Open http://127.0.0.1:{port}/ in a browser. Ctrl-C ends."]
    assert not list(folder.glob("defocus_edge_page_*"))


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; its log holds all requests."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1280,1400",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chromium
    chromium.quit()


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A photograph of 160×120 px, sharp and blurred."""
    path = tmp_path_factory.mktemp("photos") / "cat.png"
    write_picture(path, np.ascontiguousarray(skimage.data.chelsea()[60:180, 150:310]))
    return path


@pytest.fixture
def page(browser, server):
    browser.get(server[0])
    wait_for(lambda: browser.find_elements("css selector", "#photo input[type=file]"))
    return browser


def upload(page, path):
    page.find_element("css selector", "#photo input[type=file]").send_keys(str(path))


def read_status(page):
    return page.execute_script("return document.querySelector('#status').innerText")


def measure(page, path):
    upload(page, path)
    wait_for(lambda: "median radius" in read_status(page) and page.find_element("id", "blur-viewer").is_displayed())


def read_part(page, name):
    return page.execute_script(f"return document.querySelector('#blur-viewer [data-part={name}]').innerText")


def download(page, ending, folder):
    address = wait_for(
        lambda: page.execute_script(
            "return [...document.querySelectorAll('a[download]')].map((a) => a.href)"
            ".find((address) => address.endsWith(arguments[0]))",
            ending,
        )
    )
    target = folder / ending.strip("_")
    with urllib.request.urlopen(address) as answer:
        target.write_bytes(answer.read())
    return target, address


def test_downloads_are_what_python_gives_and_the_slider_moves_the_mask(page, photo, tmp_path):
    measure(page, photo)
    estimate = BlurEstimator(PRESET).estimate(photo)
    radius = read_map(download(page, "_blur.tif", tmp_path)[0])
    np.testing.assert_allclose(radius, estimate.radius, atol=1e-4)
    path, address = download(page, "_mask.png", tmp_path)
    np.testing.assert_array_equal(read_image(path)[..., 0] > 0.5, estimate.mask())
    before = read_part(page, "share")

    for _ in range(40):
        page.find_element("css selector", RANGE).send_keys("\ue014")  # arrow to the right
    threshold = float(page.find_element("css selector", RANGE).get_attribute("value"))
    after = wait_for(lambda: (text := read_part(page, "share")) != before and text)
    share = float(re.match(r"([\d.]+) %", after)[1])
    assert share == pytest.approx(100 * (radius > threshold).mean(), abs=0.5)
    page.execute_script(
        f"document.querySelector('{RANGE}').dispatchEvent(new PointerEvent('pointerup', {{bubbles: true}}))"
    )
    wait_for(lambda: download(page, "_mask.png", tmp_path)[1] != address)
    path, _ = download(page, "_mask.png", tmp_path)
    np.testing.assert_array_equal(read_image(path)[..., 0] > 0.5, radius > np.float32(threshold))


def test_pointer_and_keys_read_the_map(page, photo):
    measure(page, photo)
    radius = BlurEstimator(PRESET).estimate(photo).radius
    page.execute_script(
        "const c = document.querySelector('#blur-viewer canvas'), b = c.getBoundingClientRect();"
        "c.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width * 100.5 / 160,"
        " clientY: b.top + b.height * 30.5 / 120}));"
    )
    assert read_part(page, "reading").startswith(f"Radius {radius[30, 100]:.2f} px, confidence ")
    page.find_element("css selector", "#blur-viewer canvas").send_keys("\ue015")  # arrow down, from the middle
    assert read_part(page, "reading").startswith(f"Radius {radius[63, 80]:.2f} px")


def test_what_is_no_photograph_is_one_sentence(page, server, tmp_path):
    fake = tmp_path / "holiday.jpg"
    fake.write_text("<html><script>alert(1)</script></html>")
    upload(page, fake)
    # The page shows for a moment how long it has been processing, beside the sentence.
    text = wait_for(lambda: "holiday.jpg" in (text := read_status(page)) and "processing" not in text and text)
    assert "no picture" in text
    assert "/" not in text
    assert not page.find_element("id", "blur-viewer").is_displayed()
    page.find_element("css selector", "#photo button").click()
    wait_for(lambda: "Drop a photograph" in read_status(page))
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(make_bomb(30_000))
    upload(page, bomb)
    wait_for(lambda: "at most 1000000 px" in read_status(page))
    status = Path(f"/proc/{server[1].pid}/status").read_text()
    assert 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < MOST_MEMORY


def test_what_should_be_known_of_a_photograph_is_told(page, photo, tmp_path):
    pages = tmp_path / "pages.tif"
    picture = Image.open(photo)
    picture.save(pages, save_all=True, append_images=[picture])
    measure(page, pages)
    assert "ignored" in read_status(page)


def make_bomb(side):
    """A PNG file of few bytes and many black pixels of 1 bit."""

    def pack(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((-(-side // 8) + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + pack(b"IHDR", header) + pack(b"IDAT", rows) + pack(b"IEND", b"")


def test_two_people_get_their_own_results(page, photo, server, tmp_path):
    other = tmp_path / "other.png"
    write_picture(other, np.ascontiguousarray(skimage.data.chelsea()[100:200, 100:200]))
    first = page.current_window_handle
    upload(page, photo)
    page.switch_to.new_window("tab")
    page.get(server[0])
    wait_for(lambda: page.find_elements("css selector", "#photo input[type=file]"))
    measure(page, other)
    assert "other.png" in read_status(page)
    assert "100 × 100" in read_status(page)
    page.close()
    page.switch_to.window(first)
    wait_for(lambda: "cat.png · 160 × 120" in read_status(page))


def test_nothing_is_asked_of_other_computers(page, photo):
    measure(page, photo)
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    addresses = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    assert addresses
    assert not [one for one in addresses if not one.startswith(("http://127.0.0.1:", "data:", "blob:"))]


def post(address, data, name):
    """Upload bytes as a browser does; return the status and the answer."""
    border = "border"
    head = f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{border}--\r\n".encode()
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE)
    with closing(connection):
        headers = {"Content-Type": f"multipart/form-data; boundary={border}", "Connection": "close"}
        connection.request("POST", "/gradio_api/upload", body, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def get(address, path):
    try:
        with urllib.request.urlopen(f"{address}/gradio_api/file={path}") as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def test_uploads_over_the_limit_are_refused(server):
    status, answer = post(server[0], bytes(MEGABYTES * 2**20 + 1), "big.png")
    assert status == 413
    assert b"exceeded" in answer


def test_twenty_uploads_at_once_are_taken(server, photo):
    data = photo.read_bytes()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: post(server[0], data, f"{number}.png"), range(20)))
    assert [status for status, _ in answers] == [200] * 20


def test_uploads_stay_in_their_folder(server):
    address, _, folder = server
    (uploads,) = folder.glob("defocus_edge_page_*/uploads")
    for name in ("../../../evil.jpg", "/etc/evil.jpg", "..\\\\evil.jpg"):
        status, answer = post(address, b"evil", name)
        assert status == 200
        (path,) = json.loads(answer)
        assert Path(path).resolve().is_relative_to(uploads.resolve())


@pytest.mark.parametrize("name", ["page.html", "picture.svg"])
def test_uploads_that_could_run_scripts_are_not_shown(server, name):
    _, answer = post(server[0], b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", name)
    status, headers = get(server[0], json.loads(answer)[0])
    assert status == 200
    assert headers["Content-Disposition"].startswith("attachment")


def test_an_upload_is_what_its_name_says_and_nothing_else(server):
    _, answer = post(server[0], b"<html><script>alert(1)</script></html>", "photo.jpg")
    assert get(server[0], json.loads(answer)[0])[1]["Content-Type"] == "image/jpeg"


def test_nothing_else_is_served(server, photo):
    for path in ("/etc/passwd", Path("setup.cfg").resolve(), photo, f"{server[2]}/log", "../../../../etc/passwd"):
        assert get(server[0], path)[0] in (403, 404)


def test_a_port_that_is_taken_is_one_line(server):
    port = server[0].rpartition(":")[2]
    words = [sys.executable, "-m", "defocus_edge", "serve", "--port", port]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        f"Error: Port {port} of 127.0.0.1 cannot be used: Address already in use. Choose another with --port."
    ]
