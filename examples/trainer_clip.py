"""CLIP by Hugging Face's Trainer: handwritten digits and captions of them, and images classified by captions alone.

Run it with ``python examples/trainer_clip.py``; it downloads nothing.
"""

import argparse
import tempfile

import torch
from sklearn.datasets import load_digits
from torch import nn

import icon

try:
    import accelerate  # noqa: F401 - the Trainer needs it
    from transformers import BertConfig, BertModel, Trainer, TrainingArguments
except ImportError as error:
    raise SystemExit(f"{error.name}: not installed, expected pip install '.[examples]'") from None

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CAPTIONS = ["a {} , written by hand", "the number {} in grey ink", "somebody has written the digit {}"]
WORDS = sorted({*NAMES, *" ".join(CAPTIONS).split()})  # each caption has six of them, so that none is padded


def tokens(*captions: str) -> torch.Tensor:
    return torch.tensor([[WORDS.index(word) for word in caption.split()] for caption in captions])


class CLIP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}
        self.images, self.text = icon.nn.CNN(1, 64), BertModel(BertConfig(vocab_size=len(WORDS), **sizes))
        self.loss = icon.method("clip", learnable=True)

    def captions(self, words: torch.Tensor) -> torch.Tensor:
        return self.text(words).last_hidden_state.mean(dim=1)

    def forward(self, image: torch.Tensor, words: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.loss(self.images(image), self.captions(words))}


def main(steps: int) -> None:
    torch.manual_seed(0)
    images, labels = torch.from_numpy(load_digits().images[:, None]).float() / 16, load_digits().target
    data = [{"image": images[k], "words": tokens(CAPTIONS[k % 3].format(NAMES[labels[k]]))[0]} for k in range(1200)]
    with tempfile.TemporaryDirectory() as folder:
        options = {"per_device_train_batch_size": 128, "learning_rate": 2e-3, "use_cpu": True, "report_to": "none"}
        settings = TrainingArguments(folder, max_steps=steps, logging_steps=20, **options)
        Trainer(model := CLIP(), settings, train_dataset=data).train()
    z, classes = model.requires_grad_(False).eval().images(images[1200:]), tokens(*map(CAPTIONS[0].format, NAMES))
    nearest = torch.cosine_similarity(z[:, None], model.captions(classes), dim=2).argmax(dim=1)
    print(f"accuracy by captions {(nearest.numpy() == labels[1200:]).mean():.3f} of 597 images that it has not seen")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    main(**vars(parser.parse_args()))
