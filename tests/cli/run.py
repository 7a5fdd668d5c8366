"""The command in this process: what it prints, and its exit status."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from icon.cli.main import main


@dataclass
class Done:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def invoke(arguments: Sequence[str], input: str | bytes = b"", env: Mapping[str, str] | None = None) -> Done:
    status, out, err = 0, io.StringIO(), io.StringIO()
    stdin = io.TextIOWrapper(io.BytesIO(input.encode() if isinstance(input, str) else input), "utf-8")
    with (
        patch("sys.argv", ["icon", *arguments]), patch("sys.stdin", stdin), patch("signal.signal"),
        patch.dict(os.environ, env or {}), redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    return Done(status, out.getvalue(), err.getvalue())
