"""X-FACTR (Jiang et al. 2020): facts in many languages, objects of one to several tokens."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, only_file, read_json_lines, text_lines
from trainer.evaluate.probe.contamination import unseen
from trainer.evaluate.probe.probing import (
    Answer,
    Decoding,
    Guess,
    Prober,
    Query,
    drawn,
    passes,
    prompt,
    report,
)
from trainer.evaluate.prompt_counter import prompt_counter

_SETS = ("mTRExf", "mTREx")
_GENDERS = {"male": "MASC", "female": "FEM", "none": "NEUT"}
_ENTITY = re.compile(r"\[([XY])\.[^\];|]*\]")
_AGREEING = re.compile(r"\[([^\[\]]*;([XY])-(?:Gender|Number)=[^\[\]]*)\]")
_ARTICLE = re.compile(r"\[(?:[A-Z][^\[\];|]*);[XY][^\[\]]*\] ?")
_LABEL = re.compile(r'"(.*)"@([a-z-]+)')


def evaluate_xfactr(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Ask for the objects of X-FACTR's facts in every language that has prompts and names.

    The number of masks is that whose guess has the highest mean log-probability. A guess is right if its
    tokens are those of any name of the object in the language, or of another object that is true as well.
    Subjects and objects are not inflected; a prompt's articles and prepositions that depend on the entity are
    left out and agreeing forms follow the subject's gender, as the official code does with its options
    `--disable_inflection xy --disable_article`.

    Args:
        model: a folder or hub id.
        data: X-FACTR's folder `data`, with `TREx_prompts.csv` and the facts of `mTRExf` or `mTREx`.
        config: `probing`, `exclude_corpus`, `languages` and `limit` (facts of a relation and language) are
            read.

    Returns:
        `set`, `masks` and `languages`: for each, and each way of decoding, what
        `trainer.evaluate.probe.probing.report` gives; `skipped`: reason -> facts; `seen`.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no prompts or facts, or a damaged file.
    """
    prober, data = Prober(model), Path(data)
    prompts = _prompts(only_file(data, "TREx_prompts.csv"))
    facts = _Facts.read(data)
    languages = {}
    for lang in config.languages or tuple(prompts):
        names = facts.names(lang)
        if lang not in prompts or not names:
            continue
        skipped: Counter[str] = Counter()
        queries, seen = unseen(list(facts.queries(prompts[lang], names, skipped)), config.exclude_corpus)
        kept = drawn(queries, config.limit)
        found = ask(prober, kept, config.probing.masks, config.probing.decoding, skipped)
        reports: dict[str, Any] = {how: report(answers, others="right") for how, answers in found.items()}
        languages[lang] = {**reports, "skipped": dict(sorted(skipped.items())), "seen": seen}
    if not languages:
        raise InputError("has no language with prompts and names", where=str(data))
    return {"set": facts.name, "masks": config.probing.masks, "languages": languages}


def ask(
    prober: Prober,
    queries: Sequence[Query],
    masks: int,
    decoding: Sequence[Decoding],
    skipped: Counter[str],
) -> dict[Decoding, list[Answer]]:
    """Whether the best of the guesses of 1 to `masks` tokens is a name of the object, by way of decoding."""
    usable: list[tuple[Query, set[tuple[int, ...]]]] = []
    for query in queries:
        right = {prober.tokens(query.text, name) for name in query.names} - {()}
        if not right:
            skipped["unknown_token"] += 1
        elif not prober.fits(query.text, masks):
            skipped["too_long"] += 1
        else:
            usable.append((query, right))
    texts = [query.text for query, _ in usable]
    vocabulary = int(prober.vocabulary.sum())
    prompt_counter.announce(len(texts) * sum(passes(n, how) for how in decoding for n in range(1, masks + 1)))
    found: dict[Decoding, list[Answer]] = {}
    for how in decoding:
        guesses = zip(*(prober.decode(texts, n, how) for n in range(1, masks + 1)), strict=True)
        found[how] = [
            Answer(
                query,
                best(options).tokens in right,
                sum(1 / vocabulary ** len(name) for name in right) / masks,
            )
            for (query, right), options in zip(usable, guesses, strict=True)
        ]
    return found


def best(guesses: Sequence[Guess]) -> Guess:
    """The guess of the highest mean log-probability; of equals, the shortest."""
    return max(guesses, key=lambda guess: guess.score)


def written(template: str, gender: str) -> str:
    """A prompt with plain `[X]` and `[Y]`: no inflection, no articles, forms that agree with the gender."""

    def agreeing(match: re.Match[str]) -> str:
        parts = [form.partition(";") for form in match.group(1).split("|")]
        forms = {condition: text for text, _, condition in parts}
        wanted = f"{match.group(2)}-Gender={gender if match.group(2) == 'X' else 'MASC'}"
        return forms.get(wanted, parts[0][0])

    template = _AGREEING.sub(agreeing, template)
    template = _ENTITY.sub(lambda match: f"[{match.group(1)}]", template)
    return _ARTICLE.sub("", template).strip()


class _Row(TypedDict):
    predicate_id: str
    sub_uri: str
    obj_uri: str
    sub_label: str
    obj_label: str


@dataclass(frozen=True)
class _Facts:
    """A set of facts with what belongs to it.

    Attributes:
        name: of the set.
        rows: a fact's predicate_id, sub_uri, obj_uri, sub_label and obj_label.
        others: (subject, relation) -> all objects that are true, by the facts and by `*_multi_rel.txt`.
        genders: entity -> MASC, FEM or NEUT.
    """

    folder: Path
    name: str
    rows: list[dict[str, Any]]
    others: Mapping[tuple[str, str], frozenset[str]]
    genders: Mapping[str, str]

    @classmethod
    def read(cls, data: Path) -> "_Facts":
        found = next(
            ((name, files) for name in _SETS if (files := matching_files(data, f"{name}/sub/*.jsonl"))), None
        )
        if found is None:
            raise InputError(
                f"holds no facts ({'/sub/*.jsonl or '.join(_SETS)}/sub/*.jsonl)", where=str(data)
            )
        name, files = found
        folder = files[0].parents[2]
        rows = [row for path in files for row in read_json_lines(path, _Row, form="X-FACTR")]
        others: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in rows:
            others[row["sub_uri"], row["predicate_id"]].add(row["obj_uri"])
        for subject, relation, objects, *_ in _rows(folder / f"{name}_multi_rel.txt", 3):
            others[subject, relation].update(objects.split())
        return cls(
            folder,
            name,
            rows,
            {key: frozenset(objects) for key, objects in others.items()},
            {row[0]: _GENDERS.get(row[1], "NEUT") for row in _rows(folder / f"{name}_gender.txt", 2)},
        )

    def names(self, lang: str) -> dict[str, list[str]]:
        """Entity -> its names in a language, the label first where it is known."""
        found: dict[str, list[str]] = defaultdict(list)
        if lang == "en":
            for row in self.rows:
                found[row["sub_uri"]].append(row["sub_label"])
                found[row["obj_uri"]].append(row["obj_label"])
        for qid, *parts in _rows(self.folder / f"{self.name}_unicode_escape.txt", 2):
            labels = (_LABEL.fullmatch(part) for part in parts)
            found[qid] += [match.group(1) for match in labels if match and match.group(2) == lang]
        english = {row[end + "_uri"]: row[end + "_label"] for row in self.rows for end in ("sub", "obj")}
        for qid, *aliases in _rows(self.folder / "alias" / self.name / f"{lang}.txt", 2):
            # The label is among the aliases, which are in alphabetical order: most likely it is the one that
            # is spelled as in English, else the first that is more than signs.
            likely = sorted(aliases, key=lambda alias: (alias != english.get(qid), not alias[0].isalnum()))
            found[qid] += likely
        return {qid: list(dict.fromkeys(names)) for qid, names in found.items()}

    def queries(
        self, prompts: Mapping[str, str], names: Mapping[str, list[str]], skipped: Counter[str]
    ) -> Iterator[Query]:
        """The facts that have a prompt, and names of both ends."""
        for row in self.rows:
            relation, head, tail = row["predicate_id"], row["sub_uri"], row["obj_uri"]
            if head not in names or tail not in names:
                skipped["no_name"] += 1
                continue
            template = written(prompts.get(relation, ""), self.genders.get(head, "NEUT"))
            text = prompt(template, names[head][0])
            if text is None:
                skipped["no_prompt"] += 1
                continue
            others = self.others[head, relation] - {tail}
            true = [tail, *sorted(others)]
            right = tuple(dict.fromkeys(name for qid in true for name in names.get(qid, ())))
            fact = (head, relation, tail)
            yield Query(relation, head, names[head][0], tail, text, right, fact, others)


def _prompts(path: Path) -> dict[str, dict[str, str]]:
    """Language -> relation -> prompt."""
    rows = []
    reader = csv.DictReader((f"{line}\n" for _, line in text_lines(path)), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise InputError("has not the header's columns", where=f"{path}, line {reader.line_num}")
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"is not CSV: {error}", where=f"{path}, line {reader.line_num}") from None
    if rows and "pid" not in rows[0]:
        raise InputError("has no column pid", where=f"{path}, line 1")
    languages = [name for name in (rows[0] if rows else {}) if name not in ("pid", "relation")]
    return {lang: {row["pid"]: row[lang] for row in rows if row[lang]} for lang in languages}


def _rows(path: Path, columns: int) -> Iterator[list[str]]:
    """Lines of a tab-separated file that may be absent; those with fewer columns are left out."""
    if path.exists():
        for _, line in text_lines(path):
            row = [field.strip() for field in line.split("\t")]
            row = [field for field in row if field]
            if len(row) >= columns:
                yield row
