# %% [markdown]
# # A graph
#
# A graph says directly what should be near: the neighbours of a node. In the table this is the column `graph`, whose
# $p(\cdot \mid i)$ walks one edge from $i$, each with a probability in proportion to its weight. The rows of this
# column are well-known methods: with a Gaussian or a Student-t kernel they are SNE and t-SNE of a
# graph, and with clusters it is the normalized
# cut. The graph here comes from a novel: 77 characters of *Les Misérables*, and how often two of them appear together.

# %%
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.collections import LineCollection

import icon

graph = nx.les_miserables_graph()
names = list(graph)
adjacency = nx.to_numpy_array(graph, weight="weight")
print(f"{len(names)} persons, {graph.number_of_edges()} pairs who meet")
print(icon.table()["graph"].to_string())

# %% [markdown]
# ## What p says
#
# `icon.p.Graph` takes the graph of networkx as it is; an adjacency matrix, a sparse one or a list of edges would do as
# well. Called with the graph, it prepares the rows of $p$. One row is enough to see what it says: with whom is Javert
# seen?

# %%
rows = icon.p.Graph()(graph)
javert = rows.to_dense()[names.index("Javert")].numpy()
for i in javert.argsort()[::-1][:5]:
    print(f"{javert[i]:.3f}  {names[i]}")

# %% [markdown]
# ## A map
#
# `icon.Embedding` takes the graph in the place of labels, as `y`. It also wants features, which this column does not
# use: here they are the rows of the adjacency. Neighbourhood in the map can be compared with the graph: if a person
# meets five others, the score is the share of these among the five nearest in the map, averaged over all persons.

# %%
place = icon.Embedding(2, "gaussian", "graph", init="spectral", max_iter=1000, random_state=0)
z = place.fit_transform(adjacency, graph)


def kept(z):
    """The share of the meetings of a person that are among the nearest in the map, averaged over the persons."""
    distance = np.linalg.norm(z[:, None] - z, axis=-1) + np.diag([np.inf] * len(z))
    meets = adjacency > 0
    shares = [meets[i, distance[i].argsort()[: meets[i].sum()]].mean() for i in range(len(z))]
    return np.mean(shares)


spring = np.array(list(nx.spring_layout(graph, seed=0).values()))
by_chance = np.random.default_rng(0).normal(size=z.shape)
layouts = {"here": z, "in networkx's spring layout": spring, "by chance": by_chance}
print("meetings kept", *(f"{kept(places):.3f} {name}" for name, places in layouts.items()), sep="\n")

# %% [markdown]
# ## Circles of acquaintances
#
# The row `clusters` of the same column puts persons who meet into the same cluster. Each person has free logits, the
# mapper `lookup`, because there are no features to compute them from. How many clusters there are is a choice, and here
# it is six.
#
# Modularity is a score that does not come from this loss: it compares the edges within clusters with those that chance
# would put there. Louvain's method maximises it, and so it is the one to beat by that score. Divisions at random show
# the scale.

# %%
model = icon.Clustering(6, "graph", mapper="lookup", n_init=5, random_state=0).fit(adjacency, graph)


def modularity(labels):
    return nx.community.modularity(graph, [{names[i] for i in np.flatnonzero(labels == c)} for c in np.unique(labels)])


louvain = nx.community.louvain_communities(graph, seed=0)
shuffled = np.random.default_rng(0).permutation(model.labels_)
print(icon.diagnose(model))
print(f"\nmodularity {modularity(model.labels_):.3f}, the same sizes at random {modularity(shuffled):.3f}")
print(f"Louvain {nx.community.modularity(graph, louvain):.3f}, with {len(louvain)} clusters")

# %% [markdown]
# ## Both together
#
# The map and the clusters are two rows of one column, and were trained apart. Colours are the clusters, and the names
# are those of the two persons in each who meet the most others. Where map and clusters agree, a colour is one region.

# %%
edges = np.argwhere(np.triu(adjacency) > 0)
weights = adjacency[tuple(edges.T)]
met = (adjacency > 0).sum(axis=1)
white = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
figure, ax = plt.subplots(figsize=(10, 6.4), dpi=80, layout="constrained")
ax.add_collection(LineCollection(z[edges], linewidths=0.3 + 0.25 * np.sqrt(weights), colors="0.75", zorder=0))
ax.scatter(*z.T, c=model.labels_, cmap="tab10", vmin=-0.5, vmax=9.5, s=20 + 6 * met)
for cluster in np.unique(model.labels_):
    members = np.flatnonzero(model.labels_ == cluster)
    for i, offset in zip(members[met[members].argsort()[::-1][:2]], (9, -17), strict=True):
        ax.annotate(names[i], z[i], (0, offset), textcoords="offset points", ha="center", fontsize=9, bbox=white)
ax.set(xticks=[], yticks=[], aspect="equal")
plt.show()
