"""LAMA (Petroni et al. 2019) and LAMA-UHN (Poerner et al. 2020): facts asked for in English sentences."""

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
from trainer.evaluate.probe.contamination import unseen
from trainer.evaluate.probe.probing import BLANK, Answer, Prober, Query, drawn, prompt, report, with_others
from trainer.evaluate.prompt_counter import prompt_counter

# Google-RE's templates are in LAMA's scripts, not in its data; the ids are Wikidata's.
GOOGLE_RE = {
    "place_of_birth": ("P19", "[X] was born in [Y] ."),
    "date_of_birth": ("P569", "[X] (born [Y])."),
    "place_of_death": ("P20", "[X] died in [Y] ."),
}
# What may be left out before the asking, given the model and why.
Filter = Callable[[Sequence[Query], Counter[str]], list[Query]]
_TEMPLATE = "{name} is a common name in the following {kind} : " + BLANK + " ."
_KINDS = {
    "place_of_birth": "city",
    "place_of_death": "city",
    "P19": "city",
    "P20": "city",
    "P27": "country",
    "P103": "language",
    "P1412": "language",
}
_TOP = 3


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


def evaluate_lama(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
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
    """`evaluate_lama` for the queries that `keep` keeps."""
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
    prompt_counter.announce(len(usable))
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
    """The tokens that are a whole word of the list, one a line, as they are tokenised inside a sentence."""
    words = [line for _, line in text_lines(path)]
    found = [prober.tokens(f"in {BLANK} .", word.strip()) for word in words if word.strip()]
    vocabulary = np.zeros_like(prober.vocabulary)
    vocabulary[[tokens[0] for tokens in found if len(tokens) == 1]] = True
    if not vocabulary.any():
        raise InputError("holds no word that is a token of the model", where=str(path))
    return vocabulary & prober.vocabulary


def evaluate_lama_uhn(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """LAMA's score for the facts that both filters leave; `skipped` counts what they took.

    Args:
        model: a folder or hub id.
        data: as for LAMA.
        config: `probing.name_model` knows the names; the paper's is bert-base-cased.

    Returns:
        What `trainer.evaluate.probe.lama.evaluate_lama` gives.

    Raises:
        UsageError: a model cannot be loaded.
        InputError: no facts, or a damaged file.
    """
    prober = Prober(model)
    namer = prober if config.probing.name_model is None else Prober(config.probing.name_model)

    def keep(queries: Sequence[Query], skipped: Counter[str]) -> list[Query]:
        left = [query for query in queries if not stands_in_subject(query)]
        unguessed = without_guessed(left, namer)
        skipped["string_match"] += len(queries) - len(left)
        skipped["person_name"] += len(left) - len(unguessed)
        return unguessed

    return probe(prober, data, config, keep=keep)


def stands_in_subject(query: Query) -> bool:
    """The object's name is a part of the subject's, case aside: Apple and Apple Watch."""
    return query.names[0].lower() in query.subject_name.lower()


def without_guessed(queries: Sequence[Query], namer: Prober) -> list[Query]:
    """The queries whose object is not among the first three guesses for any word of a person's name."""
    asked = [
        (query, name) for query in queries if query.relation in _KINDS for name in query.subject_name.split()
    ]
    texts = [_TEMPLATE.format(name=name, kind=_KINDS[query.relation]) for query, name in asked]
    distinct = [text for text in dict.fromkeys(texts) if namer.fits(text, 1)]
    best: dict[str, set[int]] = {}
    prompt_counter.announce(len(distinct))
    for text, table in zip(distinct, namer.log_probabilities(distinct, [1] * len(distinct)), strict=True):
        best[text] = set(np.argpartition(-table[0], _TOP)[:_TOP].tolist())
    guessed = {
        id(query)
        for (query, _), text in zip(asked, texts, strict=True)
        if (tokens := namer.tokens(text, query.names[0]))
        and len(tokens) == 1
        and tokens[0] in best.get(text, ())
    }
    return [query for query in queries if id(query) not in guessed]
