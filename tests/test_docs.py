"""The guide: what it shows runs, what it names exists, and it is built without a warning and without the network."""

from __future__ import annotations

import copy
import importlib.util
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import icon
from table import guide
from table.peers import absent_vision
from tests.ranks import ROOT

DOCS = ROOT / "docs"
AUTHORS = DOCS / "authors.md"  # its calls, and those of the pages of the methods, have names that a reader supplies
PAGES = sorted(set(DOCS.rglob("*.md")) - {AUTHORS})
NEEDS = {"migration": ("lightly", "openTSNE", "pytorch_metric_learning"), "training": ("lightning", "transformers")}
SLOW = {"bad-input", "choosing", "clustering", "maps", "migration", "training"}
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def in_mind() -> dict[str, Any]:
    """What the calls of methods are given: 60 points of 8 numbers, and what belongs to them."""
    torch.manual_seed(0)
    n, d, classes = 60, 8, 5
    rows = {name: torch.randn(n, d, requires_grad=True) for name in (
        "z", "z_a", "z_b", "view_a", "view_b", "queries", "keys", "a", "b", "x", "contexts", "logits_a", "logits_b"
    )}  # fmt: skip
    labels = torch.arange(n) % classes
    encoder, head = nn.Linear(d, d), nn.Linear(d, classes)
    adjacency = (torch.arange(n)[:, None] - torch.arange(n)).abs() == 1
    prototypes = torch.randn(classes, d, requires_grad=True)
    return rows | {
        "icon": icon, "torch": torch, "unit": nn.functional.normalize, "ids": torch.arange(n) // 2,
        "labels": labels, "clusters": labels, "adjacency": adjacency.double(), "x": rows["x"].detach(),
        "logits": torch.randn(n, classes, requires_grad=True), "prototypes": prototypes,
        "centroids": torch.randn(classes, d), "n_prototypes": classes, "encoder": encoder, "head": head,
        "predictor": nn.Linear(d, d), "student": nn.Sequential(encoder, icon.nn.Prototypes(classes, d)),
        "teacher": copy.deepcopy(encoder), "hidden": torch.randn(2, n // 2, d, requires_grad=True),
        "masked": (torch.arange(n) % 3 == 0).reshape(2, n // 2), "tokens": labels.reshape(2, n // 2),
        "token_embeddings": torch.randn(classes, d, requires_grad=True), "class_weights": torch.ones(classes),
        "class_counts": torch.arange(1, classes + 1), "expected_counts": torch.ones(classes),
        "sampled": torch.arange(classes), "places": labels, "soft_labels": torch.eye(classes)[labels],
        "label_sets": torch.eye(classes)[labels],
    }  # fmt: skip


def run(code: str, name: str, namespace: dict[str, Any]) -> None:
    with warnings.catch_warnings(), absent_vision():
        warnings.simplefilter("ignore")
        exec(compile(code, name, "exec"), namespace)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in PAGES]
)
def test_a_page_reads_as_one_session(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in NEEDS.get(page.stem, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "guide"}
    shell = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if code.startswith("--8<--"):  # a file of examples/, which tests/test_examples.py runs
            assert (ROOT / code.split('"')[1]).is_file()
        elif language == "python":
            run(code, page.name, namespace)
        else:
            subprocess.run(["bash", "-euc", code], check=True, env=shell, timeout=300, capture_output=True)


@pytest.mark.parametrize("method", icon.methods(), ids=lambda method: method.slug)
def test_the_calls_of_a_method_run(method: Any) -> None:
    blocks = [code for language, code in BLOCK.findall(guide.page(method)) if language == "python"]
    assert blocks
    for code in blocks:
        namespace = in_mind()
        run(code, method.slug, namespace)
        assert torch.isfinite(namespace.get("number", namespace.get("value"))).all()


def test_the_page_of_the_commands_says_choices_and_defaults() -> None:
    lines = {re.sub(" +", " ", line) for line in guide.commands().splitlines()}
    chosen = "`map`, `clusters`, `retrieval`, `classification`"
    assert f"| `--for` | What you want to make of the features. One of {chosen}. | `map` |" in lines
    assert "| `--seed` | Seed: the same one gives the same result on the same machine. | `0` |" in lines
    assert any(line.startswith("| `FEATURES` | ") and line.endswith(" | |") for line in lines)


def test_no_number_at_the_beginning_of_a_line_makes_a_list() -> None:
    """Python-Markdown takes "48. Then" inside a list for an item, and drops the number."""
    for path in (*PAGES, *ROOT.glob("*.md"), *ROOT.glob("experiments/**/*.md")):
        numbers = [int(number) for number in re.findall(r"^ *([0-9]+)\. ", path.read_text(encoding="utf-8"), re.M)]
        assert all(number == 1 or number - 1 in numbers[:place] for place, number in enumerate(numbers)), path


def test_the_named_tests_exist() -> None:
    text = (DOCS / "mathematics.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 20
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"
    methods = {method.slug for method in icon.methods()}
    checked = re.findall(r"`python -m table --only ([\w-]+)`", text)
    assert checked
    assert set(checked) <= methods


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: (\S+)", text, flags=re.MULTILINE))
    for place in (icon.p, icon.q, icon.nn, icon.metrics, icon.training):
        names = {f"{place.__name__}.{name}" for name in place.__all__}
        assert names - shown <= {"icon.nn.MAX_FEATURES", "icon.nn.NAMES", "icon.q.PARTITIONS"} | {
            f"icon.nn.{name}"
            for name in ("parameter_groups", "sinkhorn")  # shown as those of another place
        }
    packages = {"estimators", "metrics", "neighbors", "nn", "p", "q", "training"}
    assert {f"icon.{name}" for name in icon.__all__ if name not in packages} <= shown


@pytest.mark.slow
def test_the_site_is_built_without_warning_and_without_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {str(path.relative_to(tmp_path)): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert {f"methods/{method.slug}.html" for method in icon.methods()} <= set(pages)
    for name, page in pages.items():
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', page), name
        assert not re.search(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//', page), name
        assert 'class="arithmatex"' not in page, name
    assert "<math" in pages["mathematics.html"]
