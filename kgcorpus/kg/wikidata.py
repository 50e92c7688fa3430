"""Reader of Wikidata's JSON dump: an entity's line becomes the rows that the TSV readers return.

Of an entity's statements those of the best rank count (the preferred ones, or else the normal ones), as in
Wikidata's own "truthy" dumps; values that are no items are left out.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.languages import fallback_codes
from kgcorpus.contracts.stages import format_of
from kgcorpus.inputs import (
    DEFAULT_LIMITS,
    UTF8_BOM,
    BadRecord,
    FilePart,
    Limits,
    PlacedLine,
    last_line,
    part_lines,
    raw_lines,
)
from kgcorpus.kg.readers import DescriptionRow, NameRow, TripleRow, TypesRow

ENTITY_ID = re.compile(r"[QPL][1-9]\d{0,17}")
PROPERTY_ID = re.compile(r"P[1-9]\d{0,17}")
Entity = dict[str, Any]
_MOST_DIGITS = 4300


# The end of a dump's name, a packing left out.
DUMP_FORMAT = ".json"


def is_wikidata_dump(path: str) -> bool:
    """Whether the file's name says that it is Wikidata's JSON dump."""
    return format_of(path) == DUMP_FORMAT


def entity_lines(part: FilePart, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[PlacedLine]:
    """The lines of a dump, or of a part of it, that hold entities: without the comma and line end.

    Raises:
        InputError: as `inputs.part_lines`; or a file that is read as a whole has a list without an end.
    """
    opened = False
    for line in part_lines(part, limits=limits):
        text = line.text.removeprefix(UTF8_BOM).strip().removesuffix(b",")
        if text in (b"[", b"]", b""):
            opened = text == b"[" or (opened and not text)
            continue
        yield line._replace(text=text)
    if opened and part.blocks is None:
        raise _endless_list(part.path)


def require_whole_list(parts: Sequence[FilePart], *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Check the first and the last line of a file that several tasks read; one task sees by itself.

    Raises:
        InputError: the first is `[`, but the last is not `]`; or as `inputs.raw_lines`.
    """
    path, blocks = parts[0].path, parts[0].blocks
    if blocks is None:
        return
    first = next(raw_lines(path, limits=limits), b"")
    if first.removeprefix(UTF8_BOM).strip() == b"[" and last_line(path, blocks, limits=limits) != b"]":
        raise _endless_list(path)


def _endless_list(path: str) -> InputError:
    return InputError("the list has no end `]`", where=path, hint="It is truncated: fetch it again")


def parse_entity(text: str) -> Entity:
    """One line of the dump as a JSON object with an `id`.

    Raises:
        BadRecord: it is none.
    """
    try:
        entity = json.loads(text, parse_int=_integer)
        if "\\u" in text:
            json.dumps(entity, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRecord("the entity holds half a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"this is not an entity a line, as in Wikidata's dump: {error}") from None
    ident = entity.get("id") if isinstance(entity, dict) else None
    if not isinstance(ident, str) or not ENTITY_ID.fullmatch(ident):
        raise BadRecord("this is not an entity a line, as in Wikidata's dump: it has no proper `id`")
    return entity


def _integer(digits: str) -> int | float:
    """An integer; beyond Python's limit of 4,300 digits a float, which is no id and no rank."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def is_item(entity: Entity) -> bool:
    """Whether it is an item; else it is a property or a lexeme."""
    return bool(entity["id"].startswith("Q"))


def rows_in(
    entity: Entity, field: str, languages: Sequence[str], *, class_relation: str = "P31"
) -> Iterator[NameRow | DescriptionRow | TypesRow]:
    """What an entity gives to a field of the config section `graph`.

    Args:
        field: labels, descriptions or types, of items; relations, of properties.
        languages: those of names; descriptions are in the first. Where a language has no label, or no alias,
            those of the first of its `fallback_codes` that has one serve, `mul` the last of them.
        class_relation: the property whose values are the types.

    Raises:
        BadRecord: the entity is not in the dump's form.
    """
    if entity["id"][0] != ("P" if field == "relations" else "Q"):
        return
    match field:
        case "labels" | "relations":
            yield from _names(entity, languages)
        case "types":
            yield from _types(entity, class_relation)
        case "descriptions":
            yield from _description(entity, languages[0])


def _names(entity: Entity, languages: Sequence[str]) -> Iterator[NameRow]:
    labels, aliases = _mapping(entity, "labels"), _mapping(entity, "aliases")
    for lang in languages:
        codes = list(fallback_codes(lang))
        label = next((text for code in codes if code in labels and (text := _value(labels[code]))), None)
        named = next((rows for code in codes if (rows := _sequence(aliases.get(code, [])))), [])
        others = [_value(alias) for alias in named]
        others = [alias for alias in dict.fromkeys(others) if alias and alias != label]
        if label or others:
            yield NameRow(entity["id"], lang, label or None, others)


def _description(entity: Entity, lang: str) -> Iterator[DescriptionRow]:
    descriptions = _mapping(entity, "descriptions")
    codes = (code for code in fallback_codes(lang) if code in descriptions)
    described = next((text for code in codes if (text := _value(descriptions[code]))), None)
    if described:
        yield DescriptionRow(entity["id"], described)


def _types(entity: Entity, class_relation: str) -> Iterator[TypesRow]:
    classes = list(dict.fromkeys(t for _, r, t in facts_in(entity) if r == class_relation))
    if classes:
        yield TypesRow(entity["id"], classes)


def facts_in(entity: Entity) -> Iterator[TripleRow]:
    """The statements of best rank whose values are items.

    Raises:
        BadRecord: they are not in the dump's form.
    """
    for relation, statements in _mapping(entity, "claims").items():
        if not PROPERTY_ID.fullmatch(relation):
            raise BadRecord(f"{relation[:40]!r} among the claims is no property's id")
        ranked = [_mapping(statement) for statement in _sequence(statements)]
        preferred = [statement for statement in ranked if statement.get("rank") == "preferred"]
        for statement in preferred or ranked:
            value = _item(_mapping(statement, "mainsnak"))
            if value is not None and statement.get("rank") != "deprecated":
                yield TripleRow(entity["id"], relation, value)


def _item(snak: Entity) -> str | None:
    """The item that a snak names; None for another kind of value, an unknown one or none."""
    value = _mapping(snak, "datavalue").get("value")
    if snak.get("snaktype") != "value" or not isinstance(value, dict):
        return None
    # Dumps before 2016 have only the number.
    ident = value.get("id") or (
        f"Q{value['numeric-id']}" if value.get("entity-type") == "item" and "numeric-id" in value else None
    )
    return ident if isinstance(ident, str) and ident.startswith("Q") and ENTITY_ID.fullmatch(ident) else None


def _mapping(parent: Any, name: str = "") -> Entity:
    """A JSON object, or the one at a name; PHP writes an empty one as `[]`."""
    if name:
        parent = parent.get(name) or {}
    if not isinstance(parent, dict):
        raise BadRecord(f"`{name or 'statement'}` is no JSON object")
    return parent


def _sequence(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadRecord(f"{str(value)[:40]} is no list")
    return value


def _value(term: Any) -> str:
    value = term.get("value") if isinstance(term, dict) else None
    if not isinstance(value, str):
        raise BadRecord(f"{str(term)[:40]} has no text as its value")
    return value
