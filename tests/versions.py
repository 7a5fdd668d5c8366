"""What depends on the version of PyTorch and not on the package."""

from __future__ import annotations

import pytest
import torch

#: Older ones do not compile or export all that newer ones do, run other operations, and warn of code of their own.
recent_torch = pytest.mark.skipif(torch.__version__ < "2.10", reason="what PyTorch before 2.10 does not do itself")
