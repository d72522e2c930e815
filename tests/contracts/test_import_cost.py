"""Importing the package, asking for help and mistyping an option load none of the heavy libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "numba", "matplotlib", "cv2", "skimage", "scipy", "ray", "pyarrow")
REPORT = f"import sys; sys.stdout.write('loaded:' + ','.join(set(sys.modules) & set({HEAVY!r})))"


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}", *arguments], capture_output=True, text=True, check=True
    )


def test_importing_the_package_loads_nothing_heavy():
    assert run_python("import defocus_edge; dir(defocus_edge)").stdout == "loaded:"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["estimate", "--help"],
        ["mask", "--help"],
        ["deblur", "--help"],
        ["batch", "--help"],
        ["--version"],
        ["estimate"],
        ["estimate", "photo.jpg", "--no-such-option"],
        ["estimate", "photo.jpg", "--depth-penalty", "-1"],
        ["estimate", "photo.jpg", "--preset", "no-such-preset"],
        ["mask", "photo.jpg", "--alpha", "0.3", "--radius", "2"],
        ["deblur", "photo.jpg", "--map", "map.tif", "--preset", "edge-v1"],
        ["deblur", "photo.jpg", "--preset", "no-such-preset"],
        ["batch", "no-such-folder", "maps"],
        ["batch", "photos", "maps", "--num-gpus", "1"],
        ["rank", "--help"],
        ["rank", "no-such-folder"],
        ["export", "--help"],
        ["export", "edge-v1", "--onnx", "file.txt"],
        ["export", "no-such-preset", "--onnx", "file.onnx"],
        ["export", "msdu-v1", "--onnx", "file.onnx", "--patches"],
    ],
    ids=" ".join,
)
def test_help_version_and_usage_errors_load_nothing_heavy(arguments):
    result = run_python("import sys; from defocus_edge.cli.app import main; main(sys.argv[1:])", *arguments)
    assert result.stdout.endswith("loaded:")


def test_the_maths_of_deconvolution_loads_no_file_decoders():
    code = "import sys, defocus_edge.sharpening.deconvolution; print(*sys.modules)"
    loaded = run_python(code).stdout.split()
    assert "scipy.fft" in loaded
    assert not [name for name in loaded if name.startswith(("defocus_edge.files", "tifffile", "PIL"))]


def test_paths_are_checked_before_anything_heavy_but_opencv(tmp_path):
    """The preset need not be sound for that: only its metadata is read."""
    for name in ("config.json", "metadata.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "empty.jpg").touch()
    code = "import sys; from defocus_edge.cli.app import main; assert main(sys.argv[1:]) == 1"
    sources = [str(tmp_path / name) for name in ("missing.jpg", "empty.jpg")]
    result = run_python(code, "estimate", *sources, "--preset", str(tmp_path))
    assert "missing.jpg" in result.stderr
    assert "empty.jpg" in result.stderr
    assert set(result.stdout.removeprefix("loaded:").split(",")) <= {"cv2"}
