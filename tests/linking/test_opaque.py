"""Linking and records with ids, labels and languages drawn at random."""

import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.config import BuildConfig, validated
from kgcorpus.contracts.languages import language_key
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.linking.characters import normalise
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.statistics import is_name
from kgcorpus.records.kmlm import with_split
from tests import opaque
from tests.linking.conftest import write_build

LANGUAGES = st.lists(opaque.languages, min_size=2, max_size=3, unique_by=language_key)
NAMED = st.dictionaries(
    opaque.ids, opaque.labels.filter(lambda text: is_name(normalise(text))), min_size=3, max_size=12
)


def rows_of(named, languages, key):
    """Each id with its label in every language."""
    return [
        {key: ident, "names": [{"lang": lang, "label": label, "aliases": []} for lang in sorted(languages)]}
        for ident, label in named.items()
    ]


@settings(max_examples=12)
@given(NAMED, LANGUAGES)
def test_a_name_is_linked_to_the_ids_that_have_it(named, languages):
    config = validated(BuildConfig, {"languages": languages, "linking": {"min_confidence": 0}}, where="test")
    entities = [{**row, "description": None, "types": []} for row in rows_of(named, languages, "qid")]
    ids = list(named)
    triples = [{"h": h, "r": ids[0], "t": t} for h, t in zip(ids, [*ids[1:], ids[0]], strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        out = write_build(Path(folder) / "OUT", {"entities": entities, "triples": triples}, config)
        for lang in languages:
            linker = Linker.open(out, lang.swapcase() if lang != "simple" else lang)
            for ident, label in named.items():
                meant = {other for other, name in named.items() if normalise(name) == normalise(label)}
                assert set(linker.senses_of(label)) == meant
                assert linker.knows(ident)
                (mention,) = linker.link_spans(label, [(0, len(label))])
                assert mention is not None
                assert mention.entity in meant
                assert {m.entity for m in linker.link(label)} <= set(named)


@settings(max_examples=30)
@given(NAMED, NAMED, LANGUAGES, st.randoms())
def test_records_spell_the_names_of_their_ids(entities, relations, languages, draw):
    triples = [
        {
            "h": draw.choice(list(entities)),
            "r": draw.choice(list(relations)),
            "t": draw.choice(list(entities)),
        }
        for _ in range(8)
    ]
    facts = {(row["h"], row["r"], row["t"]) for row in triples}
    batches = code_switched_batches(
        with_split(pa.RecordBatch.from_pylist(triples, schema=table("triples").schema), seed=0),
        names=LabelIndex.from_rows(rows_of(entities, languages, "qid"), "qid"),
        relations=LabelIndex.from_rows(rows_of(relations, languages, "pid"), "pid"),
        languages=languages,
        seed=0,
        tally=Tally(),
    )
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert {row["lang"] for row in rows} == set(languages[1:])
    for row in rows:
        (triple,) = row["triples"]
        assert (triple["h"], triple["r"], triple["t"]) in facts
        for slot in row["slots"]:
            book = relations if slot["slot"] == 2 else entities
            assert row["text"][slot["start"] : slot["end"]] == book[slot["qid"]]
            assert slot["lang"] in languages
