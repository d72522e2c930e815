"""Scenes in a folder: rendered once, rendered again where a file is missing or damaged."""

import numpy as np
import pytest

from training.data.development import DevelopmentScene
from training.data.scene_store import SceneStore, find_version


@pytest.fixture
def scene(rng):
    image = np.rint(rng.random((20, 30, 3)) * 255).astype(np.float32) / np.float32(255)
    label = rng.integers(-1, 2, (20, 30)).astype(np.int8)
    return DevelopmentScene("one", "uniform", image, rng.random((20, 30)).astype(np.float32), label)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:40] + b"x" + data[41:], lambda _: b""])
def test_scenes_are_rendered_once_and_where_they_are_damaged(tmp_path, scene, damage):
    rendered = []

    def render():
        rendered.append(1)
        return scene

    for _ in range(2):
        found = SceneStore(tmp_path, "v1").load("one", render)
        assert (found.name, found.family) == ("one", "uniform")
        np.testing.assert_array_equal(found.image, scene.image)
        np.testing.assert_array_equal(found.radius, scene.radius)
        np.testing.assert_array_equal(found.edge_label, scene.edge_label)
    assert len(rendered) == 1
    (path,) = tmp_path.glob("v1/*")
    path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_array_equal(SceneStore(tmp_path, "v1").load("one", render).radius, scene.radius)
    assert len(rendered) == 2
    SceneStore(tmp_path, "v2").load("one", render)
    assert len(rendered) == 3


def test_version_changes_with_the_files_and_the_rendering(tmp_path):
    (tmp_path / "sharp").mkdir()
    (tmp_path / "sharp" / "a.png").write_bytes(b"12")
    (tmp_path / "other").write_bytes(b"1")
    versions = [find_version(tmp_path, ("sharp", "alpha"), number) for number in (1, 1, 2)]
    (tmp_path / "other").write_bytes(b"12")
    versions.append(find_version(tmp_path, ("sharp",), 1))
    (tmp_path / "sharp" / "a.png").write_bytes(b"123")
    versions.append(find_version(tmp_path, ("sharp",), 1))
    assert versions[0] == versions[1] == versions[3]
    assert len(set(versions)) == 3
