"""The embedded graph: its size, its labels, and the balance of its cycles, counted by brute force."""

import re
from collections import Counter, defaultdict
from itertools import combinations, product

import networkx as nx
import pytest

from kgcorpus.demo import world

LANGUAGES = {"en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh"}
GRAPH = world() / "graph"


def rows(name):
    return [line.split("\t") for line in (GRAPH / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def triples():
    return [tuple(row) for row in rows("wikidata5m_transductive_train.txt")]


@pytest.fixture(scope="module")
def entities():
    return {row[0]: row[1] for row in rows("wikidata5m_entity.txt")}


@pytest.fixture(scope="module")
def triangles(triples):
    """Every labelled cycle of length 3: three triples, one for each pair of three entities."""
    between = defaultdict(list)
    for h, r, t in triples:
        between[frozenset((h, t))].append((h, r, t))
    cliques = nx.enumerate_all_cliques(nx.Graph([tuple(pair) for pair in between]))
    return [
        labelled
        for clique in cliques
        if len(clique) == 3
        for labelled in product(*(between[frozenset(pair)] for pair in combinations(clique, 2)))
    ]


def test_size(triples, entities):
    relations = {r for _, r, _ in triples}
    assert len(triples) >= 800
    assert len(entities) >= 150
    assert len(relations) >= 30
    assert len(rows("wikidata5m_text.txt")) >= 120


def test_triples_are_distinct_and_of_known_items(triples, entities):
    assert len(set(triples)) == len(triples)
    assert all(len(triple) == 3 and triple[0] != triple[2] for triple in triples)
    assert {e for h, _, t in triples for e in (h, t)} == set(entities)
    assert {r for _, r, _ in triples} == {row[0] for row in rows("wikidata5m_relation.txt")}


@pytest.mark.parametrize(("name", "known"), [("labels", "entity"), ("relations", "relation")])
def test_ten_languages_label_every_item(name, known):
    table = rows(f"{name}.tsv")
    languages = defaultdict(set)
    for item, lang, label, *_ in table:
        assert label.strip()
        languages[item].add(lang)
    assert len(table) == len({(row[0], row[1]) for row in table})
    assert set(languages) == {row[0] for row in rows(f"wikidata5m_{known}.txt")}
    assert all(found == LANGUAGES for found in languages.values())


def test_aliases_repeat_nothing():
    for qid, lang, *names in rows("labels.tsv"):
        assert len(set(names)) == len(names), (qid, lang)
        assert all(name == name.strip() and name for name in names), (qid, lang)
    assert sum(len(row) > 3 for row in rows("labels.tsv")) >= 500


def test_asian_labels_are_in_their_script():
    script = {"ja": r"[\u3040-\u30ff\u4e00-\u9fff]", "ko": r"[\uac00-\ud7a3]", "zh": r"[\u4e00-\u9fff]"}
    for qid, lang, label, *_ in rows("labels.tsv"):
        assert lang not in script or re.search(script[lang], label), (qid, lang, label)


def test_relation_labels_differ_within_a_language():
    """The choices of a question are told apart by their labels."""
    counts = Counter((lang, label) for _, lang, label, *_ in rows("relations.tsv"))
    assert max(counts.values()) == 1


def test_entity_table_has_the_english_labels():
    english = {row[0]: row[2:] for row in rows("labels.tsv") if row[1] == "en"}
    assert english == {row[0]: row[1:] for row in rows("wikidata5m_entity.txt")}


def test_descriptions_mention_their_entity(entities):
    described = rows("wikidata5m_text.txt")
    assert len({qid for qid, _ in described}) == len(described)
    for qid, text in described:
        assert entities[qid].casefold() in text.casefold()


def test_every_entity_has_a_type_or_is_one(triples, entities):
    typed = {h for h, r, _ in triples if r == "P31"}
    classes = {t for _, r, t in triples if r in ("P31", "P279")}
    assert typed | classes >= set(entities)
    assert Counter(h for h, r, _ in triples if r == "P31").most_common(1)[0][1] == 1


def test_no_relation_stands_behind_a_quarter_of_the_triangles(triangles):
    assert len(triangles) >= 300
    containing = Counter(r for cycle in triangles for r in {r for _, r, _ in cycle})
    combinations_ = Counter(tuple(sorted(r for _, r, _ in cycle)) for cycle in triangles)
    assert max(containing.values()) / len(triangles) <= 0.25
    assert max(combinations_.values()) / len(triangles) <= 0.10


def test_diamonds(triangles):
    wings = defaultdict(set)
    for cycle in triangles:
        corners = frozenset(e for h, _, t in cycle for e in (h, t))
        for h, _, t in cycle:
            wings[frozenset((h, t))].add(corners)
    assert sum(len(of) * (len(of) - 1) // 2 for of in wings.values()) >= 500
