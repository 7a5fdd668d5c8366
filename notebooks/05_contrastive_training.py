# %% [markdown]
# # Contrastive training: SimCLR, and CLIP of two views
#
# In contrastive training $p$ comes from what is known about pairs: two random views show the same image, or an image
# and a text belong together. A network learns embeddings whose $q$ gives each point its partner. This notebook trains
# SimCLR on small images, and CLIP on two halves of the same images, each in a loop of plain PyTorch. The last picture
# asks what a half of a digit is completed with.

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

import icon

torch.manual_seed(0)
digits, labels = load_digits(return_X_y=True)
images = torch.tensor(digits, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
train, test = images[:1500], images[1500:]
print(f"{len(train)} images to train with, {len(test)} to test with")

# %% [markdown]
# ## Views
#
# `icon.nn.RandomViews` draws views of a whole batch at once: it crops, changes brightness and contrast, and adds noise.
# What the views of an image share is what the network will learn, and what they do not share it will learn to ignore.
# Digits are not flipped, since they have a left and a right.

# %%
views = icon.nn.RandomViews(crop=0.5, noise=0.1)
few = images[:10]
figure, axes = plt.subplots(3, 10, figsize=(9, 2.9), dpi=70, layout="constrained")
lines = {"image": few, **dict(zip(("view a", "view b"), views(few), strict=True))}
for line, (name, row) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, row, strict=True):
        ax.imshow(image[0], cmap="Greys", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
plt.show()

# %% [markdown]
# ## SimCLR
#
# The loss is called with the two views of a batch, and is the loss of the cell `gaussian` × `pairs`. No label is used.
# The probe then asks how good the embeddings of the test images are for telling digits apart: it is the accuracy of the
# ten nearest neighbours, cross-validated within the test images. The same probe of the pixels and of the network before
# training tells what the training was worth.

# %%
encoder = icon.nn.CNN(1, 64)
loss = icon.method("simclr", temperature=0.2)
print(loss)


def probe():
    with torch.no_grad():
        z = encoder.eval()(test)
    encoder.train()
    return float(icon.metrics.knn_probe(z, labels[1500:]))


before = probe()
optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
curve = []
for _ in range(300):
    view_a, view_b = views(train[torch.randint(len(train), (256,))])
    value = loss(encoder(view_a), encoder(view_b))
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    curve.append(value.item())
pixels = float(icon.metrics.knn_probe(test.flatten(1), labels[1500:]))
print(f"loss {curve[0]:.2f} at the first step, {sum(curve[-20:]) / 20:.2f} in the last twenty")
print(f"accuracy of the probe: pixels {pixels:.3f}, untrained network {before:.3f}, SimCLR {probe():.3f}")

# %% [markdown]
# ## CLIP of two halves
#
# CLIP has two networks, for two kinds of data that belong together in pairs. Here the upper half of an image stands for
# the picture, and its lower half for the text: neither network ever sees what the other one sees. The loss is the cell
# `gaussian` × `cross-modal`. Its temperature is learned with the networks, and a small one makes it strict.
#
# After training, each upper half of the test images looks for its own lower half among those of all test images. Chance
# finds it once in as many tries as there are images. The second number is how often the nearest lower half is at least
# one of the same digit. The networks have seen no label, so that it says how much of the digit both halves share.

# %%
upper, lower = images[:, 0, :4].flatten(1), images[:, 0, 4:].flatten(1)
networks = torch.nn.ModuleList([icon.nn.MLP(32, 32), icon.nn.MLP(32, 32)])
clip = icon.method("clip", temperature=0.1, learnable=True)
optimizer = torch.optim.Adam(icon.training.parameter_groups(networks, clip, weight_decay=1e-4), lr=2e-3)
for _ in range(400):
    batch = torch.randint(1500, (256,))
    noise = [0.1 * torch.randn(256, 32) for _ in range(2)]
    value = clip(networks[0](upper[batch] + noise[0]), networks[1](lower[batch] + noise[1]))
    optimizer.zero_grad()
    value.backward()
    optimizer.step()

with torch.no_grad():
    unit = torch.nn.functional.normalize
    similarity = unit(networks[0](upper[1500:])) @ unit(networks[1](lower[1500:])).T
ranked = similarity.argsort(dim=1, descending=True)
own = torch.arange(len(test))[:, None]
digit = torch.tensor(labels[1500:])
print(f"temperature {clip.temperature.item():.3f} after training")
print(f"its own half is the first: {(ranked[:, :1] == own).float().mean():.3f}, by chance {1 / len(test):.3f}")
print(f"its own half is among the first ten: {(ranked[:, :10] == own).any(dim=1).float().mean():.3f}")
print(f"the first is of the same digit: {(digit[ranked[:, 0]] == digit).float().mean():.3f}")

# %% [markdown]
# ## Completed digits
#
# Each column begins with a test image. Below it, its upper half was completed with the four lower halves that CLIP
# ranks first among those of all other test images. A blue frame marks a half that comes from the same digit, and a red
# one any other.

# %%
asked = [int((digit == d).nonzero()[0]) for d in range(10)]
figure, axes = plt.subplots(5, 10, figsize=(9, 4.9), dpi=80, layout="constrained")
for line, i in zip(axes.T, asked, strict=True):
    found = [j for j in ranked[i].tolist() if j != i][:4]
    for ax, j in zip(line, [i, *found], strict=True):
        ax.imshow(torch.cat([test[i, 0, :4], test[j, 0, 4:]]), cmap="Greys", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        if j != i:
            ax.axhline(3.5, color="0.6", linewidth=0.8)
            ax.spines[:].set(color="tab:blue" if digit[i] == digit[j] else "tab:red", linewidth=2)
for ax, name in zip(axes[:, 0], ["image", "first", "second", "third", "fourth"], strict=True):
    ax.set_ylabel(name)
plt.show()
