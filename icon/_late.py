"""Modules that some below them use once all are there; the top of the package says where they are.

So none of these imports one above it: not the loss the table, which knows its name, nor the reader of files the
estimators, which say how their own are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

registry: Callable[[], Any]
serialization: Callable[[], Any]
estimators: Callable[[], Any]
