import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tests.tokenizers import unigram_tokenizer
from tests.trainer.jaket.test_gat import equation, tensors
from trainer.config import ModelConfig, TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.evaluate.arms import Memories, memories_of
from trainer.jaket.evaluate.linked_texts import Linked, Reader, link_spans
from trainer.jaket.graph import keys_of, sample_hops, sample_neighbours
from trainer.jaket.model import JaketModel
from trainer.masked_lm import load_lm


@pytest.fixture
def texts(jaket_tokenizer):
    written = ["The old Name3 meets Name7 .", "Name12 is here", "Nobody at all"]
    spans = [[(8, 13), (20, 25)], [(0, 6)], []]
    return link_spans(jaket_tokenizer, written, spans, [[3, 7], [12], []])


@pytest.fixture
def memories(jaket, entities):
    torch.manual_seed(1)
    return Memories(torch.randn(len(entities), 16), None)


def test_spans_are_the_mentions_tokens(texts, jaket_tokenizer):
    assert [text.entities.tolist() for text in texts] == [[3, 7], [12], []]
    said = [
        [jaket_tokenizer.decode(text.ids[first : last + 1]).replace(" ", "") for first, last in text.spans]
        for text in texts
    ]
    assert said == [["Name3", "Name7"], ["Name12"], []]


def test_a_mention_without_a_token_is_left_out(jaket_tokenizer):
    (text,) = link_spans(jaket_tokenizer, ["a  b"], [[(1, 2), (3, 4)]], [[5, 6]])
    assert text.entities.tolist() == [6]


def test_a_text_that_spells_special_tokens_is_text(jaket_tokenizer):
    spelled = f"{jaket_tokenizer.mask_token} Name7 {jaket_tokenizer.sep_token}"
    (text,) = link_spans(jaket_tokenizer, [spelled], [[(0, 6)]], [[5]])
    # The tokenizer adds one token at each end; no other one is special.
    assert not set(text.ids[1:-1].tolist()) & {jaket_tokenizer.mask_token_id, jaket_tokenizer.sep_token_id}
    assert text.entities.tolist() == [5]


def test_special_tokens_among_a_unigram_models_pieces_are_text():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=unigram_tokenizer(), unk_token="<unk>")
    (text,) = link_spans(tokenizer, ["a <mask> b"], [[(2, 8)]], [[5]])
    assert [token for token in text.ids if token < 5] == [0, 3, 1]


def test_a_cut_keeps_the_closing_token_and_the_mentions_within(texts):
    text = texts[0]
    cut = text.cut(int(text.spans[1, 0]) + 1)
    assert cut.ids.tolist() == [*text.ids[: text.spans[1, 0]], text.ids[-1]]
    assert cut.entities.tolist() == [3]
    assert text.cut(len(text.ids)) is text


def test_two_texts_side_by_side_have_one_opening_token(texts, jaket_tokenizer):
    both = texts[0].beside(texts[1])
    assert both.ids.tolist() == jaket_tokenizer("The old Name3 meets Name7 .", "Name12 is here")["input_ids"]
    assert [jaket_tokenizer.decode(both.ids[a : b + 1]).replace(" ", "") for a, b in both.spans] == [
        "Name3",
        "Name7",
        "Name12",
    ]


def test_the_language_model_alone_gives_the_first_state_of_each_text(jaket, texts):
    found = Reader(jaket, None, None, arm="lm")(texts, seed=0)
    for text, state in zip(texts, found, strict=True):
        ids = torch.from_numpy(text.ids.astype(np.int64))[None]
        alone = jaket.lm(ids, output_hidden_states=True).hidden_states[-1][0, 0]
        torch.testing.assert_close(state, alone, rtol=1e-4, atol=1e-5)


def test_a_text_can_be_told_by_its_first_mention(jaket, texts):
    nowhere = Linked(texts[0].ids, np.array([[0, -1]]), np.array([3]))
    found = Reader(jaket, None, None, arm="lm", pooling="mention")([*texts[:2], nowhere], seed=0)
    for text, state in zip(texts[:2], found, strict=False):
        ids = torch.from_numpy(text.ids.astype(np.int64))[None]
        states = jaket.lm(ids, output_hidden_states=True).hidden_states[-1][0]
        torch.testing.assert_close(state, states[text.spans[0]].mean(dim=0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[2], Reader(jaket, None, None, arm="lm")(texts, seed=0)[0])


def test_the_graph_is_merged_at_the_mentions_alone(jaket, texts, graph, memories):
    reader = Reader(jaket, memories, graph, arm="joint")
    found = reader(texts, seed=0)
    changed = memories.context.clone()
    # Whatever the first text's entities may read, two hops away, at whatever draw.
    near = np.array([3, 7])
    for _ in range(2):
        near = np.unique(
            np.concatenate([near, *(graph.neighbours[graph.offsets[n] : graph.offsets[n + 1]] for n in near)])
        )
    changed[torch.from_numpy(near.astype(np.int64))] += torch.randn(len(near), 16)
    other = Reader(jaket, Memories(changed, None), graph, arm="joint")(texts, seed=0)
    assert not torch.allclose(found[0], other[0])
    torch.testing.assert_close(found[2], other[2])


def test_without_a_text_the_mean_of_the_entities_stands_for_it(jaket, texts, graph, memories):
    found = Reader(jaket, memories, graph, arm="gnn")(texts, seed=0)
    assert found[2].tolist() == [0.0] * 16
    swapped = Linked(texts[0].ids[::-1].copy(), texts[0].spans[::-1].copy(), texts[0].entities[::-1].copy())
    torch.testing.assert_close(Reader(jaket, memories, graph, arm="gnn")([swapped], seed=0)[0], found[0])


def test_the_seed_draws_the_neighbours(jaket, graph, memories):
    hub = int(np.argmax(np.diff(graph.offsets)))
    assert graph.offsets[hub + 1] - graph.offsets[hub] > 10
    one, other = (
        sample_neighbours(graph, np.array([hub]), keys_of(np.array([hub]), seed), count=10) for seed in (0, 1)
    )
    assert set(one.nodes[0]) != set(other.nodes[0])
    text = Linked(np.array([2, 9, 3], np.int32), np.array([[1, 1]]), np.array([hub]))
    reader = Reader(jaket, memories, graph, arm="joint")
    assert torch.equal(reader([text], seed=0), reader([text], seed=0))
    assert not torch.equal(reader([text], seed=0), reader([text], seed=1))


@pytest.mark.parametrize("with_relations", [False, True])
def test_a_read_out_is_e_km_the_last_states_or_both(jaket, texts, graph, entities, with_relations):
    """E^KM by eq. 1-2 written out in float64; text and both by the forward pass of the text read-out."""
    torch.manual_seed(1)
    jaket = jaket.double()
    relations = torch.randn(6, 16, dtype=torch.float64) if with_relations else None
    memories = Memories(torch.randn(len(entities), 16, dtype=torch.float64), relations)

    def read(arm, read_out):
        reader = Reader(jaket, memories, graph, arm=arm, pooling="mention", read_out=read_out)
        return reader(texts[:2], seed=3).detach(), reader.width

    targets = np.array([3, 7, 12])
    nodes, hops = sample_hops(
        graph, targets, layers=2, count=jaket.config.neighbours, key=(3, "jaket-reader")
    )
    context = memories.context[nodes]
    for layer, hop in zip(jaket.knowledge.layers, tensors(hops), strict=True):
        context = equation(layer, context, relations, hop)
    knowledge = torch.stack([(context[0] + context[1]) / 2, context[2]])
    for arm in ("joint", "lm+gnn", "gnn"):
        found, width = read(arm, "knowledge")
        assert width == 16
        torch.testing.assert_close(found, knowledge)
    text, _ = read("joint", "text")
    both, width = read("joint", "both")
    assert width == 32
    torch.testing.assert_close(both, torch.cat([text, knowledge], dim=1))
    assert not torch.allclose(text, knowledge)


def test_zero_relations_are_zeros_to_a_model_with_a_trained_table(jaket_tokenizer, graph, entities, texts):
    """A trained table belongs to the relations of another graph."""
    config = TrainingConfig(model=ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400))
    lm = load_lm(config, jaket_tokenizer, longest=64)
    options = JaketConfig(gat_heads=2, relation_embeddings="trained")
    # Fewer relations than the new graph has.
    jaket = JaketModel.around(lm, options, relations=["P9"], categories=[], seed=0).eval()
    made = memories_of(jaket, jaket_tokenizer, entities, arm="joint", relation_texts=None, seed=0)
    found = Reader(jaket, made, graph, arm="joint")(texts, seed=0)
    jaket.knowledge.relations = None
    zero = Reader(jaket, Memories(made.context, None), graph, arm="joint")(texts, seed=0)
    torch.testing.assert_close(found, zero)
