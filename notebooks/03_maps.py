# %% [markdown]
# # Maps
#
# A map places every point of a data set in the plane, so that points that are near each other stay near.
# `icon.Embedding` draws the map of any cell of the table, with the interface of scikit-learn, and draws the map of
# t-SNE unless it is told otherwise. This notebook draws a map, measures what it keeps, adds new points to it, and ends
# with eight cells of the table side by side.

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import icon

digits, labels = load_digits(return_X_y=True)
digits = digits / 16  # grey values from 0 to 1
known, new = digits[:1200], digits[1200:]
print(f"{len(known)} images to draw, {len(new)} images for later, {digits.shape[1]} pixels each")

# %% [markdown]
# ## A map in one line
#
# The labels of the digits play no part in this map. The perplexity is roughly the number of neighbours that $p$ gives
# each image.

# %%
model = icon.Embedding(perplexity=30, max_iter=500, random_state=0)
z = model.fit_transform(known)
print(f"KL {model.loss_:.3f} after {model.n_iter_} steps")

# %% [markdown]
# ## What a map keeps
#
# Two numbers between 0 and 1 say how far a map can be trusted, and neither needs a label. *Trustworthiness* falls when
# points are neighbours in the map which are none in the pixels. *Neighbourhood preservation* is the share of the
# nearest neighbours in the pixels that are also nearest neighbours in the map. With labels one can count how often the
# nearest neighbours in the map vote for the right digit. The two leading principal components are the map to compare
# with.

# %%
principal = PCA(2, random_state=0).fit_transform(known)
pd.DataFrame(
    {
        name: {
            "trustworthiness": icon.metrics.trustworthiness(known, points),
            "neighbourhood preservation": icon.metrics.neighborhood_preservation(known, points),
            "accuracy of the nearest neighbours": float(icon.metrics.knn_probe(points, labels[:1200])),
        }
        for name, points in {"t-SNE": z, "PCA": principal}.items()
    }
).T.round(3)

# %% [markdown]
# ## New points on the map
#
# `transform` keeps the map as it is and places new points on it by their own loss. Whether they come to the right
# place can be tested: a classifier of the ten nearest neighbours learns from the map of the known images, and is asked
# about the places of the new ones. The same classifier in all pixels is what a perfect map could be expected to reach.

# %%
placed = model.transform(new)
in_map = KNeighborsClassifier(10).fit(z, labels[:1200]).score(placed, labels[1200:])
in_pixels = KNeighborsClassifier(10).fit(known, labels[:1200]).score(new, labels[1200:])
print(f"accuracy of the new images: {in_map:.3f} in the map, {in_pixels:.3f} in the pixels")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 5), dpi=80, layout="constrained", sharex=True, sharey=True)
style = {"cmap": "tab10", "vmin": -0.5, "vmax": 9.5, "s": 12, "linewidths": 0}
points = left.scatter(*z.T, c=labels[:1200], **style)
right.scatter(*z.T, color="0.88", s=12, linewidths=0)
right.scatter(*placed.T, c=labels[1200:], **style)
left.set_title(f"the map of {len(known)} images")
right.set_title(f"{len(new)} new images on it")
for ax in (left, right):
    ax.set(xticks=[], yticks=[], aspect="equal")
figure.colorbar(points, ax=right, ticks=range(10), label="digit", shrink=0.7)
plt.show()

# %% [markdown]
# ## A block of the table
#
# Every row that is made for the plane and every column that gives a $p$ make a map. Below are two rows and four columns
# of the table, each trained on the same 400 images.
#
# The first three columns see only the pixels. The last column sees only the labels, and so its maps show what was asked
# for and nothing else: every digit becomes one tight group, and the differences within a digit are lost. Colours are
# the digits; in the other maps they play no part in the training. The rows differ in how much room they leave between
# groups: the Student-t kernel has heavy tails, so that points which are not neighbours may lie far apart.

# %%
x, y = digits[:400], labels[:400]
rows, columns = ["gaussian", "student-t"], ["gaussian", "student-t", "knn", "classes"]
names = icon.table()
figure, axes = plt.subplots(2, 4, figsize=(12, 6.6), dpi=75, layout="constrained")
for line, row in zip(axes, rows, strict=True):
    for ax, column in zip(line, columns, strict=True):
        # SupCon compares directions; for a map in the plane it is given distances, as the rest of its row.
        hyper = {"sigma": 0.5**0.5} if (row, column) == ("gaussian", "classes") else None
        cell = icon.Embedding(2, row, column, hyper=hyper, max_iter=300, random_state=0).fit_transform(x, y)
        points = ax.scatter(*cell.T, c=y, **style)
        name = names.loc[row, column].split(" · ")[0]  # the first name of a cell is the one that Embedding takes
        ax.set_title("SupCon, with distances" if name == "SupCon" else name, fontsize=11)
        ax.set_xlabel(f"trustworthiness {icon.metrics.trustworthiness(x, cell):.2f}")
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(f"row {row}", fontsize=12, weight="bold")
for ax, column in zip(axes[0], columns, strict=True):
    ax.annotate(f"column {column}", (0.5, 1.14), xycoords="axes fraction", ha="center", fontsize=12, weight="bold")
figure.colorbar(points, ax=axes, ticks=range(10), label="digit", shrink=0.6)
plt.show()
