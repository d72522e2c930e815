"""`defocus-edge rank`: the order of real bursts, what is written, and what is told of everything that goes wrong."""

import csv
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from defocus_edge.cli import estimate
from defocus_edge.cli.app import main
from defocus_edge.cli.rank.table import RANK_COLUMNS
from tests.conftest import lock_folder
from tests.defocus_edge.cli.cli_cases import list_names
from tests.defocus_edge.cli.rank.rank_cases import GreyNetworks, make_frame, make_grey, write_frame
from tests.defocus_edge.culling.face_cases import make_model

RATING = "{http://ns.adobe.com/xap/1.0/}Rating"


@pytest.fixture
def folder(tmp_path):
    """A burst of three, the best in the middle, and a soft frame a minute later."""
    for number, (radius, second) in enumerate([(0.9, 0), (0.6, 0.5), (1.4, 1), (3.0, 60)]):
        write_frame(tmp_path / "photos" / f"IMG_{number}.jpg", make_grey(radius), second=second)
    return tmp_path / "photos"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command without networks: exit code, stdout, lines on stderr."""
    monkeypatch.setattr(estimate, "open_estimator", lambda *_: GreyNetworks())

    def run_command(*arguments):
        code = main(["rank", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return run_command


def read_table(text):
    return list(csv.DictReader(io.StringIO(text)))


def read_ratings(folder):
    found = {}
    for path in sorted(folder.glob("*.xmp")):
        (found[path.name],) = [node.attrib[RATING] for node in ElementTree.parse(path).iter() if RATING in node.attrib]
    return found


def test_a_real_burst(tmp_path, capsys):
    """Disk blur, the networks, and EXIF: a background in focus does not win, and radii are absolute."""
    radii = {"a.jpg": (1.5, 4), "b.jpg": (0, 4), "c.jpg": (0.9, 4), "d.jpg": (4, 0), "soft.jpg": (3, 5)}
    for number, (name, (subject, ground)) in enumerate(radii.items()):
        second = 0.3 * number if name != "soft.jpg" else 30
        write_frame(tmp_path / name, make_frame(subject, ground), second=second)
    assert main(["rank", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    rows = read_table(captured.out)
    assert [(row["burst"], row["picture"], row["verdict"]) for row in rows] == [
        ("1", "b.jpg", "sharp"),
        ("1", "c.jpg", "sharp"),
        ("1", "a.jpg", "soft"),
        ("1", "d.jpg", "soft"),
        ("2", "soft.jpg", "soft"),
    ]
    for row in rows[1:]:
        assert float(row["radius_px"]) == pytest.approx(radii[row["picture"]][0], abs=0.35)
    assert float(rows[0]["radius_px"]) < 0.75
    assert [row["judged_by"] for row in rows] == ["region"] * 4 + ["sharpest box"]
    assert captured.err.startswith("Burst 1: b.jpg is the sharpest, 0.")


def test_the_table(run, folder, tmp_path):
    code, out, err = run(folder)
    rows = read_table(out)
    assert code == 0
    assert list(rows[0]) == RANK_COLUMNS
    assert [(row["burst"], row["rank"], row["picture"], row["rating"]) for row in rows] == [
        ("1", "1", "IMG_1.jpg", "5"),
        ("1", "2", "IMG_0.jpg", "3"),
        ("1", "3", "IMG_2.jpg", "1"),
        ("2", "1", "IMG_3.jpg", "2"),
    ]
    assert rows[0]["taken"] == "2026-05-01T10:00:00.500"
    assert [rows[0][side] for side in ("row", "column", "height", "width")] == ["0", "0", "32", "48"]
    assert err == [
        "Burst 1: IMG_1.jpg is the sharpest, 0.60 px; 3 photos, 2 sharp",
        "Burst 2: IMG_3.jpg is the sharpest, 3.01 px; 1 photos, 0 sharp",
    ]
    assert list_names(folder) == [f"IMG_{number}.jpg" for number in range(4)]
    result = run(folder, "--out", tmp_path / "a" / "b")
    assert (result[0], result[1]) == (0, "")
    assert (tmp_path / "a" / "b" / "rank.csv").read_text() == out
    assert result[2][-1] == f"4 photos ranked: {tmp_path / 'a' / 'b' / 'rank.csv'}"
    assert run(folder, "--out", tmp_path / "a" / "b")[0] == 0


def test_json(run, folder):
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    code, out, err = run(folder, "--json")
    records = json.loads(out)
    assert code == 1
    assert [record["picture"] for record in records] == [f"IMG_{number}.jpg" for number in (1, 0, 2, 3)] + ["bad.jpg"]
    assert (records[0]["radius_px"], records[0]["camera"], records[0]["preset"]) == (0.5961, "Camera", "grey")
    assert records[0]["error"] is None
    assert "rank" not in records[-1]
    assert f"Error: {records[-1]['error']}" in err
    assert "1 photos without a time in EXIF are bursts of their own" in err[0]


@pytest.mark.parametrize(
    ("options", "bursts"),
    [(["--by", "all"], [4]), (["--by", "folder"], [4]), (["--gap", "0.4"], [1, 1, 1, 1]), (["--gap", "59"], [4])],
)
def test_bursts(run, folder, options, bursts):
    rows = read_table(run(folder, *options)[1])
    numbers = [row["burst"] for row in rows]
    assert [numbers.count(number) for number in sorted(set(numbers))] == bursts


def test_all_photos_each_by_its_own_region(run, tmp_path):
    """In a burst the focus of one frame elsewhere does not count; among all photos it does."""
    left = np.full((32, 48), 7.0)
    left[8:16, 8:16] = 0.6
    pictures = {"a.jpg": left, "b.jpg": left + 0.1, "c.jpg": left[:, ::-1] - 0.1}
    for name, radius in pictures.items():
        write_frame(tmp_path / name, make_grey(radius))
    found = {by: [row["picture"] for row in read_table(run(tmp_path, "--by", by)[1])] for by in ("folder", "all")}
    assert found == {"folder": ["a.jpg", "b.jpg", "c.jpg"], "all": ["c.jpg", "a.jpg", "b.jpg"]}


def test_ratings(run, folder):
    before = (folder / "IMG_0.jpg").read_bytes()
    (folder / "IMG_2.jpg.xmp").write_text("<x:xmpmeta x:xmptk='darktable'/>")
    code, out, err = run(folder, "--xmp", "both", "--json")
    assert code == 0
    own = [folder / f"IMG_{number}.jpg.xmp" for number in (1, 0, 3)]
    assert [record["sidecars"] for record in json.loads(out)] == [[str(own[0])], [str(own[1])], [], [str(own[2])]]
    told = f"Warning: {folder / 'IMG_2.jpg.xmp'} is of another program and stays as it is. Rate IMG_2.jpg there."
    assert told in err
    (folder / "IMG_2.jpg.xmp").unlink()
    assert read_ratings(folder) == {"IMG_0.jpg.xmp": "3", "IMG_1.jpg.xmp": "5", "IMG_3.jpg.xmp": "2"}
    assert run(folder, "--xmp", "darktable", "--soft-above", "0.5")[0] == 0
    expected = {"IMG_0.jpg.xmp": "1", "IMG_1.jpg.xmp": "2", "IMG_2.jpg.xmp": "1", "IMG_3.jpg.xmp": "2"}
    assert read_ratings(folder) == expected
    assert (folder / "IMG_0.jpg").read_bytes() == before


def test_lightroom_reads_no_sidecars_of_jpeg(run, folder):
    code, _, err = run(folder, "--xmp", "lightroom")
    assert code == 0
    told = "Warning: Lightroom reads sidecars of raw files only. Without a rating are 4 other photos."
    assert err[-1] == f"{told} Take --xmp darktable or both."
    assert not list(folder.glob("*.xmp"))


def test_a_sidecar_that_cannot_be_written(run, folder):
    (folder / "IMG_1.jpg.xmp").mkdir()
    code, out, err = run(folder, "--xmp", "darktable")
    assert code == 1
    assert len(read_table(out)) == 4
    assert [line for line in err if line.startswith("Error: ")] == [
        f"Error: {folder / 'IMG_1.jpg.xmp'}: Is a directory"
    ]


def test_boxes(run, tmp_path):
    radii = np.full((32, 48), 7.0)
    radii[:, :16] = 0.6
    for number in range(2):
        write_frame(tmp_path / f"{number}.jpg", make_grey(radii + number / 10), second=number)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("picture,row,column,height,width\n1.jpg,0,32,32,16\n")
    code, out, _ = run(tmp_path, "--boxes", boxes)
    rows = read_table(out)
    assert code == 0
    assert [(row["picture"], row["judged_by"], row["column"], row["verdict"]) for row in rows] == [
        (f"{number}.jpg", "boxes", "32", "soft") for number in range(2)
    ]
    assert float(rows[0]["radius_px"]) == pytest.approx(7, abs=0.1)
    boxes.write_text("picture,row,column,height,width\n1.jpg,0,32,32,17\n")
    code, out, err = run(tmp_path, "--boxes", boxes)
    rule = "boxes must lie in their picture of height 32 and width 48"
    assert f"Error: {tmp_path / '1.jpg'}: {rule}. Got: row 0, column 32, height 32, width 17." in err[0]
    assert (code, len(read_table(out))) == (1, 1)


def test_faces(run, tmp_path):
    radii = np.full((64, 96), 0.5)
    radii[16:24, 32:40] = 8  # white: a face, for this model
    for number in range(2):
        write_frame(tmp_path / f"{number}.png", make_grey(radii - number / 4, radii.shape), second=number)
    (tmp_path / "faces.onnx").write_bytes(make_model().SerializeToString())
    code, out, err = run(tmp_path, "--faces", tmp_path / "faces.onnx", "--json")
    records = json.loads(out)
    assert code == 0, err
    assert [(record["picture"], record["judged_by"], record["faces"]) for record in records] == [
        ("1.png", "faces", 1),
        ("0.png", "faces", 1),
    ]
    assert [records[0][side] for side in ("row", "column", "height", "width")] == [12, 28, 8, 8]


def test_damaged_exif_is_one_line(run, folder):
    path = folder / "IMG_1.jpg"
    path.write_bytes(path.read_bytes().replace(b"2026:05:01", b"2026-05-01"))
    code, out, err = run(folder)
    assert code == 0
    assert err[0].startswith(f"Warning: Cannot read EXIF of picture '{path}'. Got: the time '2026-05-01 10:00:00'.")
    assert err[0].endswith("The photo is a burst of its own.")
    assert [row["burst"] for row in read_table(out)] == ["1", "1", "2", "3"]


def test_an_interrupted_run_has_the_bursts_that_are_done(run, folder, tmp_path, monkeypatch):
    def stop(self, image, *, progress):
        if image.mean() > 0.3:
            raise KeyboardInterrupt
        return grey(self, image, progress=progress)

    grey = GreyNetworks.estimate
    monkeypatch.setattr(GreyNetworks, "estimate", stop)
    assert run(folder, "--out", tmp_path)[0] == 130
    assert len(read_table((tmp_path / "rank.csv").read_text())) == 3


# Wrong uses: one line each, before anything is done


def test_wrong_uses(run, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "rank.csv").write_text("my,own\n")
    (tmp_path / "file").touch()
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("picture,row,column,height,width\nnobody.jpg,0,0,1,1\n")
    cases = {
        ("missing",): "FOLDER must be a folder. Got: missing.",
        (tmp_path / "empty",): f"There are no pictures in {tmp_path / 'empty'}, or none that the patterns",
        (folder, "--glob", "*.png"): f"There are no pictures in {folder}",
        (
            folder,
            "--out",
            tmp_path,
        ): f"--out must not have a table that rank did not write. Got: {tmp_path / 'rank.csv'}.",
        (folder, "--out", tmp_path / "file" / "x"): "--out must be a folder that can be made.",
        (folder, "--boxes", tmp_path / "none.csv"): "--boxes cannot be used: path must name an existing file.",
        (
            folder,
            "--boxes",
            tmp_path / "rank.csv",
        ): f"--boxes cannot be used: '{tmp_path / 'rank.csv'}' must be a CSV file",
        (
            folder,
            "--boxes",
            boxes,
        ): "--boxes must name pictures of FOLDER by their path below it, with slashes. Got: nobody",
        (folder, "--faces", tmp_path / "none.onnx"): "--faces must name a model of YuNet in ONNX. Got: ",
        (folder, "--faces", boxes): f"--faces must name a model of YuNet in ONNX. Got: {boxes} (no model of YuNet",
        (folder, "--faces", boxes, "--boxes", boxes): "--boxes and --faces exclude each other.",
    }
    for arguments, told in cases.items():
        code, out, err = run(*arguments)
        assert (code, out) == (2, ""), arguments
        assert len(err) == 1, err
        assert err[0].startswith(f"Error: {told}")
    assert not list(folder.glob("*.xmp"))


def test_a_folder_below_that_cannot_be_read(run, folder, monkeypatch):
    write_frame(folder / "below" / "a.jpg", make_grey(1))
    lock_folder(monkeypatch, folder / "below")
    code, _, err = run(folder)
    told = f"Error: FOLDER must have folders that can be read. Got: {folder / 'below'} (Permission denied)."
    assert (code, err) == (2, [told])
