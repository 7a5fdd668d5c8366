"""Masses are copied and pickled by their fields."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import icon

ROWS = icon.p.Classes()(torch.tensor([0, 0, 1, 1, 2]))


def test_what_is_known_of_masses_is_found_anew() -> None:
    ROWS.entropy()
    for again in (pickle.loads(pickle.dumps(ROWS.masses)), copy.deepcopy(ROWS.masses), copy.copy(ROWS.masses)):
        assert vars(again).keys() == {"keys", "candidate_keys", "support", "mass"}
        torch.testing.assert_close(again.sums(), ROWS.masses.sums())


def test_masses_of_another_version_are_refused() -> None:
    """An offset of the anchors that is read no more would make each its own positive."""
    two_sets = icon.p.Classes()((torch.tensor([0, 1]), torch.tensor([0, 1]))).masses
    with pytest.raises(ValueError, match=r"^pickle: got Grouped of another version of icon"):
        two_sets.__setstate__({"keys": two_sets.keys, "candidate_keys": two_sets.candidate_keys, "mass": 1.0, "own": 0})
