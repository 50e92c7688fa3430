"""The fused head beside a linear layer and its cross-entropy: `python benchmarks/head.py [--rounds 5]`.

One forward and backward pass over predicted tokens' states of 256 numbers, in float32, on one thread, in
CPU seconds. The four ways take turns; the median of the rounds is kept, and the ratio is the median of the
rounds' ratios to the plain head. `chunks` is the plain head under torch's checkpoints, chunk by chunk, which
also never holds all scores. Writes benchmarks/results/head.{json,md}.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

from trainer.head import LOGITS_AT_ONCE, linear_cross_entropy

RESULTS = Path(__file__).parent / "results"
SIZE = 256
# Vocabulary and predicted tokens.
CASES = ((30_000, 3_000), (250_000, 400))
GOAL = 1.1
Way = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def plain(states: Tensor, labels: Tensor, table: Tensor, bias: Tensor, factors: Tensor) -> Tensor:
    return (cross_entropy(linear(states, table, bias), labels, reduction="none") * factors).sum()


def chunks(states: Tensor, labels: Tensor, table: Tensor, bias: Tensor, factors: Tensor) -> Tensor:
    size = max(1, LOGITS_AT_ONCE // len(table))
    parts = zip(states.split(size), labels.split(size), factors.split(size), strict=True)
    sums = [
        checkpoint(plain, own, right, table, bias, share, use_reentrant=False) for own, right, share in parts
    ]
    return torch.stack(sums).sum()


def fused(states: Tensor, labels: Tensor, table: Tensor, bias: Tensor, factors: Tensor) -> Tensor:
    return (linear_cross_entropy(states, labels, table, bias, factors=factors) * factors).sum()


def untold(states: Tensor, labels: Tensor, table: Tensor, bias: Tensor, factors: Tensor) -> Tensor:
    return (linear_cross_entropy(states, labels, table, bias) * factors).sum()


WAYS: dict[str, Way] = {
    "plain": plain,
    "fused": fused,
    "fused, factors unknown": untold,
    "chunks": chunks,
}


def seconds(way: Way, inputs: tuple[Tensor, ...]) -> float:
    """CPU seconds of one forward and backward pass."""
    for tensor in inputs:
        tensor.grad = None
    began = time.process_time()
    way(*inputs).backward()
    return time.process_time() - began


def measure(vocabulary: int, tokens: int, *, rounds: int) -> dict[str, dict[str, float]]:
    """Of each way: median seconds and ratio, and the largest difference from the plain head's gradient."""
    draw = torch.Generator().manual_seed(0)
    states, table, bias = (
        (torch.randn(shape, generator=draw) / 16).requires_grad_()
        for shape in ((tokens, SIZE), (vocabulary, SIZE), (vocabulary,))
    )
    labels = torch.randint(0, vocabulary, (tokens,), generator=draw)
    # Two terms, with a factor each.
    factors = torch.where(torch.arange(tokens) % 3 > 0, 1 / tokens, 2 / tokens)
    inputs = (states, labels, table, bias, factors)
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    differences = {}
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            spent = seconds(way, inputs)
            gradients = [tensor.grad for tensor in (states, table, bias) if tensor.grad is not None]
            if number:
                found[name].append(spent)
            elif name == "plain":
                expected = [gradient.clone() for gradient in gradients]
            else:
                pairs = zip(gradients, expected, strict=True)
                differences[name] = max(float((one - other).abs().max()) for one, other in pairs)
    return {
        name: {
            "cpu_seconds": statistics.median(runs),
            "ratio": statistics.median(own / other for own, other in zip(runs, found["plain"], strict=True)),
            "gradient_difference": differences.get(name, 0.0),
        }
        for name, runs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    lines = [
        "# The fused head",
        "",
        f"CPU seconds of a forward and backward pass, median of {rounds} rounds, on one thread; states of"
        f" {SIZE} numbers, float32. The goal is at most {GOAL} times the plain head, which holds all scores.",
        "",
        "| vocabulary | tokens | head | CPU seconds | ratio to plain | largest difference of a gradient |",
        "|---|---|---|---|---|---|",
    ]
    cases = []
    for vocabulary, tokens in CASES:
        rows = measure(vocabulary, tokens, rounds=rounds)
        cases.append({"vocabulary": vocabulary, "tokens": tokens, "rows": rows})
        for name, row in rows.items():
            lines.append(
                f"| {vocabulary:,} | {tokens:,} | {name} | {row['cpu_seconds']:.2f} | {row['ratio']:.2f} |"
                f" {row['gradient_difference']:.1e} |"
            )
    result = {"rounds": rounds, "torch": torch.__version__, "machine": platform.machine(), "cases": cases}
    (RESULTS / "head.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "head.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
