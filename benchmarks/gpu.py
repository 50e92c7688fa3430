"""Everything that is measured on a GPU, within minutes; needs neither Spark nor data.

    python benchmarks/gpu.py [--rounds 3] [--steps 8]

Training: masked-language modelling in bfloat16 at XLM-R base's shapes, this loop beside transformers' Trainer
as `benchmarks/training.py` describes them. Importance: texts of mentions a second through an encoder of BERT
base's shapes. Weights are random and texts made up, so that nothing is downloaded. While a part runs,
nvidia-smi is asked ten times a second how busy the GPU is. Writes benchmarks/results/gpu.{json,md}, with a
hash of the trainer's source: benchmarks/tables.py says when the figures are older than the code.
"""

import argparse
import contextlib
import json
import logging
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import trainer_hash
from training import Case, measure

RESULTS = Path(__file__).parent / "results"
TRAINING = Case(
    "XLM-R base, 250,000 tokens, bf16",
    vocabulary=250_000,
    records=2048,
    padded=128,
    rows=256,
    hidden=768,
    layers=12,
    device="cuda",
    precision="bf16",
    compiled=True,
)
GOAL = 2.5
PASSES, PASS_TOKENS, VOCABULARY = 20_000, 40, 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch finds no GPU")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, busy() as shares:
        training = measure(TRAINING, Path(folder), rounds=arguments.rounds, steps=arguments.steps)
    training |= {"busy": shares, "peak_memory": torch.cuda.max_memory_allocated()}
    report(
        vars(arguments), training, {dtype: importance(dtype, arguments.rounds) for dtype in ("fp32", "bf16")}
    )


@contextlib.contextmanager
def busy() -> Iterator[list[float]]:
    """Yield a list that holds afterwards the share of the time in which the GPU ran a kernel."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=100"]
    shares: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield shares
        finally:
            process.terminate()
            percent, _ = process.communicate()
            shares.append(statistics.mean(map(float, percent.split())) / 100)


def importance(dtype: str, rounds: int) -> dict[str, Any]:
    """Passes a second of the importance engine."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

    from kgcorpus.importance.encoder import Encoder

    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=VOCABULARY), add_pooling_layer=False).eval()
    model = model.to("cuda", torch.bfloat16 if dtype == "bf16" else torch.float32)
    encoder = Encoder(
        model=model, tokenizer=PreTrainedTokenizerBase(),  # Nothing is tokenised here.
        device="cuda", max_length=512, prefix=(1,), suffix=(2,)
    )  # fmt: skip
    rng = np.random.default_rng(0)
    sizes = np.minimum(500, 8 + rng.exponential(PASS_TOKENS, PASSES)).astype(int)
    passes = [rng.integers(5, VOCABULARY, size).tolist() for size in sizes]
    encoder.states(passes[:1000], pooling="mean")
    rates = []
    with busy() as shares:
        for _ in range(rounds):
            began = time.perf_counter()
            encoder.states(passes, pooling="mean")
            rates.append(PASSES / (time.perf_counter() - began))
    return {"passes_per_second": statistics.median(rates), "rounds": rates, "busy": shares}


def report(arguments: dict[str, int], training: dict[str, Any], scored: dict[str, dict[str, Any]]) -> None:
    device = torch.cuda.get_device_name()
    names = ("torch", "transformers", "accelerate")
    found = {
        "arguments": arguments,
        "device": device,
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "versions": {name: __import__(name).__version__ for name in names},
        "trainer": trainer_hash(),
        "training": training,
        "importance": scored,
        "goal": GOAL,
        "goal_reached": training["ratio"] >= GOAL,
    }
    peer = training["tokens_per_second"]["Trainer"]
    lines = [
        f"# On a GPU: {device}",
        "",
        f"`python benchmarks/gpu.py` with {arguments}; medians of interleaved rounds.",
        "",
        f"Training, {TRAINING.name}, {TRAINING.records:,} records a step:",
        "",
        "| way | tokens/s | against the Trainer |",
        "| --- | ---: | ---: |",
        *(f"| {way} | {rate:,} | {rate / peer:.2f} |" for way, rate in training["tokens_per_second"].items()),
        "",
        f"Goal {GOAL}x: {'reached' if found['goal_reached'] else 'not reached'}. FLOPs a token: "
        f"{training['flops_ratio']:.2f} times fewer than the Trainer's. The GPU was busy "
        f"{training['busy'][0]:.0%} of the time, both ways together; peak memory "
        f"{training['peak_memory'] / 2**30:.1f} GiB.",
        "",
        f"Importance, BERT base, passes of {PASS_TOKENS} tokens and more:",
        "",
        "| dtype | passes/s | GPU busy |",
        "| --- | ---: | ---: |",
        *(
            f"| {dtype} | {part['passes_per_second']:,.0f} | {part['busy'][0]:.0%} |"
            for dtype, part in scored.items()
        ),
        "",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "gpu.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
