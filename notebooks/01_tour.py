# %% [markdown]
# # A tour: one loss, many methods
#
# t-SNE, SimCLR, SupCon, k-means and cross-entropy look like different methods. Each of them minimises the same loss,
#
# $$L = \sum_i w_i \, \mathrm{KL}\big(p(\cdot \mid i) \,\|\, q(\cdot \mid i)\big).$$
#
# For every point $i$ there are two distributions over the other points. The first one, $p$, says which points *should*
# be near $i$: the nearest neighbours of an image, the other view of the same image, or the images with the same label.
# The second one, $q$, says which points *are* near $i$ in the representation that is being learned. Training moves the
# representation until $q$ resembles $p$.
#
# A method is therefore a choice of $p$ and a choice of $q$. This notebook takes losses from these two choices, looks at
# what their values are made of, exchanges one part, and ends with a picture of $p$ beside the $q$ that was learned.

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.datasets import load_digits

import icon

torch.manual_seed(0)
digits, labels = load_digits(return_X_y=True)
digits = digits / 16  # grey values from 0 to 1

# %% [markdown]
# ## Three ways to ask for a loss
#
# The data here are typical of self-supervised learning: 64 images, each of which is seen in two noisy views. A linear
# layer stands in for the network.
#
# The row `gaussian` measures nearness by a Gaussian kernel, and the column `pairs` says that the two views of an image
# should be near each other. A loss is an ordinary PyTorch module, called with the embeddings and with what its column
# needs, which here are the numbers of the images. Printed, it says which methods it is equal to. It can also be asked
# for by the name of a method, or be built from its two parts, and all three ways lead to the same number.

# %%
images = torch.tensor(digits[:64], dtype=torch.float32)
views = torch.cat([images + 0.2 * torch.randn_like(images) for _ in range(2)])
ids = torch.arange(64).repeat(2)  # which image each view shows
network = torch.nn.Linear(64, 16)

by_cell = icon.loss("gaussian", "pairs", temperature=0.1)
by_name = icon.method("simclr", temperature=0.1)
by_parts = icon.Loss(p=icon.p.Pairs(), q=icon.q.Gaussian(metric="cosine", temperature=0.1))

z = network(views)
for way in (by_cell, by_name, by_parts):
    print(f"{way(z, ids).item():.6f}  {way}")
by_cell(z, ids).backward()
print(f"length of the gradient of the weights: {network.weight.grad.norm().item():.3f}")

# %% [markdown]
# ## What the value is made of
#
# The divergence is the cross-entropy of $p$ and $q$ less the entropy of $p$, and `terms` returns all three. The
# literature usually reports the cross-entropy. The entropy does not depend on the representation, so both have the same
# gradient, but only the divergence is zero when $q$ equals $p$.
#
# With a single positive the entropy is zero, and the loss is a cross-entropy. With neighbours it is not. In the last
# line $p$ and $q$ are the same Gaussian kernel of the same points, which is the best that any representation can do.

# %%
x = torch.tensor(digits[:200])
terms = {
    "two views, SimCLR": by_name.terms(z.detach(), ids),
    "pixels, SNE with a map drawn at random": icon.method("sne").terms(torch.randn(200, 2), x),
    "pixels, SNE with q = p": icon.loss("gaussian", "gaussian", sigma=1.0, target_sigma=1.0).terms(x, x),
}
values = [[term.item() for term in three] for three in terms.values()]
pd.DataFrame(values, index=list(terms), columns=["KL", "cross-entropy", "entropy"]).round(4)

# %% [markdown]
# ## What changing one part does
#
# Every part of a loss can be exchanged while the others stay. The next cell starts from SimCLR and changes one part at
# a time:
#
# * **debiasing** replaces $p$ by $(1-\alpha)\,p + \alpha\,u$, where $u$ is uniform over all candidates. It admits that
#   some of the points treated as negatives are in truth similar;
# * the **partition** decides which scores a positive competes with. `decoupled` leaves the positive itself out of
#   this sum;
# * the **row** replaces the Gaussian kernel by a Student-t kernel with heavier tails;
# * the **divergence** replaces KL by another measure of the difference between $p$ and $q$.
#
# Values of different losses are not comparable, since their scales and minima differ. The directions of their gradients
# are. The table gives the cosine with the gradient of SimCLR: 1 means that a small step changes the embeddings in the
# same direction.

# %%
pairs, cosine = icon.p.Pairs(), icon.q.Gaussian(metric="cosine", temperature=0.1)
changes = {
    "SimCLR": by_parts,
    "debiased, α = 0.1": icon.Loss(pairs.debias(0.1), cosine),
    "debiased, α = 0.5": icon.Loss(pairs.debias(0.5), cosine),
    "partition: decoupled": icon.Loss(pairs, icon.q.Gaussian(metric="cosine", temperature=0.1, partition="decoupled")),
    "row: Student-t": icon.loss("student-t", "pairs"),
    "divergence: Jensen-Shannon": icon.Loss(pairs, cosine, divergence="js"),
    "divergence: total variation": icon.Loss(pairs, cosine, divergence="tv"),
}
at = z.detach().requires_grad_()
gradients = {name: torch.autograd.grad(loss(at, ids), at)[0].flatten() for name, loss in changes.items()}
cosines = {name: torch.cosine_similarity(g, gradients["SimCLR"], dim=0).item() for name, g in gradients.items()}
pd.Series(cosines, name="cosine with SimCLR").round(3).to_frame()

# %% [markdown]
# ## p, and the q that training makes of it
#
# The picture shows 100 images, sorted by their digit. Each matrix of the upper line is the $p$ of one column: its row
# $i$ is the distribution $p(\cdot \mid i)$, and darker entries are more probable. For each of them, 100 free points of
# the plane were moved by Adam until their $q$, a Student-t kernel, resembled $p$. The lower line shows this $q$. The
# first three $p$ see only the pixels and the last one only the labels. Two dimensions cannot follow every $p$, and what
# the divergence says below each $q$ is how much is missing; it is comparable to the divergence before training, given
# with it.

# %%
few = labels[:100].argsort(kind="stable")
columns = {
    "gaussian\nnear in the pixels": (icon.p.Gaussian(perplexity=5), digits[few]),
    "knn\nfive nearest neighbours": (icon.p.KNN(5), digits[few]),
    "knn, walks of 1 to 3 steps\nneighbours of neighbours": (icon.p.KNN(5).walks(3), digits[few]),
    "classes\nthe same label": (icon.p.Classes(), labels[few]),
}
start = torch.randn(100, 2)


def learned(p, target):
    """The matrices p and q, and the divergence before and after 500 steps."""
    loss = icon.Loss(p, icon.q.StudentT())
    rows = loss.p(target)
    z = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.1)
    values = []
    for _ in range(500):
        values.append(loss(z, rows))
        optimizer.zero_grad()
        values[-1].backward()
        optimizer.step()
    with torch.no_grad():
        scores = -(1 + torch.cdist(z, z).square()).log()  # the Student-t kernel
        q = rows.support.hide(scores, 0, -torch.inf).softmax(dim=1)  # a point is seldom a candidate for itself
        return rows.to_dense(), q, values[0].item(), loss(z, rows).item()


centres = [(labels[few] == digit).nonzero()[0].mean() for digit in range(10)]
figure, axes = plt.subplots(2, 4, figsize=(12, 6.6), dpi=80, layout="constrained")
for (above, below), (title, column) in zip(axes.T, columns.items(), strict=True):
    p, q, before, after = learned(*column)
    for ax, matrix in ((above, p), (below, q)):
        ax.imshow(matrix, cmap="Greys", vmax=0.15, interpolation="nearest")
        ax.set_xticks(centres, range(10))
        ax.set_yticks(centres, range(10))
        ax.tick_params(length=0)
    above.set_title(title, fontsize=11)
    below.set_xlabel(f"KL before training {before:.2f}, after {after:.2f}", fontsize=10)
axes[0, 0].set_ylabel("p", fontsize=14, rotation=0, labelpad=14)
axes[1, 0].set_ylabel("q", fontsize=14, rotation=0, labelpad=14)
plt.show()
