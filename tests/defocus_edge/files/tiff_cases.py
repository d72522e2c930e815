"""TIFF files that no library writes, packed tag by tag."""

from __future__ import annotations

import struct

_CODES = {3: "H", 4: "I"}  # SHORT and LONG


def list_tags(width, height, *, bits, photometric, compression=1, sample_format=1, rows=None, **more):
    """Tags of a page by their codes, as lists of numbers; `more` has names such as t338."""
    tags = {256: [width], 257: [height], 258: bits, 259: [compression], 262: [photometric], 277: [len(bits)]}
    tags |= {278: [rows or height], 339: [sample_format] * len(bits)}
    return tags | {int(name[1:]): values for name, values in more.items()}


def pack_tiff(segments, tags, *, order="<", without=()):
    """File of strips, or of tiles if there is tag 322; tags in `without` are left out at the end."""
    body, places = b"", []
    for segment in segments:
        body += bytes(len(body) % 2)
        places.append(8 + len(body))
        body += segment
    body += bytes(len(body) % 2)
    offsets, counts = (324, 325) if 322 in tags else (273, 279)
    tags = {offsets: places, counts: [len(segment) for segment in segments]} | tags
    tags = {code: values for code, values in sorted(tags.items()) if code not in without}
    start = 8 + len(body)
    behind, entries = b"", b""
    for code, values in tags.items():
        kind = 3 if max(values) < 1 << 16 and code not in (offsets, counts) else 4
        packed = struct.pack(order + _CODES[kind] * len(values), *values).ljust(4, b"\0")
        if len(packed) > 4:
            behind, packed = behind + packed, struct.pack(order + "I", start + 6 + 12 * len(tags) + len(behind))
        entries += struct.pack(order + "HHI", code, kind, len(values)) + packed
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", start)
    return header + body + struct.pack(order + "H", len(tags)) + entries + bytes(4) + behind
