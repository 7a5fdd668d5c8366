"""Points ``[30, 5]`` that the tests of training share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.runs import N


@pytest.fixture
def x() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(N, 5))).float()
