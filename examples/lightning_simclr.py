"""SimCLR in Lightning: random views of the digits, or of a file of small images, and a k-NN probe.

Run it with ``python examples/lightning_simclr.py`` (``--images FILE.npz``: images X [n, h, w, 3] in 0..255, labels y).
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import icon

try:
    import lightning
except ImportError as error:
    raise SystemExit(f"{error.name}: not installed, expected pip install '.[examples]'") from None


class SimCLR(lightning.LightningModule):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.views = icon.nn.RandomViews()
        self.encoder = icon.nn.CNN(channels, 64)
        self.loss = icon.method("simclr", temperature=0.2, learnable=True)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        value = self.loss(*map(self.encoder, self.views(*batch)))
        if self.global_step % 10 == 0:
            print(f"step {self.global_step}: loss {value.item():.3f}", flush=True)
        return value

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(icon.training.parameter_groups(self.encoder, self.loss, weight_decay=1e-4), lr=3e-3)


def main(images: str | None, steps: int, precision: str) -> None:
    lightning.seed_everything(0)
    if images:
        with np.load(images) as file:
            x, y = torch.from_numpy(file["X"]).permute(0, 3, 1, 2) / 255, file["y"]
    else:
        x, y = torch.from_numpy(load_digits().images[:, None]).float() / 16, load_digits().target
    model, loader = SimCLR(x.shape[1]), DataLoader(TensorDataset(x), 256, shuffle=True, drop_last=True)
    off = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)
    lightning.Trainer(accelerator="cpu", max_steps=steps, precision=precision, **off).fit(model, loader)
    seen, known = x[:2000], y[:2000]
    with torch.no_grad():
        accuracy = float(icon.metrics.knn_probe(model.eval().encoder(seen), known))
    print(f"k-NN accuracy {accuracy:.3f} (of the pixels: {float(icon.metrics.knn_probe(seen.flatten(1), known)):.3f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    main(**vars(parser.parse_args()))
