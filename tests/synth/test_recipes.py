"""Recipes: same seed, same sample; levels balanced; settings and pools that cannot work are refused."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS
from synth.coco import CocoObject
from synth.readers import Source
from synth.recipes import describe_recipe, draw_recipe
from synth.settings import FAMILIES, PAPER_RADII, SIGNED_FAMILIES, Pool, PoolError, Settings, build_pool


@pytest.fixture
def pool(tmp_path):
    pictures = [Source(tmp_path, f"{number}.png") for number in range(9)]
    objects = [
        Source(tmp_path, "5.png", mask="5_mask.png"),
        Source(tmp_path, "6.png", outline=CocoObject(3, (9, 9), "")),
    ]
    scenes = [Source(tmp_path, f"{number}.png", depth=f"{number}_d.png") for number in range(3)]
    return Pool(pictures, objects, scenes, [Source(tmp_path, "shape.png", mask="shape.png")])


@pytest.mark.parametrize("family", FAMILIES)
def test_same_arguments_same_recipe(family, pool):
    settings = Settings(family, seed=3)
    recipes = [draw_recipe(settings, pool, number) for number in range(8)]
    assert recipes == [draw_recipe(settings, pool, number) for number in range(8)]
    assert len({recipe.noise_generator().random() for recipe in recipes}) == 8
    others = [draw_recipe(replace(settings, seed=4), pool, number) for number in range(8)]
    assert all(one.sensor != other.sensor for one, other in zip(recipes, others, strict=True))


def test_levels_are_balanced(pool):
    settings = Settings("uniform", seed=1)
    radii = [draw_recipe(settings, pool, number).radii[0] for number in range(3 * N_LEVELS)]
    assert Counter(radii) == dict.fromkeys(BLUR_LEVELS.tolist(), 3)
    assert radii[:N_LEVELS] != radii[N_LEVELS : 2 * N_LEVELS]


def test_another_attempt_keeps_the_balance(pool):
    settings = Settings("uniform", seed=1)
    first, second = (draw_recipe(settings, pool, 5, attempt=attempt) for attempt in (0, 1))
    assert first.radii == second.radii
    assert first.sensor != second.sensor


def test_composites_have_the_paper_and_other_radii_on_either_side(pool):
    recipes = [draw_recipe(Settings("composite"), pool, number) for number in range(48)]
    assert all(min(recipe.radii) == 0 < max(recipe.radii) <= 6 for recipe in recipes)
    paper = [recipe.radii for recipe in recipes if max(recipe.radii) in PAPER_RADII]
    assert Counter(paper) == {pair: 4 for radius in PAPER_RADII for pair in ((0, radius), (radius, 0))}
    assert sum(recipe.radii[0] == 0 for recipe in recipes) == 24


def test_composites_take_two_pictures_and_objects_or_shapes(pool):
    recipes = [draw_recipe(Settings("composite"), pool, number) for number in range(60)]
    assert all(recipe.background.picture != recipe.picture.picture for recipe in recipes)
    assert {recipe.shape is None for recipe in recipes} == {True, False}
    assert all(recipe.picture.has_object == (recipe.shape is None) for recipe in recipes)
    assert {recipe.background.picture for recipe in recipes} == {source.picture for source in pool.pictures}


@pytest.mark.parametrize("family", ["gradual", "steps"])
def test_ramps_rise_by_a_pixel_or_more(family, pool):
    for number in range(50):
        low, high = draw_recipe(Settings(family), pool, number).radii
        assert 0.5 <= low < high <= 6
        assert high - low >= 1


def test_rotations_and_jpeg_are_those_asked_for(pool):
    settings = Settings("uniform", rotations=(30.0,), mirror=False, jpeg_share=1, jpeg_quality=(80, 80), noise=0)
    for number in range(10):
        recipe = draw_recipe(settings, pool, number)
        assert (recipe.turn.angle, recipe.turn.mirrored) == (30, False)
        assert (recipe.sensor.noise, recipe.sensor.jpeg_quality) == (0, 80)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_record_says_all_and_is_json(family, pool, tmp_path):
    psf = "disk" if family in SIGNED_FAMILIES else "polygon"
    recipes = [draw_recipe(Settings(family, psf=psf), pool, number) for number in range(20)]
    records = [describe_recipe(recipe, [tmp_path]) for recipe in recipes]
    assert json.loads(json.dumps(records)) == records
    assert len({json.dumps(record) for record in records}) == 20
    assert str(tmp_path) not in json.dumps(records)
    for recipe, record in zip(recipes, records, strict=True):
        assert record["picture"]["path"] == recipe.picture.picture
        of_polygon = {"blades": 6, "angle": recipe.lens.angle}
        assert record["psf"] == {"name": psf, **(of_polygon if psf == "polygon" else {})}
        numbers = [value for value in record.values() if isinstance(value, float)]
        assert set(recipe.radii) <= set(numbers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "macro"}, r"family must be one of uniform, .*\. Got: macro"),
        ({"seed": -1}, r"seed must be >= 0\. Got: -1"),
        ({"psf": "star"}, r"psf must be one of"),
        ({"psf": "polygon", "blades": 2}, r"blades must be between 3 and 128\. Got: 2"),
        ({"largest": 0.5}, r"largest must be between 1 and 50 px\. Got: 0\.5"),
        ({"reduce": 0}, r"reduce must be above 0 and at most 1\. Got: 0"),
        ({"max_side": 0}, r"max_side must be at least 1 px\. Got: 0"),
        ({"rotations": ()}, r"rotations must hold finite degrees\. Got: \(\)"),
        ({"noise": np.nan}, r"noise must be finite and >= 0 8-bit steps\. Got: nan"),
        ({"jpeg_share": 1.5}, r"jpeg_share must be between 0 and 1\. Got: 1\.5"),
        ({"jpeg_quality": (90, 80)}, r"jpeg_quality must rise within 1 to 100\. Got: \(90, 80\)"),
        ({"mask_radius": -1}, r"mask_radius must be >= 0 px\. Got: -1"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Settings(**{"family": "uniform", **options})


@pytest.mark.parametrize(
    ("family", "pool", "message"),
    [
        ("uniform", Pool([]), r"uniform needs source pictures\. Got: none"),
        ("layered", Pool([1, 2]), r"layered needs sources with disparity or depth .* Got: none"),
        ("composite", Pool([1, 2]), r"composite needs sources with masks .* Got: none"),
        ("composite", Pool([1], [1]), r"composite needs at least two different source pictures\. Got: 1"),
    ],
)
def test_pools_without_what_it_takes_are_refused(family, pool, message):
    with pytest.raises(PoolError, match=message):
        pool.check(family)


def test_backgrounds_have_no_object_where_that_is_possible(tmp_path):
    plain = [Source(tmp_path, "a.png"), Source(tmp_path, "b.png")]
    objects = [Source(tmp_path, "c.png", mask="c_mask.png"), Source(tmp_path, "d.png", mask="d_mask.png")]
    assert build_pool("composite", plain + objects).pictures == plain
    assert len(build_pool("composite", plain[:1] + objects).pictures) == 3
    assert len(build_pool("uniform", plain + objects).pictures) == 4
    assert build_pool("composite", plain, shapes=plain[:1]).shapes == [Source(tmp_path, "a.png", mask="a.png")]
    with pytest.raises(PoolError, match="layered needs"):
        build_pool("layered", plain)
