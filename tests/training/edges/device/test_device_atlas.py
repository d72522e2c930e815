"""Pictures on the accelerator: byte for byte, at the sizes asked for, with the places of their rims."""

import dataclasses

import jax
import numpy as np
import pytest

from training.data.sources import Cutout, Sources
from training.edges.device import atlas as device_atlas
from training.edges.device.atlas import SIDE, Cut, build_atlas, cut_pixels, draw_cut, draw_layer
from training.edges.device.chance import Chance


def make_sources(shape=(150, 160), count=1):
    rng = np.random.default_rng(0)
    return Sources(sharp=[rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(count)])


def test_pictures_come_back_byte_for_byte():
    sources = make_sources(count=2)
    atlas, kinds = build_atlas(sources, [1.0])
    assert kinds == {"sharp": (0, 2), "object": (2, 0), "shape": (2, 0)}
    offset = int(np.asarray(atlas.reductions)[1, 0])
    cut = Cut(*(np.array([value]) for value in (offset + 3 * 160 + 5, 160, 1)))
    pixels = np.rint(np.asarray(cut_pixels(atlas.pixels, cut))[0] * 255)
    np.testing.assert_array_equal(pixels[..., :3], sources.sharp[1][3 : 3 + SIDE, 5 : 5 + SIDE])
    assert (pixels[..., 3] == 255).all()


def test_small_reductions_are_dropped_and_large_ones_kept():
    atlas, kinds = build_atlas(make_sources((300, 200)), [0.4, 0.7, 0.9])
    assert kinds["sharp"] == (0, 1)
    np.testing.assert_array_equal(np.asarray(atlas.reductions)[:, 1:3], [[210, 140], [270, 180]])
    np.testing.assert_array_equal(np.asarray(atlas.pictures), [[0, 2]])
    assert atlas.pixels.shape == (210 * 140 + 270 * 180, 4)


def test_mattes_are_reduced_and_rims_lie_on_their_borders():
    sources = make_sources((280, 280))
    square = np.zeros((280, 280), dtype=np.uint8)
    square[60:200, 80:220] = 255
    sources.cutouts.append(Cutout(sources.sharp[0], square))
    sources.shapes.append(square)
    atlas, kinds = build_atlas(sources, [0.5])
    assert kinds == {"sharp": (0, 1), "object": (1, 1), "shape": (2, 1)}
    mattes = np.asarray(atlas.pixels).reshape(3, 140, 140, 4)[..., 3] / 255
    assert mattes[0].min() == 1
    assert mattes[2].sum() == pytest.approx(70**2)
    assert mattes[1].sum() == pytest.approx(69**2, abs=1)  # a px less on each side of 140
    reductions, rims = np.asarray(atlas.reductions), np.asarray(atlas.rims)
    assert reductions[0, 4] == 0
    own = rims[reductions[2, 3] : reductions[2, 3] + reductions[2, 4]]
    assert len(own) > 100
    rows, cols = np.abs(own[:, 0] - 64.5), np.abs(own[:, 1] - 74.5)
    assert (np.abs(np.maximum(rows, cols) - 35) <= 0.5).all()


@pytest.mark.parametrize("factors", [(), (0.5, 0.0), (1.2,)])
def test_factors_must_reduce(factors):
    with pytest.raises(ValueError, match=r"factors must be one or more numbers above 0 and at most 1\. Got: \("):
        build_atlas(make_sources(), factors)


@pytest.mark.parametrize(("count", "got"), [(0, "none"), (2, "160×150, 160×150"), (9, "160×150, …")])
def test_pictures_that_are_all_too_small_are_refused(count, got):
    with pytest.raises(ValueError, match=rf"sharp picture that has 96×96 px .* by one of \(0\.5,\)\. Got: .*{got}\."):
        build_atlas(make_sources(count=count), (0.5,))


def test_more_pixels_than_can_be_counted_are_refused(monkeypatch):
    monkeypatch.setattr(device_atlas, "_MOST_PIXELS", 150 * 160 - 1)
    with pytest.raises(ValueError, match=r"at most 23999 px in all reductions\. Got: 24000\. Use fewer"):
        build_atlas(make_sources(), [1.0])


def test_soft_mattes_stay_soft_and_hard_masks_are_hard():
    sources = make_sources()
    ramp = np.broadcast_to(np.linspace(0, 255, 160, dtype=np.uint8), (150, 160))
    sources.cutouts.append(Cutout(sources.sharp[0], ramp))
    sources.mattes.append(Cutout(sources.sharp[0], ramp))
    atlas, kinds = build_atlas(sources, [1.0])
    assert kinds["object"] == (1, 2)
    _, hard, soft = np.asarray(atlas.pixels).reshape(3, 150, 160, 4)[..., 3]
    assert set(np.unique(hard)) == {0, 255}
    np.testing.assert_array_equal(soft, ramp)


@pytest.mark.parametrize("missing", [None, "cutouts", "shapes"])
def test_windows_lie_in_their_pictures_in_all_eight_turns(missing):
    """Each pixel says where it is."""
    rows, cols = np.mgrid[:150, :160].astype(np.uint8)
    picture = np.stack([rows, cols, np.zeros_like(rows)], axis=-1)
    disk = np.where(np.hypot(rows - 70.0, cols - 80.0) < 60, 255, 0).astype(np.uint8)
    sources = Sources(sharp=[picture], cutouts=[Cutout(picture, disk)], shapes=[disk])
    if missing:
        sources = dataclasses.replace(sources, **{missing: []})
    atlas, kinds = build_atlas(sources, [1.0])

    def draw():
        chance = Chance(jax.random.key(0), 60)
        return *draw_layer(atlas, kinds, chance), draw_cut(atlas, kinds, "sharp", chance)

    near, matte_cut, is_inverted, far = jax.jit(draw)()

    def cut(place):
        return np.rint(np.asarray(cut_pixels(atlas.pixels, place)) * 255).astype(int)

    turns = set()
    for pixels in (cut(far), cut(near)):
        for found in pixels[..., :2]:
            steps = (tuple(found[1, 0] - found[0, 0]), tuple(found[0, 1] - found[0, 0]))
            turns.add(steps)
            expected = found[0, 0] + np.arange(SIDE)[:, None, None] * steps[0] + np.arange(SIDE)[:, None] * steps[1]
            np.testing.assert_array_equal(found, expected)
    assert len(turns) == 8
    matte = cut(matte_cut)
    assert (matte[..., 3].min(axis=(1, 2)) == 0).all()
    is_object = matte[..., :3].any(axis=(1, 2, 3))
    assert is_object.mean() == {None: pytest.approx(0.5, abs=0.2), "cutouts": 0, "shapes": 1}[missing]
    # An object and its matte are cut from the same place.
    np.testing.assert_array_equal(cut(near)[is_object], matte[is_object])
    assert not np.asarray(is_inverted)[is_object].any()
