"""The gallery: the whole command on 100 digits and on features of a user's own, and what a page is given of it."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from experiments.datasets import Dataset, load, scaled
from experiments.gallery import (
    SEEN,
    SLIDERS,
    as_classes,
    chosen,
    configurations,
    map_of,
    packed,
    page_data,
    places,
    run,
    thinned,
    unpacked,
    wide,
)
from experiments.gallery_training import Settings, encoded, halves, noisy
from experiments.store import read
from icon.methods.axes import COLUMNS, ROWS
from tests.experiments.fakes import command, saved

DIGITS = load("digits").subset(100)
QUICK = {"steps": 4, "encoder_steps": 2, "cluster_steps": 2, "frame_steps": 3}
SET = [part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")]
PUBLISHED = Path(__file__).parents[2] / "experiments" / "results" / "gallery"
RUNS = 1 + 45 + sum(len(slider.values) for slider in SLIDERS.values())
CELLS = [(row, column) for row in ROWS for column in COLUMNS][:45]


def _pairs(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<u2").reshape(-1, 2)


def _check(data: dict[str, Any]) -> None:
    """The form that a page relies on."""
    n, names = data["n"], data["classes"]
    assert len(base64.b64decode(data["labels"])) == n
    assert [(cell["row"], cell["column"]) for cell in data["cells"]] == CELLS
    for cell in data["cells"]:
        z = _pairs(cell["places"])
        assert z.shape == (n, 2)
        assert np.ptp(z, axis=0).max() == 65535 or np.ptp(z) == 0
        assert 1 <= len(cell["curve"]) <= 60
        assert np.isfinite(cell["curve"]).all()
        assert cell["uses_labels"] == (cell["column"] in ("classes", "data-label"))
        for score in (cell["knn"], cell["clustering"]):
            assert np.ptp(z) == 0 if score is None else 0 <= score <= 1
        assert (cell["kind"] == "clusters") == (cell["row"] == "clusters") == (cell["clusters"] is not None)
        if cell["kind"] == "clusters":
            found = np.frombuffer(base64.b64decode(cell["clusters"]), dtype=np.uint8)
            assert np.bincount(found, minlength=len(names)).tolist() == cell["sizes"]
    assert [slider["knob"] for slider in data["sliders"]] == list(SLIDERS)
    for slider in data["sliders"]:
        assert len(slider["values"]) == len(slider["frames"])
        assert all(len(_pairs(frame["places"])) == n for frame in slider["frames"])


@pytest.mark.slow
def test_the_command_makes_every_cell_once(tmp_path: Path) -> None:
    arguments = ("gallery", "--subset", "100", *SET, "--out", str(tmp_path))
    done = command(*arguments)
    assert done.exit_code == 0, done.output
    assert f"{RUNS} runs made, 0 were there" in done.output
    assert f"0 runs made, {RUNS} were there" in command(*arguments).output
    folder = tmp_path / "gallery"
    frame = read(folder)
    cells = frame[frame["part"] == "cell"]
    assert list(zip(cells["row"], cells["column"], strict=True)) == CELLS
    assert (folder / "gallery.png").stat().st_size > 0
    data = page_data(folder)
    _check(data)
    assert data["dataset"] == "digits-100"
    images = data["images"]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(images["png"]))))
    last = (99 // images["columns"]) * 8, (99 % images["columns"]) * 8
    tile = sheet[last[0] : last[0] + 8, last[1] : last[1] + 8]
    assert np.array_equal(tile, np.rint(255 * DIGITS.x[99].reshape(8, 8)))
    assert np.frombuffer(base64.b64decode(data["labels"]), dtype=np.uint8).tolist() == DIGITS.y.tolist()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:(perplexity|n_neighbors). lowered")
def test_features_of_a_user(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = np.repeat([3, 5, 9], 20)
    files = saved(tmp_path, random.normal(size=(60, 5)) + 4 * np.eye(5)[y // 3], y)
    done = command("gallery", *files, *SET, "--set", "points=50", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    data = page_data(tmp_path / "gallery")
    _check(data)
    assert (data["n"], data["classes"], data["images"]) == (50, ["0", "1", "2"], None)
    (tmp_path / "gallery" / SEEN).write_text("dataset,row,column,seen\nx,clusters,knn,Three clusters.\n")
    seen = {(cell["row"], cell["column"]): cell["seen"] for cell in page_data(tmp_path / "gallery")["cells"]}
    assert seen["clusters", "knn"] == "Three clusters."
    assert seen["clusters", "graph"] == ""


def test_data_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match=r"labels: got 1 classes of one, expected 2 to 256"):
        configurations(Dataset("one", DIGITS.x, y=np.zeros(100, dtype=np.int64)))
    with pytest.raises(ValueError, match=r"features: got 1 column, expected at least two"):
        halves(torch.zeros(4, 1))


def test_a_longer_map_shows_more_and_is_the_same_again() -> None:
    configuration = {"part": "cell", "row": "student-t", "column": "knn", "value": ""}
    begun, done, again = (run(DIGITS, 0, configuration, Settings(steps=steps)) for steps in (1, 200, 200))
    assert float(done["clustering"]) > float(begun["clustering"])
    assert done["map"] == again["map"]


def test_a_frame_differs_by_its_value_alone() -> None:
    few = Settings(**QUICK)
    for knob in ("debias", "temperature"):
        slider = SLIDERS[knob]
        frames = [
            run(DIGITS, 0, {"part": knob, "row": slider.row, "column": slider.column, "value": value}, few)
            for value in (slider.values[0], slider.values[0], slider.values[-1])
        ]
        assert frames[0]["map"] == frames[1]["map"]
        assert frames[0]["curve"] != frames[2]["curve"]


def test_numbers_as_text_come_back() -> None:
    numbers = np.random.default_rng(0).integers(0, 2048, (2, 30)).astype("<u2")
    assert np.array_equal(unpacked(packed(numbers), "<u2"), numbers.ravel())
    assert np.array_equal(map_of(packed(numbers)), numbers.T)


def test_places_keep_the_shape_of_a_map() -> None:
    assert places(np.array([[0.0, 0], [4, 0], [4, 2]])).T.tolist() == [[0, 512], [2047, 512], [2047, 1535]]
    assert np.ptp(places(np.full((5, 2), 3.0) + 1e-6 * np.eye(5, 2))) == 0
    assert _pairs(wide(np.array([[0, 2047]]))).tolist() == [[0, 65535]]


def test_clusters_have_the_numbers_of_their_classes() -> None:
    y = np.array([0, 0, 1, 1, 2])
    assert as_classes(np.array([2, 2, 0, 0, 1]), y, 3).tolist() == y.tolist()


def test_classes_that_a_subset_lacks_leave_no_gap() -> None:
    dataset = replace(DIGITS, y=DIGITS.y * 2)
    assert np.unique(chosen(dataset, 100).y).tolist() == list(range(10))


def test_a_view_of_features_is_noisy_in_training_alone() -> None:
    first, second = noisy(torch.zeros(3, 2), 1.0)
    assert not torch.equal(first, second)
    seen = encoded(replace(DIGITS, shape=None), "student-t", "pairs", 0, Settings(**QUICK, directions=64))
    x = torch.from_numpy(scaled(DIGITS, 64))
    assert torch.equal(seen.encoder.first(x), torch.from_numpy(seen.z))


def test_a_curve_is_thinned_to_its_ends() -> None:
    assert thinned([1.0, 2.0]) == [1.0, 2.0]
    kept = thinned([float(step) for step in range(500)])
    assert (len(kept), kept[0], kept[-1]) == (60, 0, 499)


def test_every_published_cell_has_a_sentence() -> None:
    words = pd.read_csv(PUBLISHED / SEEN)
    assert list(zip(words["row"], words["column"], strict=True)) == CELLS
    assert words["seen"].str.endswith(".").all()
    data = page_data(PUBLISHED)
    _check(data)
    assert [cell["seen"] for cell in data["cells"]] == words["seen"].tolist()
