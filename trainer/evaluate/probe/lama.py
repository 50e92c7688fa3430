"""LAMA (Petroni et al. 2019): Google-RE and T-REx, objects of one token, precision at 1."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, only_file, read_json_lines, text_lines
from trainer.evaluate.probe.probing import BLANK, Answer, Prober, Query, drawn, prompt, report, with_others
from trainer.evaluate.probe.seen import unseen

# Google-RE's templates stand in LAMA's scripts, not beside its data; the ids are Wikidata's.
GOOGLE_RE = {
    "place_of_birth": ("P19", "[X] was born in [Y] ."),
    "date_of_birth": ("P569", "[X] (born [Y])."),
    "place_of_death": ("P20", "[X] died in [Y] ."),
}


class _Relation(TypedDict):
    relation: str
    template: str


class _Named(TypedDict):
    sub_label: str
    obj_label: str
    sub_w: NotRequired[str | None]
    obj_w: NotRequired[str | None]


class _Trex(TypedDict):
    predicate_id: str
    sub_label: str
    obj_label: str
    sub_uri: NotRequired[str | None]
    obj_uri: NotRequired[str | None]


# What may be left out before the asking, given the model and why.
Filter = Callable[[Sequence[Query], Counter[str]], list[Query]]


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Ask for the objects of LAMA's facts.

    Args:
        model: a folder or hub id.
        data: LAMA's folder `data`, with `Google_RE/*_test.jsonl`, `TREx/*.jsonl` and `relations.jsonl`.
        config: `probing`, `exclude_corpus` and `limit` (facts of a relation) are read.

    Returns:
        For `google_re` and `trex`, as far as they are there, what `probing.report` gives, with
        `skipped`: reason -> facts, and `seen`. `candidates`: tokens that are ranked.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no facts, or a damaged file.
    """
    prober = Prober(model)
    return probe(prober, data, config, keep=lambda queries, skipped: list(queries))


def probe(prober: Prober, data: str | Path, config: EvaluationConfig, *, keep: Filter) -> dict[str, Any]:
    """`evaluate` for the queries that `keep` keeps."""
    vocabulary = prober.vocabulary
    if config.probing.common_vocabulary is not None:
        vocabulary = _common(prober, Path(config.probing.common_vocabulary))
    result: dict[str, Any] = {"candidates": int(vocabulary.sum())}
    for name, read in (("google_re", read_google_re), ("trex", read_trex)):
        skipped: Counter[str] = Counter()
        asked = list(read(Path(data), skipped))
        asked = with_others(asked, [(query.relation, query.subject, query.object) for query in asked])
        queries, seen = unseen(asked, config.exclude_corpus)
        if queries or seen:
            kept = drawn(keep(queries, skipped), config.limit)
            answers = ask(prober, kept, vocabulary, skipped)
            result[name] = {**report(answers), "skipped": dict(sorted(skipped.items())), "seen": seen}
    if len(result) == 1:
        raise InputError("holds neither Google_RE/*_test.jsonl nor TREx/*.jsonl", where=str(data))
    return result


def ask(
    prober: Prober, queries: Sequence[Query], vocabulary: NDArray[np.bool_], skipped: Counter[str]
) -> list[Answer]:
    """Whether the object is the likeliest token of the vocabulary; objects of several tokens are skipped.

    The ranking is filtered as in LAMA (section 4.4): the tokens of a query's other right objects are removed.
    """
    usable: list[tuple[Query, int]] = []
    for query in queries:
        tokens = prober.tokens(query.text, query.names[0])
        if len(tokens) != 1 or not vocabulary[tokens[0]]:
            skipped["object_is_no_candidate"] += 1
        elif not prober.fits(query.text, 1):
            skipped["too_long"] += 1
        else:
            usable.append((query, tokens[0]))
    tables = prober.log_probabilities([query.text for query, _ in usable], [1] * len(usable))
    answers = []
    for (query, token), table in zip(usable, tables, strict=True):
        candidates = vocabulary.copy()
        for tokens in (prober.tokens(query.text, name) for name in query.others):
            if len(tokens) == 1 and tokens[0] != token:
                candidates[tokens[0]] = False
        table[0, ~candidates] = -np.inf
        answers.append(Answer(query, bool(table[0].argmax() == token), 1 / int(candidates.sum())))
    return answers


def read_trex(data: Path, skipped: Counter[str]) -> Iterator[Query]:
    """T-REx: a fact once for each pair of names, with the template of its relation."""
    files = matching_files(data, "TREx/*.jsonl")
    templates = {}
    if files:
        rows = read_json_lines(only_file(data, "relations.jsonl"), _Relation, form="LAMA")
        templates = {row["relation"]: row["template"] for row in rows}
    for path in files:
        for row in _distinct(read_json_lines(path, _Trex, form="LAMA"), skipped):
            relation = row["predicate_id"]
            ids = row.get("sub_uri"), row.get("obj_uri")
            yield from _query(row, relation, relation, templates.get(relation), ids, skipped)


def read_google_re(data: Path, skipped: Counter[str]) -> Iterator[Query]:
    """Google-RE: places and dates of birth and places of death."""
    for name, (relation, template) in GOOGLE_RE.items():
        for path in matching_files(data, f"Google_RE/{name}_test.jsonl"):
            for row in _distinct(read_json_lines(path, _Named, form="LAMA"), skipped):
                ids = row.get("sub_w"), row.get("obj_w")
                yield from _query(row, name, relation, template, ids, skipped)


def _distinct(rows: Iterator[dict[str, Any]], skipped: Counter[str]) -> Iterator[dict[str, Any]]:
    before = set()
    for row in rows:
        names = row["sub_label"], row["obj_label"]
        if names in before:
            skipped["duplicate"] += 1
        else:
            before.add(names)
            yield row


def _query(
    row: dict[str, Any],
    relation: str,
    pid: str,
    template: str | None,
    ids: tuple[str | None, str | None],
    skipped: Counter[str],
) -> Iterator[Query]:
    text = None if template is None else prompt(template, row["sub_label"])
    if text is None:
        skipped["no_template"] += 1
        return
    head, tail = ids
    fact = (head, pid, tail) if head and tail else None
    subject, name = row["sub_label"], row["obj_label"]
    yield Query(relation, head or subject, subject, name, text, (name,), fact)


def _common(prober: Prober, path: Path) -> NDArray[np.bool_]:
    """The tokens that are a whole word of the list, one a line, as they stand inside a sentence."""
    words = [line for _, line in text_lines(path)]
    found = [prober.tokens(f"in {BLANK} .", word.strip()) for word in words if word.strip()]
    vocabulary = np.zeros_like(prober.vocabulary)
    vocabulary[[tokens[0] for tokens in found if len(tokens) == 1]] = True
    if not vocabulary.any():
        raise InputError("holds no word that is a token of the model", where=str(path))
    return vocabulary & prober.vocabulary
