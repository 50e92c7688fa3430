import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.report.distributions import (
    entity_statistics,
    importance,
    jaket_entities,
    knowledge_records,
    reader_of,
    triples,
)


@pytest.fixture
def write(tmp_path):
    def write_table(name, rows):
        # Two files, so that sums over batches are seen.
        paths = []
        for i in range(2):
            paths.append(str(tmp_path / f"{name}-{i}.parquet"))
            pq.write_table(
                pa.Table.from_pylist(rows, schema=None).slice(i * 3, 3 if i == 0 else None), paths[-1]
            )
        return reader_of({name: paths})

    return write_table


def test_importance_is_counted_and_set_against_the_length(write):
    si = [1.0004, 1.0015, None, 1.3, 7.0, 0.99999]
    length = [3, 5, 9, 20, 40, 1]
    rows = [{"start": 2, "end": 2 + n, "si": s} for s, n in zip(si, length, strict=True)]
    found = importance(write("importance", rows))
    histogram = {bound: n for bound, n in found["si_histogram"].items() if n}
    assert histogram == {"1.0": 2, "1.001": 1, "1.2": 1, "5.0": 1}
    assert found["si_by_characters"]["1"] == {"mentions": 2, "mean": pytest.approx((1.0004 + 0.99999) / 2)}
    assert found["si_by_characters"]["8"] == {"mentions": 0, "mean": None}
    kept = [(s, n) for s, n in zip(si, length, strict=True) if s is not None]
    expected = np.corrcoef(*np.array(kept).T)[0, 1]
    assert found["correlation_with_characters"] == pytest.approx(expected)


def test_a_constant_has_no_correlation(write):
    rows = [{"start": 0, "end": 4, "si": 1.5}] * 4
    assert importance(write("importance", rows))["correlation_with_characters"] is None


def test_the_long_tail_is_told_by_frequency(write):
    frequencies = [0, 1, 2, 3, 4, 9]
    rows = [{"frequency": n, "long_tail": 0 < n < 3, "neighbours": 10 - n} for n in frequencies]
    found = entity_statistics(write("entity_statistics", rows))
    assert found["long_tail_entities"] == 2
    assert found["by_frequency"] == {
        "0": {"entities": 1, "mentions": 0},
        "1": {"entities": 1, "mentions": 1},
        "2": {"entities": 2, "mentions": 5},
        "4": {"entities": 1, "mentions": 4},
        "8": {"entities": 1, "mentions": 9},
    }
    assert found["by_neighbours"] == {"1": 1, "4": 2, "8": 3}


def test_relations_and_categories_come_by_frequency(write):
    assert triples(write("triples", [{"r": r} for r in ["P2", "P1", "P2", "P2", "P3"]])) == {
        "relations": {"P2": 3, "P1": 1, "P3": 1}
    }
    kinds = ["Q5", None, "Q6", "Q5"]
    found = jaket_entities(write("jaket_entities", [{"category": kind} for kind in kinds]))
    assert list(found["categories"].items()) == [("Q5", 2), ("Q6", 1)]
    assert found["distinct_categories"] == 2


def test_records_of_triples_come_by_language_and_kind(write):
    facts = [("Q1", "P1", "Q2"), ("Q2", "P2", "Q3"), ("Q4", "P1", "Q1")]
    kinds = [("fr", "alias"), ("de", "alias"), ("de", "code_switched"), ("de", "alias")]
    rows = [
        {
            "lang": lang,
            "kind": kind,
            "triples": [{"h": h, "r": r, "t": t} for h, r, t in facts[: i % 3 + 1]],
        }
        for i, (lang, kind) in enumerate(kinds)
    ]
    for table in ("code_switched", "reasoning"):
        assert knowledge_records(table)(write(table, rows)) == {
            "records": {"de": {"alias": 2, "code_switched": 1}, "fr": {"alias": 1}},
            "entities": 4,
            "relations": 2,
        }
