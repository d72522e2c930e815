"""Dual-pixel pairs and coded pictures: what a run writes, the laws of the lens, continued and refused runs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.files.images import read_image
from defocus_edge.files.maps import read_map, read_map_description
from defocus_edge.psf import coded_kernel, convolve, half_disk_kernel
from synth.apertures import MASKS, blur_coded, blur_left, blur_right
from synth.folder import name_files
from synth.readers import read_layout
from synth.recipes import draw_recipe
from synth.scenes import render_depth
from synth.settings import SIGNED_FAMILIES, Settings, build_pool
from synth.signed_rendering import render_pair
from tests.conftest import make_texture, write_png
from tests.synth.test_generator import read_folder, read_manifest, run

CLEAN = {"noise": 0.0, "jpeg_share": 0.0, "seed": 3}


@pytest.fixture
def folder(tmp_path, rng):
    for number in range(2):
        write_png(tmp_path / "sources" / f"{number}.png", make_texture(rng, 140, 150))
    return tmp_path / "sources"


@pytest.fixture
def scenes(tmp_path, rng):
    """One picture whose left half is near and whose right half is far."""
    write_png(tmp_path / "scenes" / "one_rgb.png", make_texture(rng, 140, 150))
    disparity = np.full((140, 150), 40, np.uint8)
    disparity[:, :75] = 200
    write_png(tmp_path / "scenes" / "one_disparity.png", np.dstack([disparity] * 3))
    return tmp_path / "scenes"


def test_a_dual_run_writes_what_the_manifest_says(folder, tmp_path):
    run(folder, tmp_path / "out", 2, settings=Settings("dual", **CLEAN))
    records = read_manifest(tmp_path / "out")
    assert [sorted(record["files"]) for record in records] == [["left", "radius", "right", "sharp"]] * 2
    files = {name for record in records for name in record["files"].values()}
    assert files | {"manifest.jsonl", "run.json"} == set(read_folder(tmp_path / "out"))
    for record in records:
        path = {kind: tmp_path / "out" / name for kind, name in record["files"].items()}
        radius = read_map(path["radius"])
        assert json.loads(read_map_description(path["radius"]))["quantity"].startswith("signed blur radius")
        # A plane through the focus, without its border.
        assert record["radius_from"] < radius.min() < 0 < radius.max() < record["radius_to"]
        left, right, sharp = (read_image(path[kind]) for kind in ("left", "right", "sharp"))
        assert left.shape == right.shape == sharp.shape == (*radius.shape, 3)
        in_focus = np.abs(radius) <= 0.5
        assert in_focus.any()
        np.testing.assert_array_equal(left[in_focus], sharp[in_focus])
        np.testing.assert_array_equal(right[in_focus], sharp[in_focus])
        assert (left != right)[np.abs(radius) > 1].mean() > 0.3


def test_a_coded_run_names_its_masks(folder, tmp_path):
    run(folder, tmp_path / "out", 4, settings=Settings("coded", **CLEAN))
    records = read_manifest(tmp_path / "out")
    assert len({record["aperture"]["name"] for record in records}) > 1
    for record in records:
        assert sorted(record["files"]) == ["picture", "radius"]
        assert record["aperture"]["rows"] == [list(row) for row in MASKS[record["aperture"]["name"]]]


@pytest.mark.parametrize("family", SIGNED_FAMILIES)
def test_same_seed_same_bytes_also_after_an_interruption(family, folder, tmp_path):
    settings = Settings(family, seed=3)
    run(folder, tmp_path / "whole", 3, settings=settings)
    whole = read_folder(tmp_path / "whole")
    run(folder, tmp_path / "out", 2, settings=settings)
    for name in name_files(1, family).values():
        (tmp_path / "out" / name).unlink()
    assert run(folder, tmp_path / "out", 3, settings=settings).kept == 1
    assert read_folder(tmp_path / "out") == whole
    run(folder, tmp_path / "other", 3, settings=replace(settings, seed=4))
    assert read_folder(tmp_path / "other") != whole


def test_depth_gives_the_near_side_a_positive_radius(scenes):
    settings = Settings("dual", rotations=(0.0,), mirror=False, **CLEAN)
    pool = build_pool("dual", read_layout(scenes)[1])
    recipe = replace(draw_recipe(settings, pool, 0), radii=(4.0,), focus=0.02)
    pair = render_pair(recipe)
    assert (pair.radius[:, 0] > 0).all()
    assert (pair.radius[:, -1] == 0).all()
    pair = render_pair(replace(recipe, focus=0.98))
    assert (pair.radius[:, 0] == 0).all()
    assert (pair.radius[:, -1] < 0).all()


def test_a_flat_scene_is_blurred_with_the_kernel_of_its_side(rng):
    light = rng.random((30, 40, 3), dtype=np.float32)
    for radius in (-2.5, 0, 3.0):
        signed = np.full((30, 40), radius, np.float32)
        for blur, kernel in (
            (blur_left, half_disk_kernel(radius, "left")),
            (blur_right, half_disk_kernel(radius, "right")),
            (lambda values, size: blur_coded(values, size, mask=MASKS["a"]), coded_kernel(radius, MASKS["a"])),
        ):
            scene = render_depth(light, signed, blur=blur, keep_sign=True)
            np.testing.assert_allclose(scene.light, convolve(light, kernel), atol=1e-5)
            np.testing.assert_array_equal(scene.radius, signed)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_masks_have_no_symmetry_under_a_half_turn(mask):
    kernel = coded_kernel(5, mask)
    assert np.abs(kernel - kernel[::-1, ::-1]).sum() > 0.5


@pytest.mark.parametrize("family", SIGNED_FAMILIES)
def test_other_apertures_are_refused(family):
    with pytest.raises(ValueError, match=rf"{family} must have psf disk, of which it takes parts\. Got: 'polygon'"):
        Settings(family, psf="polygon")


def test_another_family_does_not_go_on_in_the_folder(folder, tmp_path):
    run(folder, tmp_path / "out", 1, settings=Settings("dual", **CLEAN))
    with pytest.raises(ValueError, match="Got: family 'dual' there and 'coded' now"):
        run(folder, tmp_path / "out", 1, settings=Settings("coded", **CLEAN))
