"""Pictures on the accelerator: byte for byte, at the sizes asked for, with the places of their rims."""

import numpy as np
import pytest
from keras import ops

from tests.training.edges.device.device_cases import to_array
from training.data.sources import Cutout, Sources
from training.edges.device import atlas as device_atlas
from training.edges.device.atlas import SIDE, Cut, build_atlas, cut_pixels, index_dtype


def make_sources(shape=(150, 160), count=1):
    rng = np.random.default_rng(0)
    return Sources(sharp=[rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(count)])


def test_pictures_come_back_byte_for_byte():
    sources = make_sources(count=2)
    atlas, kinds = build_atlas(sources, [1.0])
    assert kinds == {"sharp": (0, 2), "object": (2, 0), "shape": (2, 0)}
    offset = int(to_array(atlas.reductions)[1, 0])
    cut = Cut(*(ops.convert_to_tensor([value], index_dtype()) for value in (offset + 3 * 160 + 5, 160, 1)))
    pixels = to_array(cut_pixels(atlas.pixels, cut))[0]
    np.testing.assert_array_equal(pixels[..., :3], sources.sharp[1][3 : 3 + SIDE, 5 : 5 + SIDE])
    assert (pixels[..., 3] == 255).all()


def test_small_reductions_are_dropped_and_large_ones_kept():
    atlas, kinds = build_atlas(make_sources((300, 200)), [0.4, 0.7, 0.9])
    assert kinds["sharp"] == (0, 1)
    np.testing.assert_array_equal(to_array(atlas.reductions)[:, 1:3], [[210, 140], [270, 180]])
    np.testing.assert_array_equal(to_array(atlas.pictures), [[0, 2]])
    assert atlas.pixels.shape == (210 * 140 + 270 * 180,)


def test_mattes_are_reduced_and_rims_lie_on_their_borders():
    sources = make_sources((280, 280))
    square = np.zeros((280, 280), dtype=np.uint8)
    square[60:200, 80:220] = 255
    sources.cutouts.append(Cutout(sources.sharp[0], square))
    sources.shapes.append(square)
    atlas, kinds = build_atlas(sources, [0.5])
    assert kinds == {"sharp": (0, 1), "object": (1, 1), "shape": (2, 1)}
    mattes = to_array(ops.view(atlas.pixels[:, None], "uint8")).reshape(3, 140, 140, 4)[..., 3] / 255
    assert mattes[0].min() == 1
    assert mattes[2].sum() == pytest.approx(70**2)
    assert mattes[1].sum() == pytest.approx(69**2, abs=1)  # a px less on each side of 140
    reductions, rims = to_array(atlas.reductions), to_array(atlas.rims)
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
