"""Tables from disk are read as they are meant, or refused in one line that names the option that decides."""

from __future__ import annotations

import gc
import gzip
import io
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from icon.features import Features, read_features, read_graph, read_matrix, read_vector
from icon.tables import TableOptions

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(call: Callable[[], Any], options: tuple[str, ...]) -> Any:
    """What a call returns; None where it refuses in one line that names an option."""
    try:
        return call()
    except ValueError as error:
        message = str(error)
    assert message.startswith(("features: got", "labels: got"))
    assert "\n" not in message
    assert any(option in message for option in options), message
    return None


def read(folder: Path, text: str | bytes, name: str = "x.csv", key: str | None = None, **options: Any) -> Features:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_features(str(folder / name), key, TableOptions(**options))


@pytest.mark.parametrize(
    ("text", "header", "expected"),
    [
        ("2,5;7,25;1\n3,5;4;2\n", False, [[2.5, 7.25, 1], [3.5, 4, 2]]),
        ("p;q\n-1,5;1.234,5\n,5;2e3\n", True, [[-1.5, 1234.5], [0.5, 2000]]),
        ("p\tq\n1,5\t2\n2,25\t3\n", True, [[1.5, 2], [2.25, 3]]),
        ("# made by us, today\n\np,q\n1,2\n# half\n3,4\n", True, [[1, 2], [3, 4]]),
        (" 1.0e+00  2.5\n 3.0e+00  4.5\n", False, [[1, 2.5], [3, 4.5]]),
        ("p|q\n1|2\n3|4\n", True, [[1, 2], [3, 4]]),
        ('"p" "q"\n"one" 1 2\n"two" 3 4\n', True, [[1, 2], [3, 4]]),
        ("p,q\none,1,2.5\ntwo,3,4.5\n", True, [[1, 2.5], [3, 4.5]]),
        ("p,q\n1,2,\n3,4,\n", True, [[1, 2], [3, 4]]),
        ('p,q\n"1,234.5",2\n"2,345.5",3\n', True, [[1234.5, 2], [2345.5, 3]]),
        ('"1,234.5","6,789.5"\n"4,567.5","5,678.5"\n', False, [[1234.5, 6789.5], [4567.5, 5678.5]]),
        ("p,q\ntrue,1\nFALSE,2\n", True, [[1, 1], [0, 2]]),
        ('"400.5","401.0"\n0.1,0.2\n0.4,0.3\n', True, [[0.1, 0.2], [0.4, 0.3]]),
        ("p\r\n1\r\n2\r\n", True, [[1], [2]]),
        ("who;when;p\nI;02:15;0,136\nyou;00:15;-0,5\n", True, [[0.136], [-0.5]]),
        ('"yes"|9|6|"a ""b"""\n"yes"|7|5|"c"\n"no"|8|6|"a ""b"""\n', False, [[9, 6], [7, 5], [8, 6]]),
        ("p, q\n1, 2\n3, 4\n", True, [[1, 2], [3, 4]]),
        ("p\tq\tmass\n1\t2,5\t50 kg\n3\t4,5\t7 kg\n", True, [[1, 2.5], [3, 4.5]]),
        ('18.0   8\t"a car"\n15.5   6\t"b car"\n9.5   4\t"c car"\n', False, [[18, 8], [15.5, 6], [9.5, 4]]),
        ("the\t0.5 0.25\ncat\t0.1 0.3\nand\t0.7 1.5\n", False, [[0.5, 0.25], [0.1, 0.3], [0.7, 1.5]]),
        ("Ann, 1.5 2.5\nBob, 2.5 3.5\nCy, 4.5 1.5\n", False, [[1.5, 2.5], [2.5, 3.5], [4.5, 1.5]]),
        ("who, p\nAnn, 1.5\nBob, 2.5\n", True, [[1.5], [2.5]]),
        ("p\n1\n2\n\n", True, [[1], [2]]),
        ("\n1.5\n2.5\n\n\n# end\n\n", False, [[1.5], [2.5]]),
        ("400.5,401.0,401.5\n0.1,0.3,0\n0.4,0.1,0\n0.2,0.2,0\n", True, [[0.1, 0.3, 0], [0.4, 0.1, 0], [0.2, 0.2, 0]]),
        ("1,2,3\n0.5,0.1,0.2\n0.3,0.2,0.9\n", True, [[0.5, 0.1, 0.2], [0.3, 0.2, 0.9]]),
        ("name,1999,2000,2001\nx,1,2,1\ny,2,1,5\nz,3,1,2\n", True, [[1, 2, 1], [2, 1, 5], [3, 1, 2]]),
        ("5.1,3.5,cat\n4.9,3.0,dog\n6.1,3.1,cat\n", False, [[5.1, 3.5], [4.9, 3], [6.1, 3.1]]),
        ("1.4,3.5,5.1\n4.9,3.0,1.2\n0.1,3.1,7\n", False, [[1.4, 3.5, 5.1], [4.9, 3, 1.2], [0.1, 3.1, 7]]),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("packed", "mark"), [(False, "utf-8"), (False, "utf-8-sig"), (True, "utf-16")])
def test_read_right(
    text: str, header: bool, expected: list[list[float]], packed: bool, mark: str, tmp_path: Path
) -> None:
    data = text.encode(mark)
    found = read(tmp_path, gzip.compress(data) if packed else data, "x.csv.gz" if packed else "x.txt")
    assert found.values.tolist() == expected
    assert found.header is header


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("5.0,NA,3.0\n4,5,6\n7,8,1\n", r"gaps in column 1 \(row 1\) of .*--drop 1"),
        ("p,q\n1,2\n3,?\n5,null\n", r"gaps in column q \(row 2 and 1 more\) of .*--drop q"),
        ("p,q\n1,2\n3,inf\n5,-1e999\n", r"infinity in column q \(row 2 and 1 more\) of .*--drop q"),
        ("p,q\n1,2\n3\n4,5\n", "1 cell in row 3 .*--sep"),
        ("p\n1\n\n2\n", r"gaps in column p \(row 2\) of"),
        ("p,q\n1,2\n3,4,5\n", "3 cells in row 3 .*--sep"),
        ("1,2,3\n4,5,6\n7,8,9\n", "--header or --no-header"),
        ("0,1\n5,7\n9,2\n", "--header or --no-header"),
        ("0.1,0.2,0.3\n0.5,0.1,0.4\n0.2,0.2,0.1\n0,0.9,0.1\n", "--header or --no-header"),
        ("1000,2000\n1.5,2\n1,3\n2,2\n", "--header or --no-header"),
        ("5.0,-,3.0\n4,5,6\n7,8,1\n", "--header or --no-header"),
        ("-,-\n4,5\n7,8\n", "--header or --no-header"),
        ("7157,672,1956\n5.5,7,6\n1.5,2,6\n7,0.5,3\n", "--header or --no-header"),
        ("400.5,401\n12.3456789,5.23456789\n812.345678,9.23456789\n412.345678,412.345678\n", "--header or --no-header"),
        ("p;q\n1,234;2,345\n3,456;1,111\n", "--decimal"),
        ("p;q\n1,5;2.5\n3,4;1,1\n", "--decimal"),
        ("p\n1,5\n2,5\n", "--sep"),
        ("1,5\n2,05\n", "'1,5' in the first line of .*, which is 2 cells or one, expected --sep and --decimal"),
        ("1,234\n22,345\n", "'1,234' in the first line of .*, which is 2 cells or one, expected --sep and --decimal"),
        ("1.5,2.5\n1,2,3\n4,5,6\n", "--header"),
        ("p,q\na,b\nc,d\n", "only text in p, q .*--columns"),
        ("p,q\n", "expected"),
        ("p,q\n1,2\n3,n.a.\n5,6\n", r"text in column q \('n.a.' in row 2\) of .*--drop q"),
        ("p;q\n1;2\u202f345\n3;4\u202f567\n", r"text in column q \('2.*345' in row 1\) of .*--drop q"),
        ("p,q\n1,5%\n3,4%\n", r"text in column q \('5%' in row 1\) of .*--drop q"),
        ("", "not empty"),
        ("\n# nothing\n", "not empty .lines that begin with # are left out."),
        (b"\x00\x01\x02", "readable file"),
        (b"p\n\xe9\xe8\n", "readable file"),
        (b"\x1f\x8bno", "readable file"),
    ],
)
def test_refused(text: str | bytes, named: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^features: got [^\n]*{named}[^\n]*\Z"):
        read(tmp_path, text)


def test_gaps_of_all_columns_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gaps in columns p \(row 2 and 1 more\), r \(row 1\) of .* \(--drop p,r\)$"):
        read(tmp_path, "p,q,r\n1,2,\n,3,5\n,4,6\n")


def test_of_many_columns_with_gaps_some_are_named(tmp_path: Path) -> None:
    told = r"gaps in columns 0 \(row 1\), .*, 4 \(row 1\), \.\.\. \(40 in all\) of [^()]*, expected numbers only$"
    with pytest.raises(ValueError, match=told):
        read(tmp_path, ",".join(40 * ["NA"]) + "\n" + 2 * (",".join(map(str, range(40))) + "\n"))


def test_odd_cells_of_all_columns_are_told_at_once(tmp_path: Path) -> None:
    told = r"text in columns q \('n.a.' in row 1\), r \('5%' in row 2\) of .* \(--drop q,r\)$"
    with pytest.raises(ValueError, match=told):
        read(tmp_path, "p,q,r\n1,n.a.,2\n3,4,5%\n5,6,7\n")


def test_columns_to_drop_are_told_so_that_a_shell_takes_them(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.full((3, 6), np.nan), columns=["a, m", "b", "length (cm)", "b", "c\nd", '"e"']).assign(
        f=1.5
    )
    frame.to_csv(tmp_path / "x.csv", index=False)
    text = (tmp_path / "x.csv").read_text().replace("\n,,,,,,", "\n1,1,1,1,1,1,", 1)
    with pytest.raises(ValueError, match=r"^features: got gaps in [^\n]*\Z") as told:
        read(tmp_path, text)
    option = str(told.value).rpartition("--drop ")[2].removesuffix(")")
    (word,) = shlex.split(option)
    assert word == '"a, m",1,length (cm),3,4,"""e"""'
    assert read(tmp_path, text, drop=word).values.shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,0,1\n1,2,3\n", [[0, 0, 1], [1, 2, 3]]),
        ("1.5,1.5\n1,2\n", [[1.5, 1.5], [1, 2]]),
        ("1,2,\n3,4,\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n", [[1, 2]]),
        (",a,b\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]]),
    ],
)
def test_csv_loses_and_invents_nothing(text: str, expected: list[list[float]], tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert read_matrix(str(tmp_path / "x.csv")).tolist() == expected


def test_csv_with_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,x\n")
    with pytest.raises(
        ValueError, match=r"^features: got text in column b \('x' in row 2\) of .*, expected numbers only"
    ):
        read_matrix(str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"columns": "b,0"}, [[2.5, 1], [4.5, 5], [0.5, 9]]),
        ({"columns": "0:2", "drop": "a"}, [[2.5], [4.5], [0.5]]),
        ({"columns": ":2"}, [[1, 2.5], [5, 4.5], [9, 0.5]]),
        ({"drop": "a,kind"}, [[2.5, 3], [4.5, 1], [0.5, 7]]),
        ({"id": "kind", "drop": "c"}, [[1, 2.5], [5, 4.5], [9, 0.5]]),
    ],
)
def test_columns(options: dict[str, str], expected: list[list[float]], tmp_path: Path) -> None:
    found = read(tmp_path, "a,b,c,kind\n1,2.5,3,007\n5,4.5,1,NA\n9,0.5,7,9007199254740993\n", **options)
    assert found.values.tolist() == expected
    if "id" in options:
        assert found.ids is not None
        assert found.ids.tolist() == ["007", "NA", "9007199254740993"]
        assert found.ids.name == "kind"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"columns": "z"}, r"^columns: got 'z', expected names \(a, b\) or positions below 2 \(--columns\)"),
        ({"drop": "9"}, "^drop: got '9'"),
        ({"id": "a,b"}, "^id: got a,b, which names 2 columns"),
        ({"id": ""}, "^id: got an empty text, which names 0 columns"),
        ({"columns": ""}, "^columns: got a choice that leaves no column"),
        ({"drop": "a,b"}, "^columns: got a choice that leaves no column"),
        ({"columns": "b"}, "^features: got text in column b"),
        ({"sep": "ab"}, "^sep: got 'ab'"),
        ({"decimal": ";"}, "^decimal: got ';'"),
    ],
)
def test_bad_options(options: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=named):
        read(tmp_path, "a,b\n1,x\n2,y\n", **options)


def test_options_decide_what_is_ambiguous(tmp_path: Path) -> None:
    assert read(tmp_path, "1,2,3\n4,5,6\n", header=True).values.tolist() == [[4, 5, 6]]
    assert read(tmp_path, "1,2,3\n4,5,6\n", header=False).values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read(tmp_path, "p;q\n1,234;2\n", decimal=",").values.tolist() == [[1.234, 2]]
    assert read(tmp_path, "p;q\n1,234;2\n", decimal=".").values.tolist() == [[1234, 2]]
    assert read(tmp_path, "1,234\n22,345\n", sep=",").values.tolist() == [[1, 234], [22, 345]]
    assert read(tmp_path, "1,234\n22,345\n", sep=";", decimal=".").values.tolist() == [[1234], [22345]]
    assert read(tmp_path, "1,234\n22,345\n", sep=";", decimal=",").values.tolist() == [[1.234], [22.345]]
    assert read(tmp_path, "p\n1,5\n2,5\n", sep=";").values.tolist() == [[1.5], [2.5]]
    assert read(tmp_path, "p q\n1  5\n2 5\n", sep="space").values.tolist() == [[1, 5], [2, 5]]


def test_notes(tmp_path: Path) -> None:
    text = ",sample,x,kind,note\n0,3,0.5,a,\n1,4,0.25,b,\n2,8,0.5,c,\n"
    found = read(tmp_path, text)
    assert found.values.tolist() == [[3, 0.5], [4, 0.25], [8, 0.5]]
    notes = "\n".join(found.notes)
    for part in (
        "no name: an index",
        "text: kind",
        "columns of nothing: note",
        "warning: column sample",
        "--id sample",
    ):
        assert part in notes
    assert read(tmp_path, text, drop="0,sample,kind,note").notes == []
    assert read(tmp_path, text, columns="0").values.tolist() == [[0], [1], [2]]
    assert read(tmp_path, "# one\n5,6\n1,2\n3,4\n# two\n").notes == ["left out 2 lines beginning with #"]


def test_notes_of_the_array_alone_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.csv").write_text("p,kind\n1,a\n3,b\n")
    assert read_matrix(str(tmp_path / "x.csv")).tolist() == [[1], [3]]
    assert "left out columns of text: kind" in caplog.text


def test_only_the_beginning_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(3000, 4))
    pd.DataFrame(x, columns=list("abcd")).to_csv(tmp_path / "x.csv", index=False)
    monkeypatch.setattr("icon.tables._HEAD", 100)
    assert (read_matrix(str(tmp_path / "x.csv")) == x).all()
    with (tmp_path / "x.csv").open("a") as file:
        file.write("1,2,3,4,5\n")
    with pytest.raises(ValueError, match=r"^features: got .*Expected 4 fields"):
        read_matrix(str(tmp_path / "x.csv"))


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = str(tmp_path / "x.parquet")
    frame = pd.DataFrame(
        {
            "name": ["u", "v"],
            "whole": pd.array([3, 1], "Int64"),
            "real": pd.array([0.5, 1.5], "Float64"),
            "yes": pd.array([True, False], "boolean"),
            "level": pd.Categorical([7, 5]),
            "e": [np.array([1, 2], np.float32), np.array([3, 4], np.float32)],
        },
        index=pd.Index(["k1", "k2"], name="code"),
    )
    frame.to_parquet(path)
    found = read_features(path, options=TableOptions(id="code"))
    assert found.values.tolist() == [[3, 0.5, 1, 7, 1, 2], [1, 1.5, 0, 5, 3, 4]]
    assert found.notes == ["left out columns of text: name"]
    assert found.ids is not None
    assert found.ids.tolist() == ["k1", "k2"]
    embedding = read_matrix(path, "e")
    assert embedding.dtype == np.float32
    assert embedding.tolist() == [[1, 2], [3, 4]]
    assert read_vector(path, "level").tolist() == [7, 5]
    assert read_vector(path, "name").tolist() == ["u", "v"]
    for column, named in (
        ([[1, 2], [3]], "lists of 2 and 1"),
        (pd.array([None, 2], "Int64"), "gaps in column c .row 1"),
        ([[1.0], None], "gaps in column c .row 2"),
        ([True, None], "gaps in column c .row 2"),
    ):
        pd.DataFrame({"c": column}).to_parquet(path)
        with pytest.raises(ValueError, match=rf"^features: got .*{named}"):
            read_matrix(path)
    pd.DataFrame({"a": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "b": [[], []]}).to_parquet(path)
    found = read_features(path)
    assert found.values.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert found.notes == ["left out columns of nothing: b"]
    times = pd.DataFrame({"t": pd.to_timedelta([1, 2], unit="s"), "d": pd.to_datetime(["2020-01-01", None])})
    times.assign(x=[1.5, 2.5]).to_parquet(path)
    assert read_features(path).notes == ["left out columns of dates or durations: t, d"]
    with pytest.raises(ValueError, match=r"^features: got dates or durations in column t of .* only \(--drop t\)"):
        read_matrix(path, "t")
    times.to_parquet(path)
    with pytest.raises(ValueError, match=r"^features: got only dates or durations in t, d in "):
        read_matrix(path)
    pd.DataFrame({"y": pd.array([2**60 + 1, None], "Int64")}).to_parquet(path)
    assert read_vector(path).tolist() == [2**60 + 1, None]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_safetensors(dtype: torch.dtype, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"X": torch.tensor([[1.5, 2.0]], dtype=dtype)}, tmp_path / "x.safetensors")
    found = read_matrix(str(tmp_path / "x.safetensors"))
    assert found.tolist() == [[1.5, 2]]
    assert found.dtype == (np.float16 if dtype is torch.float16 else np.float32)


def test_excel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "x.xlsx")
    monkeypatch.setattr("icon.features.find_spec", lambda _: None)
    (tmp_path / "x.xlsx").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^features: got .*expected openpyxl to be installed"):
        read_matrix(path)
    monkeypatch.undo()
    pytest.importorskip("openpyxl")
    pd.DataFrame({"p": [1, 2], "q": [0.1, 1234.5], "yes": [True, False], "t": ["a", "NA"]}).to_excel(path, index=False)
    assert read_matrix(path).tolist() == [[1, 0.1, 1], [2, 1234.5, 0]]
    assert read_vector(path, "t").tolist() == ["a", "NA"]
    (tmp_path / "x.xlsx").write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"^features: got .*expected a readable file"):
        read_matrix(path)


def test_a_given_separator_is_not_doubted(tmp_path: Path) -> None:
    assert read(tmp_path, "1,2e5\n3,4e5\n", sep=",").values.tolist() == [[1, 2e5], [3, 4e5]]


def test_names_that_begin_with_a_hash_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^features: got only lines that begin with # below the first of .*x\.csv"):
        read(tmp_path, "name,p\n#1,2\n#2,3\n", header=True)


def test_a_broken_archive_is_closed(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\3\4 no")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"^features: got .*expected a readable file"):
            read_matrix(str(tmp_path / "x.npz"))
        gc.collect()
    assert not caught


def test_a_sparse_graph_that_cannot_be_read_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lack of memory was hidden, and damage said to be a matrix that has to be dense."""
    path, graph = tmp_path / "g.npz", sp.eye_array(9, format="coo")
    sp.save_npz(path, graph, compressed=False)
    assert (read_graph(str(path), 9) != graph).nnz == 0
    with pytest.raises(ValueError, match=r"^features: got a sparse matrix in .*, expected a dense array"):
        read_features(str(path))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"NUMPY", b"NUMPX", 1))
    with pytest.raises(ValueError, match=r"^graph: got .*, expected a readable file \("):
        read_graph(str(path), 9)
    path.write_bytes(data)
    monkeypatch.setattr(sp, "load_npz", Mock(side_effect=MemoryError))
    with pytest.raises(ValueError, match=r"^graph: got .*, expected a readable file \(MemoryError\)"):
        read_graph(str(path), 9)


def test_no_images_are_refused_by_their_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((0, 2, 2)))
    with pytest.raises(ValueError, match=r"^features: got shape \(0, 2, 2\) of float64 in .*, expected numbers"):
        read_features(str(tmp_path / "x.npy"))


def test_a_name_that_is_too_long_is_no_file() -> None:
    with pytest.raises(ValueError, match=r"^features: got a+\.csv, expected a file that exists"):
        read_matrix("a" * 300 + ".csv")


# -- any table --------------------------------------------------------------------------------------------------------


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows, columns = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = (
        lambda: rng.normal(size=rows) * 10.0 ** rng.integers(-20, 20),
        lambda: rng.normal(size=rows).round(draw(st.integers(0, 3))),
        lambda: rng.integers(-3, 4, rows),
        lambda: rng.integers(0, 10**6, rows),
        lambda: rng.random(rows) < 0.5,
        lambda: np.arange(rows) * 2.0 + 1,
        lambda: np.sort(rng.normal(size=rows)),
    )
    kind = draw(st.sampled_from([None, *kinds]))
    frame = pd.DataFrame({j: (kind or draw(st.sampled_from(kinds)))() for j in range(columns)})
    names = draw(st.sampled_from(["default", "text", "one", "wavelengths"]))
    if names != "default":
        made = {"text": [f"v {j}" for j in range(columns)], "one": list(range(1, columns + 1))}
        frame.columns = pd.Index(made.get(names) or [400.5 + 0.25 * j for j in range(columns)])
    return frame


@SETTINGS
@given(
    frame=frames(), sep=st.sampled_from([",", ";", "\t", "|", " "]), decimal=st.sampled_from(".,"),
    header=st.booleans(), index=st.booleans(), mark=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    gap=st.sampled_from([None, "", "NA", "?", "null", "NaN"]), quoting=st.sampled_from([0, 1, 2]),
    packed=st.booleans(), place=st.integers(0, 10**6),
)  # fmt: skip
def test_any_table_is_read_right_or_refused(
    frame: pd.DataFrame, sep: str, decimal: str, header: bool, index: bool, mark: str, gap: str | None, quoting: int,
    packed: bool, place: int, tmp_path: Path,
) -> None:  # fmt: skip
    expected = frame.to_numpy(dtype=float)
    assume(header or decimal == "." or len(frame.columns) > 1)  # 1,5 on each line is two columns
    assume(sep != " " or gap != "")  # nothing between two spaces
    assume(not header or list(frame.columns) != [1, 2])  # two small numbers are a row
    index = index and header  # without a header an index is a column as any other
    if gap is not None:
        frame = frame.astype(float)
        frame.iloc[place % len(frame), place % len(frame.columns)] = np.nan
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    frame.to_csv(
        path, sep=sep, decimal=decimal, header=header, index=index, encoding=mark, na_rep=gap or "", quoting=quoting
    )
    found = attempt(
        lambda: read_matrix(str(path)), ("--sep", "--decimal", "--header", "--drop", "--columns", "not empty")
    )
    if found is None:
        return
    if gap is not None:
        assert frame.isna().all().any()  # a column of gaps is left out
        expected = frame.dropna(axis=1).to_numpy(dtype=float)
    assert np.array_equal(found, expected)


@SETTINGS
@given(
    labels=st.one_of(
        st.lists(st.sampled_from(["cat", "dog", "New York", "a, b", "NA", "None", "yes", 'the "x"', ""]), min_size=2),
        st.lists(st.integers(-1, 2**66), min_size=2),
        st.lists(st.booleans(), min_size=2),
    ),
    header=st.sampled_from([None, "label", "0", "colour"]), index=st.booleans(), known=st.booleans(),
    sep=st.sampled_from([",", ";", "\t"]),
)  # fmt: skip
def test_any_labels_are_read_right_or_refused(
    labels: list[Any], header: str | None, index: bool, known: bool, sep: str, tmp_path: Path
) -> None:
    expected = [int(label) if isinstance(label, bool) else label if label != "" else None for label in labels]
    index = index and header is not None
    path = tmp_path / "y.csv"
    pd.Series(labels, name=header, dtype=object).to_csv(path, sep=sep, index=index, header=header is not None)
    n, options = len(labels) if known else None, ("--sep", "--header", "--labels-key", "not empty")
    found = attempt(lambda: read_vector(str(path), expected=n).tolist(), options)
    if found is None:
        return
    if header == "0" and not known and not index and all(isinstance(label, int) for label in labels):
        assert found in (expected, [0, *expected])  # a zero over numbers may be a label
    else:
        assert found == expected


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\ufeffp;q\n1,5;2\n# no\n3,5;4\n"))
    assert read_matrix("-").tolist() == [[1.5, 2], [3.5, 4]]
    monkeypatch.setattr(sys, "stdin", io.StringIO("cat\ndog\ncat\n"))
    assert read_vector("-").tolist() == ["cat", "dog", "cat"]


@pytest.mark.parametrize("factor", [1, 1000])
def test_columns_of_unequal_units_are_told(factor: int, tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 4)), columns=["age", "weight", "height", "income"])
    frame["income"] *= factor
    frame.to_csv(tmp_path / "x.csv", index=False)
    notes = read_features(str(tmp_path / "x.csv")).notes
    assert len(notes) == (factor > 1)
    assert all(note.startswith("warning: column income varies ") for note in notes)


def test_the_largest_numbers_are_features_as_well(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{i}e200,{i % 3}e-150\n" for i in (3, 1, 2, 5, 4)), encoding="utf-8")
    assert read_features(str(path)).values[0].tolist() == [3e200, 0]
