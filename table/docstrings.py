"""An extension of griffe: examples in docstrings become blocks of code, which Markdown would take for quotations."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^>>> .*\n?(?:^(?:>>>|\.\.\.).*\n?)*", re.MULTILINE)


class Examples(Extension):
    """Fence the lines that begin with ``>>>``."""

    def on_instance(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for each object that was read."""
        if obj.docstring is not None:
            text = EXAMPLE.sub(lambda example: f"\n```pycon\n{example[0].rstrip()}\n```\n", obj.docstring.value)
            obj.docstring.value = text
