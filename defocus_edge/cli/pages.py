"""Which pages of a file a command works on, and how their results are called.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

from pathlib import Path

from defocus_edge.choices import Pages


def list_pages(path: Path, pages: Pages) -> list[tuple[int | None, str]]:
    """The pages to read, as `read_image` takes them, each with what it adds to the names of its results.

    One page has nothing to add. A file that cannot be read counts as one page: the error comes when it is read.
    """
    if pages == "first":
        return [(None, "")]
    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.files.images import count_pages

    try:
        count = count_pages(path)
    except (ImageReadError, OSError):
        count = 1
    return [(page, name_page(page)) for page in range(count)] if count > 1 else [(None, "")]


def name_page(page: int) -> str:
    """Part of a name for a page, which names count from 1."""
    return f"_p{page + 1:03}"
