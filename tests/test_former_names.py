"""Former names work for one release, with a warning at the line that uses them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import icon
from tests.cases import digits

PHI = np.full((6, 3), 1 / 3)


@pytest.mark.parametrize(
    "use",
    [
        lambda: icon.Loss(icon.p.Pairs(), icon.q.StudentT(), empty="zero"),
        lambda: icon.loss("gaussian", "classes", empty="zero"),
        lambda: icon.method("supcon", empty="zero"),
        lambda: icon.method("supcon").replace(empty="zero"),
        lambda: icon.method("supcon").empty,
        lambda: icon.Embedding(max_iter=2, hyper={"empty": "zero", "perplexity": 5}).fit(digits(20)[0]),
        lambda: icon.diagnose(PHI, starts=np.zeros((2, 6), dtype=int)),
        lambda: icon.suggest_n_clusters(digits(40)[0], max_clusters=5, debias=0.1),
        lambda: icon.codes,
        lambda: icon.mappers,
    ],
)
def test_the_warning_points_at_the_user(use: Callable[[], Any]) -> None:
    with pytest.warns(DeprecationWarning, match=" now |plays no part") as told:
        use()
    assert [each.filename for each in told if issubclass(each.category, DeprecationWarning)] == [__file__]


@pytest.mark.slow
def test_modules() -> None:
    code = "import icon.codes\nfrom icon.mappers import MLP\n"
    code += "assert icon.codes.sinkhorn is icon.sinkhorn and MLP is icon.nn.MLP"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = "<string>:{}: DeprecationWarning: icon.{} is now icon.nn"
    told = [line for line in done.stderr.splitlines() if line.startswith("<string>")]  # 3.13 shows the code as well
    assert told == [said.format(1, "codes"), said.format(2, "mappers")]


def test_both_names_are_refused() -> None:
    expected = r"^empty: got 'zero' with on_no_positive='raise', expected the latter alone"
    with pytest.warns(match="now on_no"), pytest.raises(ValueError, match=expected):
        icon.method("supcon", empty="zero", on_no_positive="raise")
    with pytest.warns(match="now on_no"), pytest.raises(ValueError, match=expected):
        icon.method("supcon").replace(empty="zero", on_no_positive="raise")
