"""Texts of HDF5 files are checked before HDF5 reads them."""

from __future__ import annotations

import struct

import h5py
import pytest

from defocus_edge.networks.hdf5_texts import check_texts

LONG_NAME, TEXT = "a name that is padded", "the text of an attribute"
#: Attributes of one group: enough of them that its header goes on elsewhere.
ATTRIBUTES = 12


@pytest.fixture
def written(tmp_path):
    """Bytes of a file with texts and numbers as attributes of a group, and the address of the group."""
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layer")
        group.attrs["name"] = TEXT
        group.attrs["shape"] = [3, 4]
        group.attrs[LONG_NAME] = [TEXT, "", TEXT * 2]
        for number in range(ATTRIBUTES):
            group.attrs[f"text {number}"] = TEXT
        address = h5py.h5o.get_info(group.id).addr
    return bytearray(path.read_bytes()), address


def find_lengths(data, text):
    """Where the descriptors of a text are: its length and the address of the only heap."""
    wanted = struct.pack("<IQ", len(text), data.index(b"GCOL\x01"))
    found = [at for at in range(0, len(data) - len(wanted), 4) if data[at : at + len(wanted)] == wanted]
    assert found
    return found


def test_sound_texts_pass(written):
    check_texts(*written)


@pytest.mark.parametrize("text", [TEXT, TEXT * 2])
def test_each_text_longer_than_the_file_is_found(written, text):
    """Also the last one of an array, and those that are not in the first part of the header."""
    data, address = written
    places = find_lengths(data, text)
    assert len(places) == (2 + ATTRIBUTES if text == TEXT else 1)
    for place in places:
        changed = data.copy()
        struct.pack_into("<I", changed, place, len(data))
        check_texts(changed, address)
        struct.pack_into("<I", changed, place, len(data) + 1)
        with pytest.raises(ValueError, match=rf"an attribute at byte \d+ of {len(data) + 1} bytes, more than the file"):
            check_texts(changed, address)


def test_other_versions_are_refused(written):
    data, address = written
    changed = data.copy()
    changed[data.index(b"name\0\0\0\0") - 8] = 3
    with pytest.raises(ValueError, match=r"an attribute at byte \d+ of another version than 1"):
        check_texts(changed, address)
    data[address] = 2
    with pytest.raises(ValueError, match=rf"an object at byte {address} of another version than 1"):
        check_texts(data, address)


def test_headers_that_go_on_within_themselves_or_nowhere_are_refused(written):
    data, address = written
    goes_on = data.index(struct.pack("<HH", 0x0010, 16), address) + 8
    struct.pack_into("<Q", data, goes_on, address + 16)
    with pytest.raises(ValueError, match=rf"an object at byte {address} that goes on within itself"):
        check_texts(data, address)
    struct.pack_into("<QQ", data, goes_on, len(data) - 4, 64)
    with pytest.raises(ValueError, match=rf"an object at byte {address} that is not whole in the file"):
        check_texts(data, address)
    with pytest.raises(ValueError, match=r"an object at byte \d+ that is not whole in the file"):
        check_texts(data, len(data))
