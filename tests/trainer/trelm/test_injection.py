import numpy as np
import pytest
import torch

from kgcorpus.contracts.errors import InputError
from tests.trainer.trelm.world import LABELS, RELATIONS
from trainer.transe.embeddings import open_embeddings
from trainer.trelm.injection import GraphKnowledge, Injection, LabelKnowledge, signs, vectors

TAIL = {"r": "P19", "other": "Q201", "direction": "tail", "label": "Newport"}
HEAD = {"r": "P19", "other": "Q100", "direction": "head", "label": "Ann Ulm"}


def normed(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def embedded(knowledge, injection, facts, table):
    inputs = {**knowledge.others("other", facts), **knowledge.relations("relation", facts)}
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    other, relation = (
        vectors(
            *(tensors.get(f"{name}{part}") for part in ("", "_ids", "_starts")),
            words=table.__getitem__,
            deviation=table.std,
        )
        for name in ("other", "relation")
    )
    return injection(other, relation, torch.from_numpy(signs(facts))).detach().numpy()


def test_a_head_is_its_tail_minus_the_relation_and_a_tail_its_head_plus_it(vectors):
    kept = open_embeddings(vectors / "model")
    knowledge = GraphKnowledge(kept)
    injection = Injection(width=8, hidden=16, scale=0.05, additive=True)
    found = embedded(knowledge, injection, [TAIL, HEAD], torch.zeros(3, 16))
    v, r = dict(zip(LABELS, kept.entities, strict=True)), dict(zip(RELATIONS, kept.relations, strict=True))
    scale = 1 / np.sqrt((kept.relations**2).mean())
    w = injection.project.weight.detach().numpy()
    expected = normed(scale * np.stack([v["Q201"] - r["P19"], v["Q100"] + r["P19"]]) @ w.T)
    np.testing.assert_allclose(found, 0.05 * expected, rtol=1e-3, atol=1e-5)


def test_the_first_embeddings_are_as_long_as_the_words_around(vectors):
    table = 0.02 * torch.randn(300, 64, generator=torch.Generator().manual_seed(0))
    knowledge = GraphKnowledge(open_embeddings(vectors / "model"))
    injection = Injection(width=8, hidden=64, scale=float(table.std()), additive=True)
    found = embedded(knowledge, injection, [TAIL, HEAD], table)
    assert np.linalg.norm(found, axis=1) == pytest.approx(float(table.norm(dim=1).mean()), rel=0.05)


def test_shared_knowledge_is_the_labels_mean_word_embeddings_through_an_mlp(graph, tokenizer):
    entities = graph.entity_tokens(tokenizer.backend_tokenizer)
    relations = graph.relation_tokens(tokenizer.backend_tokenizer)
    knowledge = LabelKnowledge(entities, relations, width=16)
    table = torch.randn(len(tokenizer), 16, generator=torch.Generator().manual_seed(0))
    injection = Injection(width=16, hidden=16, scale=0.5, additive=False)
    found = embedded(knowledge, injection, [TAIL, HEAD], table)
    first, _, last = injection.project
    scaled = table / table.std()
    for row, fact in zip(found, (TAIL, HEAD), strict=True):
        other = scaled[list(entities.of(fact["other"]))].mean(dim=0)
        relation = scaled[list(relations.of("P19"))].mean(dim=0)
        sign = 1 if fact["direction"] == "head" else -1
        x = last(torch.nn.functional.gelu(first(torch.cat([other, sign * relation]))))
        np.testing.assert_allclose(row, 0.5 * normed(x.detach().numpy()), rtol=1e-3, atol=1e-5)


def test_facts_without_vectors_or_labels_are_unknown(vectors, graph, tokenizer):
    labels = LabelKnowledge(
        graph.entity_tokens(tokenizer.backend_tokenizer),
        graph.relation_tokens(tokenizer.backend_tokenizer),
        width=4,
    )
    for knowledge in (GraphKnowledge(open_embeddings(vectors / "model")), labels):
        assert knowledge.has(TAIL)
        assert not knowledge.has({**TAIL, "other": "Q1"})
        assert not knowledge.has({**TAIL, "r": "P0"})


def test_a_folder_without_vectors_is_told(tmp_path):
    with pytest.raises(InputError, match="train transe"):
        open_embeddings(tmp_path)
