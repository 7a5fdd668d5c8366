# %% [markdown]
# # Which loss for my data?
#
# A table of losses leaves a choice to its reader. `icon.advise` puts it to a trial: it trains the coordinates of the
# table that suit the data on samples, judges each by what it was not trained with, and ranks them. This notebook asks
# for the best map of the digits without showing any label, and then uses the labels, which were kept aside, to see
# whether the advice was good. To use it for your own features, put an array `[n, f]` in the place of `x`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

import icon

digits, labels = load_digits(return_X_y=True)
x = digits / 16  # grey values from 0 to 1
print(f"{len(x)} images of {x.shape[1]} pixels")

# %% [markdown]
# ## Asking
#
# The goal is a map; the others are `"clusters"`, `"retrieval"` and `"classification"`. Labels, pairs or a graph can be
# given with the features, and bring their own columns of the table. Here there are none, and a map is judged by the
# share of the nearest neighbours in the pixels that it keeps. In a terminal, `icon advise FEATURES --for map --budget
# 30s` does the same and writes a page.
#
# Each round draws a sample and tries every candidate on it, so that the differences are paired. The budget is a time on
# the clock: on a slower machine there are fewer rounds, and the numbers of this notebook differ a little. With the
# default of ten minutes the samples are larger.

# %%
advice = icon.advise(x, goal="map", budget="30s", random_state=0)
print(advice)

# %% [markdown]
# ## Reading the ranking
#
# Each score is followed by how much it is below the best one, with a 95 % interval over the rounds. Where this
# interval includes zero, the candidate is not clearly worse, and the choice between the two is open: take the one that
# is faster or better known. With few rounds the intervals are wide, or too narrow by chance; a larger budget buys more
# of them. The last lines of the answer are the code of the winner. `advice.model` is the same estimator, here fitted to
# all images.

# %%
model = advice.model.fit(x)
print(f"{advice.best}: loss {model.loss_:.3f} after {model.n_iter_} steps on {len(x)} images")
print(f"neighbours kept: {icon.metrics.neighborhood_preservation(x, model.embedding_):.3f}")

# %% [markdown]
# ## Was the advice good?
#
# Now the labels come in. For every map that was made on the way, a probe of the ten nearest neighbours says how well
# digits can be told apart in it, which is not what the maps were ranked by. If the criterion is worth something, the
# candidates that it puts first are good by this measure, too. The first line says what the advice cost against the
# choice that one would have made with the labels, in points of accuracy.

# %%
accuracy = {
    name: np.mean([
        float(icon.metrics.knn_probe(z, labels[rows])) for z, rows in zip(maps, advice.samples, strict=True)
    ])
    for name, maps in advice.outputs.items()
}  # fmt: skip
ranking = advice.table.set_index("name")[["score", "difference", "low", "high", "tied"]]
ranking["accuracy"] = pd.Series(accuracy)
best, mean = max(accuracy.values()), np.mean(list(accuracy.values()))
print(f"lost against the best in hindsight: {100 * (best - accuracy[advice.best]):.1f} points")
print(f"lost on average by choosing at random: {100 * (best - mean):.1f} points")
ranking.round(3)

# %% [markdown]
# One data set proves little. How often the choice is within a point of the best in hindsight, on several data sets, is
# an experiment of the project: `python -m experiments advice`.
#
# ## The candidates side by side
#
# These are the maps of one sample, the best first. Colours are the digits. Below each map stand the score, which needed
# no label, and the accuracy, which did, both averaged over all samples.

# %%
figure, axes = plt.subplots(2, 3, figsize=(11, 7.4), dpi=80, layout="constrained")
for ax, (name, found) in zip(axes.flat, ranking.iterrows(), strict=False):
    rows = advice.samples[0]
    points = ax.scatter(
        *advice.outputs[name][0].T, c=labels[rows], cmap="tab10", vmin=-0.5, vmax=9.5, s=16, linewidths=0
    )
    ax.set_title(name, fontsize=11, weight="bold" if name == advice.best else "normal")
    ax.set_xlabel(f"score {found['score']:.3f}, accuracy {found['accuracy']:.3f}")
    ax.set(xticks=[], yticks=[])
figure.colorbar(points, ax=axes, ticks=range(10), label="digit", shrink=0.6)
plt.show()
