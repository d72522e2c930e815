"""Tables between markers are what their commands print."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app
from training.commands.markdown_tables import TableError, rewrite_tables, run_command

TEXT = """# Title

<!-- table: python -m training one --root x -->
| old |
<!-- end -->

Between.

<!-- table: python -m training two -->
<!-- end -->
"""
REPOSITORY = Path(__file__).resolve().parents[3]
PAGES_WITH_TABLES = [REPOSITORY / "README.md", REPOSITORY / "docs" / "accuracy.md"]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


def print_command(command):
    return f"| {command.split()[3]} |\n|---|\n| new |\n"


def test_tables_are_replaced_and_all_else_stays(page):
    said = []
    assert rewrite_tables([page], run=print_command, say=said.append) == 2
    one, two = (f"| {word} |\n|---|\n| new |\n" for word in ("one", "two"))
    assert page.read_text(encoding="utf-8") == TEXT.replace("| old |\n", one).replace("two -->\n", f"two -->\n{two}")
    assert sorted(said) == ["python -m training one --root x", "python -m training two"]


def test_writing_twice_is_the_same(page):
    rewrite_tables([page], run=print_command)
    first = page.read_text(encoding="utf-8")
    rewrite_tables([page], run=print_command)
    assert page.read_text(encoding="utf-8") == first


def test_one_table_can_be_chosen(page):
    assert rewrite_tables([page], chosen="two", run=print_command) == 1
    assert "| old |" in page.read_text(encoding="utf-8")


def test_pages_without_a_chosen_table_are_left_alone(page, tmp_path):
    other = tmp_path / "other.md"
    other.write_text("No table.\n", encoding="utf-8")
    before = other.stat().st_mtime_ns
    assert rewrite_tables([other, page], chosen="two", run=print_command) == 1
    assert (other.read_text(encoding="utf-8"), other.stat().st_mtime_ns) == ("No table.\n", before)
    assert "| new |" in page.read_text(encoding="utf-8")


def test_a_choice_of_none_is_refused(page):
    with pytest.raises(TableError, match="must hold a table whose command contains 'three'"):
        rewrite_tables([page], chosen="three", run=print_command)


def test_a_command_that_fails_leaves_the_page_as_it_was(page):
    def stumble(command):
        if "one" in command:
            msg = "no pictures"
            raise TableError(msg)
        return print_command(command)

    with pytest.raises(TableError, match="no pictures"):
        rewrite_tables([page], run=stumble)
    assert page.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rm -rf x", "must begin with python -m training. Got: rm -rf x"),
        ("python -m training nonsense", "must end well. Got: exit code 2"),
        ("python -m training --help", "must print a table. Got: "),
    ],
)
def test_commands_that_print_no_table(command, message):
    with pytest.raises(TableError, match=message):
        run_command(command)


def test_the_command_says_what_is_wrong(tmp_path):
    result = CliRunner(env={"COLUMNS": "500"}).invoke(app, ["tables", str(tmp_path / "none.md")])
    assert result.exit_code == 2
    assert "none.md" in result.output


def test_readme_and_documentation_are_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("No table.\n", encoding="utf-8")
    deep = tmp_path / "docs" / "how-to" / "page.md"
    deep.parent.mkdir(parents=True)
    deep.write_text(TEXT.replace("python -m training one", "echo one"), encoding="utf-8")
    result = CliRunner(env={"COLUMNS": "500"}).invoke(app, ["tables", "--only", "one"])
    assert result.exit_code == 2
    assert "must begin with python -m training. Got: echo one" in result.output


@pytest.mark.parametrize("page", PAGES_WITH_TABLES, ids=lambda page: page.name)
def test_each_table_of_the_documentation_has_a_command(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- table: python -m training ") == text.count("<!-- end -->") > 0
