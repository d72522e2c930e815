"""defocus-edge deblur: what is written, what of a photo is kept, and one clear line for everything that goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.data import astronaut

from defocus_edge import deblur, estimate_noise
from defocus_edge.cli.app import main
from defocus_edge.files.maps import write_map
from defocus_edge.files.photos import Photo, read_photo, write_photo
from defocus_edge.sharpening.deblurring import ESTIMATE_ERROR
from synth.scenes import render_uniform
from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH, list_names

ORIENTATION, MAKE = 0x0112, 271
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def picture():
    """Uint8 RGB picture that a disk of 2 px has blurred."""
    sharp = astronaut()[: 2 * HEIGHT, 100 : 100 + 2 * WIDTH]
    sharp = cv2.resize(sharp, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) / np.float32(255)
    return np.rint(255 * np.clip(render_uniform(sharp, 2.0).light, 0, 1)).astype(np.uint8)


@pytest.fixture
def photo(tmp_path, picture):
    write_photo(tmp_path / "photo.png", Photo(picture))
    return tmp_path / "photo.png"


@pytest.fixture
def radius():
    """In focus at the left, 2 px at the right."""
    return np.where(np.arange(WIDTH) < WIDTH // 2, 0, 2) * np.ones((HEIGHT, 1), np.float32)


@pytest.fixture
def blur_map(tmp_path, radius):
    write_map(tmp_path / "photo_blur.tif", radius)
    return tmp_path / "photo_blur.tif"


@pytest.fixture
def run(capsys):
    """Run the command: exit code, stdout, lines on stderr."""

    def run_command(*arguments):
        code = main(["deblur", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return run_command


# From a map


def test_a_map_sharpens_where_it_says(run, photo, blur_map, picture, radius, tmp_path):
    before = photo.read_bytes()
    code, out, err = run(photo, "--map", blur_map, "--map-error", 0, "--noise", 1.5)
    assert (code, out) == (0, "")
    assert len(err) == 1
    assert err[0].startswith(f"{photo}: ")
    assert "% sharpened; noise 1.50 steps of 8 bits, " in err[0]
    assert err[0].endswith(f" s -> {tmp_path / 'photo_deblurred.png'}")
    assert list_names(tmp_path) == ["photo.png", "photo_blur.tif", "photo_deblurred.png"]
    assert photo.read_bytes() == before
    result = read_photo(tmp_path / "photo_deblurred.png").pixels
    np.testing.assert_array_equal(result[:, : WIDTH // 2], picture[:, : WIDTH // 2])
    np.testing.assert_array_equal(result, deblur(picture, radius, noise=1.5))


def test_a_stored_map_is_an_estimate_unless_told(run, photo, blur_map, picture, radius, tmp_path):
    assert run(photo, "--map", blur_map)[0] == 0
    result = read_photo(tmp_path / "photo_deblurred.png").pixels
    np.testing.assert_array_equal(result, deblur(picture, radius, map_error=ESTIMATE_ERROR))


def test_json_tells_the_settings(run, photo, blur_map, picture, radius, tmp_path):
    _, out, _ = run(photo, "--map", blur_map, "--out", tmp_path / "new" / "folder", "--json")
    (record,) = json.loads(out)
    result = read_photo(tmp_path / "new" / "folder" / "photo_deblurred.png").pixels
    assert record.pop("deblur_seconds") > 0
    assert record == {
        "file": str(photo),
        "error": None,
        "warnings": [],
        "bit_depth": 8,
        "map": str(blur_map),
        "noise": pytest.approx(estimate_noise(picture, radius), abs=1e-3),
        "map_error_px": ESTIMATE_ERROR,
        "height": HEIGHT,
        "width": WIDTH,
        "changed_share": pytest.approx((result != picture).any(axis=2).mean(), abs=1e-4),
        "outputs": {"deblurred": str(tmp_path / "new" / "folder" / "photo_deblurred.png")},
    }


def test_a_drawing_without_noise(run, tmp_path, blur_map):
    write_photo(tmp_path / "photo.png", Photo(np.full((HEIGHT, WIDTH), 255, np.uint8)))
    code, out, _ = run(tmp_path / "photo.png", "--map", blur_map, "--json")
    assert code == 0
    assert json.loads(out)[0]["noise"] == 0


def test_a_map_needs_no_networks(photo, blur_map):
    """Neither their seconds and megabytes nor the greetings of their backend."""
    code = (
        "import sys; from defocus_edge.cli.app import main; assert main(sys.argv[1:]) == 0; "
        "assert not {'tensorflow', 'keras', 'numba', 'matplotlib'} & set(sys.modules)"
    )
    arguments = ["deblur", str(photo), "--map", str(blur_map)]
    found = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert len(found.stderr.splitlines()) == 1


def test_npy_map(run, photo, tmp_path):
    np.save(tmp_path / "a.npy", np.full((HEIGHT, WIDTH), 2.0, np.float32))
    code, _, err = run(photo, "--map", tmp_path / "a.npy")
    assert (code, len(err)) == (0, 1)


# From the networks


def test_an_estimate_is_used_with_its_confidence(run, photo, picture, small_preset, tmp_path):
    from defocus_edge import BlurEstimator

    code, out, err = run(photo, "--preset", small_preset, "--depth-penalty", 0, "--json")
    assert code == 0
    assert len(err) == 1  # and nothing of TensorFlow's
    expected = deblur(picture, BlurEstimator(small_preset, depth_penalty=0).estimate(picture))
    result = read_photo(tmp_path / "photo_deblurred.png").pixels
    assert np.abs(result.astype(int) - expected).max() <= 1
    (record,) = json.loads(out)
    assert (record["preset"], record["map_error_px"]) == (str(small_preset), None)
    assert record["seconds"] > 0
    assert record["device"] in ("CPU", "GPU")


def test_several_with_bad_ones(run, photo, picture, small_preset, tmp_path):
    write_photo(tmp_path / "other.jpg", Photo(picture))
    (tmp_path / "empty.jpg").touch()
    flat = tmp_path / "flat.tif"
    write_photo(flat, Photo(np.full((40, 50), 99, np.uint8)))
    files = [tmp_path / name for name in ("missing.png", "empty.jpg", "flat.tif", "other.jpg")]
    code, out, err = run(*files, photo, "--preset", small_preset, "--json")
    assert code == 1
    assert [record["error"] is None for record in json.loads(out)] == [False, False, False, True, True]
    assert "missing.png: there is no such file" in err[0]
    assert "the file is empty (0 bytes)" in err[1]
    assert "No edges found in the image" in err[2]
    assert {"other_deblurred.jpg", "photo_deblurred.png"} < set(list_names(tmp_path))
    assert "flat_deblurred.tif" not in list_names(tmp_path)


def test_progress_goes_to_the_bar(run, monkeypatch, photo, blur_map):
    steps = []
    monkeypatch.setattr("defocus_edge.cli.console.Screen.count_points", lambda _, *step: steps.append(step))
    assert run(photo, "--map", blur_map)[0] == 0
    assert steps == [(1, 1)]


# What is kept of a photo


@pytest.mark.parametrize(("suffix", "mode"), [(".jpg", "RGB"), (".jpg", "L"), (".png", "RGBA"), (".tif", "RGB")])
def test_metadata_go_along_and_the_picture_is_upright(run, picture, tmp_path, suffix, mode):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Camera"
    image = Image.fromarray(picture).convert(mode)
    profile = PROFILE[:16] + b"GRAY" + PROFILE[20:] if mode == "L" else PROFILE
    image.save(tmp_path / f"photo{suffix}", exif=exif, icc_profile=profile)
    write_map(tmp_path / "map.tif", np.full((WIDTH, HEIGHT), 2.0))  # upright, as `estimate` writes them
    code, out, err = run(tmp_path / f"photo{suffix}", "--map", tmp_path / "map.tif", "--json")
    assert (code, len(err)) == (0, 1)
    assert json.loads(out)[0]["changed_share"] > 0.5
    with Image.open(tmp_path / f"photo_deblurred{suffix}") as written:
        assert (written.size, written.mode) == ((HEIGHT, WIDTH), mode)
        assert (written.getexif()[ORIENTATION], written.getexif()[MAKE]) == (1, "Camera")
        assert written.info["icc_profile"] == profile


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_depth_grey_and_alpha_are_kept(run, picture, blur_map, tmp_path, suffix, channels):
    deep = np.dstack([picture, picture[..., 0]]).astype(np.uint16) * 257
    deep = deep[..., 0] if channels is None else deep[..., :channels]
    path = tmp_path / f"photo{suffix}"
    write_photo(path, Photo(deep))
    assert run(path, "--map", blur_map, "--noise", 1, "--map-error", 0)[0] == 0
    result = read_photo(tmp_path / f"photo_deblurred{suffix}").pixels
    assert (result.dtype, result.shape) == (np.uint16, deep.shape)
    assert (result % 257 != 0).any()
    if channels == 4:
        np.testing.assert_array_equal(result[..., 3], deep[..., 3])


@pytest.mark.parametrize(
    ("name", "result"), [("photo.webp", "photo_deblurred.png"), ("photo.JPG", "photo_deblurred.JPG")]
)
def test_name_of_the_result(run, picture, blur_map, tmp_path, name, result):
    Image.fromarray(picture).save(tmp_path / name)
    assert run(tmp_path / name, "--map", blur_map)[0] == 0
    assert (tmp_path / result).is_file()


# Wrong maps


@pytest.mark.parametrize(
    ("blur_map", "complaint"),
    [
        (np.ones((WIDTH, HEIGHT)), rf"the shape of the image, ({HEIGHT}, {WIDTH}). Got: ({WIDTH}, {HEIGHT})."),
        (np.full((HEIGHT, WIDTH), np.nan), "must be finite. Got: NaN or infinity"),
        (np.full((HEIGHT, WIDTH), np.inf), "must be finite. Got: NaN or infinity"),
        (np.full((HEIGHT, WIDTH), -1.0), "radii in px >= 0. Got: minimum -1."),
        (np.full((HEIGHT, WIDTH), 200.0), "at most 64 px. Got: maximum 200."),
        (np.ones((HEIGHT, WIDTH), np.uint8), "must hold floats. Got: uint8."),
        (np.ones((HEIGHT, WIDTH, 3)), "must have shape (H, W)"),
    ],
)
def test_maps_that_do_not_fit(run, photo, tmp_path, blur_map, complaint):
    np.save(tmp_path / "map.npy", blur_map)
    code, out, err = run(photo, "--map", tmp_path / "map.npy", "--json")
    assert (code, len(err)) == (1, 1)
    assert err[0].startswith(f"Error: {photo}: ")
    assert str(tmp_path / "map.npy") in err[0]
    assert complaint in err[0]
    assert json.loads(out)[0]["error"] == err[0].removeprefix("Error: ")
    assert list_names(tmp_path) == ["map.npy", "photo.png"]


def test_damaged_and_missing_maps(run, photo, tmp_path):
    (tmp_path / "bad.tif").write_text("no map")
    for name, complaint in (("bad.tif", "Cannot read map"), ("none.tif", "path must name an existing file")):
        code, _, err = run(photo, "--map", tmp_path / name)
        assert (code, len(err)) == (1, 1)
        assert complaint in err[0]
        assert name in err[0]


def test_map_of_another_photo_of_that_size_is_told(run, photo, tmp_path):
    radius = np.full((HEIGHT, WIDTH), 2.0)
    for source, lines in (("photo.png", 1), ("holiday.png", 2)):
        write_map(tmp_path / "map.tif", radius, description={"source": source})
        code, _, err = run(photo, "--map", tmp_path / "map.tif")
        assert (code, len(err)) == (0, lines)
    assert err[0] == f"Warning: {tmp_path / 'map.tif'} is the map of 'holiday.png', not of 'photo.png'."


# Usage, files and interruptions


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["x.png", "--preset", "nope"], "preset must be one of"),
        (["x.png", "y.png", "--map", "m.tif"], "--map goes with one PHOTO. Got: 2."),
        (["x.png", "--map", "m.png"], "--map must end in one of .tif, .tiff, .npy, .exr. Got: m.png."),
        (["x.png", "--map", "m.tif", "--preset", "edge-v1"], "--map does not go with --preset."),
        (
            ["x.png", "--map", "m.tif", "--read-out", "median", "--depth-penalty", "1", "--propagation", "paper"],
            "--map does not go with --read-out, --depth-penalty, --propagation.",
        ),
        (["x.png", "--noise", "0"], "must be a finite number greater than 0. Got: 0.0."),
        (["x.png", "--noise", "nan"], "must be a finite number greater than 0. Got: nan."),
        (["x.png", "--map-error", "-1"], "must be a finite number, 0 or more. Got: -1.0."),
        (["x.png", "--map-error", "inf"], "must be a finite number, 0 or more. Got: inf."),
    ],
)
def test_usage_errors(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(" ".join(err).split())


def test_help_tells_the_default_of_the_library(run):
    code, out, _ = run("--help")
    assert code == 0
    assert f"[default: {ESTIMATE_ERROR}]" in " ".join(out.split())


def test_no_input_is_overwritten(run, photo, blur_map, tmp_path):
    link = tmp_path / "photo_deblurred.png"
    link.symlink_to(photo)
    code, _, err = run(photo, "--map", blur_map)
    assert code == 2
    assert "is an input too" in err[0]


def test_two_photos_for_one_result(run, photo, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "photo.webp")
    code, _, err = run(photo, tmp_path / "photo.webp")
    assert code == 2
    assert "would be written for both" in err[0]


def test_unwritable_folders(run, monkeypatch, photo, blur_map, tmp_path):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    code, _, err = run(photo, "--map", blur_map)
    assert code == 1
    assert err == [f"Error: {photo}: the folder {tmp_path} cannot be written to. Choose another one with --out."]
    code, _, err = run(photo, "--map", blur_map, "--out", tmp_path)
    assert (code, err) == (2, [f"Error: --out must be a folder that can be written to. Got: {tmp_path}."])


def test_full_disk_and_ctrl_c_leave_the_old_file(run, monkeypatch, photo, blur_map, tmp_path):
    old = tmp_path / "photo_deblurred.png"
    old.write_bytes(b"old")

    def stop_with(error):
        def write(path, data):
            with path.open("wb") as file:
                file.write(data[:10])
            raise error

        return write

    monkeypatch.setattr("pathlib.Path.write_bytes", stop_with(OSError(28, "No space left on device")))
    assert run(photo, "--map", blur_map)[::2] == (1, [f"Error: {photo}: No space left on device"])
    monkeypatch.setattr("pathlib.Path.write_bytes", stop_with(KeyboardInterrupt()))
    assert run(photo, "--map", blur_map)[::2] == (130, ["Interrupted. Every file that was written is complete."])
    assert old.read_bytes() == b"old"
    assert list_names(tmp_path) == ["photo.png", "photo_blur.tif", "photo_deblurred.png"]


def test_too_little_memory_fails_one_picture(run, monkeypatch, photo, blur_map):
    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr("defocus_edge.sharpening.deblurring.deblur", refuse)
    assert run(photo, "--map", blur_map)[::2] == (1, [f"Error: {photo}: not enough memory for this picture"])
