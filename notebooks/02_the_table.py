# %% [markdown]
# # The table, and how a cell is verified
#
# Methods of representation learning are arranged in a table: its columns are the choices of $p$, which says what should
# be near, and its rows are the choices of $q$, which says how nearness is learned. To say that a cell *is* a published
# method is a claim about numbers, and this notebook checks three such claims as the project does: it compares the value
# with the formula of the paper, then the gradient, and for a method that is a limit of the loss, the speed at which the
# limit is approached. A check is only worth something if it can fail, and the last picture shows where it does.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import icon

icon.table()

# %% [markdown]
# A cell holds the names of the methods that live there. Some are gaps: the table has the cell, and nobody has published
# the method. A cell without a name has no known method, but it gives a loss all the same. `icon.methods()` has a record
# for each method, which says where it was published and how the loss relates to the formula of its paper. These are the
# records of the column `pairs`, and the number of all.

# %%
records = [m for m in icon.methods() if m.in_table and m.column == "pairs"]
print(f"{len(icon.methods())} methods, of which {sum(m.in_table for m in icon.methods())} have their name in the table")
pd.DataFrame([(m.name, m.row, m.year, m.relation) for m in records], columns=["method", "row", "year", "relation"])

# %% [markdown]
# ## The value
#
# The reference is written from the paper, in NumPy, in float64 and without using `icon`. For SimCLR it is
# equation 1 of Chen et al. (2020), averaged over the $2n$ views, where $j(i)$ is the other view of the image of $i$:
#
# $$\ell = -\frac{1}{2n} \sum_i \log \frac{e^{\cos(z_i, z_{j(i)}) / \tau}}{\sum_{k \ne i} e^{\cos(z_i, z_k) / \tau}}$$
#
# The papers state cross-entropies, so this is what `terms` has to return. The error is relative.

# %%
rng = np.random.default_rng(0)
views, ids = rng.normal(size=(64, 16)), np.arange(64) // 2  # rows 2i and 2i + 1 are two views of an image


def simclr(z, temperature):
    z = z / np.sqrt((z * z).sum(axis=1, keepdims=True))
    e = np.exp(z @ z.T / temperature)
    of_others = (e * (1 - np.eye(len(z)))).sum(axis=1)
    other_view = np.arange(len(z)) ^ 1
    return -np.log(e[np.arange(len(z)), other_view] / of_others).mean()


z = torch.tensor(views, requires_grad=True)
measured = icon.method("simclr", temperature=0.5).terms(z, torch.tensor(ids)).cross_entropy
expected = simclr(views, 0.5)
error_of_value = abs(measured.item() - expected) / abs(expected)
print(f"icon {measured.item():.15f}\nNumPy {expected:.15f}\nrelative error {error_of_value:.1e}")

# %% [markdown]
# ## The gradient
#
# Two losses can agree at one point and still train differently, so the gradient is compared as well. The reference has
# no automatic derivative, but it has something as exact. Along a direction $v$, the complex step
#
# $$\nabla \ell(z) \cdot v = \mathrm{Im}\, \ell(z + i h v) / h, \qquad h = 10^{-30}$$
#
# subtracts no two numbers that are nearly equal, and is therefore exact up to rounding. Eight random directions are
# compared.

# %%
(gradient,) = torch.autograd.grad(measured, z)


def along(reference, at, direction, h=1e-30):
    return reference(at + 1j * h * direction).imag / h


def error_of_slopes(reference, gradient, at):
    directions = rng.normal(size=(8, *at.shape))
    exact = np.array([along(reference, at, v) for v in directions])
    found = np.array([(gradient.numpy() * v).sum() for v in directions])
    return np.abs(found - exact).max() / np.abs(exact).max()


error_of_gradient = error_of_slopes(lambda x: simclr(x, 0.5), gradient, views)
print(f"relative error of the slope along eight directions {error_of_gradient:.1e}")

# %% [markdown]
# ## A limit
#
# Principal component analysis is the row `gaussian-wide`: the Gaussian kernel whose width $\sigma$ goes to infinity.
# With the column `identity`, where each point is its own neighbour, the rescaled loss
#
# $$2\sigma^2 (\mathrm{cross\ entropy} - \log n) \to -2 \operatorname{tr} \operatorname{Cov}(z)$$
#
# goes, with $\sigma \to \infty$, to minus twice the variance, which PCA maximises. One wide kernel would show that the
# two are near each other. To show that one *becomes* the other, the loss is computed for several widths: Taylor's
# theorem says that the error falls like $\sigma^{-2}$, so that the points of a plot with logarithmic axes lie on a line
# of slope $-2$.

# %%
points = rng.normal(size=(60, 4))
variance = -2 * np.trace(np.cov(points.T, bias=True))
widths = np.array([10.0, 30.0, 100.0, 300.0])


def distance_to_pca(sigma, reference=variance):
    terms = icon.loss("gaussian", "identity", sigma=sigma).terms(torch.tensor(points))
    return abs(2 * sigma**2 * (terms.cross_entropy.item() - np.log(len(points))) - reference)


errors = np.array([distance_to_pca(sigma) for sigma in widths])
slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
print(f"slope {slope:.4f}")
print(f"the row gaussian-wide itself: {icon.method('pca')(torch.tensor(points)).item():.12f}, PCA: {variance:.12f}")

# %% [markdown]
# ## A check that can fail
#
# A method counts as verified if value and gradient agree to $10^{-9}$ and a slope to 0.15. Below, the reference was
# made wrong on purpose, by a factor of $1 + \varepsilon$ for SimCLR, and by as much for PCA. On the left, the measured
# errors of value and gradient pass the tolerance as soon as $\varepsilon$ does. On the right, the line of a wrong limit
# bends and stops falling: it does not keep the slope of $-2$ that the dashed line has.
#
# `make table` runs checks of these kinds for all methods, with several samples of each, and writes the measured numbers
# to `out/table`. The references and checks are files in `table/methods/`, one for each method.

# %%
wrong = 10.0 ** np.arange(-13, -3)
of_value, of_gradient = [], []
for epsilon in wrong:
    false = (1 + epsilon) * expected
    of_value.append(abs(measured.item() - false) / abs(false))
    of_gradient.append(error_of_slopes(lambda x, e=epsilon: (1 + e) * simclr(x, 0.5), gradient, views))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), dpi=80, layout="constrained")
left.loglog(wrong, of_value, "o-", label="value")
left.loglog(wrong, of_gradient, "s--", label="gradient")
left.axhspan(1e-9, 1e-3, color="tab:red", alpha=0.1, linewidth=0)
left.axhline(1e-9, color="tab:red", linewidth=1)
left.text(1.3e-13, 3e-9, "the check fails", color="tab:red")
left.axhline(max(error_of_value, 1e-17), color="grey", linestyle=":")
left.text(2e-8, max(error_of_value, 1e-17) * 1.8, "right reference (value)", color="grey")
left.set(title="SimCLR: value and gradient", xlabel="ε, how wrong the reference is", ylabel="relative error")
left.set_ylim(1e-17, 1e-3)
left.legend(loc="lower right", bbox_to_anchor=(1, 0.2))
right.loglog(widths, errors, "o-", label=f"right reference, slope {slope:.2f}")
for epsilon in (1e-3, 1e-2):
    false = [distance_to_pca(sigma, (1 + epsilon) * variance) for sigma in widths]
    bent = np.polyfit(np.log(widths), np.log(false), 1)[0]
    right.loglog(widths, false, "s-", label=f"wrong by {epsilon:g}, slope {bent:.2f}")
right.loglog(widths, errors[0] * (widths / widths[0]) ** -2 / 2, "k--", linewidth=1, label="slope −2")
right.set(title="PCA: a limit", xlabel="width σ", ylabel="distance from PCA")
right.legend()
plt.show()
