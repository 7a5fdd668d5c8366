"""The inner loops of maps, compiled by numba: points onto a grid and back, and sums over the edges of p.

They hold no lock, so that threads can share the points. Nothing is compiled before the first call; what was compiled
is kept on disk.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,operator"
from __future__ import annotations

import math

import numba
import numpy as np

from icon.core.evaluators.tables import FIRST, LAST, PARTS

ORDER = 6

_loop = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
_inline = numba.njit(inline="always", fastmath=True, error_model="numpy")
_score = numba.extending.register_jitable(inline="always", fastmath=True, error_model="numpy")


@_inline
def _weights(u, shares, slopes):
    """Quintic B-spline at ``u`` in [0, 1) from the first of six nodes, and its slope."""
    one = shares.dtype.type(1)
    shares[0], shares[1] = one - u, u
    for p in range(3, ORDER + 1):
        if p == ORDER:
            slopes[0], slopes[ORDER - 1] = -shares[0], shares[ORDER - 2]
            for k in range(1, ORDER - 1):
                slopes[k] = shares[k - 1] - shares[k]
        part = one / shares.dtype.type(p - 1)
        shares[p - 1] = u * shares[p - 2] * part
        for k in range(p - 2, 0, -1):
            place = u + shares.dtype.type(p - 1 - k)
            shares[k] = (place * shares[k - 1] + (shares.dtype.type(p) - place) * shares[k]) * part
        shares[0] = (one - u) * shares[0] * part


@_loop
def spread(z, low, inverse, charges, grid, start, stop):
    """Add the charges of some points to the nodes about them."""
    wx, wy, dx = np.empty(ORDER, z.dtype), np.empty(ORDER, z.dtype), np.empty(ORDER, z.dtype)
    for i in range(start, stop):
        x, y = (z[i, 0] - low[0]) * inverse, (z[i, 1] - low[1]) * inverse
        bx, by = int(x), int(y)
        _weights(x - z.dtype.type(bx), wx, dx)
        _weights(y - z.dtype.type(by), wy, dx)
        for j in range(ORDER):
            share = wx[j] * charges[i]
            for k in range(ORDER):
                grid[bx + j, by + k] += share * wy[k]


@_loop
def gather(z, low, inverse, grid, found, start, stop):
    """Value and gradient ``[n, 3]`` of what is on the nodes, at some points."""
    wx, wy = np.empty(ORDER, z.dtype), np.empty(ORDER, z.dtype)
    dx, dy = np.empty(ORDER, z.dtype), np.empty(ORDER, z.dtype)
    for i in range(start, stop):
        x, y = (z[i, 0] - low[0]) * inverse, (z[i, 1] - low[1]) * inverse
        bx, by = int(x), int(y)
        _weights(x - z.dtype.type(bx), wx, dx)
        _weights(y - z.dtype.type(by), wy, dy)
        value, along_x, along_y = z.dtype.type(0), z.dtype.type(0), z.dtype.type(0)
        for j in range(ORDER):
            line, slope = z.dtype.type(0), z.dtype.type(0)
            for k in range(ORDER):
                node = grid[bx + j, by + k]
                line += node * wy[k]
                slope += node * dy[k]
            value += wx[j] * line
            along_x += dx[j] * line
            along_y += wx[j] * slope
        found[i, 0], found[i, 1], found[i, 2] = value, along_x * inverse, along_y * inverse


@_inline
def _log(x):
    """The natural logarithm of a float32 > 0 to its precision, in a fifth of the time of the library's."""
    bits = np.float32(x).view(np.int32)
    exponent = (bits >> 23) - 127
    mantissa = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)
    if mantissa > np.float32(1.4142135):
        mantissa *= np.float32(0.5)
        exponent += 1
    s = (mantissa - np.float32(1)) / (mantissa + np.float32(1))
    t = s * s
    series = np.float32(2 / 9) * t + np.float32(2 / 7)
    series = series * t + np.float32(2 / 5)
    series = series * t + np.float32(2 / 3)
    return np.float32(exponent) * np.float32(0.6931472) + s * (series * t + np.float32(2))


@_score
def _power(squared, law):
    """``s = -e log(b + c r²)``, and its derivative by r²."""
    e, c, t = law[0], law[2], law[1] + law[2] * squared
    return -e * (_log(t) if law.itemsize == 4 else math.log(t)), -e * c / t


@_score
def _gaussian(squared, law):
    """The same of ``s = -a r²``."""
    return -law[0] * squared, -law[0]


@_score
def _of_table(squared, table):
    """The same of a score whose cubics stand in a table, the first from 0 on: see `icon.core.evaluators.tables`."""
    real = table.dtype.type
    power = min(max(np.float32(squared).view(np.int32) >> 23, FIRST), LAST)
    inverse = real(np.int32((254 + 6 - power) << 23).view(np.float32))  # of a part's width
    part = np.int32(squared * inverse)
    t = squared * inverse - real(part)
    place = min(max(np.int32((power - FIRST) * PARTS) + part, 0), np.int32(len(table) - 1))
    a, b, c, d = table[place, 0], table[place, 1], table[place, 2], table[place, 3]
    return a + t * (b + t * (c + t * d)), (b + t * (real(2) * c + real(3) * t * d)) * inverse


def _edges(score):
    """The loop over the edges of p: ``sum_j m_ij s_ij`` ``[n]``, and ``sum_j w_ij ∂s_ij/∂z_i`` ``[n, 2]``."""

    @_loop
    def edges(indptr, indices, masses, pulls, z, law, values, forces, start, stop):
        for i in range(start, stop):
            total, fx, fy = z.dtype.type(0), z.dtype.type(0), z.dtype.type(0)
            for k in range(indptr[i], indptr[i + 1]):
                dx, dy = z[i, 0] - z[indices[k], 0], z[i, 1] - z[indices[k], 1]
                value, slope = score(dx * dx + dy * dy, law)
                total += masses[k] * value
                pull = z.dtype.type(2) * pulls[k] * slope
                fx += pull * dx
                fy += pull * dy
            values[i], forces[i, 0], forces[i, 1] = total, fx, fy

    return edges


power_edges, gaussian_edges, table_edges = _edges(_power), _edges(_gaussian), _edges(_of_table)


@_loop
def cauchy_pairs(x, y, charges, law, found, start, stop):
    """Of ``K = b / (b + c r²)``: ``sum_k c_k K_ik`` of some points and its gradient ``[n, 3]``, over all of them."""
    one, b, c = x.dtype.type(1), law[0], law[1]
    factor = -x.dtype.type(2) * b * c
    for i in range(start, stop):
        px, py = x[i], y[i]
        value, along_x, along_y = x.dtype.type(0), x.dtype.type(0), x.dtype.type(0)
        for k in range(len(x)):
            dx, dy = px - x[k], py - y[k]
            inverse = one / (b + c * (dx * dx + dy * dy))
            share = charges[k] * inverse
            value += share
            share *= inverse
            along_x += share * dx
            along_y += share * dy
        found[i, 0], found[i, 1], found[i, 2] = b * value, factor * along_x, factor * along_y
