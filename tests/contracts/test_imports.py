"""Which module may import which: read from the syntax trees, so that nothing is loaded and nothing is missed."""

import ast
import fnmatch
import graphlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("defocus_edge", "synth", "training")
# What each room of a package may import of the package; a room is a folder or a module of its top.
# `test_the_floors_are_floors` checks that the arrows have an order.
GROUND = {"choices", "blur_levels", "psf", "arrays", "thresholds", "summary_table"}
GROUND |= {"_ahead", "_compiling", "_extras", "_progress", "_quiet", "_version"}
ROOMS = {
    "defocus_edge": {
        "_version": set(),
        "_ahead": set(),
        "_compiling": set(),
        "_extras": set(),
        "_progress": set(),
        "_quiet": set(),
        "choices": set(),
        "blur_levels": {"choices"},
        "psf": {"blur_levels"},
        "arrays": {"choices"},
        "thresholds": set(),
        "summary_table": {"thresholds"},
        "metrics": set(),
        "files": GROUND,
        "propagation": GROUND,
        "networks": {*GROUND, "files"},
        "estimation": {*GROUND, "networks", "propagation"},
        "sharpening": {*GROUND, "estimation"},
        "plots": GROUND,
        "pipeline": {*GROUND, "files", "networks", "propagation", "estimation"},
        "methods": {*GROUND, "networks"},
        "radius_networks": {*GROUND, "files", "networks"},
        "masks": {*GROUND, "files", "propagation", "networks", "pipeline", "methods", "radius_networks"},
        "culling": {*GROUND, "files"},
        "web": {
            *(*GROUND, "files", "propagation", "networks", "estimation", "sharpening", "plots", "pipeline"),
            "masks",
        },
        "napari_plugin": {*GROUND, "networks", "propagation", "plots", "pipeline", "masks"},
        "cli": {
            *(*GROUND, "files", "propagation", "networks", "estimation", "sharpening", "plots", "pipeline"),
            *("methods", "masks", "culling", "web"),
        },
        "__main__": {"cli"},
    },
    "training": {
        "data": set(),
        "runs": {"data"},
        "baselines": set(),
        "edges": {"data", "runs"},
        "masks": {"data", "runs"},
        "context": {"data", "runs"},
        "distillation": {"data", "runs", "context", "edges"},
        "evaluation": {"data", "runs", "baselines", "masks"},
        "patch_networks": {"data", "runs", "baselines", "edges", "masks"},
        "commands": {
            *("data", "runs", "edges", "masks", "context", "distillation", "evaluation", "baselines"),
            "patch_networks",
        },
        "__main__": {"commands"},
    },
}
SYNTH_MAY_IMPORT = {
    f"defocus_edge.{room}" for room in ("_progress", "arrays", "blur_levels", "choices", "files", "psf")
}
HEAVY = {"tensorflow", "jax", "torch"}
# The public names are loaded from all floors, lazily; `test_import_cost.py` checks that.
ROOT = "defocus_edge"


def name_module(path):
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_module(path): path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))}


def find_imports(tree, module, *, top_level_only=False):
    """Dotted names that a module imports, anywhere or outside functions and `if TYPE_CHECKING`."""
    for node in walk(tree, top_level_only=top_level_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            # `from package import name`: the name may be a module.
            yield from (name if (name := f"{base}.{alias.name}") in MODULES else base for alias in node.names)


def walk(node, *, top_level_only):
    for child in ast.iter_child_nodes(node):
        if top_level_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if top_level_only and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from walk(child, top_level_only=top_level_only)


def read_imports(module, *, top_level_only=False):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return sorted(set(find_imports(tree, module, top_level_only=top_level_only)))


def find_room(module):
    """The room of a module: the second part of its name."""
    return module.split(".")[1]


def is_in(module, package):
    return module == package or module.startswith(f"{package}.")


LIBRARY = [module for module in MODULES if is_in(module, ROOT) and module != ROOT]


def test_modules_are_found():
    assert {"defocus_edge.pipeline", "defocus_edge.networks.edge.dense", "synth.scenes", "training.edges.crops"} <= set(
        MODULES
    )
    assert "defocus_edge.networks.edge.dense" in read_imports("defocus_edge.pipeline")


def test_relative_imports_are_understood():
    tree = ast.parse("from .. import presets\nfrom ...propagation import propagate\nfrom ...psf import disk_kernel\n")
    assert list(find_imports(tree, "defocus_edge.networks.edge.dense")) == [
        "defocus_edge.networks.presets",
        "defocus_edge.propagation.propagate",
        "defocus_edge.psf",
    ]


@pytest.mark.parametrize("package", ROOMS)
def test_the_rooms_are_those_of_the_house(package):
    found = {find_room(module) for module in MODULES if module.startswith(f"{package}.")}
    assert found == set(ROOMS[package])


@pytest.mark.parametrize("package", ROOMS)
def test_the_floors_are_floors(package):
    graphlib.TopologicalSorter(ROOMS[package]).prepare()  # raises CycleError


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module and module.split(".")[0] in ROOMS])
def test_each_room_imports_only_what_it_may(module):
    package, room = module.split(".")[:2]
    imported = [name for name in read_imports(module) if is_in(name, package)]
    # The root of the library hands out names of all rooms, lazily.
    assert package not in imported
    assert {find_room(name) for name in imported} - {room} <= ROOMS[package][room]


@pytest.mark.parametrize("module", [module for module in MODULES if is_in(module, ROOT)])
def test_the_library_imports_neither_synth_nor_training(module):
    assert not [name for name in read_imports(module) if is_in(name, "synth") or is_in(name, "training")]


@pytest.mark.parametrize("module", [module for module in MODULES if is_in(module, "synth")])
def test_synth_imports_little_of_the_library(module):
    own = [name for name in read_imports(module) if name.split(".")[0] in PACKAGES and not is_in(name, "synth")]
    assert {".".join(name.split(".")[:2]) for name in own} <= SYNTH_MAY_IMPORT


def test_no_cycles():
    graph = {module: {name for name in read_imports(module) if name in MODULES} - {module} for module in LIBRARY}
    graph |= {module: set(read_imports(module)) & set(MODULES) for module in MODULES if not is_in(module, ROOT)}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", list(MODULES))
def test_no_module_loads_a_backend_when_imported(module):
    assert not [name for name in read_imports(module, top_level_only=True) if name.split(".")[0] in HEAVY]


# What opens a file of a picture or map; only `defocus_edge.files` may call it.
OPENERS = {
    *("cv2.imread", "cv2.imreadmulti", "cv2.imwrite", "cv2.imdecodeWithMetadata", "cv2.imencodeWithMetadata"),
    *("tifffile", "PIL", "rawpy", "OpenEXR", "imageio", "skimage.io", "matplotlib.image"),
    *("np.save", "np.fromfile", "np.lib.format", "EXR.load", "RAW.load"),
}


@pytest.mark.parametrize("module", [module for module in MODULES if not is_in(module, "defocus_edge.files")])
def test_nothing_else_opens_a_file_of_a_picture_or_map(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    called = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not [name for name in {*called, *read_imports(module)} if any(is_in(name, opener) for opener in OPENERS)]


def test_public_names_win_over_modules_in_any_order():
    """Importing a submodule binds its name in the package: none may have the name of something public."""
    import defocus_edge

    assert not {module.split(".")[1] for module in LIBRARY} & set(defocus_edge.__all__)
    code = (
        "from defocus_edge.sharpening import deblurring, deconvolution, noise\n"
        "from defocus_edge import deblur, deconvolve, estimate_noise\n"
        "import defocus_edge.cli.deblur\n"
        "print(*(type(thing).__name__ for thing in (deblur, deconvolve, estimate_noise, defocus_edge.deblur)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["function"] * 4


def test_pyproject_has_no_project_table():
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        assert "project" not in tomllib.load(file)


def test_top_level_folders_are_those_of_the_design():
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()
    folders = {
        path.name
        for path in REPOSITORY.iterdir()
        if path.is_dir()
        and not path.name.startswith(".")
        and not any(fnmatch.fnmatch(path.name, pattern.strip("/")) for pattern in ignored)
    }
    assert folders == {*PACKAGES, "docs", "tests"}
