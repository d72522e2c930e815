"""Damaged presets: each is refused in one line, before memory is taken and whichever library reads the weights."""

import json
import shutil
import struct

import h5py
import numpy as np
import pytest

from defocus_edge.networks.preset_files import (
    CONFIG_FILE,
    METADATA_FILE,
    WEIGHTS_FILE,
    PresetError,
    compute_sha256,
    read_config,
    read_metadata,
)
from defocus_edge.networks.presets import load_edge_networks, load_edge_weights, load_segmentation_preset

FIRST_KERNEL = "layers/conv2d/vars/0"
LOADERS = [load_edge_weights, load_edge_networks, load_segmentation_preset]


@pytest.fixture(params=LOADERS, ids=lambda load: load.__name__)
def load(request, small_preset, segmentation_presets, tmp_path):
    """A loader with a preset in `tmp_path` / "preset" that a test may damage."""
    whole = segmentation_presets / "msdu" if request.param is load_segmentation_preset else small_preset
    shutil.copytree(whole, tmp_path / "preset")
    return request.param


@pytest.fixture
def edge_preset(small_preset, tmp_path):
    return shutil.copytree(small_preset, tmp_path / "preset")


def sign_again(folder):
    (folder / METADATA_FILE).write_text(json.dumps({"sha256": compute_sha256(folder / WEIGHTS_FILE)}), encoding="utf-8")


def refuse(load, folder, complaint):
    with pytest.raises(PresetError, match=complaint) as caught:
        load(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("load_edge", [load_edge_weights, load_edge_networks])
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"input_mean": "x"}, r"input_mean must be a number up to 4096\. Got: 'x'\."),
        ({"input_mean": float("nan")}, r"input_mean must be a number up to 4096\. Got: nan\."),
        ({"input_gain": 10**400}, r"input_gain must be a number up to 4096\. Got: 10+…\."),
        ({"depth_threshold": None}, r"depth_threshold must be a number up to 4096\. Got: None\."),
        ({"depth_threshold": float("nan")}, r"depth_threshold must be a number"),
        ({"filters": 4.5}, r"filters must be a whole number up to 4096\. Got: 4\.5\."),
        ({"filters": True}, r"filters must be a whole number up to 4096\. Got: True\."),
        ({"filters": 10**9}, r"filters must be a whole number up to 4096\. Got: 1000000000\."),
        (
            {"filters": 4096},
            r"b1_conv1 must have weights of the shapes \[\(3, 3, 3, 4096\)\]\. Got: \[\(3, 3, 3, 4\)\]",
        ),
        (
            {"dense_units": [8, "6"]},
            r"dense_units must be a list of up to 16 whole numbers up to 4096\. Got: \[8, '6'\]",
        ),
        ({"dense_units": [1] * 3000}, r"dense_units must be a list of up to 16 whole numbers"),
        ({"branch_sides": [[41]]}, r"branch_sides must be a list"),
        ({"head_normalization": "no"}, r"head_normalization must be true or false\. Got: 'no'"),
        ({"context": 3}, r"context must be a text or null\. Got: 3"),
        ({"a\nb" * 1000: 1}, r"its options must be of filters, .*\. Got: 'a\\nba"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_values_of_a_configuration_are_named(load_edge, change, complaint, edge_preset):
    path = edge_preset / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    refuse(load_edge, edge_preset, complaint)


@pytest.mark.parametrize("name", [CONFIG_FILE, METADATA_FILE])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[" * 200_000, "recursion"),
        ('{"network":' * 50_000, "recursion"),
        ('{"network": "edge", "filters": ' + "9" * 5000 + "}", "Exceeds the limit"),
        (" " * 2**21, "at most 1048576 bytes"),
    ],
    ids=["lists", "objects", "digits", "long"],
)
def test_json_that_asks_for_too_much_is_refused(load, name, content, complaint, tmp_path):
    (tmp_path / "preset" / name).write_text(content, encoding="utf-8")
    refuse(load, tmp_path / "preset", rf"{name} is not a JSON file: .*{complaint}")


def test_long_contents_are_quoted_in_part(edge_preset):
    (edge_preset / METADATA_FILE).write_text(json.dumps({"sha256": "\ud800\n" * 9999}), encoding="utf-8")
    refuse(load_edge_weights, edge_preset, r"SHA-256 must be \\ud800 .*…\. Got: [0-9a-f]{64}\.")
    (edge_preset / CONFIG_FILE).write_text(json.dumps({"network": ["x" * 9999]}), encoding="utf-8")
    refuse(
        lambda folder: read_config(folder / CONFIG_FILE),
        edge_preset,
        r"must be a JSON object that names its network\. Got: \{'network': \['xx.*…\.",
    )


def test_a_folder_in_place_of_a_file_is_named(edge_preset):
    (edge_preset / METADATA_FILE).unlink()
    (edge_preset / METADATA_FILE).mkdir()
    refuse(read_metadata, edge_preset, r"metadata\.json is not a JSON file: .*Is a directory")


def replace_kernel(make):
    """Change of a weights file: another thing in place of the first kernel."""

    def change(file, folder):
        values = file[FIRST_KERNEL][()]
        del file[FIRST_KERNEL]
        make(file, folder, values)

    change.__name__ = make.__name__
    return change


def soft_link(file, _, values):
    file["other"] = values
    file[FIRST_KERNEL] = h5py.SoftLink("/other")


def dangling_link(file, *_):
    file[FIRST_KERNEL] = h5py.SoftLink("/nowhere")


def external_link(file, folder, values):
    with h5py.File(folder / "other.h5", "w") as other:
        other["values"] = values
    file[FIRST_KERNEL] = h5py.ExternalLink(str(folder / "other.h5"), "values")


def external_data(file, folder, values):
    (folder / "raw").write_bytes(values.tobytes())
    place = [(str(folder / "raw"), 0, values.nbytes)]
    file.create_dataset(FIRST_KERNEL, values.shape, values.dtype, external=place)


def virtual_data(file, _, values):
    file.create_virtual_dataset(FIRST_KERNEL, h5py.VirtualLayout(values.shape, "f4"), fillvalue=1)


def bomb(file, *_):
    file.create_dataset(FIRST_KERNEL, (1_000_000, 5000), "f4", chunks=(1000, 1000), compression="gzip")


def unwritten_data(file, *_):
    file.create_dataset(FIRST_KERNEL, (1_000_000, 5000), "f4")


def text(file, *_):
    file[FIRST_KERNEL] = "text"


def complex_numbers(file, _, values):
    file[FIRST_KERNEL] = values.astype(np.complex64)


def group(file, *_):
    file.create_group(FIRST_KERNEL)


def nan(file, _, values):
    values.flat[-1] = np.nan
    file[FIRST_KERNEL] = values


def too_large(file, _, values):
    file[FIRST_KERNEL] = np.full(values.shape, 1e300)


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras, before it gives up
@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        *(
            (make, r"vars/0 must be in the file itself\. Got: a link")
            for make in (soft_link, dangling_link, external_link)
        ),
        *((make, r"vars/0 must lie whole and") for make in (external_data, virtual_data, bomb, unwritten_data)),
        *((make, r"vars/0 must hold numbers\. Got: ") for make in (text, complex_numbers)),
        *((make, r"vars/0 must be finite as float32\. Got: NaN or infinite") for make in (nan, too_large)),
        (group, r"Accessing a group|expected Dataset, received"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_weights_that_are_not_plain_arrays_are_refused(load, make, complaint, tmp_path):
    folder = tmp_path / "preset"
    with h5py.File(folder / WEIGHTS_FILE, "a") as file:
        replace_kernel(make)(file, tmp_path)
    sign_again(folder)
    refuse(load, folder, rf"model\.weights\.h5 cannot be loaded into the networks of .*({complaint})")


@pytest.mark.parametrize(("place", "value"), [(-8, 0), (-8, 3202), (-8, 1 << 60), (8, 1 << 40), (24, 0)])
def test_heaps_of_texts_that_are_not_filled_are_refused(edge_preset, place, value):
    """HDF5 would look for the next text for ever. Before its end, or behind its beginning, a size is changed."""
    path = edge_preset / WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    start = data.index(b"GCOL\x01")
    (length,) = struct.unpack_from("<Q", data, start + 8)
    end = start + length
    free = next(
        at for at in range(start, end, 8) if at + struct.unpack_from("<HHIQ", data, at)[3] == end and not data[at]
    )
    struct.pack_into("<Q", data, free + 8 if place < 0 else start + place, value)
    path.write_bytes(data)
    sign_again(edge_preset)
    refuse(load_edge_weights, edge_preset, r"a heap of texts at byte \d+ that its objects do not fill")


def test_texts_longer_than_the_file_are_refused(edge_preset):
    """HDF5 would take as much memory as the length says, before it looks for the text."""
    path = edge_preset / WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    # Behind the name of the attribute are its type, 24 bytes, and its shape, 8 bytes.
    struct.pack_into("<I", data, data.index(b"name\0\0\0\0") + 8 + 24 + 8, 1 << 30)
    path.write_bytes(data)
    sign_again(edge_preset)
    refuse(load_edge_weights, edge_preset, r"an attribute at byte \d+ of 1073741824 bytes, more than the file has")


def test_weights_with_other_names_are_refused(edge_preset):
    with h5py.File(edge_preset / WEIGHTS_FILE, "a") as file:
        file.move(FIRST_KERNEL, "layers/conv2d/vars/x")
    sign_again(edge_preset)
    refuse(load_edge_weights, edge_preset, r"the file is damaged\. Got: invalid literal for int\(\)")


def test_weights_with_circles_of_hard_links_are_loaded(edge_preset):
    with h5py.File(edge_preset / WEIGHTS_FILE, "a") as file:
        file["layers/again"] = file["layers"]
    sign_again(edge_preset)
    assert load_edge_weights(edge_preset).arrays.keys() >= {"b1_conv1", "blur_head_dense1"}


def test_damaged_weights_never_reach_the_library_that_parses_them(load, rng, tmp_path, monkeypatch):
    """HDF5 itself may crash at damage; the checksum keeps such a file from it."""
    monkeypatch.setattr(h5py, "File", None)
    path = tmp_path / "preset" / WEIGHTS_FILE
    whole = path.read_bytes()
    for _ in range(50):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        refuse(load, tmp_path / "preset", r"SHA-256 must be ")
