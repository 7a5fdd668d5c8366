"""SwAV with multi-crop on the handwritten digits: two views of each image and four small crops, and a k-NN probe.

Run it with ``python examples/multi_crop.py``.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch.nn.functional import interpolate

import icon


def main(steps: int, batch: int) -> float:
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    images = torch.from_numpy(x).float().reshape(-1, 1, 8, 8) / 16
    whole = icon.nn.RandomViews(2, crop=0.5, noise=0.1)
    parts = icon.nn.RandomViews(4, crop=0.3, noise=0.1)
    # Without normalisation a new network gives all images about one direction, and their codes are uniform.
    encoder = torch.nn.Sequential(icon.nn.CNN(1, 64), torch.nn.BatchNorm1d(64, affine=False))
    head = icon.nn.Prototypes(100, 64)
    loss = icon.method("multi-crop", temperature=0.1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for step in range(1, steps + 1):
        drawn = images[torch.randint(len(images), (batch,))]
        small = [interpolate(crop, size=5, mode="bilinear", antialias=True) for crop in parts(drawn)]
        # The network runs once for each resolution, on all views that have it.
        views = [*encoder(torch.cat(whole(drawn))).chunk(2), *encoder(torch.cat(small)).chunk(4)]
        prototypes = head.weight
        with torch.no_grad():
            unit = [torch.nn.functional.normalize(each, dim=1) for each in (*views[:2], prototypes)]
            codes = [icon.sinkhorn(view @ unit[2].T, epsilon=0.05) for view in unit[:2]]
        crops, targets, weights = icon.nn.multi_crop(views, codes)
        value = loss.terms((crops, prototypes), targets, weights=weights).cross_entropy  # the papers' number
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: loss {value.item():.3f}")
    with torch.no_grad():
        accuracy = float(icon.metrics.knn_probe(encoder.eval()(images), y))
    print(f"k-NN accuracy {accuracy:.3f} (of the pixels: {float(icon.metrics.knn_probe(x, y)):.3f})")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=256)
    main(**vars(parser.parse_args()))
