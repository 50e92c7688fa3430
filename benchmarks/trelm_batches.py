"""CPU time of making TRELM's batches: `python -m benchmarks.trelm_batches CORPUS --out FILE.json`.

CORPUS is a build with the table trelm. Both ways take the same passages and give the same batches: `before`
draws each token's negatives by itself and tokenises labels when they are first drawn, as the trainer did;
`after` is what it does now. CPU seconds of all threads of the one process; the least of interleaved rounds,
because other work on the machine takes its share of the caches.
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.rows import Direction
from kgcorpus.contracts.store import write_text
from kgcorpus.tokens import ensure_tokens
from trainer.config import ModelConfig, TrainingConfig
from trainer.objectives import Batch
from trainer.tokenizer import make_tokenizer
from trainer.trelm.config import RoutingConfig, TrelmConfig
from trainer.trelm.graph import Graph, open_graph
from trainer.trelm.negatives import Asked
from trainer.trelm.objective import Trelm

_ROUNDS, _STEPS, _RECORDS, _K = 3, 12, 128, 64


class Before:
    """Negatives drawn a token at a time, labels tokenised when they are first drawn and kept for ever."""

    def __init__(self, graph: Graph, tokenizer: Any, unigrams: NDArray[np.int64], *, seed: int) -> None:
        self._facts, self._names, self._lang, self._seed = graph.facts, graph.entities, graph.lang, seed
        self._tokenizer, self._entities = tokenizer, graph.facts.entities.to_pylist()
        self._cumulative = np.cumsum(unigrams.astype(np.float64) ** 0.75)
        self._known: dict[str, tuple[int, ...]] = {}
        self._hard = lru_cache(4_096)(self._draw_hard)
        self._other = lru_cache(65_536)(self._other_tokens)

    def draw(self, asked: Sequence[Asked], *, step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        frequent = self._distinct(self._frequent(step))
        own = [self._choose(token, step, frequent) for token in asked]
        pool, places = np.unique(np.concatenate([np.empty(0, np.int64), *own]), return_inverse=True)
        allowed = np.zeros((len(asked), len(pool)), bool)
        allowed[np.repeat(np.arange(len(asked)), [len(tokens) for tokens in own]), places] = True
        return pool, allowed

    def _choose(self, token: Asked, step: int, frequent: NDArray[np.int64]) -> NDArray[np.int64]:
        fact = token.fact
        hard = self._hard(fact["r"], fact["direction"], token.place, step)
        truths = self._other(token.qid, fact["r"], fact["direction"], fact["other"])
        forbidden = np.append(truths, token.label)
        first = hard[~np.isin(hard, forbidden)][: _K // 2]
        rest = frequent[~np.isin(frequent, np.append(forbidden, first))][: _K - len(first)]
        return np.concatenate([first, rest])

    def _labels(self, entities: Sequence[str]) -> list[tuple[int, ...]]:
        cold = [entity for entity in dict.fromkeys(entities) if entity not in self._known]
        if cold:
            named = {entity: label for entity in cold if (label := self._names.label(entity, self._lang))}
            texts = [f" {label}" for label in named.values()]
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            self._known |= dict.fromkeys(cold, ())
            self._known |= {e: tuple(encoding.ids) for e, encoding in zip(named, encodings, strict=True)}
        return [self._known[entity] for entity in entities]

    def _draw_hard(self, relation: str, direction: Direction, place: int, step: int) -> NDArray[np.int64]:
        rows = self._facts.range_of(relation, direction).rows
        bits = self._bits("hard", relation, direction, place, step)
        if len(rows) <= len(bits):
            chosen = rows[np.argsort(bits[: len(rows)], kind="stable")]
        else:
            chosen = rows[(self._uniform(bits) * len(rows)).astype(np.int64)]
        labels = self._labels([self._entities[row] for row in dict.fromkeys(chosen.tolist())])
        return self._distinct([label[place] for label in labels if len(label) > place])

    def _other_tokens(self, qid: str, relation: str, direction: Direction, other: str) -> NDArray[np.int64]:
        ends = [self._entities[row] for row in self._facts.ends(qid, relation, direction)]
        labels = self._labels([end for end in ends if end != other])
        return np.unique([token for label in labels for token in label]).astype(np.int64)

    def _frequent(self, step: int) -> list[int]:
        drawn = self._uniform(self._bits("frequent", step)) * self._cumulative[-1]
        found: list[int] = np.searchsorted(self._cumulative, drawn, side="right").tolist()
        return found

    def _bits(self, *key: int | str) -> NDArray[np.uint64]:
        start = np.uint64(hash64(self._seed, "negatives", *key))
        return mix64_array(np.arange(4 * _K, dtype=np.uint64) + start)

    def _uniform(self, bits: NDArray[np.uint64]) -> NDArray[np.float64]:
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _distinct(self, tokens: Sequence[int]) -> NDArray[np.int64]:
        return np.array(list(dict.fromkeys(tokens)), np.int64)


def measure(corpus: Path, *, vocab_size: int) -> dict[str, Any]:
    """CPU milliseconds a passage, of whole batches and of their negatives, and what was made once."""
    texts = _texts(corpus)
    tokenizer = make_tokenizer(texts, vocab_size=vocab_size, max_length=256)
    files = ensure_tokens(
        corpus, "trelm", tokenizer.backend_tokenizer, mask_token="[MASK]", splits=("train",)
    )
    graph = open_graph(corpus, relation_names=True)
    # Labels instead of vectors, so that no graph embedding has to be trained first.
    trelm = TrelmConfig(provider="shared", inject="both", routing=RoutingConfig(mode="none"))
    config = TrainingConfig(
        model=ModelConfig(hidden=32, layers=1, heads=2), records_per_step=_RECORDS, trelm=trelm
    )

    def objective() -> Trelm:
        return Trelm(
            config, files=files["train"], tokenizer=tokenizer, graph=graph, kge=None, routes=Path("none")
        )

    began = time.process_time()
    first = objective()
    cold = time.process_time() - began
    began = time.process_time()
    old = objective()
    warm = time.process_time() - began
    unigrams = np.rint(np.diff(first._packer._negatives._cumulative, prepend=0.0) ** (1 / 0.75))
    found: dict[str, Any] = {"passages_a_step": _RECORDS, "steps": _STEPS, "rounds": _ROUNDS}
    found["start_cpu_seconds"] = {"first": cold, "later": warm}
    batches: dict[str, list[list[Batch]]] = {}
    start, spent = first._stream.state(), {"before": math.inf, "after": math.inf}
    for _ in range(_ROUNDS):
        subject: Any = old
        subject._packer._negatives = Before(
            graph, tokenizer.backend_tokenizer, unigrams.astype(np.int64), seed=config.seed
        )
        for name, subject in (("before", old), ("after", first)):
            subject._stream.load_state(start)
            began, batches[name] = time.process_time(), []
            for step in range(_STEPS):
                examples = subject._maker.make(subject._stream.take(_RECORDS))
                batches[name].append(subject._packer.batches(examples, step=step, memory_weight=0.0))
            spent[name] = min(spent[name], time.process_time() - began)
    for name, seconds in spent.items():
        found[f"{name}_cpu_ms_a_passage"] = 1000 * seconds / (_STEPS * _RECORDS)
    found["same_batches"] = all(
        np.array_equal(a.inputs[key], b.inputs[key])
        for one, other in zip(batches["before"], batches["after"], strict=True)
        for a, b in zip(one, other, strict=True)
        for key in a.inputs
    )
    tokens = sum(int(batch.counts[1]) for step in batches["after"] for batch in step)
    found["asked_tokens_a_passage"] = tokens / (_STEPS * _RECORDS)
    found["facts"], found["entities"] = len(graph.facts.others("tail")), len(graph.facts.entities)
    found["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    return found


def _texts(corpus: Path) -> list[str]:
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.contracts.shards import read_shard

    files = load_manifest(corpus, required=True).built(corpus, "trelm").files
    paths = [corpus / file.path for file in files if file.split == "train"]
    return [text for path in paths for text in read_shard(path, ["text"])["text"].to_pylist()]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--vocab-size", type=int, default=8_000)
    parser.add_argument("--conditions", default="", help="what else ran on the machine")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found = measure(arguments.corpus, vocab_size=arguments.vocab_size)
    found |= {"conditions": arguments.conditions}
    write_text(arguments.out, json.dumps(found, indent=1) + "\n")
    write_text(arguments.out.with_suffix(".md"), _page(found))


def _page(found: dict[str, Any]) -> str:
    before, after = (found[f"{name}_cpu_ms_a_passage"] for name in ("before", "after"))
    start = found["start_cpu_seconds"]
    lines = [
        "# TRELM's batches, CPU milliseconds a passage",
        "",
        f"`python -m benchmarks.trelm_batches`: {found['steps']} steps of {found['passages_a_step']} "
        f"passages, {found['asked_tokens_a_passage']:.1f} asked tokens each, of a graph of "
        f"{found['facts']:,} facts and {found['entities']:,} entities; least of {found['rounds']} rounds; "
        f"{found['conditions']}.",
        "",
        "| way | CPU ms a passage | faster by |",
        "|---|---|---|",
        f"| a token at a time, labels tokenised when drawn | {before:.2f} | 1.0 |",
        f"| arrays, labels tokenised once | {after:.2f} | {before / after:.1f} |",
        "",
        f"The batches are {'the same' if found['same_batches'] else 'NOT the same'}. The first start takes "
        f"{start['first']:.1f} CPU s, of which labels and inventory are kept, later ones "
        f"{start['later']:.1f} s.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
