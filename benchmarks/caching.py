"""``python -m benchmarks.caching``: gradient caching beside sentence-transformers': error, time, peak memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import icon
from benchmarks.measure import as_markdown, forget_peak, peak_of_this_process

TEMPERATURE, CHUNK, WORDS = 0.05, 64, 16
WHOLE = 2048  # pairs up to which the whole batch is run as well
Step = Callable[[], Tensor]


class Encoder(nn.Module):
    """A small text encoder: token ids ``[n, 16]`` to embeddings ``[n, 128]``."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(1000, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        found: Tensor = self.layers(self.words(input_ids)).mean(dim=1)
        return found


def texts(n: int) -> tuple[Tensor, Tensor]:
    """Queries and documents, which have half of their words in common."""
    draws = torch.Generator().manual_seed(1)
    queries, documents = torch.randint(1000, (2, n, WORDS), generator=draws)
    documents[:, : WORDS // 2] = queries[:, : WORDS // 2]
    return queries, documents


def whole_batch(encoder: Encoder, n: int) -> Step:
    loss, (queries, documents) = icon.method("clip", temperature=TEMPERATURE), texts(n)

    def step() -> Tensor:
        value = loss((encoder(queries), encoder(documents)))
        value.backward()
        return value.detach()

    return step


def grad_cache(encoder: Encoder, n: int) -> Step:
    cache, pair = icon.training.GradCache(icon.method("clip", temperature=TEMPERATURE), encoder, CHUNK), texts(n)
    return lambda: cache(pair)


def sentence_transformers(encoder: Encoder, n: int) -> Step:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

    class Sentences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"sentence_embedding": self.encoder(features["input_ids"])}

    cached = CachedMultipleNegativesRankingLoss(
        SentenceTransformer(modules=[Sentences()], device="cpu"),
        scale=1 / TEMPERATURE,
        mini_batch_size=CHUNK,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )
    features: list[dict[str, Any]] = [{"input_ids": each, "attention_mask": torch.ones_like(each)} for each in texts(n)]

    def step() -> Tensor:
        value: Tensor = cached(features, None)
        value.backward()
        return value.detach()

    return step


CONTENDERS: dict[str, Callable[[Encoder, int], Step]] = {
    "the whole batch": whole_batch,
    "icon.training.GradCache": grad_cache,
    "sentence-transformers, cached": sentence_transformers,
}


def gradient(name: str, n: int) -> Tensor:
    encoder = Encoder()
    CONTENDERS[name](encoder, n)()
    return torch.cat([x.grad.flatten() for x in encoder.parameters() if x.grad is not None])


def error(name: str, n: int = 256) -> float:
    """How far the gradient of the parameters is from that of the whole batch, over its largest entry."""
    expected = gradient("the whole batch", n)
    return float((gradient(name, n) - expected).abs().max() / expected.abs().max())


def timed(n: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step, in interleaved rounds."""
    steps = {name: build(Encoder(), n) for name, build in CONTENDERS.items() if name != "the whole batch" or n <= WHOLE}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def peak(name: str, n: int) -> float:
    """MiB of a step above what was there before, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.caching", "--of", name, "--size", str(n)]
    return float(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _print_peak(name: str, n: int) -> None:
    encoder = Encoder()
    CONTENDERS[name](encoder, CHUNK)()
    step = CONTENDERS[name](encoder, n)
    forget_peak()
    before = peak_of_this_process()
    step()
    print(json.dumps(peak_of_this_process() - before))


def main(
    size: Annotated[Optional[list[int]], typer.Option(help="Pairs of texts (repeat the option).")] = None,  # noqa: UP045
    rounds: Annotated[int, typer.Option(help="Counted rounds; medians are reported.")] = 3,
    of: Annotated[str, typer.Option(help="Print the peak memory of this contender alone.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for caching.md.")] = Path("out/bench"),
) -> None:
    """CLIP of n pairs of texts through a small transformer, float32, 64 texts with a graph at a time."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    sizes = sorted(size or [512, 2048, 8192])
    if of:
        _print_peak(of, sizes[0])
        return
    title = "gradient caching: error of the gradient; seconds a step (peak above its inputs, MiB)"
    table = Table("contender", "error", *(f"n = {n}" for n in sizes), title=title)
    found = {n: timed(n, rounds) for n in sizes}
    for name in CONTENDERS:
        cells = [f"{found[n][name]:.3g} ({peak(name, n):.0f})" if name in found[n] else "-" for n in sizes]
        table.add_row(name, f"{error(name):.1e}", *cells)
    Console(width=140).print(table)
    out.mkdir(parents=True, exist_ok=True)
    head = f"PyTorch {torch.__version__}, 2 threads, {rounds} rounds, chunks of {CHUNK}."
    (out / "caching.md").write_text("\n".join([head, "", *as_markdown(table), ""]), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
