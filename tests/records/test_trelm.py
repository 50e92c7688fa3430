"""TRELM's records: facts of a mention, and spans through sentence, passage and record."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.records.mention_facts import MentionFacts
from kgcorpus.records.trelm import Cosines, facts_of, trelm_batch
from kgcorpus.wiki.passages import Kind, TokenCounter, passage_batches

LABELS = {f"Q{i}": f"label {i}" for i in range(1, 60)}


def facts(triples, *, limit=16, seed=0, tally=None):
    return facts_of("Q1", triples, label_of=LABELS.get, seed=seed, limit=limit, tally=tally or Tally())


def test_direction_tells_which_end_is_the_other():
    found = facts([("Q1", "P36", "Q2"), ("Q3", "P17", "Q1")])
    assert {(fact["direction"], fact["r"], fact["other"], fact["label"]) for fact in found} == {
        ("tail", "P36", "Q2", "label 2"),
        ("head", "P17", "Q3", "label 3"),
    }


def test_loops_and_unlabelled_ends_are_counted():
    tally = Tally()
    assert facts([("Q1", "P1", "Q1"), ("Q1", "P1", "Q999")], tally=tally) == []
    assert dict(tally.drops) == {"fact_self_loop": 1, "fact_without_label": 1}


def test_the_limit_is_a_draw_that_no_order_changes():
    triples = [("Q1", "P1", f"Q{i}") for i in range(2, 50)]
    some = facts(triples, limit=5)
    assert some == facts(triples[::-1], limit=5)
    assert some == facts(triples)[:5]
    assert some != facts(triples, limit=5, seed=1)


def test_a_hub_is_never_held_whole():
    """Of millions of triples no more live at once than the limit needs."""

    class Relation(str):
        alive = most = 0

        def __init__(self, _):
            Relation.alive += 1
            Relation.most = max(Relation.most, Relation.alive)

        def __del__(self):
            Relation.alive -= 1

    tally = Tally()
    found = facts((("Q1", Relation(f"P{n}"), "Q2") for n in range(2_000)), limit=5, tally=tally)
    assert (len(found), tally.counts["fact_over_limit"]) == (5, 1_995)
    assert Relation.most < 20


def mention(start, end, qid="Q1", confidence=1.0):
    return {"start": start, "end": end, "qid": qid, "source": "anchor", "confidence": confidence}


def passage_of(sentences):
    rows = [
        {
            "sentence_id": f"en:7:{i}",
            "page_id": 7,
            "lang": "en",
            "ordinal": i,
            "text": text,
            "mentions": mentions,
        }
        for i, (text, mentions) in enumerate(sentences)
    ]
    counter = TokenCounter(lambda texts: [len(text) for text in texts])
    sentences = pa.RecordBatch.from_pylist(rows, schema=TABLES["linked_sentences"].schema)
    (made,) = passage_batches(sentences, kinds=[Kind("trelm", 10_000)], counter=counter, tally=Tally())
    return made


def names_of(labels):
    names = [
        {"qid": qid, "names": [{"lang": "en", "label": label, "aliases": []}] if label else []}
        for qid, label in labels.items()
    ]
    return LabelIndex.from_rows(names, "qid")


def sampled(triples, statistics, names, *, limit=16, seed=0, tally=None):
    graph = pa.RecordBatch.from_pylist(
        [dict(zip("hrt", triple, strict=True)) for triple in triples], schema=TABLES["triples"].schema
    )
    known = [
        {"qid": qid, "frequency": frequency, "long_tail": long_tail}
        for qid, (frequency, long_tail) in statistics.items()
    ]
    schema = pa.schema([("qid", pa.string()), ("frequency", pa.int64()), ("long_tail", pa.bool_())])
    return MentionFacts.of(
        [graph.slice(0, 3), graph.slice(3)],
        [pa.RecordBatch.from_pylist(known, schema=schema)],
        names=names,
        lang="en",
        seed=seed,
        limit=limit,
        tally=tally or Tally(),
    )


def record_of(passage, *, cosines, statistics, triples=(), tally=None):
    names = names_of(LABELS)
    rows = [
        {"sentence_id": sentence, "start": start, "end": end, "cos": cos}
        for (sentence, start, end), cos in cosines.items()
    ]
    schema = pa.schema([TABLES["importance"].schema.field(name) for name in COSINE])
    made = trelm_batch(
        passage,
        cosines=Cosines.of(pa.RecordBatch.from_pylist(rows, schema=schema)),
        facts=sampled(triples, statistics, names),
        names=names,
        lang="en",
        tally=tally or Tally(),
    )
    assert made.schema.names == TABLES["trelm"].schema.names
    (record,) = pa.table(made).cast(TABLES["trelm"].schema).to_pylist()
    return record


COSINE = ("sentence_id", "start", "end", "cos")


def test_record_is_a_row_of_the_table():
    passage = passage_of([("Rome is old.", [mention(0, 4)]), ("So is Athens.", [mention(6, 12, "Q2", 0.75)])])
    tally = Tally()
    record = record_of(
        passage,
        cosines={("en:7:0", 0, 4): 0.5, ("en:7:1", 6, 12): None},
        statistics={"Q1": (3, True), "Q2": (90, False)},
        triples=[("Q1", "P36", "Q3")],
        tally=tally,
    )
    rome, athens = record["mentions"]
    assert (rome["cos"], rome["si"], rome["long_tail"], rome["frequency"]) == (0.5, 2.0, True, 3)
    assert (rome["confidence"], athens["confidence"]) == (1.0, 0.75)
    assert rome["triples"] == facts([("Q1", "P36", "Q3")])
    assert (athens["cos"], athens["si"], athens["triples"]) == (None, None, [])
    assert tally.counts["mention_without_importance"] == 1
    assert record["text"] == passage.column("text")[0].as_py()


def test_mentions_outside_the_graph_are_counted():
    passage = passage_of([("Rome is old.", [mention(0, 4), mention(8, 11, "Q999")])])
    tally = Tally()
    record = record_of(passage, cosines={}, statistics={"Q2": (1, True)}, tally=tally)
    assert record["mentions"] == []
    assert tally.drops["mention_outside_graph"] == 2


@given(
    st.lists(
        st.lists(st.sampled_from(["Rome", "é", "北京", "😀"]), min_size=1, max_size=5), min_size=1, max_size=8
    )
)
def test_spans_survive_from_sentence_to_record(sentences):
    rows, cosines, surfaces = [], {}, []
    for i, tokens in enumerate(sentences):
        mentions, done = [], 0
        for token in tokens:
            mentions.append(mention(done, done + len(token)))
            cosines[(f"en:7:{i}", done, done + len(token))] = 1 / (len(surfaces) + 1)
            surfaces.append(token)
            done += len(token) + 1
        rows.append((" ".join(tokens), mentions))
    record = record_of(passage_of(rows), cosines=cosines, statistics={"Q1": (1, False)})
    assert [record["text"][m["start"] : m["end"]] for m in record["mentions"]] == surfaces
    assert [round(m["si"]) for m in record["mentions"]] == list(range(1, len(surfaces) + 1))


ENDS = st.sampled_from(["Q1", "Q2", "Q3", "Q4", "Q5"])
TRIPLES = st.lists(st.tuples(ENDS, st.sampled_from(["P1", "P2", "P3"]), ENDS), unique=True, max_size=20)


@given(TRIPLES, st.integers(1, 4), st.integers(0, 3))
def test_sampled_facts_are_those_of_each_entity(triples, limit, seed):
    labels = {"Q1": "one", "Q2": "two", "Q3": "three", "Q4": None, "Q5": "five"}
    names, tally, expected = names_of(labels), Tally(), Tally()
    made = sampled(triples, dict.fromkeys(labels, (1, False)), names, limit=limit, seed=seed, tally=tally)
    found = made.facts(names.rows(pa.array(list(labels))), names=names, lang="en").to_pylist()
    for qid, sample in zip(labels, found, strict=True):
        own = [triple for triple in triples if qid in (triple[0], triple[2])]
        alone = facts_of(qid, own, label_of=labels.get, seed=seed, limit=limit, tally=expected)
        assert sample == alone
    assert tally.drops == expected.drops
    assert tally.counts == expected.counts
