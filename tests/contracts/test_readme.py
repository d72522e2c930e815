"""What the README says runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from defocus_edge.cli.app import app
from training.__main__ import app as training_app
from training.masks.choices import NETWORKS
from training.runs.config import list_configs

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def read_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("code", read_blocks("python"))
def test_python_blocks_run(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, str(README), "exec"), names)
    if "write_map" in code:
        assert "(300, 451)" in capsys.readouterr().out
        assert (tmp_path / "chelsea_blur.tif").is_file()
    elif "detect_blur" in code:
        assert names["mask"].shape == names["found"].mask.shape == names["photo"].shape[:2]
        assert "float32" in capsys.readouterr().out
    else:
        assert names["sharper"].shape == names["photo"].shape
        assert (names["sharper"] != names["photo"]).any()


def test_pictures_of_the_readme_exist():
    paths = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    assert paths
    assert all((README.parent / path).is_file() for path in paths)


def test_commands_of_the_readme_exist():
    lines = [line for block in read_blocks("sh") for line in block.splitlines() if line.startswith("defocus-edge")]
    assert lines
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert {shlex.split(line, comments=True)[1] for line in lines} <= known


def test_training_commands_of_the_readme_are_understood():
    """Options that do not exist raise; nothing is trained."""
    lines = [
        line for block in read_blocks("sh") for line in block.splitlines() if line.startswith("python -m training")
    ]
    assert lines
    for line in lines:
        command, words = get_command(training_app), shlex.split(line, comments=True)[3:]
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = command.make_context(command.name, words).params
        known = list_configs(command.name) if command.name in NETWORKS else list_configs()
        assert options.get("config", known[0]) in known
