"""Relations of held-out cycles: hide the relation of a test pair, choose among all the relations seen.

The score is KMLM's zero-shot score (arXiv 2111.10962, section 4.5): the mean log-probability a token, each
choice with its own number of masks.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.splits import split_of_pair
from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.yaml_reader import read_yaml
from kgcorpus.tokens import LINK, tokenize_rows
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.probe.probing import log_probabilities
from trainer.evaluate.prompt_counter import prompt_counter
from trainer.evaluate.statistics import compare
from trainer.kmlm.masking import RELATION
from trainer.masked_lm import PackedMaskedLM, open_lm

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
    """A label's tokens between two links of a record."""
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


def evaluate_cycles(model: str, data: str, config: EvaluationConfig) -> dict[str, Any]:
    """`score_cycles` as a benchmark: its limit, its first seed and `exclude_relations` are read."""
    exclude = None if config.exclude_relations is None else frozenset(config.exclude_relations)
    return score_cycles(model, data, limit=config.limit, seed=config.seeds[0], exclude=exclude)


def score_cycles(
    model: str | Path,
    corpus: str | Path,
    *,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    exclude: frozenset[str] | None = None,
) -> dict[str, Any]:
    """Compare a model with the most frequent relation on the length-3 records of a split.

    Args:
        model: RUN/model.
        corpus: the build whose shards are read; the pairs' split is drawn with its seed.
        split: validation or test.
        limit: records at most, the first ones; their order is random.
        seed: of the bootstrap, and of the choices among equals.
        exclude: relations whose questions are left out in `without`; None: the most frequent relation of the
            training split's length-3 records.

    Returns:
        `overall`, `by_language`, `without` (the excluded relations) and `one_language_a_cycle` (one record of
        each cycle, with the same parts): what `trainer.evaluate.statistics.compare` gives. `skipped`:
        reason -> records.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no finished build, or one without cycles.
    """
    lm, tokenizer = open_lm(model)
    corpus = Path(corpus)
    corpus_seed = _corpus_seed(corpus)

    def tokenize(rows: pa.RecordBatch) -> list[dict[str, Any]]:
        table = tokenize_rows(rows, tokenizer.backend_tokenizer, mask_token=str(tokenizer.mask_token))
        return table.to_pylist()

    choices = read_choices(corpus, tokenize)
    read = islice(read_questions(corpus, split, tokenize, choices, corpus_seed=corpus_seed, seed=seed), limit)
    skipped: Counter[str] = Counter()
    questions: list[Question] = []
    for question in read:
        if question is None:
            skipped["answer_is_no_choice"] += 1
        elif len(question.ids) + choices.longest(question.lang) > lm.longest:
            skipped["too_long"] += 1
        else:
            questions.append(question)
    if not questions:
        raise InputError(f"the {split} split has no cycle to ask about", where=str(corpus))
    excluded = choices.dominant() if exclude is None else exclude
    right = _answer(lm, questions, choices, mask=tokenizer.mask_token_id, pad=tokenizer.pad_token_id)

    def part(chosen: Sequence[int], without: frozenset[str] = frozenset()) -> dict[str, Any]:
        chosen = [i for i in chosen if questions[i].answer not in without]
        langs = sorted({questions[i].lang for i in chosen})
        constant = choices.most_frequent(langs, without)
        return {
            "baseline_relation": constant,
            **compare(
                [right[i] for i in chosen],
                [questions[i].answer == constant for i in chosen],
                [questions[i].cycle for i in chosen],
                seed=seed,
            ),
        }

    def parts(chosen: Sequence[int]) -> dict[str, Any]:
        by_lang = defaultdict(list)
        for i in chosen:
            by_lang[questions[i].lang].append(i)
        return {
            "overall": part(chosen),
            "without": part(chosen, excluded),
            "by_language": {lang: part(by_lang[lang]) for lang in sorted(by_lang)},
        }

    everything = range(len(questions))
    return {
        "benchmark": "cycles",
        "split": split,
        "excluded": sorted(excluded),
        "candidates": {lang: len(labels) for lang, labels in sorted(choices.labels.items())},
        "skipped": dict(sorted(skipped.items())),
        **parts(everything),
        "one_language_a_cycle": parts(_one_a_cycle(questions, seed)),
    }


def _corpus_seed(corpus: Path) -> int:
    path = corpus / "config.yaml"
    try:
        return int(read_yaml(path)["seed"])
    except UsageError as error:
        raise InputError(error.what, where=error.where, hint="Build the corpus") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"gives no seed ({error!r})", where=str(path), hint="Build the corpus") from None


def _answer(
    lm: PackedMaskedLM, questions: Sequence[Question], choices: Choices, *, mask: int, pad: int
) -> list[bool]:
    """Whether the best-scored choice is the answer; among equal scores the first by id is chosen."""
    asked: list[tuple[int, int]] = []
    sequences: list[NDArray[np.int32]] = []
    for i, question in enumerate(questions):
        for masks in sorted({len(label) for label in choices.labels[question.lang].values()}):
            asked.append((i, masks))
            ids = question.ids
            hidden = np.full(masks, mask, np.int32)
            sequences.append(np.concatenate([ids[: question.start], hidden, ids[question.end :]]))
    best: dict[int, tuple[float, str]] = {}
    starts = [questions[i].start for i, _ in asked]
    prompt_counter.announce(len(sequences))
    found = log_probabilities(lm, sequences, starts, [masks for _, masks in asked], pad=pad)
    for (i, masks), table in zip(asked, found, strict=True):
        for pid, label in choices.labels[questions[i].lang].items():
            if len(label) == masks:
                score = float(table[np.arange(masks), list(label)].mean())
                best[i] = min(best.get(i, (np.inf, "")), (-score, pid))
    return [best[i][1] == question.answer for i, question in enumerate(questions)]


def _one_a_cycle(questions: Sequence[Question], seed: int) -> list[int]:
    """One question of each cycle, its language drawn: its translations are no independent samples."""
    by_cycle: dict[str, list[int]] = defaultdict(list)
    for i, question in enumerate(questions):
        by_cycle[question.cycle].append(i)
    chosen = [
        Draw(seed, "cycles-language", cycle).choice(sorted(members, key=lambda i: questions[i].lang))
        for cycle, members in by_cycle.items()
    ]
    return sorted(chosen)
