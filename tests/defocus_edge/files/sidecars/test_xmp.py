"""xmp.py: names and content of sidecars, and whose they are."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from defocus_edge.files.sidecars.xmp import name_sidecars, write_rating

RDF, XMP, PHOTOSHOP = (
    "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}",
    "{http://ns.adobe.com/xap/1.0/}",
    "{http://ns.adobe.com/photoshop/1.0/}",
)


def read_sidecar(path):
    (description,) = ElementTree.fromstring(path.read_text(encoding="utf-8")).iter(f"{RDF}Description")
    return dict(description.attrib)


@pytest.mark.parametrize(
    ("photo", "kind", "names"),
    [
        ("a/IMG.CR2", "lightroom", ["IMG.xmp"]),
        ("a/IMG.CR2", "darktable", ["IMG.CR2.xmp"]),
        ("a/IMG.CR2", "both", ["IMG.xmp", "IMG.CR2.xmp"]),
        ("a/IMG.jpg", "lightroom", []),
        ("a/IMG.dng", "lightroom", []),
        ("a/IMG.jpg", "both", ["IMG.jpg.xmp"]),
        ("a/b.c.nef", "both", ["b.c.xmp", "b.c.nef.xmp"]),
    ],
)
def test_names(photo, kind, names):
    assert name_sidecars(Path(photo), kind) == [Path("a", name) for name in names]


def test_content(tmp_path):
    photo = tmp_path / "IMG.CR2"
    for sidecar in name_sidecars(photo, "both"):
        assert write_rating(sidecar, photo, 5)
    about = {f"{RDF}about": "", f"{XMP}Rating": "5"}
    assert read_sidecar(tmp_path / "IMG.xmp") == about | {f"{PHOTOSHOP}SidecarForExtension": "CR2"}
    assert read_sidecar(tmp_path / "IMG.CR2.xmp") == about
    assert (tmp_path / "IMG.xmp").read_bytes().startswith(b'<?xpacket begin="\xef\xbb\xbf" id=')


def test_odd_suffixes_are_escaped(tmp_path):
    photo = tmp_path / "a.<\"&'>"
    assert write_rating(tmp_path / "a.xmp", photo, 1)
    assert read_sidecar(tmp_path / "a.xmp")[f"{PHOTOSHOP}SidecarForExtension"] == "<\"&'>"


def test_ours_is_replaced_and_others_stay(tmp_path):
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    assert write_rating(sidecar, photo, 5)
    assert write_rating(sidecar, photo, 1)
    assert read_sidecar(sidecar)[f"{XMP}Rating"] == "1"
    other = sidecar.read_text(encoding="utf-8").replace("defocus_edge 0", "XMP Core 4.4.0-Exiv2")
    for content in (other, "", "defocus_edge"):
        sidecar.write_text(content, encoding="utf-8")
        assert not write_rating(sidecar, photo, 5)
        assert sidecar.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("rating", [-1, 6])
def test_other_ratings_are_refused(tmp_path, rating):
    with pytest.raises(ValueError, match=f"rating must be a whole number from 0 to 5. Got: {rating}"):
        write_rating(tmp_path / "a.xmp", tmp_path / "a.jpg", rating)
    assert not list(tmp_path.iterdir())
