import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

from kgcorpus.contracts.errors import InputError, UsageError
from trainer.jaket.config import JaketConfig
from trainer.jaket.memory import encode
from trainer.jaket.model import JaketModel, open_jaket
from trainer.jaket.tasks import score
from trainer.jaket.text import link, prepare
from trainer.masked_lm import PackedMaskedLM


def batch_of(tasks, records, vocabulary, removed=None, **options):
    mentions = link(records, tasks.entities, seen=np.ones(len(tasks.entities), bool), seed=0)
    removed = np.zeros(len(mentions.entity), bool) if removed is None else removed
    text = prepare(records, mentions, removed, vocabulary, mlm_probability=0.15, length=64, seed=0)
    batch = tasks.batch(text, np.arange(0, 60, 2), step=0, records=[], tokens=0)
    return mentions, batch, {name: torch.from_numpy(array) for name, array in batch.inputs.items()}


def test_the_split_language_model_without_merge_is_the_whole(jaket_tokenizer):
    for kind, make in ((BertConfig, BertForMaskedLM), (RobertaConfig, RobertaForMaskedLM)):
        torch.manual_seed(0)
        lm = make(
            kind(
                vocab_size=400,
                hidden_size=16,
                num_hidden_layers=3,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=40,
                pad_token_id=1,
            )
        ).eval()
        model = JaketModel.around(
            PackedMaskedLM(lm),
            JaketConfig(split_layer=2, gat_heads=2),
            relations=["P1"],
            categories=[],
            seed=0,
        ).eval()
        ids, segments = torch.arange(20).view(2, 10) + 5, torch.ones(2, 10, dtype=torch.long)
        lower = model.lower(ids, segments, torch.arange(10).expand(2, 10))
        states = model.text.run_layers(slice(2, None), lower, segments)
        torch.testing.assert_close(model.text.logits(states), lm(ids).logits)
        weights = lm.state_dict()
        assert {name.split(".")[3] for name in model.lower_weights() if ".layer." in name} == {"0", "1"}
        assert all(torch.equal(weights[name], tensor) for name, tensor in model.lower_weights().items())


def test_knowledge_reaches_its_mention_and_what_stands_above(tasks, jaket, records, vocabulary):
    _, _, inputs = batch_of(tasks, records[:3], vocabulary)
    memory = torch.randn(len(tasks.entities), 16)
    before = score(jaket, memory, inputs)
    other = dict(inputs, merged=inputs["merged"].roll(1))
    assert not torch.allclose(before.token, score(jaket, memory, other).token)


def test_a_removed_mention_s_scores_do_not_change_with_its_own_knowledge(tasks, jaket, records, vocabulary):
    """A passage names its last entity twice; one of the two mentions is removed."""
    mentions = link(records[:1], tasks.entities, seen=np.ones(len(tasks.entities), bool), seed=0)
    removed = np.arange(len(mentions.entity)) == len(mentions.entity) - 1
    own, other = int(mentions.entity[-1]), int(mentions.entity[0])
    assert (mentions.entity == own).sum() > 1
    assert other != own
    text = prepare(records[:1], mentions, removed, vocabulary, mlm_probability=0, length=64, seed=0)
    inputs = {name: torch.from_numpy(array) for name, array in text.inputs.items()}
    knowledge = torch.randn(len(tasks.entities), 16)

    def scores_with(changed):
        table = knowledge.clone()
        if changed is not None:
            # A constant would vanish in the LayerNorm behind the merge.
            table[changed] *= -3
        lower = jaket.lower(inputs["ids"], inputs["segments"], inputs["positions"])
        merged = table[torch.from_numpy(text.merged)]
        flat = jaket.upper(lower, inputs["segments"], places=inputs["places"], knowledge=merged).flatten(0, 1)
        ends = flat[inputs["first_places"]], flat[inputs["last_places"]]
        return jaket.entity_scores(*ends, knowledge[None])

    assert torch.equal(scores_with(None), scores_with(own))
    assert not torch.allclose(scores_with(None), scores_with(other))


def merged_by_hand(model, states, places, knowledge):
    """Z' token by token, in Python numbers."""
    merged = [row.tolist() for row in states.flatten(0, 1)]
    at = dict(zip(places.tolist(), knowledge.tolist(), strict=True))
    for i, row in enumerate(merged):
        if model.config.merge == "gate" and i in at:
            gate = [math.tanh(g) for g in model.merge_gate.tolist()]
            merged[i] = [z + g * e for z, g, e in zip(row, gate, at[i], strict=True)]
        elif model.config.merge != "gate" and (i in at or model.config.merge == "norm"):
            total = [z + e for z, e in zip(row, at.get(i, [0.0] * len(row)), strict=True)]
            mean = sum(total) / len(total)
            size = math.sqrt(sum((x - mean) ** 2 for x in total) / len(total) + model.merge_norm.eps)
            gain, shift = model.merge_norm.weight.tolist(), model.merge_norm.bias.tolist()
            merged[i] = [(x - mean) / size * g + b for x, g, b in zip(total, gain, shift, strict=True)]
    return torch.tensor(merged, dtype=torch.float64).view_as(states)


def with_merge(jaket, merge):
    """An untrained model in float64, whose merge has weights other than those it starts with."""
    options = JaketConfig(gat_heads=2, merge=merge)
    model = JaketModel.around(jaket.text, options, relations=["P1"], categories=[], seed=0).double().eval()
    if merge == "gate":
        assert not model.merge_gate.any()
    for name, weight in model.named_parameters():
        if name.startswith("merge_"):
            weight.data = torch.randn_like(weight)
    return model


@pytest.mark.parametrize("merge", ["norm", "norm_at_mentions", "gate"])
def test_text_and_graph_are_merged_as_the_formula_says(jaket, merge):
    torch.manual_seed(0)
    model = with_merge(jaket, merge)
    states = torch.randn(2, 5, 16, dtype=torch.float64)
    segments = torch.ones(2, 5, dtype=torch.long)
    places, knowledge = torch.tensor([1, 2, 8]), torch.randn(3, 16, dtype=torch.float64)
    expected = merged_by_hand(model, states, places, knowledge)
    assert torch.equal(expected.flatten(0, 1)[0], states[0, 0]) == (merge != "norm")
    torch.testing.assert_close(
        model.upper(states, segments, places=places, knowledge=knowledge),
        model.text.run_layers(slice(1, None), expected, segments),
    )


@pytest.mark.parametrize("merge", ["norm", "norm_at_mentions", "gate"])
def test_text_without_mentions_is_read_as_by_the_language_model_unless_every_token_is_normed(jaket, merge):
    torch.manual_seed(0)
    model = with_merge(jaket, merge)
    ids, segments = torch.arange(20).view(2, 10) + 5, torch.ones(2, 10, dtype=torch.long)
    lower = model.lower(ids, segments, torch.arange(10).expand(2, 10))
    nothing = {"places": torch.empty(0, dtype=torch.long), "knowledge": lower.new_empty(0, 16)}
    found = model.text.logits(model.upper(lower, segments, **nothing))
    plain = model.lm(ids).logits
    assert torch.allclose(found, plain, rtol=0, atol=1e-12) == (merge != "norm")


def test_a_gated_model_starts_as_the_language_model(jaket, tasks, records, vocabulary):
    options = JaketConfig(gat_heads=2, merge="gate")
    model = JaketModel.around(jaket.text, options, relations=["P1"], categories=[], seed=0).eval()
    _, _, inputs = batch_of(tasks, records[:3], vocabulary)
    inputs |= {name: inputs[name][:0] for name in ("pairs", "category_of")}
    memory = torch.randn(len(tasks.entities), 16)
    states = model.text.states(inputs["ids"], inputs["segments"], inputs["positions"]).flatten(0, 1)
    plain = model.text.logits(states[inputs["token_places"]])
    torch.testing.assert_close(score(model, memory, inputs).token, plain)


def test_a_saved_gate_is_read_back(jaket, tmp_path):
    model = with_merge(jaket, "gate")
    model.save_pretrained(tmp_path)
    loaded, report = JaketModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert loaded.config.merge == "gate"
    torch.testing.assert_close(loaded.merge_gate.double(), model.merge_gate)


def test_no_gradient_reaches_lm1_through_the_memory(tasks, jaket, records, vocabulary, jaket_tokenizer):
    """Category and relation are predicted from the memory only, which LM1 has just made."""
    _, _, inputs = batch_of(tasks, records[:4], vocabulary)
    everyone = np.arange(len(tasks.entities))
    memory = encode(jaket, tasks.entities, everyone, pad=jaket_tokenizer.pad_token_id)
    scores = score(jaket, memory, inputs)
    (scores.category.sum() + scores.relation.sum()).backward()
    assert all(parameter.grad is None for parameter in jaket.lm.parameters())
    assert all(parameter.grad is not None for parameter in jaket.knowledge.parameters())


def test_a_saved_model_is_read_back_whole(tasks, jaket, records, vocabulary, jaket_tokenizer, tmp_path):
    jaket.save_pretrained(tmp_path)
    jaket_tokenizer.save_pretrained(tmp_path)
    _, _, inputs = batch_of(tasks, records[:3], vocabulary)
    memory = torch.randn(len(tasks.entities), 16)
    expected = score(jaket, memory, inputs)
    loaded, report = JaketModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    for model in (loaded.eval(), open_jaket(tmp_path)[0].cpu(), AutoModel.from_pretrained(tmp_path).eval()):
        found = score(model, memory, inputs)
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert loaded.config.categories == tasks.entities.category_names
    assert loaded.config.relations == tasks.entities.relation_names


def test_a_model_without_some_weights_is_refused(jaket, jaket_tokenizer, tmp_path):
    jaket.save_pretrained(tmp_path)
    jaket_tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    lost = next(name for name in weights if "gat" in name or "knowledge" in name)
    save_file({name: weights[name] for name in weights if name != lost}, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match="lacks the weights"):
        open_jaket(tmp_path)
    file.write_bytes(b"junk")
    with pytest.raises(InputError, match="its weights cannot be read"):
        open_jaket(tmp_path)


def test_another_model_is_refused(jaket, tmp_path):
    jaket.lm.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="no model of `train jaket`"):
        open_jaket(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        open_jaket(tmp_path / "none")


def test_a_split_outside_the_layers_is_refused(jaket):
    with pytest.raises(UsageError, match="2 layers cannot be split after 2"):
        JaketModel.around(
            jaket.text, JaketConfig(split_layer=2, gat_heads=2), relations=[], categories=[], seed=0
        )
