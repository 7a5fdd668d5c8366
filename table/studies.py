"""The studies that the page shows: those measured here, and those that the experiments left in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from table import debiasing
from table.page.schema import Study

RESULTS = Path(__file__).parent.parent / "experiments" / "results"


def studies(results: Path = RESULTS) -> list[Study]:
    """The study of debiasing, then one for each ``study.json`` under the results of the experiments, by name.

    Raises:
        ValueError: a file that holds no study.
    """
    return [debiasing.study(), *map(_read, sorted(results.glob("*/study.json")))]


def _read(path: Path) -> Study:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        missing = sorted(Study.__required_keys__ - set(found))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: got no JSON object ({error}), expected a study") from None
    if missing:
        raise ValueError(f"{path}: got a study without {', '.join(missing)}, expected all of its parts")
    return cast(Study, found)
