"""Parsers of the graph's tab-separated files: triples, names, types, descriptions, titles.

A parser takes one line and raises `BadRecord` if it is malformed; `inputs.read_records` runs it over a file.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal, NamedTuple

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.ids import INVISIBLE_IN_IDS, read_id
from kgcorpus.contracts.languages import LANGUAGE_CODE, language_key, spellings
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, headers, read_lines

_NO_TEXT = re.compile("[\r\0]")
SAMPLED_LINES = 1000
Words = Sequence[frozenset[str]]
_LABELS = (headers.ID, headers.LANGUAGE, headers.NAME)
_NAMES = (headers.ID, headers.NAME)


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
    return TripleRow(*_fields(line, "a triple (h, r, t)", headers.TRIPLE, layout="triples")[:3])


def parse_names(line: str) -> NameRow:
    """`QID lang label alias...`; the label may be empty where there is an alias."""
    fields = _named_fields(line, "a row of labels (id, lang, label)", layout="labels")
    return _name_row(fields[0], fields[1], fields[2], fields[3:])


def parse_relation(line: str) -> NameRow:
    """`PID lang label description alias...`; the description may be missing, and is not kept."""
    fields = _named_fields(line, "a row of relations (id, lang, label)", layout="relations")
    return _name_row(fields[0], fields[1], fields[2], fields[4:])


def parse_wikidata5m_names(line: str) -> NameRow:
    """Wikidata5M's `id alias alias...` of entities or relations: English, the first alias is the label."""
    fields = _fields(line, "a row of names (id, name)", _NAMES, layout="names")
    return _name_row(fields[0], "en", fields[1], fields[2:])


def parse_types(line: str) -> TypesRow:
    """`QID typeQID...`."""
    qid, *types = _fields(line, "a row of types (id, class)", (headers.ID, headers.CLASS), layout="types")
    return TypesRow(qid, _distinct(types))


def parse_description(line: str) -> DescriptionRow:
    """`QID text`."""
    columns = (headers.ID, headers.TEXT)
    qid, text = _fields(line, "a description (id, text)", columns, layout="descriptions")[:2]
    return DescriptionRow(qid, text)


def parse_title(line: str) -> TitleRow:
    """`title QID`."""
    title, qid = _fields(line, "a title (title, id)", (headers.TITLE, headers.ID), layout="titles")[:2]
    return TitleRow(title, qid)


class NamesLayout(NamedTuple):
    """The layout of a file of names, and what it was inferred from.

    Attributes:
        layout: `names` for `id lang label alias...`, `wikidata5m` for `id alias...`.
        rows: sampled lines of at least two columns.
        with_language: those of at least three columns with a language code in the second.
    """

    layout: Literal["names", "wikidata5m"]
    rows: int
    with_language: int


def sniff_names(path: str, languages: Sequence[str], *, limits: Limits = DEFAULT_LIMITS) -> NamesLayout:
    """Infer whether a file of names has a language in its second column.

    It does if at least half of its first 1,000 lines have; header lines do not count.

    Args:
        path: a file in the layout of `parse_names`, `parse_relation` or `parse_wikidata5m_names`.
        languages: the configured languages; the file may hold others as well.

    Raises:
        InputError: most second columns could be a language code, but none is a configured one.
    """
    rows, codes = 0, []
    for _, raw in islice(read_lines(path, limits=limits), SAMPLED_LINES):
        fields = [field.strip() for field in raw.decode("utf-8", "replace").split("\t")]
        # The parser refuses a header; of a small file it would be much of the sample.
        if headers.is_header(fields, _LABELS) or headers.is_header(fields, _NAMES):
            continue
        rows += len(fields) > 1
        if len(fields) > 2 and LANGUAGE_CODE.fullmatch(fields[1]):
            codes.append(fields[1])
    if not codes or 2 * len(codes) < rows:
        return NamesLayout("wikidata5m", rows, len(codes))
    if spellings(codes).keys().isdisjoint(map(language_key, languages)):
        raise InputError(
            f"the second column holds {', '.join(sorted(set(codes))[:5])}: "
            "languages that are not configured, or names",
            where=path,
            hint="Add the language to `languages`, or write the rows as `id lang label alias...`",
        )
    return NamesLayout("names", rows, len(codes))


def _named_fields(line: str, what: str, *, layout: str) -> list[str]:
    """The fields of a row whose second column is a language; its third may be empty."""
    fields = _fields(line, what, _LABELS, layout=layout, may_be_empty=2)
    if not LANGUAGE_CODE.fullmatch(fields[1]):
        raise BadRecord(f"column 2 of {what} is no language code: {fields[1][:40]!r}")
    return fields


def _fields(line: str, what: str, columns: Words, *, layout: str, may_be_empty: int = -1) -> list[str]:
    # Printable ASCII has neither; the pattern is slow, and such lines are most.
    is_plain = line.isascii() and line.replace("\t", " ").isprintable()
    invisible = not is_plain and INVISIBLE_IN_IDS.search(line)
    if invisible and (control := _NO_TEXT.search(line)):
        raise BadRecord(f"the character {control[0]!r} occurs within the line")
    fields = [field.strip() for field in line.split("\t")]
    needed = len(columns)
    if len(fields) < needed:
        raise BadRecord(f"{what} has at least {needed} tab-separated columns, here {len(fields)}")
    for column in range(needed):
        if not fields[column] and column != may_be_empty:
            raise BadRecord(f"column {column + 1} of {what} is empty")
    # Rare in both cases: of most lines no id is looked at one by one.
    if invisible or "[[" in line:
        _check_ids(fields, columns, what)
    if headers.is_header(fields, columns):
        raise BadRecord(f"this is a header line; files of {layout} have none")
    return fields


def _check_ids(fields: Sequence[str], columns: Words, what: str) -> None:
    """Refuse a string that is no id. Names may contain invisible characters, which the build removes."""
    for number, field in enumerate(fields, 1):
        if _holds_an_id(number, columns) and field:
            try:
                read_id(field)
            except ValueError as error:
                raise BadRecord(f"column {number} of {what} {error}") from None


def _holds_an_id(number: int, columns: Words) -> bool:
    """Whether this column of a layout contains ids; all columns after the first of types are ids."""
    if columns[-1] is headers.CLASS:
        return True
    return number <= len(columns) and columns[number - 1] not in (headers.NAME, headers.TEXT, headers.TITLE)


def _name_row(ident: str, lang: str, label: str, aliases: Sequence[str]) -> NameRow:
    others = [alias for alias in _distinct(aliases) if alias != label]
    return NameRow(ident, lang, label or None, others)


def _distinct(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]
