"""box_tables.py: boxes from a table, and every way in which it can be wrong."""

import re

import pytest

from defocus_edge.files.sidecars.box_tables import read_boxes

HEAD = "picture,row,column,height,width\n"


def test_boxes_by_picture(tmp_path):
    text = '\ufeffnote,width,height,column,row,picture\n,4,3,2,1,b/a.jpg\nx,8,7,6,5,b/a.jpg\n,1,1,0,0,"c,\u00e9.jpg"\n'
    (tmp_path / "boxes.csv").write_text(text, encoding="utf-8")
    assert read_boxes(tmp_path / "boxes.csv") == {
        "b/a.jpg": [(1, 2, 3, 4), (5, 6, 7, 8)],
        "c,\u00e9.jpg": [(0, 0, 1, 1)],
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Got: no column picture."),
        (b"picture,row,column,height\n", "Got: no column width."),
        (HEAD.encode(), "Got: no line below the first."),
        (f"{HEAD}a.jpg,1,2,3\n".encode(), "width in line 2 of {} must be a whole number of px, 1 or more. Got: ''."),
        (
            f"{HEAD}a.jpg,1,2,3,4\na.jpg,-1,2,3,4\n".encode(),
            "row in line 3 of {} must be a whole number of px, 0 or more",
        ),
        (
            f"{HEAD}a.jpg,1,2,0,4\n".encode(),
            "height in line 2 of {} must be a whole number of px, 1 or more. Got: '0'.",
        ),
        (f"{HEAD}a.jpg,1,2.5,3,4\n".encode(), "Got: '2.5'."),
        (f"{HEAD}a.jpg,1,\u00b2,3,4\n".encode(), "Got: '\u00b2'."),
        (b"\xff\xfe\x00", "must be a CSV file in UTF-8"),
        (f'{HEAD}"a.jpg'.encode(), "must be a CSV file in UTF-8"),
    ],
)
def test_what_is_no_table(tmp_path, content, told):
    path = tmp_path / "boxes.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(told.format(f"'{path}'"))):
        read_boxes(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_boxes(tmp_path / "missing.csv")
    with pytest.raises(IsADirectoryError):
        read_boxes(tmp_path)
