"""The name of `icon.nn` in 0.1, which leaves in 0.3."""

from icon import _checks as check
from icon.nn import *  # noqa: F403

check.warn("icon.mappers is now icon.nn", DeprecationWarning)
