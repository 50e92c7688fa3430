"""Relation vectors made of texts, and how they are scaled."""

import math

import pytest
import torch

from trainer.config import ModelConfig, TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.evaluate.arms import memories_of
from trainer.jaket.model import JaketModel
from trainer.jaket.relations import centred, edge_texts, encode_relations, relations_on
from trainer.masked_lm import load_lm


def written_out(rows):
    """(x - mean) / root mean square, one number after the other."""
    n, d = len(rows), len(rows[0])
    means = [sum(row[j] for row in rows) / n for j in range(d)]
    apart = [[row[j] - means[j] for j in range(d)] for row in rows]
    size = math.sqrt(sum(x * x for row in apart for x in row) / (n * d))
    return [[x / size for x in row] for row in apart]


def test_centred_vectors_equal_the_formula():
    torch.manual_seed(0)
    # Nearly collinear, as a language model's states of short texts are.
    vectors = 5 * torch.randn(8, dtype=torch.float64) + 0.1 * torch.randn(6, 8, dtype=torch.float64)
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2)
    assert cosines.min() > 0.99
    found = centred(vectors)
    torch.testing.assert_close(found, torch.tensor(written_out(vectors.tolist()), dtype=torch.float64))
    cosines = torch.nn.functional.cosine_similarity(found[:, None], found[None], dim=2)
    assert cosines.min() < 0
    # Neither a shared component nor the size of the states matters.
    torch.testing.assert_close(centred(3 * vectors + 100), found)


@pytest.mark.parametrize("vectors", [torch.ones(4, 3) / 3, torch.full((1, 5), 0.1), torch.zeros(2, 2)])
def test_equal_vectors_become_zeros(vectors):
    assert not centred(vectors).any()
    assert not centred(vectors * (1 + 1e-7)).any()


def test_a_relation_without_a_label_is_described_by_its_name():
    assert edge_texts(["P1", "P2"], {"P2": "twin of"}) == [
        "P1",
        "twin of",
        "inverse: P1",
        "inverse: twin of",
    ]


def test_a_text_without_a_token_has_a_finite_vector(jaket, jaket_tokenizer):
    found = encode_relations(jaket, jaket_tokenizer, ["", "Name3"])
    assert found.isfinite().all()
    assert not torch.equal(found[0], found[1])


def test_relations_of_texts_are_centred_by_default_and_drawn_ones_are_not_changed(
    jaket, jaket_tokenizer, entities
):
    def relations(arm, **options):
        texts = {"P1": "river of", "P2": "town in", "P3": "poet from"}
        made = memories_of(jaket, jaket_tokenizer, entities, arm=arm, relation_texts=texts, seed=0, **options)
        return made.relations

    raw = relations("joint", relation_memory="raw")
    torch.testing.assert_close(relations("joint"), centred(raw))
    assert torch.equal(relations("lm+gnn+m"), relations("joint"))
    assert torch.equal(relations("gnn"), relations("gnn", relation_memory="raw"))
    for of_arm in (relations("joint"), relations("gnn")):
        assert of_arm.square().mean().sqrt().item() == pytest.approx(1, rel=0.2)


def test_a_trained_table_is_read_by_names_on_another_build(jaket_tokenizer, entities, jaket_corpus):
    config = TrainingConfig(model=ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400))
    lm = load_lm(config, jaket_tokenizer, longest=64)

    def model_of(names, **options):
        options = JaketConfig(gat_heads=2, relation_embeddings="trained", **options)
        return JaketModel.around(lm, options, relations=names, categories=[], seed=0)

    assert entities.relation_names == ["P1", "P2", "P3"]
    other = model_of(["P0", "P1", "P3"])
    rows = other.knowledge.relations.weight
    nothing = torch.zeros(16)
    expected = torch.stack([rows[1], nothing, rows[2], rows[4], nothing, rows[5]])
    assert torch.equal(relations_on(other, jaket_tokenizer, entities, jaket_corpus), expected)
    out = model_of(["P0", "P1", "P3"], directions="out")
    rows = out.knowledge.relations.weight
    expected = torch.stack([rows[1], nothing, rows[2]])
    assert torch.equal(relations_on(out, jaket_tokenizer, entities, jaket_corpus), expected)
    assert relations_on(model_of(["P1", "P2", "P3"]), jaket_tokenizer, entities, jaket_corpus) is None
