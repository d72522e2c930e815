"""Fixtures that the tests of several commands share."""

from __future__ import annotations

import numpy as np
import pytest

from defocus_edge.cli.app import main
from defocus_edge.files.maps import write_map
from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH, make_preset, write_photo


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    return make_preset(tmp_path_factory.mktemp("preset"), [20.0, 0.0])


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "photo.png")


@pytest.fixture
def blur_map(tmp_path):
    """A map from 1 px at the left to 5 px at the right."""
    path = tmp_path / "photo_blur.tif"
    write_map(path, np.tile(np.linspace(1, 5, WIDTH, dtype=np.float32), (HEIGHT, 1)))
    return path


@pytest.fixture
def run(capsys, preset):
    """Run the command line with the small preset: exit code, stdout, lines on stderr."""

    def run_command(command, *arguments):
        code = main([command, *map(str, arguments), "--preset", str(preset)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return run_command
