"""Facts and patterns by language: mLAMA 1.1 (Kassner et al. 2021) and mParaRel (Fierro and Søgaard 2022)."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.files import matching_files, read_json_lines
from trainer.evaluate.probe.probing import BLANK, SUBJECT

# mParaRel writes Chinese twice; the facts' labels are simplified for the most part.
_PATTERNS = {"zh": "zh-hans"}
_TEMPLATES = "templates.jsonl"


class Fact(TypedDict):
    """A line of mParaRel's facts; mLAMA's have no `predicate_id`, which is the file's name."""

    predicate_id: str
    sub_uri: str
    obj_uri: str
    sub_label: str
    obj_label: str
    from_english: NotRequired[bool]


class _Unplaced(TypedDict):
    sub_uri: str
    obj_uri: str
    sub_label: str
    obj_label: str


class _Template(TypedDict):
    relation: str
    template: str


_Pattern = TypedDict("_Pattern", {"pattern": str, "checked-by-human": NotRequired[bool]})


def read_languages(
    data: Path, languages: Collection[str] | None
) -> Iterator[tuple[str, list[Fact], Mapping[str, str]]]:
    """Yield (language, its facts, relation -> pattern).

    Args:
        data: mLAMA's folder, `<lang>/P*.jsonl` and `<lang>/templates.jsonl` (Google-RE's files are not read);
            or mParaRel's, `trex_<lang>.jsonl` and `patterns/<lang>/P*.jsonl`.
        languages: the languages read; None reads all.

    Raises:
        InputError: neither is there, or a file is malformed.
    """
    templates = {path.parent.name: path for path in matching_files(data, _TEMPLATES)}
    facts = {path.stem.removeprefix("trex_"): path for path in matching_files(data, "trex_*.jsonl")}
    if not templates and not facts:
        raise InputError(f"holds no facts (<lang>/{_TEMPLATES} or trex_<lang>.jsonl)", where=str(data))
    for lang in sorted(templates or facts):
        if languages is not None and lang not in languages:
            continue
        if templates:
            rows: list[_Template] = list(read_json_lines(templates[lang], _Template, form="mLAMA"))
            patterns = {row["relation"]: row["template"] for row in rows}
            yield lang, list(_of_folder(templates[lang].parent)), patterns
        else:
            folder = facts[lang].parent / "patterns" / _PATTERNS.get(lang, lang)
            yield lang, list(read_json_lines(facts[lang], Fact, form="mParaRel")), read_patterns(folder)


def _of_folder(folder: Path) -> Iterator[Fact]:
    for path in sorted(folder.glob("P*.jsonl")):
        for row in read_json_lines(path, _Unplaced, form="mLAMA"):
            yield Fact(
                predicate_id=path.stem,
                sub_uri=row["sub_uri"],
                obj_uri=row["obj_uri"],
                sub_label=row["sub_label"],
                obj_label=row["obj_label"],
            )


def read_patterns(folder: Path) -> dict[str, str]:
    """Relation -> pattern, of mParaRel: the first that a person checked, else the first."""
    patterns = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [
            row
            for row in read_json_lines(path, _Pattern, form="mParaRel")
            if row["pattern"].count(BLANK) == 1 and SUBJECT in row["pattern"]
        ]
        rows.sort(key=lambda row: not row.get("checked-by-human", False))
        if rows:
            patterns[path.stem] = rows[0]["pattern"]
    return patterns
