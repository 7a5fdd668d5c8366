"""The type checker of the shapes in icon's signatures. NumPy's numbers are numbers to it, as to icon's own checks."""

import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype

WHOLE = int | np.integer
check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({int: WHOLE, float: float | WHOLE | np.floating})))
