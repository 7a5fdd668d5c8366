"""SimCLR on the handwritten digits in plain PyTorch: two random views of each image, and a k-NN probe.

Run it with ``python examples/simclr.py``.
"""

import argparse

import torch
from sklearn.datasets import load_digits

import icon


def main(steps: int, batch: int) -> float:
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    images = torch.from_numpy(x).float().reshape(-1, 1, 8, 8) / 16
    views = icon.nn.RandomViews(crop=0.5, noise=0.1)
    encoder = icon.nn.CNN(1, 64)
    loss = icon.method("simclr", temperature=0.2, learnable=True)
    groups = icon.training.parameter_groups(encoder, loss, weight_decay=1e-4)  # a temperature does not decay
    optimizer = torch.optim.AdamW(groups, lr=3e-3)
    for step in range(1, steps + 1):
        view_a, view_b = views(images[torch.randint(len(images), (batch,))])
        value = loss(encoder(view_a), encoder(view_b))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: loss {value.item():.3f}, temperature {loss.temperature.item():.3f}")
    with torch.no_grad():
        accuracy = float(icon.metrics.knn_probe(encoder.eval()(images), y))
    print(f"k-NN accuracy {accuracy:.3f} (of the pixels: {float(icon.metrics.knn_probe(x, y)):.3f})")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=256)
    main(**vars(parser.parse_args()))
