"""XLR's questions (KMLM, arXiv 2111.10962, section 4.5): read from a build, and rendered as texts."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.contracts.tables import TABLES
from kgcorpus.records.kmlm import Item, render_sentences

_HINT = "Raise xlr.train and xlr.test and build again, or choose other languages or another train_language"


@dataclass(frozen=True)
class Question:
    """Which of the relations holds between two entities, given a context of sentences.

    Attributes:
        ident: of the row.
        asked: of the question, the same in every language.
        labels: those of the head and the tail.
        choices: (relation id, its label).
        answer: the place of the relation that holds.
        unseen_combination: no cycle read in training has the same relations.
    """

    ident: str
    asked: str
    lang: str
    context: str
    labels: tuple[str, str]
    choices: tuple[tuple[str, str], ...]
    answer: int
    unseen_combination: bool


def read_questions(
    corpus: str | Path,
    split: str,
    *,
    languages: Collection[str] | None = None,
    limit: int | None = None,
    required: bool = True,
) -> list[Question]:
    """The questions of a split; of each language, at most the first `limit`, whose order is random.

    Raises:
        InputError: no finished build, one without the table `xlr`, or (if `required`) no question.
    """
    corpus = Path(corpus)
    entry = load_manifest(corpus, required=True).built(corpus, "xlr")
    taken: Counter[str] = Counter()
    questions = []
    for file in entry.files:
        rows = read_shard(corpus / file.path).to_pylist() if file.split == split else []
        for row in rows:
            if languages is None or row["lang"] in languages:
                taken[row["lang"]] += 1
                if limit is None or taken[row["lang"]] <= limit:
                    questions.append(_question(row))
    if required and not questions:
        what = f"the {split} split has no XLR question" + (f" in {', '.join(languages)}" if languages else "")
        raise InputError(what, where=str(corpus), hint=_HINT)
    return questions


def _question(row: dict[str, Any]) -> Question:
    return Question(
        ident=row["id"],
        asked=row["id"].rsplit(":", 1)[-1],
        lang=row["lang"],
        context=row["context"],
        labels=(row["question"]["h_label"], row["question"]["t_label"]),
        choices=tuple((choice["pid"], choice["label"]) for choice in row["choices"]),
        answer=row["answer"],
        unseen_combination=row["unseen_combination"],
    )


def question_only(questions: Sequence[Question]) -> list[Question]:
    """Without their contexts."""
    return [replace(question, context="") for question in questions]


def shuffled_context(questions: Sequence[Question]) -> list[Question]:
    """Each with the context of another question of its language."""
    changed = list(questions)
    for places in languages_of(questions).values():
        circle = sorted(places, key=lambda i: hash64("xlr-shuffled", questions[i].asked))
        # Everyone takes the context of the next, so that none keeps its own.
        for i, other in zip(circle, [*circle[1:], circle[0]], strict=True):
            changed[i] = replace(questions[i], context=questions[other].context)
    return changed


def majority(questions: Sequence[Question], training: Sequence[Question]) -> list[bool]:
    """Whether the choice that is most often the answer in `training` is right; of equals, the first by id."""
    counts = Counter(question.choices[question.answer][0] for question in training)
    best = [min(q.choices, key=lambda choice: (-counts[choice[0]], choice[0])) for q in questions]
    return [q.choices[q.answer] == choice for q, choice in zip(questions, best, strict=True)]


def parts_of(questions: Sequence[Question]) -> dict[str, list[int]]:
    """Part -> the places of its questions: `overall`, `seen_combinations`, `unseen_combinations`."""
    return {
        "overall": list(range(len(questions))),
        "seen_combinations": [i for i, q in enumerate(questions) if not q.unseen_combination],
        "unseen_combinations": [i for i, q in enumerate(questions) if q.unseen_combination],
    }


def languages_of(questions: Sequence[Question]) -> dict[str, list[int]]:
    """Language -> the places of its questions, sorted by language."""
    places: dict[str, list[int]] = {lang: [] for lang in sorted({q.lang for q in questions})}
    for i, question in enumerate(questions):
        places[question.lang].append(i)
    return places


def filled_rows(questions: Sequence[Question]) -> pa.Table:
    """Each question with each choice filled in, question by question, as rows of the table `reasoning`.

    The text is the context, then the sentence asked about; the only slot is the choice.
    """
    rows = []
    for question in questions:
        head, tail = (Item(label, "", question.lang) for label in question.labels)
        offset = len(question.context) + 1 if question.context else 0
        for pid, label in question.choices:
            sentence, slots = render_sentences([(head, Item(label, pid, question.lang), tail)])
            slot = slots[1]
            moved = {**slot, "start": slot["start"] + offset, "end": slot["end"] + offset}
            text = f"{question.context} {sentence}" if question.context else sentence
            row = {"id": question.ident, "lang": question.lang, "kind": "cycle3", "text": text}
            rows.append({**row, "triples": [], "slots": [moved]})
    return pa.Table.from_pylist(rows, schema=TABLES["reasoning"].schema)
