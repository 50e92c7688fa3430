from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given, settings

from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.rules import mine_rules

from .conftest import as_table, multigraphs


def rules_of(triples, *, min_support=1, tally=None):
    batches = mine_rules(as_table(triples), min_support=min_support, tally=tally or Tally())
    return [row for batch in batches for row in batch]


def by_definition(triples):
    """AMIE's measures word for word, over every binding of x, y and z."""
    facts = set(triples)
    entities = sorted({end for h, _, t in facts for end in (h, t)})
    relations = sorted({r for _, r, _ in facts})
    expected = {}
    directions = list(product(("xz", "zx"), ("yz", "zy")))
    for r1, r2, (d1, d2) in product(relations, relations, directions):

        def holds(relation, ends, binding):
            return (binding[ends[0]], relation, binding[ends[1]]) in facts

        body = {
            (x, y)
            for x, y in product(entities, entities)
            if any(
                holds(r1, d1, {"x": x, "y": y, "z": z}) and holds(r2, d2, {"x": x, "y": y, "z": z})
                for z in entities
            )
        }
        for r3 in relations:
            head = {(h, t) for h, r, t in facts if r == r3}
            support = len(body & head)
            if support:
                known = len([pair for pair in body if assumed_known(pair, head)])
                atoms = tuple((d[0], r, d[1]) for d, r in ((d1, r1), (d2, r2)))
                expected[atoms, r3] = (
                    support,
                    support / len(head),
                    support / len(body),
                    support / known,
                )
    return expected


def assumed_known(pair, head):
    """All r(x, .) are known if one is; of a relation with the higher inverse functionality, all r(., y)."""
    functionality = len({h for h, _ in head}) / len(head)
    inverse = len({t for _, t in head}) / len(head)
    if functionality >= inverse:
        return any(h == pair[0] for h, _ in head)
    return any(t == pair[1] for _, t in head)


@settings(max_examples=25)
@given(multigraphs())
def test_measures_are_those_of_the_definition(triples):
    found = {
        (tuple(tuple(atom[k] for k in "hrt") for atom in row["body"]), row["head"]): (
            row["support"],
            row["head_coverage"],
            row["standard_confidence"],
            row["pca_confidence"],
        )
        for row in rules_of(triples)
    }
    assert found == by_definition(triples)


FAMILY = [
    *(("anna", "parent", child) for child in ("bea", "carl")),
    ("bea", "parent", "dora"),
    ("carl", "parent", "emil"),
    ("anna", "grandparent", "dora"),
    ("anna", "spouse", "fritz"),
    ("fritz", "parent", "carl"),
]


def test_a_rule_reads_as_it_is_meant():
    (rule,) = [row for row in rules_of(FAMILY) if row["rule"].startswith("parent(x,z) parent(z,y) => gr")]
    assert rule == {
        "rule": "parent(x,z) parent(z,y) => grandparent(x,y)",
        "body": [{"h": "x", "r": "parent", "t": "z"}, {"h": "z", "r": "parent", "t": "y"}],
        "head": "grandparent",
        "support": 1,
        "head_coverage": 1.0,
        "standard_confidence": pytest.approx(1 / 3),  # (anna, dora), (anna, emil), (fritz, emil)
        "pca_confidence": 1 / 2,  # fritz has no known grandchild
    }


def test_a_head_more_functional_in_its_object_is_normalised_by_the_object():
    """A child has one father, a father has several children: pairs whose child has no father do not count."""
    triples = [
        *(("tom", "father_of", child) for child in ("ann", "bob", "cid")),
        *(("eve", "married", "tom") for _ in range(1)),
        *(("eve", "mother_of", child) for child in ("ann", "bob", "cid", "dan")),
    ]
    (rule,) = [
        row for row in rules_of(triples) if row["rule"].startswith("married(z,x) mother_of(z,y) => father_of")
    ]
    assert (rule["support"], rule["standard_confidence"]) == (3, 3 / 4)
    # Nothing is known of dan's father, so (tom, dan) is no counterexample; by the subject it were 3 / 4.
    assert rule["pca_confidence"] == 1.0


def test_rules_below_the_support_are_counted_and_left_out():
    tally = Tally()
    triples = [(f"{i}{end}", "p", f"{i}{other}") for i in range(3) for end, other in ("ab", "bc", "ac")]
    every = rules_of([*triples, ("0a", "q", "0b")])
    kept = rules_of([*triples, ("0a", "q", "0b")], min_support=3, tally=tally)
    assert kept == [row for row in every if row["support"] >= 3] != []
    assert tally.counts == {"rules": len(kept)}
    assert tally.drops == {"low_support": len(every) - len(kept)}


def test_rows_fit_the_table_and_order_and_repetition_do_not_matter():
    rows = rules_of(FAMILY)
    assert pa.Table.from_pylist(rows, schema=table("rules").schema).to_pylist() == rows
    assert len({row["rule"] for row in rows}) == len(rows)
    assert rules_of([*reversed(FAMILY), *FAMILY]) == rows
    assert rules_of([]) == []
