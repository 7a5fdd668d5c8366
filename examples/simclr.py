"""SimCLR on the handwritten digits in plain PyTorch: two shifted, noisy views of each image, and a k-NN probe.

Run it with ``python examples/simclr.py``.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

import icon


def views(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of each image ``[n, 1, 8, 8]``: moved by up to one pixel, scaled in brightness, with noise."""

    def view() -> torch.Tensor:
        padded = nn.functional.pad(images, (1, 1, 1, 1))
        down, right = torch.randint(3, (2, len(images)))
        rows = down[:, None] + torch.arange(8)
        columns = right[:, None] + torch.arange(8)
        moved = padded[torch.arange(len(images))[:, None, None], 0, rows[:, :, None], columns[:, None, :]]
        brightness = torch.empty(len(images), 1, 1).uniform_(0.7, 1.3)
        return (moved * brightness + 0.1 * torch.randn_like(moved))[:, None]

    return view(), view()


def main(steps: int, batch: int) -> float:
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    images = torch.from_numpy(x).float().reshape(-1, 1, 8, 8) / 16
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
