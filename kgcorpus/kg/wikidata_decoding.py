"""One pass over Wikidata's JSON dump: the configured fields of a line, decoded into typed structs by msgspec.

The structs have the configured languages and the statements' items only; msgspec checks the rest of a line
without making Python objects of it. A line that does not fit the structs (`"aliases": []`, half a surrogate
pair, an unusual type) is read again by the tolerant reader in `kgcorpus.kg.wikidata`. Both give the same rows
for every line that both accept.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from kgcorpus.contracts.languages import fallback_codes
from kgcorpus.inputs import BadRecord, decoded
from kgcorpus.kg.readers import NameRow
from kgcorpus.kg.wikidata import (
    ENTITY_ID,
    PROPERTY_ID,
    Entity,
    facts_in,
    is_item,
    parse_entity,
    rows_in,
)

_KNOWN_PROPERTIES = 1 << 16
_NOT_DECODED = (msgspec.DecodeError, RecursionError, BadRecord)


class _Term(Struct, gc=False):
    value: str


class _Item(Struct, gc=False):
    id: str | UnsetType = UNSET
    number: int | UnsetType = msgspec.field(default=UNSET, name="numeric-id")
    kind: str | UnsetType = msgspec.field(default=UNSET, name="entity-type")


class _Value(Struct, gc=False):
    value: _Item | str | UnsetType = UNSET


class _Snak(Struct, gc=False):
    kind: str | UnsetType = msgspec.field(default=UNSET, name="snaktype")
    datavalue: _Value | UnsetType = UNSET


class _Statement(Struct, gc=False):
    rank: str | UnsetType = UNSET
    mainsnak: _Snak | UnsetType = UNSET


class Decoded(NamedTuple):
    """What the configured fields take from an entity; empty for a field that is not configured.

    Attributes:
        id: of the item or property.
        facts: (relation, item) of `triples`, as `wikidata.facts_in`; of items only.
        names: of `labels` for items, of `relations` for properties.
        description: of `descriptions`.
        types: of `types`, each once.
        fault: why a field of the entity cannot be read; the other fields are filled.
        is_typed: whether the typed decoder read the line.
    """

    id: str
    facts: Sequence[tuple[str, str]] = ()
    names: Sequence[NameRow] = ()
    description: str | None = None
    types: Sequence[str] = ()
    fault: BadRecord | None = None
    is_typed: bool = True


class EntityDecoder:
    """Decodes lines of the dump.

    Args:
        fields: of the config section `graph`: triples, labels, relations, descriptions, types.
        languages: those of names; descriptions are in the first. As in `wikidata.rows_in`.
        class_relation: the property whose values are the types.
    """

    def __init__(
        self, fields: Collection[str], languages: Sequence[str], *, class_relation: str = "P31"
    ) -> None:
        self._fields = frozenset(fields)
        self._languages = tuple(languages)
        self._class_relation = class_relation
        codes = list(dict.fromkeys(code for lang in languages for code in fallback_codes(lang)))
        self._codes_of = [
            (lang, [codes.index(code) for code in fallback_codes(lang)]) for lang in self._languages
        ]
        described = list(fallback_codes(languages[0])) if languages else []
        terms, aliases = _by_language("Terms", codes, _Term), _by_language("Aliases", codes, list[_Term])
        wanted: list[tuple[str, Any, Any]] = [("id", str, msgspec.NODEFAULT)]
        if self._fields & {"labels", "relations"}:
            wanted += [("labels", terms | UnsetType, UNSET), ("aliases", aliases | UnsetType, UNSET)]
        if "descriptions" in self._fields:
            kind = _by_language("Descriptions", described, _Term)
            wanted.append(("descriptions", kind | UnsetType, UNSET))
        if self._fields & {"triples", "types"}:
            wanted.append(("claims", dict[str, list[_Statement]] | UnsetType, UNSET))
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Entity", wanted)).decode
        self._terms = _getter(len(codes))
        self._descriptions = _getter(len(described))

    def decode(self, line: bytes) -> Decoded:
        """The fields of a line without its comma and line end.

        Raises:
            BadRecord: the line is not UTF-8, or not an entity.
        """
        try:
            if not line.isascii():
                decoded(line)
            return self._typed(self._decode(line))
        except _NOT_DECODED:
            return self._tolerant(parse_entity(decoded(line)))

    def _typed(self, entity: Any) -> Decoded:
        ident = entity.id
        if not ENTITY_ID.fullmatch(ident):
            raise BadRecord("the tolerant reader gives the reason")
        fields, kind = self._fields, ident[0]
        if kind == "P":
            return Decoded(ident, names=self._names(ident, entity) if "relations" in fields else ())
        if kind != "Q":
            return Decoded(ident)
        names = self._names(ident, entity) if "labels" in fields else ()
        description = None
        if "descriptions" in fields and entity.descriptions is not UNSET:
            terms = self._descriptions(entity.descriptions)
            description = next((term.value for term in terms if term is not UNSET and term.value), None)
        if not fields & {"triples", "types"} or entity.claims is UNSET:
            return Decoded(ident, names=names, description=description)
        facts = list(_facts(entity.claims))
        types = _types(facts, self._class_relation) if "types" in fields else ()
        return Decoded(ident, facts if "triples" in fields else (), names, description, types)

    def _names(self, ident: str, entity: Any) -> list[NameRow]:
        labels = self._terms(entity.labels) if entity.labels is not UNSET else None
        aliases = self._terms(entity.aliases) if entity.aliases is not UNSET else None
        rows = []
        for lang, codes in self._codes_of:
            label, others = None, []
            if labels is not None:
                found = (labels[code] for code in codes)
                label = next((term.value for term in found if term is not UNSET and term.value), None)
            if aliases is not None:
                named = next((row for code in codes if (row := aliases[code]) is not UNSET and row), ())
                others = [alias for alias in dict.fromkeys(term.value for term in named) if alias]
                if label in others:
                    others.remove(label)
            if label or others:
                rows.append(NameRow(ident, lang, label, others))
        return rows

    def _tolerant(self, entity: Entity) -> Decoded:
        """As three stages that read the dump one after the other: a fault of one leaves the others' rows."""
        found = Decoded(entity["id"], is_typed=False)
        if "triples" in self._fields and is_item(entity):
            try:
                found = found._replace(facts=[(fact.r, fact.t) for fact in facts_in(entity)])
            except BadRecord as fault:
                found = found._replace(fault=fault)
        try:
            rows = {field: list(self._rows(entity, field)) for field in self._fields - {"triples"}}
        except BadRecord as fault:
            return found._replace(fault=found.fault or fault)
        return found._replace(
            names=rows.get("labels") or rows.get("relations") or (),
            description=next((row.text for row in rows.get("descriptions", ())), None),
            types=next((row.types for row in rows.get("types", ())), ()),
        )

    def _rows(self, entity: Entity, field: str) -> Iterator[Any]:
        return rows_in(entity, field, self._languages, class_relation=self._class_relation)


def _by_language(name: str, codes: Sequence[str], kind: Any) -> Any:
    """A struct with an optional field for each language code; other languages are skipped."""
    fields: list[tuple[str, Any, Any]] = [(f"c{i}", kind | UnsetType, UNSET) for i in range(len(codes))]
    return msgspec.defstruct(name, fields, rename={f"c{i}": code for i, code in enumerate(codes)}, gc=False)


def _getter(n: int) -> Any:
    """A function from a struct of `_by_language` to the values of its n fields."""
    get = attrgetter(*(f"c{i}" for i in range(n))) if n else lambda struct: ()
    return get if n != 1 else lambda struct: (get(struct),)


def _facts(claims: dict[str, list[_Statement]]) -> Iterator[tuple[str, str]]:
    """As `wikidata.facts_in`."""
    for relation, statements in claims.items():
        if not _is_property(relation):
            raise BadRecord("the tolerant reader gives the reason")
        preferred = [statement for statement in statements if statement.rank == "preferred"]
        for statement in preferred or statements:
            snak = statement.mainsnak
            if snak is UNSET or snak.kind != "value" or snak.datavalue is UNSET:
                continue
            value = snak.datavalue.value
            if type(value) is not _Item or statement.rank == "deprecated":
                continue
            ident = value.id or ""
            if not ident and value.kind == "item" and value.number is not UNSET:
                ident = f"Q{value.number}"
            if ident[:1] == "Q" and ENTITY_ID.fullmatch(ident):
                yield relation, ident


@lru_cache(_KNOWN_PROPERTIES)
def _is_property(ident: str) -> bool:
    return PROPERTY_ID.fullmatch(ident) is not None


def _types(facts: Sequence[tuple[str, str]], class_relation: str) -> list[str]:
    return list(dict.fromkeys(item for relation, item in facts if relation == class_relation))
