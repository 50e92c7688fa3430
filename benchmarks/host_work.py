"""What the host computes for a step of 256 records, of each objective: a GPU must never wait for it.

    python benchmarks/host_work.py [--rounds 5] [--steps 8]

Reading, masking, packing, negatives, the graph's samples, reads of TRELM's memory, and the order of attention
(`trainer.attention.Records`); no forward or backward pass. The corpora are made up at the papers' lengths
(`made_corpus.py`), the memories are on the host. CPU milliseconds of the process on one thread, the least of
interleaved rounds, because other work on the machine takes its share of the caches.
Writes benchmarks/results/host-work.{json,md}.
"""

import argparse
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from made_corpus import MadeCorpus, Size, make_tokenizer, write_base

from trainer.config import TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.kmlm.config import KmlmConfig
from trainer.trelm.config import RoutingConfig, TrelmConfig

RESULTS = Path(__file__).parent / "results"
RECORDS, GOAL_MS, VOCABULARY = 256, 50.0, 30_000
# JAKET's paper has 16 roots a passage.
ROOTS = 16
# Objective and settings by row of the table. The model is small: none of this depends on it.
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "KMLM, plain text, 128 tokens": ("kmlm", 128, {"kmlm": KmlmConfig(streams=("plain",))}),
    "KMLM, code-switched, 128 tokens": ("kmlm", 128, {"kmlm": KmlmConfig(streams=("code_switched",))}),
    "KMLM, cycles, 128 tokens": ("kmlm", 128, {"kmlm": KmlmConfig(streams=("reasoning",))}),
    "KMLM, plain text, 512 tokens": ("kmlm", 512, {"kmlm": KmlmConfig(streams=("plain",))}),
    "TRELM, 256 tokens": ("trelm", 256, {"trelm": TrelmConfig(routing=RoutingConfig(mode="none"))}),
    "JAKET, 512 tokens, 4,096 roots": (
        "jaket",
        512,
        {"jaket": JaketConfig(passages=RECORDS, roots=RECORDS * ROOTS)},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    # Threads that wait for each other on a busy machine count as CPU time.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(
            Path(folder), rounds=arguments.rounds, steps=arguments.steps, entities=arguments.entities
        )
    report(found, arguments)


def measure(folder: Path, *, rounds: int, steps: int, entities: int) -> dict[str, dict[str, float]]:
    """By case, CPU milliseconds a step: `batches`, `attention`, `total`; `tokens` of a step."""
    tokenizer = make_tokenizer(VOCABULARY)
    base = write_base(folder / "base", tokenizer, hidden=768, layers=2, heads=12, positions=512)
    timed: dict[str, Callable[[], dict[str, float]]] = {}
    for name, (objective, length, options) in CASES.items():
        corpus = folder / f"{objective}-{length}"
        if not corpus.exists():
            size = Size(VOCABULARY, length, RECORDS * (steps + 3), entities=entities, facts=5 * entities)
            made = MadeCorpus(size)
            made.write(corpus, objective)
            if objective == "trelm":
                made.write_vectors(corpus / "kge")
        config = TrainingConfig(
            base_model=str(base), records_per_step=RECORDS, max_length=length, rows_per_forward=128, **options
        )
        if objective == "trelm":
            trelm = config.trelm.model_copy(update={"kge": str(corpus / "kge")})
            config = config.model_copy(update={"trelm": trelm})
        timed[name] = _timer(objective, config, corpus, tokenizer, steps)
    rows: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, timer in timed.items():
            round_ = timer()
            least = rows.setdefault(name, round_)
            rows[name] = {key: min(value, least[key]) for key, value in round_.items()}
    return {name: {**row, "total": row["batches"] + row["attention"]} for name, row in rows.items()}


def _timer(
    objective: str, config: TrainingConfig, corpus: Path, tokenizer: Any, steps: int
) -> Callable[[], dict[str, float]]:
    """A function that makes the batches of `steps` steps and returns what a step costs."""
    from accelerate import Accelerator

    from trainer.registry import OBJECTIVES
    from trainer.run_identity import ensure_same_run

    out = corpus.with_name(f"run-{corpus.name}")
    out.mkdir(exist_ok=True)
    ensure_same_run(out, {"benchmark": "host_work"})
    built = OBJECTIVES[objective].load()(config, corpus, out, tokenizer, Accelerator(cpu=True))
    start = built.state()

    def timer() -> dict[str, float]:
        from trainer.attention import Records

        built.load_state(start)
        # The prefetcher's thread is one step ahead; it must be so at the end as well.
        built.next_step(0)
        built._prefetcher.peek(1)
        began, made = time.process_time(), []
        for step in range(1, steps + 1):
            made.append(built.next_step(step))
        built._prefetcher.peek(steps + 1)
        batches = time.process_time() - began
        began = time.process_time()
        for step_batches in made:
            for batch in step_batches:
                Records.of(torch.from_numpy(batch.inputs["segments"]))
        attention = time.process_time() - began
        tokens = sum(batch.tokens for own in made for batch in own) / steps
        return {
            "batches": 1000 * batches / steps,
            "attention": 1000 * attention / steps,
            "tokens": tokens,
        }

    return timer


def report(found: dict[str, dict[str, float]], arguments: argparse.Namespace) -> None:
    reached = {name: row["total"] <= GOAL_MS for name, row in found.items()}
    settings = {name: getattr(arguments, name) for name in ("rounds", "steps", "entities")}
    result = {
        "arguments": settings,
        "machine": platform.machine(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: __import__(name).__version__ for name in ("torch", "transformers", "numpy")},
        "cases": found,
        "goal_ms": GOAL_MS,
        "goal_reached": reached,
    }
    rows = [
        f"| {name} | {row['tokens']:,.0f} | {row['batches']:.1f} | {row['attention']:.1f} | "
        f"{row['total']:.1f} | {'reached' if reached[name] else 'not reached'} |"
        for name, row in found.items()
    ]
    text = "\n".join(
        [
            f"# Host work for a step of {RECORDS} records",
            "",
            f"`python benchmarks/host_work.py` with {settings}: CPU milliseconds a step on one thread, the "
            f"least of the rounds; load of the machine at the end: {result['load']:.1f}. A graph of "
            f"{settings['entities']:,} entities and {5 * settings['entities']:,} facts, a mention in 25 "
            "tokens, hidden 768. `attention` orders the records for the attention. JAKET's sweeps of its "
            "memory are forward passes and not part of this.",
            "",
            f"| objective | tokens | batches, ms | attention, ms | total, ms | goal: {GOAL_MS:g} ms |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    arguments.out.mkdir(exist_ok=True)
    (arguments.out / "host-work.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "host-work.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
