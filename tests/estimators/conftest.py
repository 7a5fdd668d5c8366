"""Points that the tests of the estimators share."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """150 points of four clusters."""
    x, y = make_blobs(150, n_features=5, centers=4, cluster_std=1.0, random_state=3)[:2]
    return x, y
