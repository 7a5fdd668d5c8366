# %% [markdown]
# # A new cell, from nothing to a verified record
#
# The table can be extended from outside: nothing in the package has to change. This notebook adds a row that it does
# not have, for points that live on a circle, such as angles or hours of the day. On the way it does what every method
# of the table has gone through: the part keeps the contract of its kind, and value and gradient of its loss are
# compared with a reference that was written without the package. At the end the new cell is used for what it was made
# for.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import affine_grid, grid_sample, interpolate, pad

import icon
from icon import testing

# %% [markdown]
# ## The row
#
# A row is a score: the higher it is, the more probable is $j$ as a neighbour of $i$. The normalising sum, the
# divergence and the gradient follow from it. Of two angles, the score is that of von Mises' distribution,
#
# $$s_{ij} = \kappa \cos(z_i - z_j) = \kappa \, (\cos z_i \cos z_j + \sin z_i \sin z_j),$$
#
# where the concentration $\kappa$ says how near neighbours are. `hyper_parameters` names what a saved file has to hold.
#
# The package relies on more than the formula: a score must be the same for a block of points as for all of them, must
# broadcast, and must have a right and finite derivative. `icon.testing` checks this for each kind of part, and says
# what does not hold. The second row is a mistake that is easily made, and the check refuses it: it scales the scores by
# what it sees, so that a point has another score in another block.


# %%
@icon.register_row("circular", "Circular")
class Circular(icon.q.Kernel):
    def __init__(self, concentration=8.0):
        super().__init__()
        self.concentration = concentration

    def score(self, anchors, candidates):
        return self.concentration * (anchors.cos() @ candidates.cos().mT + anchors.sin() @ candidates.sin().mT)

    def hyper_parameters(self):
        return {"concentration": self.concentration} | super().hyper_parameters()


testing.check_score(Circular(concentration=3.0))
print("Circular keeps the contract")


class Careless(Circular):
    def score(self, anchors, candidates):
        scores = super().score(anchors, candidates)
        return scores / scores.abs().amax()


try:
    testing.check_score(Careless())
except AssertionError as error:
    print("Careless does not:", error)

# %% [markdown]
# ## The cell, with a name
#
# With the row, the whole line of its cells exists. One of them gets a name: the column `gaussian`, where $p$ is a
# Gaussian kernel of the features. A method is a function that builds its loss. No paper is cited for it, and a method
# without a citation has the family `"gap"`. The table now has one more row; the cells that are empty in it can be used
# all the same.


# %%
@icon.register_method(
    "circular-sne", "Circular SNE", cell=("circular", "gaussian"), family="gap", relation="exact: KL = reference"
)
def circular_sne(concentration: float = 8.0, sigma: float = 1.0) -> icon.Loss:
    return icon.Loss(icon.p.Gaussian(sigma=sigma), Circular(concentration))


icon.table().loc[["gaussian", "student-t", "circular"], ["gaussian", "knn", "pairs", "classes"]]

# %% [markdown]
# ## The reference
#
# It is written from the definition, in NumPy, with loops where they are plain, and takes nothing from the package:
#
# $$\frac{1}{n} \sum_i \sum_{j \ne i} p_{ij} \log \frac{p_{ij}}{q_{ij}}, \qquad
# p_{ij} \propto e^{-\|x_i - x_j\|^2 / 2\sigma^2}, \qquad q_{ij} \propto e^{\kappa \cos(z_i - z_j)}.$$
#
# The derivative of the reference is taken with the complex step, $\mathrm{Im}\,\ell(z + ih)/h$, which is exact up to
# rounding. A claim counts as verified if the relative errors of value and gradient are below $10^{-9}$ for every
# sample. A reference that is wrong by a millionth must fail, and the last column says that it does.


# %%
def reference(z, x, concentration, sigma):
    n, total = len(x), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        p = np.exp(-((x[others] - x[i]) ** 2).sum(axis=1) / (2 * sigma**2))
        q = np.exp(concentration * np.cos(z[others, 0] - z[i, 0]))
        p, q = p / p.sum(), q / q.sum()
        total += (p * np.log(p / q)).sum()
    return total / n


def slopes(z, *rest, h=1e-30):
    steps = h * np.eye(len(z))[:, :, None]
    return np.array([reference(z + 1j * step, *rest).imag / h for step in steps])


def errors(seed, wrong=1.0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(30, 5)), rng.uniform(0, 2 * np.pi, size=(30, 1))
    settings = (2.0 + seed, 1.0 + 0.1 * seed)
    angles = torch.tensor(z, requires_grad=True)
    value = circular_sne(*settings)(angles, torch.tensor(x))
    (gradient,) = torch.autograd.grad(value, angles)
    expected, slope = wrong * reference(z, x, *settings), wrong * slopes(z, x, *settings)
    return abs(value.item() / expected - 1), np.abs(gradient[:, 0].numpy() - slope).max() / np.abs(slope).max()


right, wrong = ([errors(seed, factor) for seed in range(5)] for factor in (1, 1 + 1e-6))
assert max(map(max, right)) < 1e-9 < min(map(min, wrong))
columns = ["value", "gradient", "value, wrong reference", "gradient, wrong reference"]
pd.DataFrame(np.hstack([right, wrong]), columns=columns).map("{:.1e}".format).rename_axis("sample")

# %% [markdown]
# ## The record
#
# The method is now found by its name, and its record says what is claimed of it. To bring it into the project,
# the class goes into `icon/q/scores.py`, the factory into `icon/methods/`, and the reference into a file of
# `table/methods/`, which makes `make table` repeat the comparison; CONTRIBUTING.md goes through it.

# %%
record = next(method for method in icon.methods() if method.slug == "circular-sne")
print(f"{record.name}: {record.row} × {record.column}, {record.status}, {record.relation}, hyper {dict(record.hyper)}")
print(icon.method("circular-sne", concentration=5.0))

# %% [markdown]
# ## What it is good for
#
# A digit was turned by 200 angles and noise was added; the loss sees only pixels, in no order. `icon.Embedding` places
# them on the circle with the new cell, from four random starts; the lowest loss is kept, because circles tend to
# fold. A map knows neither where a circle begins nor which way round it goes, and the angles are compared up to these
# two.

# %%
rng = np.random.default_rng(0)
angles = rng.uniform(0, 2 * np.pi, 200)
cos, sin = torch.tensor(np.cos(angles)).float(), torch.tensor(np.sin(angles)).float()
turns = torch.stack([cos, -sin, 0 * cos, sin, cos, 0 * cos], dim=1).reshape(-1, 2, 3)
digit = torch.tensor(load_digits().images[5] / 16, dtype=torch.float32)
large = pad(interpolate(digit[None, None], size=16, mode="bilinear"), (4, 4, 4, 4)).expand(200, -1, -1, -1)
turned = grid_sample(large, affine_grid(turns, large.shape, align_corners=False), align_corners=False)
pixels = turned.flatten(1).numpy() + 0.05 * rng.normal(size=(200, 576))

fits = [
    icon.Embedding(1, method="circular-sne", init="random", max_iter=500, random_state=seed).fit(pixels)
    for seed in range(4)
]
print("losses", *(f"{fit.loss_:.3f}" for fit in fits))
best = min(fits, key=lambda fit: fit.loss_)
found = best.embedding_[:, 0].astype(float)
found = max((found, -found), key=lambda way: abs(np.exp(1j * (way - angles)).mean()))
found -= np.angle(np.exp(1j * (found - angles)).mean())  # where the circle begins
off = np.degrees(np.abs(np.angle(np.exp(1j * (found - angles)))))
print(f"angles are off by {np.median(off):.1f} degrees in the median, by {off.max():.1f} at most")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), dpi=80, layout="constrained")
left.scatter(np.degrees(angles), np.degrees(found % (2 * np.pi)), s=14)
left.set(xlabel="true angle, in degrees", ylabel="angle on the learned circle, in degrees", aspect="equal")
for place in np.linspace(0, 2 * np.pi, 16, endpoint=False):
    i = np.cos(found - place).argmax()  # the image that is nearest to this place
    ax = right.inset_axes((np.cos(found[i]) - 0.17, np.sin(found[i]) - 0.17, 0.34, 0.34), transform=right.transData)
    ax.imshow(turned[i, 0, 2:-2, 2:-2], cmap="Greys")
    ax.axis("off")
right.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal", title="images at their place on the learned circle")
right.axis("off")
plt.show()
