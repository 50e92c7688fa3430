from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.jaket.toy import edges_of
from trainer.jaket.config import JaketConfig
from trainer.jaket.tasks import TERMS
from trainer.jaket.text import draw_removed, link, prepare


@pytest.fixture
def text(records, entities, vocabulary):
    mentions = link(records, entities, seen=np.ones(len(entities), bool), seed=0)
    removed = draw_removed(mentions, 0.3)
    return prepare(records, mentions, removed, vocabulary, mlm_probability=0.15, length=64, seed=0)


def neighbours_of(graph, node):
    return set(graph.neighbours[graph.offsets[node] : graph.offsets[node + 1]].tolist())


def test_a_removed_entity_is_told_from_its_neighbours_and_others_each_once(tasks, text):
    candidates, allowed = tasks.candidates(text.removed)
    assert len(candidates) == len(text.removed.entity) > 20
    others = []
    for row, counts, entity in zip(candidates, allowed, text.removed.entity, strict=True):
        assert row[0] == entity
        assert counts[0]
        predicted = row[counts].tolist()
        assert len(predicted) == len(set(predicted))
        near = neighbours_of(tasks.graph, entity) - {entity}
        assert near & set(predicted) == near or len(near & set(predicted)) >= 8
        others += list(set(predicted) - near - {entity})
    # The random ones come from everywhere.
    assert len(set(others)) > 50


def test_in_batch_negatives_are_the_other_removed_entities(tasks, text):
    wider = replace(tasks, options=tasks.options.model_copy(update={"in_batch_negatives": True}))
    candidates, allowed = wider.candidates(text.removed)
    for row, counts in zip(candidates, allowed, strict=True):
        assert set(text.removed.entity.tolist()) <= set(row[counts].tolist())


def test_random_negatives_are_known_entities_alone(tasks, text):
    few = replace(
        tasks,
        known=np.array([3, 4]),
        options=JaketConfig(neighbour_negatives=0, random_negatives=5, gat_heads=2),
    )
    candidates, _ = few.candidates(text.removed)
    assert set(candidates[:, 1:].ravel().tolist()) == {3, 4}


def test_a_batch_has_the_labels_of_all_four_tasks(tasks, text, entities):
    roots = np.arange(len(entities))
    batch = tasks.batch(text, roots, step=3, records=["a"], tokens=9)
    inputs = batch.inputs
    assert dict(zip(TERMS, batch.counts.tolist(), strict=True)) == {
        "category": len(entities) - 1,
        "relation": len(inputs["relations"]),
        "token": len(inputs["token_labels"]),
        "entity": len(text.removed.entity),
    }
    # Rows of the last hop's output are entities in ascending order; the first hop reads at least these.
    targets = np.unique(np.concatenate([text.merged, roots]))
    assert (targets[inputs["merged"]] == text.merged).all()
    asked = targets[inputs["category_of"]]
    assert (entities.categories[asked] == inputs["categories"]).all()
    assert set(asked) == set(np.flatnonzero(entities.categories >= 0))
    triples = {(e["h"], e["r"], e["t"]) for e in edges_of()}
    for (a, b), relation in zip(targets[inputs["pairs"]].tolist(), inputs["relations"], strict=True):
        h, t = entities.qids[a].decode(), entities.qids[b].decode()
        name = entities.relation_names[relation % 3]
        assert ((h, name, t) if relation < 3 else (t, name, h)) in triples


def test_the_predicted_edge_is_hidden_only_where_relations_have_embeddings(tasks, text):
    def reads_its_pair(relation_embeddings):
        options = tasks.options.model_copy(
            update={"relation_embeddings": relation_embeddings, "neighbours": 60, "gat_layers": 1}
        )
        inputs = (
            replace(tasks, options=options).batch(text, np.arange(20), step=0, records=[], tokens=0).inputs
        )
        of = inputs["nodes"]
        return [
            of[inputs["hop0_own"][b]] in of[inputs["hop0_neighbours"][a][inputs["hop0_present"][a]]]
            for a, b in inputs["pairs"]
        ]

    assert all(reads_its_pair("zero"))
    assert not any(reads_its_pair("trained"))
    assert not any(reads_its_pair("texts"))


def test_a_step_without_roots_or_mentions_is_read(tasks, records, entities, vocabulary):
    mentions = link(records[:2], entities, seen=np.zeros(len(entities), bool), seed=0)
    text = prepare(
        records[:2], mentions, draw_removed(mentions, 1), vocabulary, mlm_probability=0.15, length=64, seed=0
    )
    batch = tasks.batch(text, np.empty(0, np.int64), step=0, records=[], tokens=0)
    assert batch.counts[[0, 1, 3]].tolist() == [0, 0, 0]
    assert len(batch.inputs["nodes"]) == 0
