"""Mentions per CPU second: the importance stage's engine beside a naive loop of two passes a mention.

    python benchmarks/importance.py --corpus OUT --encoder FOLDER [--sentences 400] [--rounds 5]

OUT is a build with linked sentences, FOLDER an encoder with a fast tokenizer and a mask token. The sentences
are spread evenly over those of the table that have a mention. The naive loop replaces the mention's tokens by
one mask, reads the original and the replaced text one by one, and takes the cosine of the means. All use one
thread; the rounds are interleaved, the median CPU time is kept.

The pre-filter is what one could do without a second pass: the cosine of the mean with the mean of the tokens
outside the mention. Told is how many of the mentions in the top quarter by SI are in its upper half.
Writes results/importance.{json,md}.
"""

import argparse
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.rows import Mention, SentenceRow
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.encoder import Encoder, Tokens, load_encoder
from kgcorpus.importance.score import score_sentences

RESULTS = Path(__file__).parent / "results"
NAIVE, FP32, BF16 = "naive, two passes a mention", "kgcorpus, fp32", "kgcorpus, bf16"
GOALS = {FP32: 2.0, BF16: 6.0}
Rows = list[SentenceRow]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--sentences", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    sentences = linked_sentences(arguments.corpus, arguments.sentences)
    fp32, bf16 = (load_encoder(arguments.encoder, dtype=dtype) for dtype in ("fp32", "bf16"))
    ways: dict[str, Callable[[], list[float | None]]] = {
        NAIVE: lambda: naive(sentences, fp32),
        FP32: lambda: ours(sentences, fp32),
        BF16: lambda: ours(sentences, bf16),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cosines: dict[str, list[float | None]] = {}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began = time.process_time()
            cosines[name] = way()
            seconds[name].append(time.process_time() - began)
    write_results(arguments, seconds, cosines, prefilter(sentences, fp32))


def linked_sentences(corpus: Path, count: int) -> Rows:
    """Sentences with a mention, evenly spread."""
    files = load_manifest(corpus, required=True).files(corpus, "linked_sentences")
    rows = [row for file in files for row in pq.read_table(file).to_pylist() if row["mentions"]]
    return rows[:: max(1, len(rows) // count)][:count]


def ours(sentences: Rows, encoder: Encoder) -> list[float | None]:
    found = score_sentences(sentences, encoder=encoder, replacement="mask", seed=0, tally=Tally())
    return [row["cos"] for row in found]


def naive(sentences: Rows, encoder: Encoder) -> list[float | None]:
    cosines: list[float | None] = []
    for row in sentences:
        for mention in row["mentions"]:
            tokens = encoder.tokenize([row["text"]])[0]
            inside = covered(tokens, mention)
            if not inside or inside[-1] >= encoder.room:
                cosines.append(None)
                continue
            mask = [encoder.tokenizer.mask_token_id]
            replaced = tokens.ids[: inside[0]] + mask + tokens.ids[inside[-1] + 1 :]
            a, b = (states(ids[: encoder.room], encoder).mean(0) for ids in (tokens.ids, replaced))
            cosines.append(float(torch.nn.functional.cosine_similarity(a, b, dim=0)))
    return cosines


def prefilter(sentences: Rows, encoder: Encoder) -> list[float | None]:
    """The cosines of the means with and without the mention's tokens, of the original's pass only."""
    cosines: list[float | None] = []
    for row in sentences:
        tokens = encoder.tokenize([row["text"]])[0]
        read = states(tokens.ids[: encoder.room], encoder)
        for mention in row["mentions"]:
            inside = covered(tokens, mention)
            outside = [i for i in range(len(read)) if i not in inside]
            if not inside or not outside:
                cosines.append(None)
                continue
            rest = read[outside].mean(0)
            cosines.append(float(torch.nn.functional.cosine_similarity(read.mean(0), rest, dim=0)))
    return cosines


def covered(tokens: Tokens, mention: Mention) -> list[int]:
    """The tokens that share a character with the mention."""
    return [i for i, (a, b) in enumerate(tokens.offsets) if a < mention["end"] and b > mention["start"]]


def states(ids: Sequence[int], encoder: Encoder) -> torch.Tensor:
    """[tokens, hidden] the states of the text's own tokens."""
    head = len(encoder.prefix)
    with torch.inference_mode():
        output = encoder.model(input_ids=torch.tensor([[*encoder.prefix, *ids, *encoder.suffix]]))
    return output.last_hidden_state[0, head : head + len(ids)]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.float64) for x in (a, b)]
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def recall_of_quarter(cosines: Sequence[float | None], guesses: Sequence[float | None]) -> float:
    """The share of the quarter with the lowest cosines that is in the half with the lowest guesses."""
    pairs = [pair for pair in zip(cosines, guesses, strict=True) if None not in pair]
    exact, guessed = (np.argsort(column, kind="stable") for column in np.array(pairs).T)
    quarter = exact[: len(pairs) // 4]
    return float(np.isin(quarter, guessed[: len(pairs) // 2]).mean())


def processor() -> str:
    """The processor's name, and its instructions for bf16."""
    known = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*: (.*)", known)
    bf16 = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in known] or ["none for bf16"]
    return f"{name.group(1) if name else platform.machine()} ({', '.join(bf16)})"


def write_results(
    arguments: argparse.Namespace,
    seconds: dict[str, list[float]],
    cosines: dict[str, list[float | None]],
    guesses: list[float | None],
) -> None:
    known = [i for i, cos in enumerate(cosines[NAIVE]) if cos is not None]
    values = {name: np.array([found[i] for i in known], np.float64) for name, found in cosines.items()}
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rows = [
        {
            "way": name,
            "mentions_per_cpu_second": len(cosines[name]) / medians[name],
            "ratio_to_naive": medians[NAIVE] / medians[name],
            "goal": GOALS.get(name),
            "largest_difference_of_cos": float(np.abs(values[name] - values[NAIVE]).max()),
            "spearman": spearman(values[name], values[NAIVE]),
            "cpu_seconds": seconds[name],
        }
        for name in seconds
    ]
    result: dict[str, Any] = {
        "command": f"python benchmarks/importance.py --corpus OUT --encoder {Path(arguments.encoder).name} "
        f"--sentences {arguments.sentences} --rounds {arguments.rounds}",
        "machine": {"cpu": processor(), "torch": torch.__version__, "load": os.getloadavg()[1]},
        "mentions": len(cosines[NAIVE]),
        "prefilter_told": recall_of_quarter(cosines[NAIVE], guesses),
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "importance.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = [
        f"`{result['command']}`: {result['mentions']:,} mentions, one thread, median of {arguments.rounds} "
        f"interleaved rounds; {result['machine']['cpu']}, load {result['machine']['load']:.1f}.",
        "",
        "| way | mentions per CPU second | ratio | goal | largest difference of cos | Spearman |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['way']} | {row['mentions_per_cpu_second']:.1f} | {row['ratio_to_naive']:.2f} | "
            f"{row['goal'] or ''} | {row['largest_difference_of_cos']:.1e} | {row['spearman']:.4f} |"
            for row in rows
        ),
        "",
        f"Pre-filter: its upper half holds {result['prefilter_told']:.0%} of the top quarter by SI.",
    ]
    (RESULTS / "importance.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
