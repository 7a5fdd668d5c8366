"""Merge clusters into fewer, so that two ends of a pair still tell as much about each other as they can."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SWEEPS = 20  # of moves; a few are enough
BALANCES = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1)  # that are compared where none is given
LESS = 2 / 3  # the share of the normalised cut that is left where unequal groups may be the better ones
MORE = 3.0  # and how many times as much is cut with one group more
MOST = 50  # groups for which balances are compared: each takes a merging


def merge(joint: Array, n_groups: int, balance: float = 1.0) -> NDArray[np.int64]:
    """The group ``[k]`` of each of k clusters, at most ``n_groups`` of them, that loses little mutual information.

    Args:
        joint: ``[k, k]``, symmetric, not negative, summing to one: how probable it is that a pair drawn from p has its
            first point in cluster a and its second in b, ``J = mean_i sum_j p_ij φ_i φ_jᵀ``.
        n_groups: how many groups are left.
        balance: b in [0, 1], as of `icon.q.Clusters`.

    ``I - (1-b) H`` is what the loss of hard clusters comes to, up to its sign, with ``I = sum_ab J_ab log(J_ab / (J_a
    J_b))`` and H the entropy of ``J_a``. First the two groups whose union loses least of it are merged until
    ``n_groups`` are left; then single clusters move to the group where they raise it most, until none does.

    Source: Slonim & Tishby 1999, Agglomerative information bottleneck; Slonim, Friedman & Tishby 2002, Unsupervised
    document classification using sequential information maximization.
    """
    *_, groups = merges(joint, n_groups, balance)
    table = grouped(joint, groups)
    order = np.random.default_rng(0).permutation(len(joint))
    for _ in range(SWEEPS):
        if sum(_moved(joint, groups, table, int(cluster), balance) for cluster in order) == 0:
            break
    return groups


def merges(joint: Array, n_groups: int = 1, balance: float = 1.0) -> Iterator[NDArray[np.int64]]:
    """The groups ``[k]`` of k clusters, first each alone, then after each merging; see `merge` for the arguments."""
    table, groups = joint.copy(), np.arange(len(joint))
    lost = _lost(table, np.stack([_shared(table, row) for row in table]), balance)
    yield groups.copy()
    while len(table) > n_groups:
        a, b = sorted(divmod(int(lost.argmin()), len(table)))
        # For two others only what they have in common with these two changes: O(k²) a merge.
        for each in (a, b):
            _add_shared(lost, table[:, each], -2)
        table[a] += table[b]
        table[:, a] += table[:, b]
        table, lost = (np.delete(np.delete(m, b, axis=0), b, axis=1) for m in (table, lost))
        _add_shared(lost, table[:, a], 2)
        lost[a] = lost[:, a] = _lost(table, _shared(table, table[a])[None], balance, a)
        groups[groups == b] = a
        groups[groups > b] -= 1
        yield groups.copy()


def mutual_information(joint: Array) -> float:
    """I in nats of a table ``[a, b]`` that sums to one."""
    return float(_xlogx(joint).sum() - _xlogx(joint.sum(axis=0)).sum() - _xlogx(joint.sum(axis=1)).sum())


def balance_of(joint: Array, n_groups: int) -> float:
    """How much equal sizes should be worth, by which groups p leaves least; see `merge` for the arguments.

    It is 1, unless other groups have a normalised cut of less than two thirds, and one group more would cut three times
    as much: then the groups are separated, and they are as many as there are. A smaller cut alone says little, because
    a few hardly connected points are cut off easily, and along a line any cut is small, wherever it is. The normalised
    cut is the limit of the loss for a leak of one; among separated groups it prefers no sizes. Of several
    balances that give these groups it is the smallest: with a larger one a restart that cuts the large group has the
    lower loss.
    """
    if not 2 <= n_groups <= min(MOST, len(joint) - 1):
        return 1.0
    cuts = np.array([_cut(joint, n_groups, balance) for balance in BALANCES])
    if cuts.min() >= LESS * cuts[0]:
        return 1.0
    one_more = min(_cut(joint, n_groups + 1, balance) for balance in BALANCES)
    if one_more < MORE * cuts.min():
        return 1.0
    return BALANCES[int(np.flatnonzero(cuts <= 1.1 * cuts.min())[-1])]


def _cut(joint: Array, n_groups: int, balance: float) -> float:
    return normalized_cut(grouped(joint, merge(joint, n_groups, balance)))


def normalized_cut(joint: Array) -> float:
    """``sum_a (1 - J_aa / J_a)``, one for a cluster without mass: each cluster counts alike, whatever its size.

    Source: Shi & Malik 2000, Normalized Cuts and Image Segmentation.
    """
    stays = np.diag(joint) / np.maximum(joint.sum(axis=1), np.finfo(np.float64).tiny)
    return float((1 - stays).sum())


def modularity(table: Array) -> float:
    """``sum_a (J_aa - J_a²)`` of a table of groups that sums to one: how much more stays within than by chance.

    Source: Newman & Girvan 2004, Finding and evaluating community structure in networks.
    """
    return float(np.trace(table) - (table.sum(axis=1) ** 2).sum())


def grouped(joint: Array, groups: NDArray[np.int64]) -> Array:
    """``[g, g]``: the table of the groups."""
    member = np.eye(int(groups.max()) + 1)[groups]
    return np.asarray(member.T @ joint @ member)


def _moved(joint: Array, groups: NDArray[np.int64], table: Array, cluster: int, balance: float) -> bool:
    """Move a cluster to its best group, where that is another one and no group is left empty."""
    old, count = groups[cluster], len(table)
    if (groups == old).sum() == 1:
        return False
    own = joint[cluster, cluster]
    row: Array = np.bincount(groups, weights=joint[cluster], minlength=count).astype(np.float64)
    row[old] = max(row[old] - own, 0)
    apart = np.zeros((count + 1, count + 1))
    apart[:-1, :-1] = table
    _add(apart, old, -row, -own)
    np.maximum(apart, 0, out=apart)  # what is left may be nothing but rounding
    _add(apart, count, row, own)
    lost = _lost(apart, _shared(apart, apart[-1])[None], balance, count)[0, :-1]
    best = int(lost.argmin())
    if best == old or lost[best] > lost[old] - 1e-12:
        return False
    groups[cluster] = best
    table[:] = apart[:-1, :-1]
    _add(table, best, row, own)
    return True


def _add(table: Array, group: int, row: Array, own: float) -> None:
    """Add a cluster to a group, with its ``row [k]`` to the groups and its mass with itself."""
    table[group, : len(row)] += row
    table[: len(row), group] += row
    table[group, group] += own


def _lost(table: Array, shared: Array, balance: float, first: int = 0) -> Array:
    """``[r, k]``: how much ``I - (1-b) H`` falls when groups ``first, first + 1, ...`` join each of the k, of which
    ``shared [r, k]`` is the part of the columns (`_shared`). It is infinite for itself."""
    rows = slice(first, first + len(shared))
    cross, own, marginal = table[rows], np.diag(table), table.sum(axis=1)
    mine = own[rows, None]
    # The two of the k that are merged themselves count once, as a block of four.
    others = shared - _gain(mine, cross) - _gain(cross, own)
    block = _xlogx(mine) + _xlogx(own) + 2 * _xlogx(cross) - _xlogx(mine + own + 2 * cross)
    lost = 2 * others + block - (1 + balance) * _gain(marginal[rows, None], marginal)
    lost[np.arange(len(shared)), np.arange(first, first + len(shared))] = np.inf
    return np.asarray(lost)


def _shared(table: Array, row: Array) -> Array:
    """``[k]``: what is lost in the columns when a row joins each row of the table."""
    some = np.flatnonzero(row)  # nothing is lost where it has nothing
    return np.asarray(_gain(table[:, some], row[some]).sum(axis=1))


def _add_shared(lost: Array, column: Array, times: float) -> None:
    """Add what is lost in one column when two rows join, so many times, to a table of all two ``[k, k]``."""
    some = np.flatnonzero(column)
    lost[np.ix_(some, some)] += times * _gain(column[some, None], column[some])


def _gain(a: Array, b: Array) -> Array:
    """``h(a) + h(b) - h(a + b)`` with ``h(x) = x log x``: never positive."""
    return np.asarray(_xlogx(a) + _xlogx(b) - _xlogx(a + b))


def _xlogx(x: Array) -> Array:
    return np.asarray(x * np.log(np.maximum(x, np.finfo(np.float64).tiny)))
