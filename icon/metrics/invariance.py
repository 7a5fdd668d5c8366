"""Invariance of single units to transformations of the input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icon import _checks as check
from icon.labels import classes_of

Floats = NDArray[np.float64]


def representation_invariance_score(activations: ArrayLike, labels: ArrayLike, top: int | None = None) -> float:
    """How much more the best units fire along the transformations of one class than they fire at large.

    A unit i fires where its activation reaches its threshold, chosen so that it fires on a share 1/|Y| of all n·t
    activations. Where ties make that impossible the nearest possible rate is taken, and the achieved rate is G(i); a
    constant unit never fires and scores 0. The local rate ``L_y(i)`` is the share of the t versions of an instance at
    which the unit fires, averaged over the instances of class y.

        score = mean_y mean_{i in top_y} L_y(i) / G(i),     top_y: the units with the largest ratios for class y

    1 is chance. With balanced classes the maximum is |Y|: units that fire on all of a class and on nothing else; in
    general a class of n_y instances gets at most n / n_y. Taking the best of many units is optimistic: compare scores
    of as many units, and of as many activations.

    Args:
        activations: ``[n, t, u]`` of u units on t transformed versions of n instances. A unit that is on where it is
            low counts if its negative is given too.
        labels: ``[n]`` the class of each instance, at least two classes.
        top: units that are averaged for each class; None: a tenth of them, rounded up.

    Raises:
        ValueError: not three dimensions, NaN or infinity, labels of another length, one class, more ``top`` than units.

    Source: Goodfellow, Le, Saxe, Lee, Ng 2009, Measuring Invariances in Deep Networks, NIPS; here with the class as
    the target: one global rate 1/|Y|, and the local rate taken within a class.
    """
    x = _activations(activations)
    n, t, units = x.shape
    given = classes_of(labels, n=n)
    if not given.known.all():
        raise ValueError("labels: got unknown ones (-1, None or NaN), expected a class for each instance")
    y, classes = given.codes, given.names
    if len(classes) < 2:
        raise ValueError("labels: got 1 class, expected at least two")
    top = -(-units // 10) if top is None else check.count(top, "top")
    if top > units:
        raise ValueError(f"top: got {top}, expected at most {units} (the number of units)")
    fires = x >= _thresholds(x.reshape(n * t, units), len(classes))
    share = fires.mean(axis=1)
    local = np.stack([share[y == c].mean(axis=0) for c in range(len(classes))])
    overall = fires.mean(axis=(0, 1))
    ratio = np.divide(local, overall, out=np.zeros_like(local), where=overall > 0)
    return float(np.sort(ratio, axis=1)[:, units - top :].mean())


def _activations(value: Any) -> Floats:
    tensor = check.with_numbers(check.as_tensor(value, "activations"), "activations").detach().cpu()
    if tensor.ndim != 3 or 0 in tensor.shape:
        raise ValueError(f"activations: got shape {tuple(tensor.shape)}, expected (n, t, u), none of them zero")
    flat: Floats = check.matrix(tensor.flatten(1), "activations").double().numpy()
    return flat.reshape(tensor.shape)


def _thresholds(x: Floats, classes: int) -> Floats:
    """``[u]`` the value at and above which each column of ``x [N, u]`` fires, at the rate nearest to 1/classes."""
    n = len(x)
    rank = -(-n // classes)
    value = np.partition(x, n - rank, axis=0)[n - rank]  # the rank-th largest
    above = np.where(x > value, x, np.inf).min(axis=0)  # the next larger, infinite if there is none
    more, fewer = (x >= value).sum(axis=0), (x > value).sum(axis=0)
    nearer = (fewer > 0) & (2 * n <= classes * (more + fewer))  # to n / classes than `more` is
    thresholds: Floats = np.where(nearer | (more == n), above, value)
    return thresholds
