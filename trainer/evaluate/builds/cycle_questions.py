"""The questions that held-out cycles give: whose relation is hidden, and what there is to choose from."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.splits import split_of_pair
from kgcorpus.contracts.tables import TABLES
from kgcorpus.tokens import LINK
from trainer.kmlm.masking import RELATION

# Rows of the reasoning shards -> their token rows.
Tokenize = Callable[[pa.RecordBatch], list[dict[str, Any]]]


@dataclass(frozen=True)
class Question:
    """A cycle of three sentences, the hidden relation's place in it, and the answer."""

    cycle: str
    lang: str
    answer: str
    ids: NDArray[np.int32]
    start: int
    end: int


@dataclass(frozen=True)
class Choices:
    """The training split's relations.

    Attributes:
        counts: language -> relation -> how many sentences of length-3 records state it.
        labels: language -> relation -> its tokens.
    """

    counts: dict[str, Counter[str]]
    labels: dict[str, dict[str, tuple[int, ...]]]

    def longest(self, lang: str) -> int:
        """Tokens of the longest label of a language."""
        return max(map(len, self.labels[lang].values()))

    def most_frequent(self, langs: Sequence[str], exclude: frozenset[str]) -> str | None:
        """The most frequent relation in these languages; of equals, the first by id."""
        total = sum((self.counts[lang] for lang in langs), Counter[str]())
        return min(
            (pid for pid in total if pid not in exclude), key=lambda pid: (-total[pid], pid), default=None
        )

    def dominant(self) -> frozenset[str]:
        """The most frequent relation in all languages; empty without records."""
        found = self.most_frequent(list(self.counts), frozenset())
        return frozenset() if found is None else frozenset({found})


def read_questions(
    corpus: Path, split: str, tokenize: Tokenize, choices: Choices, *, corpus_seed: int, seed: int
) -> Iterator[Question | None]:
    """A question of each length-3 record of a split; None where the answer is no choice."""
    for batch in _records(corpus, split):
        for row, tokens in zip(batch.to_pylist(), tokenize(batch), strict=True):
            yield _question(row, tokens, choices, split=split, corpus_seed=corpus_seed, seed=seed)


def read_choices(corpus: Path, tokenize: Tokenize) -> Choices:
    """Count the training split's relations, and take each one's label from its most frequent slot text."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    texts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for batch in _records(corpus, "train"):
        for row in batch.select(["lang", "text", "slots"]).to_pylist():
            for slot in row["slots"]:
                if slot["slot"] == RELATION:
                    counts[row["lang"]][slot["qid"]] += 1
                    texts[row["lang"], slot["qid"]][row["text"][slot["start"] : slot["end"]]] += 1
    labels: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for (lang, pid), seen in sorted(texts.items()):
        label = min(seen, key=lambda text: (-seen[text], text))
        found = _label_tokens(label, tokenize)
        if found:
            labels[lang][pid] = found
    return Choices(dict(counts), dict(labels))


def _label_tokens(label: str, tokenize: Tokenize) -> tuple[int, ...]:
    """A label's tokens as they stand between two links of a record."""
    start = len(LINK) + 1
    slot = {"start": start, "end": start + len(label), "sentence": 0, "slot": RELATION, "qid": "", "lang": ""}
    text = f"{LINK} {label} {LINK}"
    row = {"id": "", "lang": "", "kind": "cycle3", "text": text, "triples": [], "slots": [slot]}
    (tokens,) = tokenize(pa.RecordBatch.from_pylist([row], schema=TABLES["reasoning"].schema))
    return tuple(i for i, s in zip(tokens["ids"], tokens["slot"], strict=True) if s == RELATION)


def _question(
    row: dict[str, Any],
    tokens: dict[str, Any],
    choices: Choices,
    *,
    split: str,
    corpus_seed: int,
    seed: int,
) -> Question | None:
    """Hide the relation of one of the record's pairs of the split; None if its answer is no choice."""
    triples = [(t["h"], t["r"], t["t"]) for t in row["triples"]]
    # Ids may contain spaces and slashes: each is quoted, so that two cycles never have one key.
    cycle = " ".join("/".join(quote(ident, safe="") for ident in triple) for triple in sorted(triples))
    held_out = sorted(t for t in triples if split_of_pair(corpus_seed, t[0], t[2]) == split)
    answerable = [t for t in held_out if t[1] in choices.labels.get(row["lang"], {})]
    if not answerable:
        return None
    # The same pair in every language of a cycle.
    hidden = Draw(seed, "cycles-pair", cycle).choice(answerable)
    inside = np.array(tokens["slot"]) == RELATION
    (places,) = np.nonzero(inside & (np.array(tokens["sentence"]) == triples.index(hidden)))
    if not len(places):
        return None
    ids = np.array(tokens["ids"], np.int32)
    return Question(cycle, row["lang"], hidden[1], ids, int(places[0]), int(places[-1]) + 1)


def _records(corpus: Path, split: str) -> Iterator[pa.RecordBatch]:
    """The length-3 records of a split."""
    for file in load_manifest(corpus, required=True).built(corpus, "reasoning").files:
        if file.split == split:
            for batch in read_batches(corpus / file.path, rows=1000):
                yield batch.filter(pc.equal(batch.column("kind"), "cycle3"))
