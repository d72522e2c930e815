"""What the README and the documentation say runs, and what they point to exists."""

import configparser
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.main import get_command

import defocus_edge
from defocus_edge.cli.app import app
from synth.__main__ import _repeat_folders
from synth.__main__ import app as synth_app
from tests.conftest import write_png
from training.__main__ import app as training_app

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]
TEXTS = {str(page.relative_to(REPOSITORY)): page.read_text(encoding="utf-8") for page in PAGES}
# Its commands need the files that it describes: a test of its own runs them.
NEW_NETWORK = "docs/how-to/new-network.md"
# Lines of these commands are parsed with the options that the commands have.
PROGRAMS = {"defocus-edge": app, "python -m synth": synth_app, "python -m training": training_app}


def read_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def read_lines(program):
    """Lines of shell blocks that call a program, without comments, environment variables and the program."""
    texts = [text for page, text in TEXTS.items() if page != NEW_NETWORK]
    lines = [line for text in texts for block in read_blocks(text, "sh") for line in block.splitlines()]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S+", words[0]):
            words.pop(0)
        start = program.split()
        if words[: len(start)] == start:
            found.append(words[len(start) :])
    return found


def check_readme(names):
    assert "(300, 451)" in names["printed"]
    assert Path("chelsea_blur.tif").is_file()
    assert names["blurred"].dtype == bool


def check_masks(names):
    assert names["mask"].shape == names["found"].mask.shape == names["photo"].shape[:2]
    assert "float32" in names["printed"]
    assert (cv2.imread("mask.png", cv2.IMREAD_UNCHANGED) == 255 * names["found"].mask).all()
    assert Path("sharp_only.png").is_file()


def check_deblurring(names):
    assert names["sharper"].shape == names["photo"].shape
    assert (names["sharper"] != names["photo"]).any()


def check_tutorial(names):
    assert names["decision"] == "keep"
    assert 0 < names["blurred"].mean() < 1
    assert names["summary"].sharpest_radius < names["summary"].p95_radius
    assert (names["sharper"] != names["photo"]).any()
    assert (names["again"] == names["estimate"].radius).all()


def check_settings(names):
    assert len(names["estimate"].points) == np.count_nonzero(names["edges"])


def check_stacks(names):
    assert int(np.argmin(names["medians"])) == names["focus"].index(0)
    assert names["medians"][0] > names["medians"][2] > names["medians"][4]


def check_new_network(names):
    assert names["NETWORK"].title == "Plain"


CHECKS = {
    "README.md": check_readme,
    "docs/tutorial.md": check_tutorial,
    "docs/how-to/masks.md": check_masks,
    "docs/how-to/deblurring.md": check_deblurring,
    "docs/how-to/settings.md": check_settings,
    "docs/how-to/stacks.md": check_stacks,
    NEW_NETWORK: check_new_network,
}


def test_each_page_with_python_has_a_check():
    assert {name for name, text in TEXTS.items() if read_blocks(text, "python")} == set(CHECKS)


@pytest.mark.parametrize("page", CHECKS)
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    """The blocks of a page run in their order and share their names, as for somebody who types them."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in read_blocks(TEXTS[page], "python"):
        exec(compile(code, page, "exec"), names)
    CHECKS[page](names | {"printed": capsys.readouterr().out})


def test_a_network_is_added_by_the_how_to_page_alone(tmp_path, rng):
    """Its two files are written into a copy of the house, and its commands run there."""
    house, photos = tmp_path / "house", tmp_path / "photos"
    for package in ("defocus_edge", "training", "synth"):
        shutil.copytree(REPOSITORY / package, house / package, ignore=shutil.ignore_patterns("*.h5", "__pycache__"))
    (network,), (configuration,) = (read_blocks(TEXTS[NEW_NETWORK], language) for language in ("python", "toml"))
    named = re.findall(r"^`(\S+/\S+)`", TEXTS[NEW_NETWORK], flags=re.MULTILINE)
    files = dict(zip(named[:2], (network, configuration), strict=True))
    assert [Path(file).suffix for file in files] == [".py", ".toml"]
    assert sum(len(text.splitlines()) for text in files.values()) < 120
    for file, text in files.items():
        (house / file).parent.mkdir(exist_ok=True)
        (house / file).write_text(text.replace("side = 192", "side = 32"), encoding="utf-8")
    for number in range(11):
        mask = (rng.random((5, 5)) > 0.5).astype(np.uint8).repeat(20, axis=0).repeat(20, axis=1) * 255
        for folder, pixels in (("image", np.dstack([mask // 2 + 60] * 3)), ("gt", mask)):
            write_png(photos / folder / f"{number:02}.png", pixels)
    train, _, mask = read_blocks(TEXTS[NEW_NETWORK], "sh")[0].splitlines()
    train = train.replace("PICTURES --dataset mixed", f"{photos} --dataset pairs") + " --steps 2"
    mask = mask.replace("photo.jpg", str(photos / "image" / "00.png"))
    # Both in one process, which loads TensorFlow once.
    words = [shlex.split(train)[3:], shlex.split(mask)[1:]]
    program = f"from training.__main__ import app as train\ntrain({words[0]}, standalone_mode=False)\n"
    program += f"from defocus_edge.cli.app import app as mask\nmask({words[1]})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=house, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (photos / "image" / "00_mask.png").is_file()


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_pictures_exist(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXTS[page])
    paths = [target for target in targets if not target.startswith("https://")]
    assert [path for path in paths if not ((REPOSITORY / page).parent / path).is_file()] == []


def test_tests_that_promises_name_exist():
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXTS["docs/reliability.md"])
    files = {path.name: path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py")}
    assert len(named) > 30
    assert [f"{file}::{test}" for file, test in named if f"\ndef {test}(" not in files[file]] == []


def test_the_readme_shows_pictures():
    assert re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXTS["README.md"])


@pytest.mark.parametrize("program", PROGRAMS)
def test_commands_are_understood(program):
    """Commands and options that do not exist raise; nothing is run."""
    lines = read_lines(program)
    assert lines
    for words in map(_repeat_folders, lines) if program == "python -m synth" else lines:
        command = get_command(PROGRAMS[program])
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = command.make_context(command.name, words).params
        if program == "python -m training" and "config" in options:
            own = REPOSITORY / "training" / "configs" / command.name
            assert options["config"] in {path.stem for path in (own if own.is_dir() else own.parent).glob("*.toml")}


def test_extras_exist():
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    named = {extra for text in TEXTS.values() for extra in re.findall(r"pip install '\.\[(\w+)\]'", text)}
    assert named
    assert named <= set(config["options.extras_require"])


def test_make_targets_exist():
    targets = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {words[0] for words in read_lines("make")}
    named |= {target for text in TEXTS.values() for target in re.findall(r"`make (\w+)`", text)}
    assert {"demo", "test", "docs", "tables"} <= named <= set(targets)


def test_the_reference_has_all_public_names():
    text = TEXTS["docs/reference/python.md"]
    documented = re.findall(r"^\.\. auto\w+:: (\w+)$", text, flags=re.MULTILINE)
    assert sorted([*documented, "__version__"]) == sorted(defocus_edge.__all__)
    qualified = re.findall(r"^\.\. auto\w+:: (defocus_edge\.[\w.]+)\.(\w+)$", text, flags=re.MULTILINE)
    assert all(hasattr(importlib.import_module(module), name) for module, name in qualified)


def test_each_page_is_in_the_table_of_contents():
    listed = {
        f"docs/{line}.md"
        for block in read_blocks(TEXTS["docs/index.md"], r"\{toctree\}")
        for line in block.splitlines()
        if line and not line.startswith(":")
    }
    assert listed == {name for name in TEXTS if name.startswith("docs/")} - {"docs/index.md"}


def test_the_script_of_the_pictures_draws(tmp_path, monkeypatch):
    """The one that needs no estimate; the others are drawn by hand, since they take a minute."""
    monkeypatch.syspath_prepend(DOCS)
    figures = importlib.import_module("figures")
    figures.draw_dense(tmp_path)
    assert cv2.imread(str(tmp_path / "dense.png")) is not None
    assert Path(sys.modules["figures"].PICTURES, "dense.png").is_file()
