"""tables.py: what a program that reads the tables of a run finds."""

import csv

import pyarrow.parquet
import pytest

from defocus_edge.cli.batch.records import Record
from defocus_edge.cli.batch.tables import write_failures, write_summary
from defocus_edge.summary_table import SUMMARY_COLUMNS
from defocus_edge.thresholds import MapSummary

SUMMARY = MapSummary(40, 60, 0.123456, 1.23456, 5.0, (1, 2, 10, 15), 0.55557)
RECORDS = [Record("b/2.jpg", SUMMARY), Record("b/1.jpg", error='bad, "very" bad'), Record("a.jpg", SUMMARY)]
ROW = ["40", "60", "0.1235", "1.2346", "5.0", "1", "2", "10", "15", "0.5556"]


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_summary_as_csv(tmp_path):
    path = write_summary(tmp_path, RECORDS)
    assert path == tmp_path / "summary.csv"
    assert read_csv(path) == [list(SUMMARY_COLUMNS), ["a.jpg", *ROW], ["b/2.jpg", *ROW]]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_order_of_the_records_does_not_matter(tmp_path, kind):
    first = write_summary(tmp_path, RECORDS, kind=kind).read_bytes()
    assert write_summary(tmp_path, reversed(RECORDS), kind=kind).read_bytes() == first


def test_summary_as_parquet(tmp_path):
    table = pyarrow.parquet.read_table(write_summary(tmp_path, RECORDS, kind="parquet"))
    assert {field.name: str(field.type) for field in table.schema} == {
        name: {"float64": "double"}.get(kind, kind) for name, kind in SUMMARY_COLUMNS.items()
    }
    rows = table.to_pylist()
    assert [row["picture"] for row in rows] == ["a.jpg", "b/2.jpg"]
    assert list(rows[0].values())[1:] == [40, 60, 0.1235, 1.2346, 5.0, 1, 2, 10, 15, 0.5556]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_summary_of_nothing_has_its_columns(tmp_path, kind):
    path = write_summary(tmp_path, [Record("a.jpg", error="bad")], kind=kind)
    if kind == "csv":
        assert read_csv(path) == [list(SUMMARY_COLUMNS)]
    else:
        table = pyarrow.parquet.read_table(path)
        assert (table.column_names, len(table)) == (list(SUMMARY_COLUMNS), 0)


def test_a_table_of_the_other_kind_is_stale(tmp_path):
    write_summary(tmp_path, RECORDS)
    write_summary(tmp_path, RECORDS, kind="parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["summary.parquet"]


def test_failures(tmp_path):
    path = write_failures(tmp_path, RECORDS)
    assert path == tmp_path / "failures.csv"
    assert read_csv(path) == [["picture", "error"], ["b/1.jpg", 'bad, "very" bad']]


def test_names_neither_break_rows_nor_run_in_spreadsheets(tmp_path):
    names = ["=1+1.jpg", "+a.jpg", "-a.jpg", "@a.jpg", "a\rb.jpg", "a\x1b[2Jb.jpg", "a=b.jpg"]
    path = write_summary(tmp_path, [Record(name, RECORDS[0].summary) for name in names])
    written = sorted(row[0] for row in read_csv(path)[1:])
    expected = ["'=1+1.jpg", "'+a.jpg", "'-a.jpg", "'@a.jpg", r"a\x0db.jpg", r"a\x1b[2Jb.jpg", "a=b.jpg"]
    assert written == sorted(expected)


def test_stale_failures_are_removed(tmp_path):
    write_failures(tmp_path, RECORDS)
    assert write_failures(tmp_path, RECORDS[:1]) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"picture,error,mine\n", b"notes\n", b"", b"\0\xff", b"x" * 3000], ids=len)
def test_a_file_of_the_user_is_not_removed(tmp_path, content):
    own = [tmp_path / "failures.csv", tmp_path / "summary.csv", tmp_path / "summary.parquet"]
    for path in own:
        path.write_bytes(content)
    assert write_failures(tmp_path, [Record("a.jpg", SUMMARY)]) is None
    assert own[0].read_bytes() == content
    write_summary(tmp_path, RECORDS, kind="csv")
    assert own[2].read_bytes() == content
    own[1].write_bytes(content)
    write_summary(tmp_path, RECORDS, kind="parquet")
    assert own[1].read_bytes() == content


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_that_are_no_utf_8(tmp_path, kind):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    path = write_summary(tmp_path, [Record(name, SUMMARY)], kind=kind)
    found = read_csv(path)[1][0] if kind == "csv" else pyarrow.parquet.read_table(path)["picture"][0].as_py()
    assert found == r"caf\udce9.jpg"
