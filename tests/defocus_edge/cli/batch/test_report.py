"""The report of a run: what is in the page, what its names cannot do, and when it is written."""

import hashlib
import os
import re
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from defocus_edge.cli.app import main
from defocus_edge.cli.batch import local_engine, report, run, work
from defocus_edge.cli.batch.records import Item, Record, Thumbnail
from defocus_edge.cli.batch.report import COLUMNS, ReportWriter, is_foreign, make_page
from defocus_edge.cli.batch.report_charts import draw_radius_histogram, draw_share_histogram
from defocus_edge.cli.batch.thumbnails import SIDES, choose_side, make_thumbnails
from defocus_edge.files.maps import write_map
from defocus_edge.thresholds import MapSummary
from tests.conftest import write_png
from tests.defocus_edge.cli.batch.batch_cases import BAD, SLOW, run_main, write_scripts
from tests.defocus_edge.cli.batch.report_cases import GreyWork, Page, read_page

SUMMARY = MapSummary(400, 600, 0.123456, 1.23456, 5.0, (1, 2, 100, 150), 0.55557)
# Names that would do something in a page that does not escape them.
NAMES = [
    "<script>alert(1)</script>.jpg",
    '" onerror="alert(1).jpg',
    "' & &lt;.jpg",
    "a\x00b\x1b[2J\n.jpg",
    b"caf\xe9.jpg".decode("utf-8", "surrogateescape"),
    "\u202egpj.exe",
]
SHOWN = [*NAMES[:3], r"a\x00b\x1b[2J\x0a.jpg", r"caf\udce9.jpg", NAMES[5]]


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def grey_batch(monkeypatch):
    """Run the command in this process, workers included, with work that needs no network."""

    class Engine:
        def __init__(self, work, **_):
            self._work = work

        def run(self, items):
            yield from map(self._work, items)

    monkeypatch.setattr(local_engine, "LocalEngine", Engine)
    monkeypatch.setattr(work, "PictureWork", GreyWork)
    return lambda *arguments: main(["batch", *map(str, arguments)])


def write_pictures(folder, shapes):
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        write_png(folder / name, rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    return folder


def test_a_page_with_everything_inside():
    thumbnails = {"picture": Thumbnail(b"one", 2, 3), "map": Thumbnail(b"two", 2, 3)}
    records = [Record("b.jpg", SUMMARY, thumbnails=thumbnails), Record("a.jpg", SUMMARY), Record("c.jpg", error="bad")]
    text = make_page(records, folder=Path("holiday"), count=3)
    page = Page(text)
    assert page.rows[0] == list(COLUMNS)
    figures = ["row 1, column 2, height 100, width 150", "0.56 px", "1.23 px", "5.00 px", "12.3 %"]
    none = "no thumbnail"
    assert page.rows[1:] == [
        [f"{none}a.jpg 600 × 400 px", none, *figures],
        ["b.jpg 600 × 400 px", "", *figures],
    ]
    assert "2 pictures are done, 1 failed." in page.texts
    assert page.texts[page.texts.index("c.jpg") + 1] == ": bad"
    assert {name for name, _ in page.tags} & {"link", "iframe", "object", "base", "a"} == set()
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\((?!#)|https?://|@import", text)
    orders = [head.get("aria-sort") for head in page.find("th") if head["scope"] == "col"]
    assert orders == ["ascending", None, None, "none", "none", "none", "none"]
    assert all(image["loading"] == "lazy" and "alt" in image for image in page.find("img"))


def test_the_policy_allows_our_script_and_nothing_else():
    page = make_page([], folder=Path(), count=0)
    policy = next(meta["content"] for meta in Page(page).find("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = report._hash(content)
        assert f"{tag}-src '{digest}'" in policy
        assert digest.startswith("sha256-")
        assert len(digest) == len("sha256-") + 4 * -(-hashlib.sha256().digest_size // 3)


def test_names_are_only_text():
    records = [Record(name, SUMMARY) for name in NAMES] + [Record(name, error=f"Cannot read {name}") for name in NAMES]
    text = make_page(records, folder=Path(NAMES[0].partition("</")[0]), count=len(records))
    page = Page(text)
    assert sorted(row[0].split(" 600")[0].removeprefix("no thumbnail") for row in page.rows[1:]) == sorted(SHOWN)
    assert [f": Cannot read {name}" in page.texts for name in SHOWN] == [True] * len(SHOWN)
    assert len(page.find("script")) == 1
    assert {name for tag in page.tags for name in tag[1] if name.startswith("on")} == set()
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)


def test_thumbnails_are_small_and_show_the_box(tmp_path):
    write_pictures(tmp_path, {"noise.png": (300, 600)})
    write_map(tmp_path / "map.tif", np.random.default_rng(0).uniform(0, 9, (300, 600)))
    item = Item("noise.png", tmp_path / "noise.png", {"map": tmp_path / "map.tif"})
    side = SIDES[1000]
    found = make_thumbnails(item, (0, 0, 300, 600), side=side, reading={})
    assert {kind: (small.height, small.width) for kind, small in found.items()} == dict.fromkeys(
        ("picture", "map"), (side // 2, side)
    )
    # Noise is the worst case: 500 pictures with both thumbnails, in base64.
    assert 500 * 4 / 3 * sum(len(small.data) for small in found.values()) < 14e6
    picture = cv2.imdecode(np.frombuffer(found["picture"].data, np.uint8), cv2.IMREAD_COLOR)
    boxless = make_thumbnails(item, (100, 200, 50, 50), side=side, reading={})["picture"]
    other = cv2.imdecode(np.frombuffer(boxless.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture[0].mean() > other[0].mean() + 30
    item.source.unlink()
    assert list(make_thumbnails(item, (0, 0, 1, 1), side=side, reading={})) == ["map"]


def test_pages_of_long_folders_have_smaller_thumbnails_or_none():
    assert [choose_side(count) for count in (1, 1000, 1001, 4000, 4001)] == [200, 200, 96, 96, 0]
    assert 'class="plain"' in make_page([Record("a.jpg", SUMMARY)], folder=Path(), count=5000)


def test_histograms_count_every_picture():
    radii = draw_radius_histogram([0.0, 0.49, 0.5, 6.0, 99.0])
    assert "0 to 0.5 px: 2, 0.5 to 1 px: 1, 6 px or more: 2" in radii
    assert "0 to 10 %: 1, 90 to 100 %: 2" in draw_share_histogram([0.05, 0.95, 1.0])
    assert "none" in draw_radius_histogram([])


def test_a_page_is_written_from_time_to_time(tmp_path, clock, monkeypatch):
    written = []

    def make(records, **_):
        written.append((clock.now, len(records)))
        clock.now += 1  # a page that takes 1 s
        return "page"

    monkeypatch.setattr(report, "make_page", make)
    writer = ReportWriter(tmp_path / "report.html", folder=Path(), count=300, clock=clock)
    records = []
    for _ in range(300):
        clock.now += 1
        records.append(Record("a.jpg", SUMMARY))
        writer.update(records)
    # First after 10 s, then 50 times as long as a page takes.
    assert [time for time, _ in written] == [10, 61, 112, 163, 214, 265]


def test_a_run_writes_its_page(grey_batch, tmp_path, capsys):
    pictures = write_pictures(tmp_path / "in", {"a.png": (30, 40), "b/<i>.png": (50, 20)})
    (pictures / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    out = tmp_path / "out"
    assert grey_batch(pictures, out, "--report") == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"Report: {out / 'report.html'}"
    first = read_page(out / "report.html")
    assert [row[0] for row in first.rows[1:]] == ["a.png 40 × 30 px", "b/<i>.png 20 × 50 px"]
    assert first.read_pictures() == [(30, 40), (30, 40), (50, 20), (50, 20)]
    failures = [text for text in first.texts if "Cannot read picture" in text]
    assert failures == [
        ": Cannot read picture 'bad.jpg': the file is cut short or damaged. Copy or download the file again."
    ]
    before = (out / "report.html").read_bytes()
    assert grey_batch(pictures, out, "--report", "--skip-existing") == 1
    assert "was done" in capsys.readouterr().err
    assert (out / "report.html").read_bytes() == before


def test_a_stopped_run_has_a_page_of_what_is_done(tmp_path, monkeypatch):
    """Ctrl-C comes with the third picture; the page of a run that is killed is the last one written before."""
    pictures = write_scripts(tmp_path / "in", {"a.jpg": "1", "b.jpg": BAD, "c.jpg": SLOW, "d.jpg": "2"})
    out, collect = tmp_path / "out", run._collect

    def interrupt(stream, *arguments):
        def stop_early():
            for number, record in enumerate(stream):
                yield record
                if number == 1:
                    os.kill(os.getpid(), signal.SIGINT)

        collect(stop_early(), *arguments)

    monkeypatch.setattr(run, "_collect", interrupt)
    (tmp_path / "notes").mkdir()
    assert run_main(tmp_path / "notes", 0, [pictures, out, "--report"]) == 130
    page = read_page(out / "report.html")
    assert [row[0] for row in page.rows[1:]] == ["no thumbnaila.jpg 24 × 24 px"]
    assert "1 of 4 pictures are done, 1 failed. 2 are left: the run goes on, or it ended early." in page.texts


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("my own"), lambda path: path.mkdir()], ids=["file", "dir"]
)
def test_what_batch_did_not_write_is_not_replaced(grey_batch, tmp_path, capsys, make):
    pictures, out = write_pictures(tmp_path / "in", {"a.png": (30, 40)}), tmp_path / "out"
    out.mkdir()
    make(out / "report.html")
    assert grey_batch(pictures, out, "--report") == 2
    rule = "--report must not replace a file that batch did not write"
    told = f"Error: {rule}. Got: {out / 'report.html'}. Move it, or choose another folder.\n"
    assert capsys.readouterr().err == told
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert grey_batch(pictures, out) == 0


def test_our_own_page_is_known(tmp_path):
    path = tmp_path / "report.html"
    assert not is_foreign(path)
    ReportWriter(path, folder=Path("<"), count=0).write([])
    assert not is_foreign(path)
    path.unlink()
    path.symlink_to(path)
    assert is_foreign(path)


def test_a_page_that_cannot_be_written_is_told(grey_batch, tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "make_page", refuse)
    pictures = write_pictures(tmp_path / "in", {"a.png": (30, 40)})
    assert grey_batch(pictures, tmp_path / "out", "--report") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "Error: the report cannot be written: No space left on device"
