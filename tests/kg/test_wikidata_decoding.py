"""The typed decoder of Wikidata's dump gives the tolerant reader's rows, also on damaged lines."""

import bz2
import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgcorpus.inputs import BadRecord, decoded
from kgcorpus.kg.wikidata import facts_in, is_item, parse_entity, rows_in
from kgcorpus.kg.wikidata_decoding import Decoded, EntityDecoder
from tests.kg.test_wikidata import ENTITY

LANGUAGES = ("en", "de", "pt-BR", "zh", "fr")
FIELDS = ("triples", "labels", "relations", "descriptions", "types")
DECODER = EntityDecoder(FIELDS, LANGUAGES)
# The stages triples, entities and relations.
GROUPS = (("triples",), ("labels", "descriptions", "types"), ("relations",))


def by_the_tolerant_reader(line: bytes) -> dict[str, Any]:
    """Field -> rows; a group of fields with a fault has none; {} if the line is no entity."""
    try:
        entity = parse_entity(decoded(line))
    except BadRecord:
        return {}
    found: dict[str, Any] = {"id": entity["id"], "faults": 0}
    for group in GROUPS:
        try:
            found |= {
                field: [tuple(fact[1:]) for fact in facts_in(entity) if is_item(entity)]
                if field == "triples"
                else list(rows_in(entity, field, LANGUAGES))
                for field in group
            }
        except BadRecord:
            # A stage reads nothing but ids of what is no item or no property.
            found |= {field: [] for field in group}
            found["faults"] += group != ("triples",) or is_item(entity)
    return found


def by_the_decoder(line: bytes, decoder: EntityDecoder = DECODER) -> dict[str, Any]:
    try:
        row: Decoded = decoder.decode(line)
    except BadRecord:
        return {}
    names = list(row.names)
    return {
        "id": row.id,
        "faults": row.fault is not None,
        "triples": list(row.facts),
        "labels": names if row.id[0] == "Q" else [],
        "relations": names if row.id[0] == "P" else [],
        "descriptions": [(row.id, row.description)] if row.description else [],
        "types": [(row.id, list(row.types))] if row.types else [],
    }


def assert_same(line: bytes) -> None:
    expected = by_the_tolerant_reader(line)
    if expected:
        expected["faults"] = expected["faults"] > 0
    assert by_the_decoder(line) == expected


def sample_lines(folder: Path) -> Iterator[bytes]:
    openers = {".bz2": bz2.open, ".gz": gzip.open, ".json": open}
    for path in sorted(folder.rglob("*.json*")):
        if path.suffix not in openers or "siteinfo" in path.name:
            continue
        with openers[path.suffix](path, "rb") as file:
            for line in file:
                if line.strip() not in (b"[", b"]", b""):
                    yield line.strip().removesuffix(b",")


def test_the_same_rows_on_all_samples(real_data: Path, tmp_path: Path) -> None:
    for archive in real_data.glob("wikidata-dump-samples/*.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    lines = list(sample_lines(tmp_path))
    assert len(lines) > 130
    entities = [line for line in lines if by_the_decoder(line)]
    for line in lines:
        assert_same(line)
    typed = sum(DECODER.decode(line).is_typed for line in entities)
    assert (len(entities), typed) == (327, 325)


def test_only_configured_fields_are_filled() -> None:
    line = json.dumps(ENTITY).encode()
    everything = by_the_decoder(line)
    assert all(everything[field] for field in FIELDS if field != "relations")
    for field in FIELDS:
        alone = by_the_decoder(line, EntityDecoder([field], LANGUAGES))
        assert {name for name, rows in alone.items() if rows and name in FIELDS} <= {field}
        assert alone[field] == everything[field]


def test_a_fault_in_one_field_leaves_the_rows_of_the_others() -> None:
    row = DECODER.decode(json.dumps({**ENTITY, "labels": {"en": {}}}).encode())
    assert (bool(row.facts), bool(row.names), row.is_typed) == (True, False, False)
    assert row.fault is not None
    assert "no text as its value" in row.fault.reason


@pytest.mark.parametrize(
    ("text", "is_typed"),
    [
        ('"aliases": {}', True),
        ('"aliases": []', False),
        ('"labels": null', False),
        ('"sitelinks": {"x": 1e999}', True),
        ('"sitelinks": NaN', False),
        ('"sitelinks": ' + "9" * 5000, True),
        (
            '"claims": {"P2": [{"mainsnak": {"datavalue": {"value": {"numeric-id": %s}}}}]}' % ("9" * 5000),
            False,
        ),
    ],
)
def test_unusual_lines_are_read_by_the_tolerant_reader(text: str, is_typed: bool) -> None:
    line = b'{"id": "Q1", "descriptions": {"en": {"value": "x"}}, ' + text.encode() + b"}"
    assert_same(line)
    assert DECODER.decode(line).is_typed is is_typed
    assert DECODER.decode(line).description == "x"


def test_half_a_surrogate_pair_anywhere_makes_a_line_bad() -> None:
    for text in (r'"labels": {"xx": {"value": "\ud800"}}', r'"sitelinks": "\udc00"', r'"\ud800\u0041": 1'):
        with pytest.raises(BadRecord, match="half a surrogate pair"):
            DECODER.decode(b'{"id": "Q1", ' + text.encode() + b"}")
    assert DECODER.decode(rb'{"id": "Q1", "sitelinks": "\ud83d\ude00"}').is_typed


NAMES = ["id", "labels", "aliases", "descriptions", "claims", "en", "de", "pt-br", "zh-hant", "mul", "value"]
NAMES += ["rank", "mainsnak", "snaktype", "datavalue", "numeric-id", "entity-type", "P31", "P2", "preferred"]
SCALARS = [b"null", b"true", b"0", b"6.0", b"-1", b"1e3", b"12345678901234567890", b"9" * 4400, b"NaN", b'""']
SCALARS += [b'"Q7"', b'"P3"', b'"L1"', b'"Q0"', b'"deprecated"', b'"preferred"', b'"item"', b'"value"', b"[]"]
SCALARS += [
    b"{}",
    b'{"value":"x"}',
    b'[{"value":"x"}]',
    rb'"\ud83d\ude00"',
    rb'"\ud83d"',
    b'"\xff"',
    b'"\x01"',
]
LINES = [json.dumps(entity).encode() for entity in (ENTITY, {**ENTITY, "id": "P17"}, {"id": "Q5"})]


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A line with keys repeated or renamed, values replaced, bytes changed, or its end cut off."""
    line = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(1, 4))):
        colons = [i for i in range(len(line)) if line[i : i + 2] == b": "]
        starts = [i + 2 for i in colons] or [0]
        at = draw(st.sampled_from(starts))
        match draw(st.sampled_from(["value", "repeat", "key", "byte", "cut", "escape"])):
            case "value":
                stop = _end_of_value(line, at)
                line = line[:at] + draw(st.sampled_from(SCALARS)) + line[stop:]
            case "repeat":
                key = draw(st.sampled_from(NAMES)).encode()
                value = draw(st.sampled_from(SCALARS))
                place = draw(st.sampled_from([i + 1 for i in range(len(line)) if line[i] == ord("{")] or [0]))
                comma = b"" if line[place : place + 1] == b"}" else b", "
                line = b'%s"%s": %s%s%s' % (line[:place], key, value, comma, line[place:])
            case "key":
                old, new = draw(st.sampled_from(NAMES)).encode(), draw(st.sampled_from(NAMES)).encode()
                line = line.replace(b'"%s"' % old, b'"%s"' % new, 1)
            case "byte":
                place = draw(st.integers(0, max(0, len(line) - 1)))
                line = line[:place] + bytes([draw(st.integers(0, 255))]) + line[place + 1 :]
            case "cut":
                line = line[: draw(st.integers(0, len(line)))]
            case "escape":
                name = draw(st.sampled_from(NAMES))
                line = line.replace(name.encode(), b"\\u%04x" % ord(name[0]) + name[1:].encode(), 1)
    return line.replace(b"\n", b" ")


def _end_of_value(line: bytes, start: int) -> int:
    try:
        text = line[start:].decode("latin-1")
        return start + json.JSONDecoder(strict=False).raw_decode(text)[1]
    except ValueError:
        return min(len(line), start + 1)


@settings(max_examples=300)
@example(b'{"id": "Q1", "labels": {"en": {"value": "a"}, "en": {"value": "b"}}, "id": "P2"}')
@example(b'{"id": "Q1", "claims": {"P2": []}, "claims": []}')
@example(b'{"id":"Q1","claims":{"P2":[{"mainsnak":{"snaktype":"value","datavalue":{"value":{"id":""}}}}]}}')
@given(damaged_lines())
def test_the_same_rows_on_damaged_lines(line: bytes) -> None:
    assert_same(line)


@pytest.mark.slow
@settings(max_examples=5_000)
@given(damaged_lines())
def test_the_same_rows_on_many_damaged_lines(line: bytes) -> None:
    assert_same(line)
