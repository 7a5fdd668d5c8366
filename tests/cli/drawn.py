"""Calls of the command line drawn from a seed: a small table in some dialect, and what may go wrong with it."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

TEXT = (".csv", ".tsv", ".txt")
OUTPUTS = (None, "o.csv", "o.npy", "o.parquet", "found")
DTYPES = ("f2", "f4", "f8", ">f8", ">f4", "i1", "i4", "i8", "u1", "u8", "?")
COLUMNS = ("gaussian", "student-t", "identity", "knn")
WORDS = np.array(["cat", "New York", "é, ü", 'the "x"', "NA", "None"], dtype=object)


@dataclass
class Call:
    """A command, and what is known of its result.

    Args:
        argv: the arguments.
        stdin: the bytes on standard input.
        values: what has to be read, if the content is undamaged; else only its number of rows is known, if that.
        rows: the number of rows; None is not known.
        ids: the cells of the column of ids.
        classes: number of classes that the labels have.
        out: what it is to write.
        refused: it cannot succeed.
        clean: nothing is damaged; if it is refused all the same, more than one reading is possible.
        sure: the dialect is given by options: it cannot be refused for being ambiguous.
        story: what was drawn.
    """

    argv: list[str]
    stdin: bytes = b""
    values: Any = None
    rows: int | None = None
    ids: list[str] | None = None
    classes: int | None = None
    out: str | None = None
    refused: bool = False
    clean: bool = True
    sure: bool = True
    read: dict[str, Any] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)


def draw(seed: int) -> Call:
    """A call, whose files are written into the current folder."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.04:
        return _of_the_table(rng)
    command = "embed" if rng.random() < 0.3 else "cluster"
    call = Call([command], story=[f"seed {seed}"])
    name = _features(call, rng)
    call.argv[1:1] = ["-" if name == "-" else name]
    if command == "cluster":
        call.argv += ["-k", "2", "--knn", "3", "--restarts", "1", "-q"]
        if rng.random() < 0.5:
            _labels(call, rng)
    else:
        call.argv += ["--column", str(rng.choice(COLUMNS)), "-q"]
    # A folder holds a figure, which takes long to draw.
    call.out = OUTPUTS[rng.choice(5, p=[0.35, 0.3, 0.15, 0.15, 0.05])]
    call.argv += ["--out", call.out] if call.out else []
    if call.out in ("o.csv", "o.npy") and rng.random() < 0.5:
        Path(call.out).write_text("an earlier result")
    call.refused |= call.out == "o.npy" and "--id" in call.argv
    if rng.random() < 0.25:
        _wrong_options(call, rng)
    return call


def _of_the_table(rng: np.random.Generator) -> Call:
    words = ["tsne", "SimCLR", "gaussian", "pairs", "no\nsuch", "", "é", "student-t", "[red]", "a" * 300]
    argv = ["show", *rng.choice(words, rng.integers(0, 4))]
    if rng.random() < 0.3:
        argv = ["table", "--style", str(rng.choice(["text", "csv", "json", "markdown", "html", ""]))]
    return Call([str(word) for word in argv], sure=False, clean=False, story=["table"])


# -- tables -----------------------------------------------------------------------------------------------------------


def _values(rng: np.random.Generator) -> pd.DataFrame:
    n, d = int(rng.integers(20, 40)), int(rng.integers(1, 5))
    kinds = (
        lambda: rng.normal(size=n) + 4 * (np.arange(n) % 2),
        lambda: rng.normal(size=n) * 10.0 ** rng.integers(-299, 299),
        lambda: rng.normal(size=n).round(1),
        lambda: rng.integers(-3, 200, n),
        lambda: rng.random(n) < 0.5,
        lambda: np.full(n, rng.choice([0.0, 1.5, 1e300])),
        lambda: np.sort(rng.normal(size=n)),
        lambda: np.arange(n) * 10,
    )
    one = kinds[rng.choice(8)] if rng.random() < 0.3 else None
    frame = pd.DataFrame({j: (one or kinds[rng.choice(8)])() for j in range(d)})
    if rng.random() < 0.2:
        frame[d] = frame[0]
    names = rng.choice(3)
    if names:
        frame.columns = pd.Index([f"{'vé'[names - 1]} {j}" if j else "first" for j in range(len(frame.columns))])
    return frame


def _features(call: Call, rng: np.random.Generator) -> str:
    """Write features and say where; some of them are damaged."""
    frame = _values(rng)
    call.values, call.rows = frame.to_numpy(dtype=np.float64), len(frame)
    kind = str(rng.choice(["text", "text", "text", "-", ".xlsx", ".parquet", ".npy", ".npz", ".safetensors"]))
    if kind in (".npy", ".npz", ".safetensors"):
        name, data = _array(call, kind, rng)
    else:
        frame.columns = frame.columns.astype(str)
        if rng.random() < 0.2:
            frame.insert(int(rng.integers(len(frame.columns) + 1)), "site", rng.choice(WORDS[:4], len(frame)))
        if rng.random() < 0.3:
            frame.insert(int(rng.integers(len(frame.columns) + 1)), "key", _ids(rng, len(frame)))
            call.ids = frame["key"].astype(str).tolist()
        if kind in ("text", "-"):
            name, data = _text(call, frame, kind, rng)
        else:
            name, data = f"x{kind}", _packed(call, frame, kind)
    if rng.random() < 0.35:
        data = _damaged(call, name, data, rng)
    if name == "-":
        call.stdin = data
    elif rng.random() < 0.01:
        Path(name).unlink(missing_ok=True)
        Path(name).mkdir()
        call.refused = True
    elif rng.random() < 0.99:
        Path(name).write_bytes(data)
    else:
        Path(name).unlink(missing_ok=True)
        call.refused = True
    return name


def _ids(rng: np.random.Generator, n: int) -> Any:
    made = (
        lambda j: f"{j:04d}", lambda j: f"s{j}", lambda j: 2**60 + j, lambda j: f'{j}, "é"', lambda j: f"#{j}",
        lambda j: "NA",
    )  # fmt: skip
    return [made[kind](j) for kind in [rng.choice(len(made))] for j in range(n)]


def _array(call: Call, kind: str, rng: np.random.Generator) -> tuple[str, bytes]:
    dtype = str(rng.choice(DTYPES))
    with np.errstate(all="ignore"):
        if np.dtype(dtype).kind not in "f?":
            call.values = np.nan_to_num(call.values) % 100
        array = np.asarray(call.values).astype(dtype)
    call.refused |= not np.isfinite(array).all()
    call.values = array
    options = {"key": str(rng.choice(["a", "b"]))} if kind != ".npy" and rng.random() < 0.5 else {}
    several = bool(options) and rng.random() < 0.5
    arrays = {options.get("key", "a"): array, **({"other": array[:3]} if several else {})}
    if options:
        call.argv += ["--key", options["key"]]
        call.read |= options
    buffer = io.BytesIO()
    if kind == ".npy":
        np.save(buffer, np.asfortranarray(array) if rng.random() < 0.3 else array)
    elif kind == ".npz":
        (np.savez if rng.random() < 0.5 else np.savez_compressed)(buffer, **arrays)
    else:
        native = {
            k: torch.from_numpy(np.ascontiguousarray(a.astype(a.dtype.newbyteorder("=")))) for k, a in arrays.items()
        }
        save_file(native, "x.safetensors")
        return "x.safetensors", Path("x.safetensors").read_bytes()
    call.story.append(f"{kind} {dtype}")
    return f"x{kind}", buffer.getvalue()


def _packed(call: Call, frame: pd.DataFrame, kind: str) -> bytes:
    buffer = io.BytesIO()
    call.sure = kind == ".parquet"  # a sheet has a first line that may be a row
    if kind == ".parquet":
        frame.to_parquet(buffer, index=False)
    else:
        frame.to_excel(buffer, index=False)
        if call.ids is not None and frame["key"].dtype.kind == "i":
            call.ids = None  # a sheet holds 15 digits
    if "key" in frame:
        call.argv += ["--id", "key"]
        call.read["id"] = "key"
    return buffer.getvalue()


def _text(call: Call, frame: pd.DataFrame, kind: str, rng: np.random.Generator) -> tuple[str, bytes]:
    sep, decimal = str(rng.choice([",", ";", "\t", "|", " "])), str(rng.choice([".", ","]))
    decimal = "." if sep == "," else decimal
    header, index = rng.random() < 0.6, rng.random() < 0.15
    index = bool(index and header and call.ids is None)
    text = frame.to_csv(
        sep=sep, decimal=decimal, header=header, index=index, quoting=int(rng.choice(3)),
        lineterminator=str(rng.choice(["\n", "\r\n", "\r"])),
    )  # fmt: skip
    plain = frame.drop(columns=[c for c in ("site", "key") if c in frame])
    # Lines like 1,5 without a header are two columns; a row number over rows may be a header.
    call.sure = rng.random() < 0.5
    if call.sure:
        call.argv += ["--sep", {"\t": "tab", " ": "space"}.get(sep, sep), "--decimal", decimal]
        call.argv += ["--header" if header else "--no-header"]
        call.read |= {"sep": {"\t": "tab", " ": "space"}.get(sep, sep), "decimal": decimal, "header": header}
    if call.ids is not None:
        call.sure &= call.ids[0][0] != "#"  # such lines are left out
        where = "key" if header else str(frame.columns.get_loc("key"))
        call.argv += ["--id", where]
        call.read["id"] = where
    if rng.random() < 0.2 and not index:
        names = list(frame.columns)
        some = ",".join('"' + c + '"' if header else str(names.index(c)) for c in plain)
        call.argv += ["--columns", some]
        call.read["columns"] = some
    if rng.random() < 0.1:
        text = "# a comment\n\n" + text
    if rng.random() < 0.1:
        text = text.rstrip("\r\n")
    call.story.append(f"{sep!r} {decimal} header={header} index={index} sure={call.sure}")
    data = text.encode(str(rng.choice(["utf-8", "utf-8-sig", "utf-16"])))
    if kind == "-":
        return "-", data
    suffix = str(rng.choice(TEXT))
    if rng.random() < 0.1:
        import gzip

        return f"x{suffix}.gz", gzip.compress(data)
    return f"x{suffix.upper() if rng.random() < 0.1 else suffix}", data


# -- damage -----------------------------------------------------------------------------------------------------------


def _damaged(call: Call, name: str, data: bytes, rng: np.random.Generator) -> bytes:
    """Other bytes; what is known of the rows is forgotten where the damage may change it."""
    at = int(rng.integers(len(data)))
    text = name == "-" or name.lower().endswith(TEXT)
    kind = int(rng.choice(16 if text else 8))
    call.values, call.sure, call.clean, call.refused = None, False, False, False
    call.story.append(f"damage {kind} at {at}")
    if kind < 12:
        call.rows = call.ids = None
    noise = rng.bytes(int(rng.integers(1, 6)))
    many = rng.integers(0, len(data), 5)
    made: dict[int, Any] = {
        0: lambda: data[:at],
        1: lambda: bytes(b ^ (1 << rng.integers(8)) if i in many else b for i, b in enumerate(data)),
        2: lambda: data[:at] + noise + data[at:],
        3: lambda: data[:at] + data[at + len(noise) :],
        4: lambda: b"",
        5: lambda: data[:at] + b"\0" * 3 + data[at:],
        6: lambda: rng.bytes(300),
        7: lambda: data + data,
        8: lambda: data[:at] + bytes(rng.choice(list(b"\"',;\t|. \n\r#-e0"), 2).tolist()) + data[at:],
        9: lambda: b"\xef\xbb\xbf" + data,
        10: lambda: data.replace(b"\xc3\xa9", b"\xe9"),
        11: lambda: data.decode("utf-8", "replace").encode(str(rng.choice(["utf-16-le", "utf-32", "utf-7"]))),
    }
    return made[kind]() if kind < 12 else _cell(call, data, kind, rng)


def _cell(call: Call, data: bytes, kind: int, rng: np.random.Generator) -> bytes:
    """Another cell somewhere, a cell more or less, or an empty line."""
    call.ids = None
    lines = re.split(rb"\r\n|\n|\r", data)
    i = int(rng.integers(len(lines)))
    cells = re.split(rb"([,;\t| ])", lines[i])
    j = 2 * int(rng.integers((len(cells) + 1) // 2))
    if kind == 12:
        words = [
            b"",
            b"nan",
            b"inf",
            b"-inf",
            b"1e999",
            b"1e-999",
            b"abc",
            b"1,5",
            b"1.5",
            b"--",
            b"0x10",
            b"1_0",
        ]
        cells[j] = words[rng.choice(len(words))]
    elif kind == 13:
        cells += [*cells[1:2], b"1"]
    elif kind == 14:
        cells = cells[:-2]
    else:
        lines.insert(i, b"")
    # A row with another cell is read or refused, but never lost. The first line may become names, or lose them.
    known = kind == 15 or (
        i > 0 and lines[i].strip() and lines[i][:1] != b"#" and b'"' not in data and b"\0" not in data
    )
    call.rows = call.rows if known else None
    lines[i + (kind == 15)] = b"".join(cells)
    return b"\n".join(lines)


# -- options ----------------------------------------------------------------------------------------------------------


def _labels(call: Call, rng: np.random.Generator) -> None:
    """A file of labels, some of them damaged."""
    n = call.rows or 30
    kinds: list[Any] = [
        rng.integers(0, 3, n),
        rng.integers(-1, 3, n),
        rng.integers(2**60, 2**60 + 3, n),
        rng.choice(WORDS[:3], n),
        rng.choice(WORDS, n),
        rng.random(n) < 0.5,
        np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 3, n)),
    ]
    kind = int(rng.choice(len(kinds)))
    labels = kinds[kind]
    known = [label for label in labels.tolist() if label != -1 and not pd.isna(label)]
    call.classes = len(set(known)) if call.rows is not None else None
    call.refused |= not known
    suffix = str(rng.choice([".csv", ".txt", ".npy", ".npz", ".parquet", ".xlsx"]))
    argv = ["--labels", f"y{suffix}"]
    buffer = io.BytesIO()
    series = pd.Series(labels, name=str(rng.choice(["label", "colour", "0"])))
    if suffix in (".npy", ".npz"):
        plain = labels.astype(str) if labels.dtype.kind == "O" else labels
        np.save(buffer, plain) if suffix == ".npy" else np.savez(buffer, a=plain, b=plain[:4])
        argv += ["--labels-key", "a"] if suffix == ".npz" else []
    elif suffix == ".parquet":
        series.to_frame().to_parquet(buffer)
    elif suffix == ".xlsx":
        series.to_excel(buffer, index=False)
        call.classes = None if kind == 2 else call.classes  # 15 digits
    else:
        header = rng.random() < 0.5
        buffer.write(series.to_csv(index=False, header=bool(header)).encode())
        argv += [["--no-labels-header", "--labels-header"][header]] if rng.random() < 0.5 else []
        if "--sep" in call.read or call.read.get("sep"):
            call.classes, call.sure = None, False  # the labels are of another dialect
    if suffix in (".csv", ".txt", ".xlsx"):
        call.sure &= len(argv) > 2
    data = buffer.getvalue()
    if rng.random() < 0.1 and suffix == ".csv" and call.argv[1] != "-":
        argv[1], call.stdin = "-", data
        call.argv += argv
        return
    if rng.random() < 0.2:
        wrong = Call([], rows=n)
        data = _damaged(wrong, argv[1], data, rng)
        call.classes, call.sure, call.clean = None, False, False
        call.story += [f"labels: {each}" for each in wrong.story]
    Path(argv[1]).write_bytes(data)
    call.argv += argv
    call.story.append(f"labels {kind} {suffix}")


def _wrong_options(call: Call, rng: np.random.Generator) -> None:
    """Options that cannot be, or that change what is read."""
    n = call.rows or 30
    wrong: list[list[str]] = [
        ["-k", "0"], ["-k", "1000"], ["-k", "-1"], ["-k", "two"], ["-k", str(n)], ["-k", "1"], ["--knn", "0"],
        ["--knn", "1000"], ["--walks", "0"], ["--debias", "nan"], ["--debias", "1.5"], ["--debias", "1"],
        ["--restarts", "0"], ["--seed", "-1"], ["--seed", str(2**70)], ["--seed", "1.5"], ["--format", "xml"],
        ["--labels", "none.csv"], ["--labels", "."], ["--labels", call.argv[1]], ["--labels-key", "none"],
        ["--row", "none"], ["--column", "none"], ["--column", "graph"], ["--column", "classes"], ["-d", "0"],
        ["-d", "40"], ["-d", "-2"], ["-d", "1"], ["--key", "none"], ["--key", ""], ["--sep", "::"], ["--sep", ""],
        ["--sep", "\n"], ["--sep", "x"], ["--sep", '"'], ["--decimal", ";"], ["--decimal", ","], ["--columns", "99"],
        ["--columns", "-1"], ["--columns", "0:99"], ["--columns", "9:"], ["--columns", ""], ["--columns", '"'],
        ["--columns", "0,0"], ["--columns", "\n"], ["--drop", ":"], ["--drop", "none"], ["--drop", "0"],
        ["--id", "0:2"], ["--id", "none"], ["--id", "0", "--id", "1"], ["--id", ""], ["--out", ""], ["--out", "."],
        ["--out", ".."], ["--out", "/"], ["--out", "none/o.csv"], ["--out", "o.xml"], ["--out", "a" * 300 + ".csv"],
        ["--out", "/proc/o.csv"], ["--out", "/proc/o"], ["--out", "/proc/o.npy"], ["--none"], ["more"], ["--header"],
        ["--no-header"], ["--id", "999999999999999999999"], ["--columns", "0:999999999999999999999"],
    ]  # fmt: skip
    for _ in range(1 if rng.random() < 0.8 else 2):
        added = wrong[rng.choice(len(wrong))]
        call.argv += added
        if added[0] in ("--out", "--labels", "--labels-key"):
            call.out = added[1] if added[0] == "--out" else call.out
            call.refused |= added[0] == "--out"
            call.classes = None
        else:
            call.values = call.ids = call.classes = None
        call.refused |= added[0] in ("--none", "more")
    call.sure = call.clean = False
    if {"--header", "--no-header", "--sep", "--columns", "--id"} & set(call.argv[-2:]):
        call.rows = None
