"""Digests of what the project computes, to show that moving code about changes no result.

In the root of each of two checkouts, with the same Python on the same machine, ``python snapshot.py --root PICTURES
--out FILE.json``; then ``python snapshot.py --compare A.json B.json``. The packages of the current folder are run,
whatever is installed, and of them only what users see: ``defocus_edge.__all__`` and the commands. ``cases`` must not
differ by one byte; ``texts``, the help pages, may differ on purpose. Digests are SHA-256; rows of CSV files, such as
losses, stay as they are. Files name the version that wrote them, so that a new one changes digests.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage import data, io

SKIPPED = "JSON keys of seconds or hours, CSV columns of seconds; tensorboard/; paths, which are read as WORK and ROOT"
_TIME = re.compile(r'"\w*(seconds|hours)\w*": [^,}\n]+')
# One processor, one width of help pages. The order of sums may still depend on the number of cores.
_VARIABLES = "CUDA_VISIBLE_DEVICES=-1 TF_DETERMINISTIC_OPS=1 TF_CPP_MIN_LOG_LEVEL=2 KERAS_BACKEND=tensorflow"
_VARIABLES += " PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 COLUMNS=120 TERM=dumb NO_COLOR=1"
_ENVIRONMENT = dict(re.findall(r"(\S+)=(\S+)", _VARIABLES))
_PAPER: dict[str, Any] = {"read_out": "argmax", "propagation": "paper", "max_radius": 6}
# In float32: bfloat16 takes minutes on processors without such instructions.
_STEPS = {"steps": 20, "learning_rate": 2e-3, "schedule": "stable-decay", "warmup": 5, "precision": "float32"}
_FAMILIES = {"uniform": 0.4, "gradual": 0.2, "composite": 0.2, "depth": 0.2}
_STAGE = _STEPS | {"sampler": "dense", "crops": 4, "points": 48, "families": _FAMILIES, "optimizer": "muon"}
_EDGES = {"filters": 32, "dense_units": [60, 30], "input_mean": 0.5, "input_gain": 4.0}
_GAN = {"batch": 4, "side": 96, "optimizer": "adam", "adversarial_weight": 0.001, "discriminator_width": 0.25}
_SHARED: dict[str, Any] = {"seed": 0, "checkpoint_seconds": 36_000}  # the clock must not decide what is scored
_TRAININGS = {
    "bnet": _SHARED | {"validation_crops": 16, "networks": _EDGES, "bnet": _STAGE, "enet": _STAGE},
    "maganet": _SHARED | {"network": {"width": 0.125, "normalization": "batch"}, "training": _STEPS | _GAN},
}
# A training gets some files of each of these folders.
_FOLDERS = ("sharp/bsds500", "sharp/urban100", "sharp/sunhays80", "sharp/mcmaster", "focus_masks", "objects", "rgbd")
_COMMANDS = {
    "defocus-edge": "estimate mask deblur batch export info",
    "synth": "uniform gradual steps composite layered check pick-sharp",
    "training": "bnet enet edges msdu defusion maganet example example-masks tables evaluate",
    "training evaluate": "edges robustness pairs range masks maps deblurring uniform-deblurring ablations",
}
_SECTIONS = ("maps", "masks", "sharpening", "files", "synth", "training", "cli", "texts")


@dataclass(frozen=True)
class Snapshot:
    """What the packages of a checkout compute of the pictures below a root; `work` is an empty folder."""

    library: Any
    checkout: Path
    root: Path
    work: Path

    def snap_maps(self) -> Iterator[tuple[str, Any]]:
        """All arrays of an estimate, with the default settings and with those of the paper."""
        for settings, options in (("default", {}), ("paper", _PAPER)):
            estimator = self.library.BlurEstimator(**options)
            for name, photo in self._load_photos().items():
                parts = vars(estimator.estimate(photo)).items()
                yield f"{name} {settings}", {key: digest(part) for key, part in parts if isinstance(part, np.ndarray)}

    def snap_masks(self) -> Iterator[tuple[str, Any]]:
        """Masks and probabilities of two photographs by each method."""
        for name in ("chelsea", "lytro-01-A"):
            for method in ("threshold", "msdu", "defusion", "maganet"):
                found = self.library.detect_blur(self._load_photos()[name], method=method)
                yield f"{name} {method}", {"mask": digest(found.mask), "probability": digest(found.probability)}

    def snap_sharpening(self) -> Iterator[tuple[str, Any]]:
        """A sharpened photograph, its noise, and a known blur undone."""
        library, photo = self.library, self._load_photos()["chelsea"]
        blur = library.estimate_blur(photo, max_radius=6)
        yield "noise", {"alone": repr(library.estimate_noise(photo)), "map": repr(library.estimate_noise(photo, blur))}
        array = library.deblur(photo / 255, blur.radius, map_error=0.5)
        yield "deblur", {"estimate": digest(library.deblur(photo, blur)), "array": digest(array)}
        yield "deconvolve", {"": digest(library.deconvolve(photo[..., 1] / 255, np.full((5, 5), 0.04), noise=0.01))}

    def snap_files(self) -> Iterator[tuple[str, Any]]:
        """Photographs and maps as they are read and written, and ONNX graphs."""
        library, ramp = self.library, np.linspace(0, 6, 1200).reshape(30, 40)
        yield "photo", {"": digest(library.read_image(self._load_photos()["lytro-01-A"]))}
        for path in (self.work / f"map{suffix}" for suffix in (".tif", ".npy", ".exr")):
            library.write_map(path, ramp, description={"source": "ramp"})
            yield path.name, {"file": self._digest_file(path), "read": digest(library.read_map(path))}
        for preset, form in (("edge-v1", ""), ("edge-v1", "-patches"), ("msdu-v1", "")):
            path = self.work / f"{preset}{form}.onnx"
            told = library.export_onnx(preset, path, patches=bool(form))
            yield path.name, {"file": self._digest_file(path), "told": told}

    def snap_synth(self) -> Iterator[tuple[str, Any]]:
        """All files of three samples of each family."""
        sharp = self.root / "sharp" / "bsds500"
        calls: dict[str, list[Any]] = {
            "uniform": [sharp],
            "gradual": [sharp, "--psf", "polygon", "--jpeg-share", "1", "--rotations", "0,30"],
            "steps": [sharp, "--psf", "gaussian", "--workers", "2"],
            "composite": [sharp, self.root / "objects", "--shapes", self.root / "focus_masks"],
            "layered": [self.root / "rgbd"],
        }
        for family, call in calls.items():
            self._run("synth", family, "--sources", *call, "--out", self.work / family, "--count", "3", "--seed", "0")
            yield family, self._digest_folder(self.work / family)

    def snap_training(self) -> Iterator[tuple[str, Any]]:
        """Losses, weights and scores of 20 steps on a few pictures."""
        root = self.work / "pictures"
        for folder in _FOLDERS:
            (root / folder).mkdir(parents=True)
            for path in sorted((self.root / folder).iterdir())[:24]:
                shutil.copy(path, root / folder)
        for command, settings in _TRAININGS.items():
            config, out = self.work / f"{command}.toml", self.work / f"run-{command}"
            text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
            config.write_text(text.replace('": ', '" = '), encoding="utf-8")  # a JSON object as an inline table of TOML
            self._run("training", command, "--root", root, "--config", config, "--out", out)
            yield command, self._digest_folder(out)

    def snap_cli(self) -> Iterator[tuple[str, Any]]:
        """Files and JSON documents of the commands, for PNG files without EXIF."""
        folder, out, photos = self.work / "photos", self.work / "out", self._load_photos()
        (folder / "below").mkdir(parents=True)
        for name, top in (("chelsea", 60), ("coffee", 200), ("astronaut", 40), ("below/astronaut", 200)):
            io.imsave(folder / f"{name}.png", photos[Path(name).name][top:][:128, 90:250])
        calls: dict[str, list[Any]] = {
            "estimate": ["--overlay", "--edges", "--npy"],
            "mask": [],
            "mask --method maganet": ["--probability"],
            "mask --radius 1.5": ["--from-map", out / "estimate" / "chelsea_blur.tif"],
            "deblur": ["--propagation", "paper"],
        }
        for name, options in calls.items():
            call = [*name.split(), *options, folder / "chelsea.png", "--out", out / name, "--json"]
            (self.work / "told.json").write_text(self._run("defocus-edge", *call), encoding="utf-8")
            yield name, {"json": self._digest_file(self.work / "told.json"), **self._digest_folder(out / name)}
        self._run("defocus-edge", "batch", folder, out / "batch", "--preview")
        yield "batch", self._digest_folder(out / "batch")

    def snap_texts(self) -> Iterator[tuple[str, Any]]:
        """All help pages."""
        for program, commands in _COMMANDS.items():
            for name in (program, *(f"{program} {command}" for command in commands.split())):
                text = self._run(*name.split(), "--help")
                yield name, {"digest": digest(text.encode()), "text": text.splitlines()}

    def _load_photos(self) -> dict[str, Any]:
        photos = {name: getattr(data, name)() for name in ("chelsea", "coffee", "astronaut")}
        return photos | {name: self.root / f"real/lytro_pairs/{name}.jpg" for name in ("lytro-01-A", "lytro-02-B")}

    def _run(self, program: str, *arguments: Any) -> str:
        """Standard output of a program of the checkout; end if it fails."""
        start = ["-m", program]
        if program == "defocus-edge":  # the installed script may be that of another checkout
            found = re.findall(r"defocus-edge = (\S+):(\w+)", (self.checkout / "setup.cfg").read_text(encoding="utf-8"))
            start = ["-c", "import sys\nfrom {} import {} as main\nsys.exit(main())".format(*found[0])]
        command = [sys.executable, *start, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.checkout, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command} must end with 0. Got: {done.returncode}, {done.stderr[-2000:]}")
        return done.stdout

    def _digest_folder(self, folder: Path) -> dict[str, Any]:
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and "tensorboard" not in path.parts)
        return {path.relative_to(folder).as_posix(): self._digest_file(path) for path in paths}

    def _digest_file(self, path: Path) -> Any:
        """Digest of a file without times and places; the rows of a CSV file."""
        if path.suffix not in (".json", ".jsonl", ".csv"):
            return digest(path.read_bytes())
        text = path.read_text(encoding="utf-8").replace(str(self.work), "WORK").replace(str(self.root), "ROOT")
        if path.suffix == ".csv":
            rows = csv.DictReader(text.splitlines())
            return [{key: value for key, value in row.items() if "second" not in key} for row in rows]
        return digest(_TIME.sub("", text).encode())


def digest(content: Any) -> str:
    """SHA-256 of bytes; dtype, shape and SHA-256 of an array."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return f"{content.dtype} {content.shape} {digest(np.ascontiguousarray(content).tobytes())}"


def take_snapshot(root: Path, out: Path, sections: list[str], work: Path) -> None:
    """Run sections and write what came of them, after each."""
    checkout = Path.cwd().resolve()
    sys.path.insert(0, str(checkout))
    os.environ.update(_ENVIRONMENT, PYTHONPATH=str(checkout), NUMBA_CACHE_DIR=str(work / "numba"))
    places = [str(importlib.import_module(name).__file__) for name in ("defocus_edge", "synth", "training")]
    if not all(Path(place).is_relative_to(checkout) for place in places):
        raise SystemExit(f"The packages of the current folder must be run. Got: {places}. Go to a checkout's root.")
    about = {"places": places, "python": sys.version, "cores": os.cpu_count()}
    document: dict[str, Any] = {"about": about, "skipped": SKIPPED, "seconds": {}, "cases": {}, "texts": {}}
    snapshot = Snapshot(sys.modules["defocus_edge"], checkout, root.resolve(), work.resolve())
    for section in sections:
        started, group = time.monotonic(), document["texts" if section == "texts" else "cases"]
        group.update((f"{section}: {case}", parts) for case, parts in getattr(snapshot, f"snap_{section}")())
        document["seconds"][section] = round(time.monotonic() - started)
        sys.stderr.write(f"{places[0]}: {section}, {document['seconds'][section]} s\n")
        out.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def compare_snapshots(first: Path, second: Path) -> int:
    """Print what differs; 1 if a case does, or is in one file only."""
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in (first, second))
    for group in ("texts", "cases"):
        differing = [name for name in {**one[group], **other[group]} if one[group].get(name) != other[group].get(name)]
        for name in differing:
            here, there = (document[group].get(name, {}) for document in (one, other))
            parts = [part for part in {**here, **there} if here.get(part) != there.get(part)]
            sys.stdout.write(f"{name}: {', '.join(parts) if here and there else 'in one file only'}\n")
        sys.stdout.write(f"{len(differing)} of {len(one[group])} {group} differ.\n")
    return int(bool(differing) or not one["cases"])


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--root", type=Path, help="folder of the pictures")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--only", nargs="+", choices=_SECTIONS, default=_SECTIONS, help="sections; all unless given")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A.json", "B.json"))
    given = parser.parse_args()
    if given.compare:
        return compare_snapshots(*given.compare)
    if not (given.root and given.out):
        parser.error("give --root and --out, or --compare")
    with tempfile.TemporaryDirectory() as work:
        take_snapshot(given.root, given.out, given.only, Path(work).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
