"""Tab-separated rows of a graph; further columns are ignored.

A parser takes one line and raises `BadRecord` if it is malformed; `inputs.read_records` runs it over a file.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal, NamedTuple

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.languages import LANGUAGE_CODE
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, read_lines

_NO_TEXT = re.compile("[\r\0]")
_SNIFFED_LINES = 50
# Words casefolded; the last two are KGTK's, whose columns differ.
_HEADERS = frozenset(
    {
        ("head", "relation", "tail"),
        ("subject", "predicate", "object"),
        ("node1", "label", "node2"),
        ("id", "node1", "label"),
    }
)


class TripleRow(NamedTuple):
    """A fact, directed."""

    h: str
    r: str
    t: str


class NameRow(NamedTuple):
    """The names of an entity or a relation in one language; label None where only aliases are known."""

    id: str
    lang: str
    label: str | None
    aliases: list[str]


class TypesRow(NamedTuple):
    """An entity and its classes."""

    qid: str
    types: list[str]


class DescriptionRow(NamedTuple):
    """An entity and a text that describes it."""

    qid: str
    text: str


class TitleRow(NamedTuple):
    """A page title and its entity."""

    title: str
    qid: str


def parse_triple(line: str) -> TripleRow:
    """`h r t`."""
    triple = TripleRow(*_fields(line, "a triple (h, r, t)", 3)[:3])
    # Single letters as they are written: H R T may be a fact of an own graph.
    if triple == ("h", "r", "t") or tuple(map(str.casefold, triple)) in _HEADERS:
        raise BadRecord("this is a header, which files of triples do not have here")
    return triple


def parse_names(line: str) -> NameRow:
    """`QID lang label alias...`; the label may be empty where there is an alias."""
    fields = _fields(line, "a row of labels (id, lang, label)", 3, may_be_empty=2)
    return _name_row(fields[0], fields[1], fields[2], fields[3:])


def parse_relation(line: str) -> NameRow:
    """`PID lang label description alias...`; the description may be missing, and is not kept."""
    fields = _fields(line, "a row of relations (id, lang, label)", 3, may_be_empty=2)
    return _name_row(fields[0], fields[1], fields[2], fields[4:])


def parse_wikidata5m_names(line: str) -> NameRow:
    """Wikidata5M's `id alias alias...` of entities or relations: English, the first alias is the label."""
    fields = _fields(line, "a row of names (id, name)", 2)
    return _name_row(fields[0], "en", fields[1], fields[2:])


def parse_types(line: str) -> TypesRow:
    """`QID typeQID...`."""
    qid, *types = _fields(line, "a row of types (id, class)", 2)
    return TypesRow(qid, _distinct(types))


def parse_description(line: str) -> DescriptionRow:
    """`QID text`."""
    qid, text = _fields(line, "a description (id, text)", 2)[:2]
    return DescriptionRow(qid, text)


def parse_title(line: str) -> TitleRow:
    """`title QID`."""
    title, qid = _fields(line, "a title (title, id)", 2)[:2]
    return TitleRow(title, qid)


def sniff_names(
    path: str, languages: Sequence[str], *, limits: Limits = DEFAULT_LIMITS
) -> Literal["names", "wikidata5m"]:
    """Tell whether a file of entity or relation names states a language in its second column.

    Args:
        path: a file in the layout of `parse_names`, `parse_relation` or `parse_wikidata5m_names`.
        languages: the configured languages; the file may hold others as well.

    Raises:
        InputError: every second column could be a language code, but none is a configured one.
    """
    second = []
    for _, raw in islice(read_lines(path, limits=limits), _SNIFFED_LINES):
        fields = raw.decode("utf-8", "replace").split("\t")
        if len(fields) > 1:
            second.append(fields[1].strip())
    if not second or not all(map(LANGUAGE_CODE.fullmatch, second)):
        return "wikidata5m"
    if set(second).isdisjoint(languages):
        raise InputError(
            f"the second column holds {', '.join(sorted(set(second))[:5])}: "
            "languages that are not configured, or names",
            where=path,
            mend="Add the language to `languages`, or write the rows as `id lang label alias...`",
        )
    return "names"


def _fields(line: str, what: str, needed: int, *, may_be_empty: int = -1) -> list[str]:
    if control := _NO_TEXT.search(line):
        raise BadRecord(f"the character {control[0]!r} stands within the line")
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) < needed:
        raise BadRecord(f"{what} has at least {needed} tab-separated columns, here {len(fields)}")
    for column in range(needed):
        if not fields[column] and column != may_be_empty:
            raise BadRecord(f"column {column + 1} of {what} is empty")
    return fields


def _name_row(ident: str, lang: str, label: str, aliases: Sequence[str]) -> NameRow:
    others = [alias for alias in _distinct(aliases) if alias != label]
    return NameRow(ident, lang, label or None, others)


def _distinct(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]
