"""Runs: same bytes whatever the workers or interruptions, bad sources skipped, foreign folders refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.files.images import read_image
from defocus_edge.files.maps import read_map
from synth import generator
from synth.folder import FolderError, name_files, open_folder
from synth.generator import generate
from synth.readers import Source
from synth.settings import Pool, PoolError, Settings, build_pool
from tests.conftest import make_texture, write_png

SETTINGS = Settings("uniform", seed=7)


@pytest.fixture
def folder(tmp_path, rng):
    """Three good pictures of 120×130 px."""
    for number in range(3):
        write_png(tmp_path / "sources" / f"{number}.png", make_texture(rng, 120, 130))
    return tmp_path / "sources"


def run(folder, out, count, *, settings=SETTINGS, **options):
    sources = [Source(folder, path.name) for path in sorted(folder.iterdir())]
    return generate(settings, build_pool(settings.family, sources), [folder], out, count, **options)


def read_folder(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def read_manifest(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_a_run_writes_what_the_manifest_says(folder, tmp_path):
    summary = run(folder, tmp_path / "out", 4)
    assert (summary.written, summary.kept, summary.failed, summary.complaints) == (4, 0, [], [])
    records = read_manifest(tmp_path / "out")
    assert [record["sample"] for record in records] == [0, 1, 2, 3]
    files = {name for record in records for name in record["files"].values()}
    assert files | {"manifest.jsonl", "run.json"} == set(read_folder(tmp_path / "out"))
    for record in records:
        picture, radius, edges, mask = (tmp_path / "out" / name for name in record["files"].values())
        values = read_map(radius)
        assert (values == record["radius"]).all()
        assert values.shape == (record["height"], record["width"]) == read_image(picture).shape[:2]
        assert not read_image(edges).any()
        assert (read_image(mask)[..., 0] == (values > record["mask_radius"])).all()


def test_same_seed_same_bytes_and_another_seed_others(folder, tmp_path):
    for name, settings in (("a", SETTINGS), ("b", SETTINGS), ("c", replace(SETTINGS, seed=8))):
        run(folder, tmp_path / name, 3, settings=settings)
    first, again, other = (read_folder(tmp_path / name) for name in "abc")
    assert first == again
    assert all(first[name] != other[name] for name in first if name.startswith("pictures"))


def test_bytes_do_not_depend_on_the_workers(folder, tmp_path):
    for name in ("8.png", "9.png"):
        (folder / name).write_bytes(b"broken")
    complaints = []
    run(folder, tmp_path / "one", 12)
    summary = run(folder, tmp_path / "two", 12, workers=2, on_complaint=complaints.append)
    assert summary.complaints == complaints
    assert complaints
    assert read_folder(tmp_path / "one") == read_folder(tmp_path / "two")


def test_samples_do_not_depend_on_their_number_in_all(folder, tmp_path):
    run(folder, tmp_path / "few", 2)
    assert run(folder, tmp_path / "few", 5).kept == 2
    run(folder, tmp_path / "many", 5)
    assert read_folder(tmp_path / "few") == read_folder(tmp_path / "many")


def test_an_interrupted_run_goes_on(folder, tmp_path):
    run(folder, tmp_path / "whole", 6)

    def stop(steps):
        done.append(steps)
        if len(done) == 4:
            raise KeyboardInterrupt

    done = []
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "out", 6, on_sample=stop)
    assert [record["sample"] for record in read_manifest(tmp_path / "out")] == [0, 1, 2]
    steps = []
    summary = run(folder, tmp_path / "out", 6, on_sample=steps.append)
    assert (summary.written, summary.kept) == (3, 3)
    assert steps == [3, 1, 1, 1]
    assert read_folder(tmp_path / "out") == read_folder(tmp_path / "whole")


def test_what_a_killed_run_leaves_behind_is_mended(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out, 5)
    whole = read_folder(out)
    lines = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(lines[:4]) + lines[4][:30])  # cut off in the middle of a line
    (out / name_files(1)["radius"]).unlink()
    (out / name_files(2)["mask"]).write_bytes(b"")
    (out / "radius" / ".defocus-edge-0123456789ab.tif").write_bytes(b"half")
    summary = run(folder, out, 5)
    assert (summary.written, summary.kept) == (3, 2)
    assert read_folder(out) == whole


@pytest.mark.parametrize(
    "number", ["Infinity", "NaN", "1e400", "9" * 400, "-1", "true", '"0"', "0.0", "null", "[" * 9999]
)
def test_lines_with_impossible_numbers_are_dropped(folder, tmp_path, number):
    out = tmp_path / "out"
    run(folder, out, 1)
    whole = read_folder(out)
    with (out / "manifest.jsonl").open("a") as file:
        file.write(f'{{"sample": {number}, "radius": 1}}\n')
    assert run(folder, out, 1).kept == 1
    assert read_folder(out) == whole


def test_nothing_is_written_twice(folder, tmp_path):
    run(folder, tmp_path / "out", 3)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert run(folder, tmp_path / "out", 3).written == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times


def test_bad_sources_are_told_once_and_skipped(folder, tmp_path):
    (folder / "3.png").write_bytes(b"broken")
    write_png(folder / "4.png", np.zeros((30, 30, 3), dtype=np.uint8))
    complaints = []
    summary = run(folder, tmp_path / "out", 24, on_complaint=complaints.append)
    assert summary.written == 24
    assert sorted(complaints) == sorted(summary.complaints)
    assert ["3.png" in line or "4.png" in line for line in complaints] == [True, True]
    records = read_manifest(tmp_path / "out")
    assert {record["picture"]["path"] for record in records} == {"0.png", "1.png", "2.png"}
    assert len({record["radius"] for record in records[:23]}) == 23  # still balanced


def test_without_a_usable_source_samples_fail(folder, tmp_path):
    for path in folder.iterdir():
        path.write_bytes(b"broken")
    summary = run(folder, tmp_path / "out", 2)
    assert (summary.written, summary.failed, len(summary.complaints)) == (0, [0, 1], 3)
    assert read_manifest(tmp_path / "out") == []


def test_a_full_disk_is_not_the_fault_of_a_source(folder, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(generator, "write_sample", fail)
    with pytest.raises(OSError, match="No space left"):
        run(folder, tmp_path / "out", 2)


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 1, "workers": 0}])
def test_impossible_numbers_are_refused(options, folder, tmp_path):
    with pytest.raises(ValueError, match=r"(count|workers) must be at least 1\. Got: 0"):
        run(folder, tmp_path / "out", **options)


def test_a_pool_without_what_it_takes_is_refused(tmp_path):
    with pytest.raises(PoolError, match="uniform needs source pictures"):
        generate(SETTINGS, Pool([]), [], tmp_path / "out", 1)


def test_another_run_is_not_mixed_in(folder, tmp_path):
    run(folder, tmp_path / "out", 1)
    with pytest.raises(FolderError, match=r"out must hold samples of the same run .* Got: seed 7 there and 8 now"):
        run(folder, tmp_path / "out", 1, settings=replace(SETTINGS, seed=8))
    write_png(folder / "new.png", np.zeros((100, 100, 3), dtype=np.uint8))
    with pytest.raises(FolderError, match="Got: sources '"):
        run(folder, tmp_path / "out", 1)


def test_a_folder_with_other_things_is_refused(folder):
    with pytest.raises(FolderError, match=r"out must be empty or hold an earlier run\. Got: '.*' with 0\.png"):
        run(folder, folder, 1)


def test_a_file_in_place_of_the_folder_is_refused(folder):
    with pytest.raises(FolderError, match=r"out must be a folder\. Got: the file"):
        run(folder, folder / "0.png", 1)


@pytest.mark.parametrize("content", ["no json", "[]"])
def test_a_damaged_run_file_is_refused(content, folder, tmp_path):
    run(folder, tmp_path / "out", 1)
    (tmp_path / "out" / "run.json").write_text(content)
    with pytest.raises(FolderError, match=r"must describe a run\. Got: "):
        run(folder, tmp_path / "out", 1)


def test_a_folder_that_another_run_writes_to_is_refused(folder, tmp_path):
    out, sources = tmp_path / "out", [Source(folder, path.name) for path in sorted(folder.iterdir())]
    run(folder, out, 2)
    before = read_folder(out)
    description = generator.describe_run(SETTINGS, build_pool("uniform", sources), [folder])
    other = open_folder(out, description)  # the lock belongs to the open file: the same process is kept out, too
    with pytest.raises(FolderError, match="another process"):
        run(folder, out, 3)
    assert read_folder(out) == before
    other.close()
    assert run(folder, out, 3).written == 1
