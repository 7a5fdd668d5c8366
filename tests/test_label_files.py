"""Labels from disk are read as they are meant, or refused in one line that names the option that decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from icon.features import read_vector
from icon.tables import TableOptions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat\ndog\ncat\n", ["cat", "dog", "cat"]),
        ("species\ncat\ndog\n", ["cat", "dog"]),
        ("Class\nNA\nNone\n\nnull\n", ["NA", "None", None, "null"]),
        ("y\n3\n4\n", [3, 4]),
        ("9007199254740993\n9007199254740992\n", [9007199254740993, 9007199254740992]),
        ("y\n18446744073709551615\n0\n", [2**64 - 1, 0]),
        ("y\n36893488147419103233\n0\n", [2**65 + 1, 0]),
        ("y\n9007199254740993\n\n1\n", [9007199254740993, None, 1]),
        ("True\nfalse\nTrue\n", [1, 0, 1]),
        ("ill\nTrue\nFalse\n", [1, 0]),
        (",0\n0,cat\n1,dog\n", ["cat", "dog"]),
        ('label\n"Smith, John"\n"Doe, Jane"\n', ["Smith, John", "Doe, Jane"]),
        ("\ufefflabel\nNew York\nParis\n", ["New York", "Paris"]),
        ("0\n1\n", [0, 1]),
    ],
)
def test_labels(text: str, expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text(text, encoding="utf-8")
    assert read_vector(str(tmp_path / "y.csv")).tolist() == expected


def test_the_expected_number_tells_a_header_from_a_label(tmp_path: Path) -> None:
    path = str(tmp_path / "y.csv")
    Path(path).write_text("rose\ncat\ndog\n")
    assert read_vector(path, expected=3).tolist() == ["rose", "cat", "dog"]
    assert read_vector(path, expected=2).tolist() == ["cat", "dog"]
    assert read_vector(path, options=TableOptions(header=True)).tolist() == ["cat", "dog"]
    with pytest.raises(ValueError, match=r"^labels: got 'rose' .* --header or --no-header"):
        read_vector(path)
    Path(path).write_text("0\n1\n2\n")
    assert read_vector(path, expected=2).tolist() == [1, 2]
    Path(path).write_text("label\na\nb\n\n")  # three labels, the last unknown; or two
    assert read_vector(path, expected=2).tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"^labels: got 'label' .* --header or --no-header"):
        read_vector(path, expected=3)
    assert read_vector(path, options=TableOptions(header=True), expected=3).tolist() == ["a", "b", None]
    Path(path).write_text("colour\na\nb\n\n")  # the same, with a name that is no usual one
    with pytest.raises(ValueError, match=r"^labels: got 'colour' .* --header or --no-header"):
        read_vector(path, expected=3)
    Path(path).write_text("a\nb\na\n\n")
    assert read_vector(path, expected=3).tolist() == ["a", "b", "a"]
    for text in ("colour\n1\n2\n", "class\na\nb\n", "0\na\nb\n"):  # one label is missing
        Path(path).write_text(text)
        with pytest.raises(ValueError, match=r"^labels: got '(colour|class|0)' .* --header or --no-header"):
            read_vector(path, expected=3)


def test_blank_lines_on_both_sides_of_labels_are_not_guessed_at(tmp_path: Path) -> None:
    """The label that is missing may be the first one: all others would be those of their neighbours."""
    path = str(tmp_path / "y.csv")
    Path(path).write_text("\na\nb\na\n\n")
    assert read_vector(path, expected=3).tolist() == ["a", "b", "a"]
    with pytest.raises(ValueError, match=r"^labels: got blank lines at the beginning .* and 3 labels .*, expected 4 "):
        read_vector(path, expected=4)
    assert read_vector(path, options=TableOptions(header=True), expected=3).tolist() == ["b", "a", None]


def test_unknown_labels_at_the_end_of_a_sheet_count(tmp_path: Path) -> None:
    """pandas drops the blank rows there, and the number of labels tells a header from a label."""
    book = openpyxl.Workbook()
    for cell in ("label", "red", "blue"):
        book.active.append([cell])
    book.active.cell(4, 1).font = openpyxl.styles.Font(bold=True)  # else the blank cell is not written
    path = str(tmp_path / "y.xlsx")
    book.save(path)
    with pytest.raises(ValueError, match=r"^labels: got 'label' .* --header or --no-header"):
        read_vector(path, expected=3)
    assert read_vector(path, options=TableOptions(header=True), expected=3).tolist() == ["red", "blue", None]


@pytest.mark.parametrize(
    ("text", "key", "named"),
    [("a,b\n1,2\n3,4\n", None, "2 columns .*--labels-key"), ("", None, "not empty"), ("a\n1\n", "z", "z")],
)
def test_bad_labels(text: str, key: str | None, named: str, tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"^labels[^ ]*: got .*{named}"):
        read_vector(str(tmp_path / "y.csv"), key)
    with pytest.raises(ValueError, match=r"^labels: got absent.npy, expected a file that exists"):
        read_vector("absent.npy")
