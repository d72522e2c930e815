"""Ratings in XMP files beside photographs, as Lightroom, darktable and digiKam read them.

Lightroom reads ``NAME.xmp`` beside a raw file, and only there: it keeps the ratings of other files inside them.
darktable reads ``NAME.EXT.xmp`` beside any file; digiKam does so if its settings tell it to read sidecars.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

from defocus_edge._version import __version__
from defocus_edge.choices import SidecarKind
from defocus_edge.files.atomic import atomic_write
from defocus_edge.files.kinds import looks_raw

#: Ratings that these programs know; -1, rejected, is left to people.
RATINGS = range(6)
# Who wrote a file, by which ours are known; other programs put their own name there when they change it.
_TOOLKIT = "defocus_edge"
_START_LENGTH = 1000  # bytes that are looked at
# Raw files that hold their ratings inside, as JPEG files do.
_INSIDE = {".dng"}
_TEMPLATE = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk={toolkit}>
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmp:Rating="{rating}"{extension}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def name_sidecars(photo: Path, kind: SidecarKind) -> list[Path]:
    """Files that hold the rating of a photograph for these programs; none where they read none."""
    has_own_name = looks_raw(b"", photo.suffix) and photo.suffix.lower() not in _INSIDE
    found = [photo.with_suffix(".xmp")] if kind in ("lightroom", "both") and has_own_name else []
    return [*found, *([photo.with_name(f"{photo.name}.xmp")] if kind in ("darktable", "both") else [])]


def write_rating(sidecar: Path, photo: Path, rating: int) -> bool:
    """Write a sidecar with a rating of 0 to 5; False if another program or a person wrote one, which stays.

    Raises ValueError for another rating, and OSError as `atomic_write` does.
    """
    if rating not in RATINGS:
        raise ValueError(f"rating must be a whole number from 0 to 5. Got: {rating}.")
    if not _is_own(sidecar):
        return False
    # Lightroom: a sidecar without the suffix in its name belongs to the raw file, not to the JPEG beside it.
    is_shared = sidecar.stem != photo.name
    extension = f"\n    photoshop:SidecarForExtension={quoteattr(photo.suffix[1:])}" if is_shared else ""
    text = _TEMPLATE.format(toolkit=quoteattr(f"{_TOOLKIT} {__version__}"), rating=rating, extension=extension)
    with atomic_write(sidecar) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
    return True


def _is_own(sidecar: Path) -> bool:
    """Whether a file is missing or ours; OSError if it cannot be read."""
    if not sidecar.is_symlink() and not sidecar.exists():
        return True
    with sidecar.open("rb") as file:
        return f'x:xmptk="{_TOOLKIT} '.encode() in file.read(_START_LENGTH)
