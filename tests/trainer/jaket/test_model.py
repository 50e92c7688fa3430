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
            table[changed] += 3
        lower = jaket.lower(inputs["ids"], inputs["segments"], inputs["positions"])
        merged = table[torch.from_numpy(text.merged)]
        flat = jaket.upper(lower, inputs["segments"], places=inputs["places"], knowledge=merged).flatten(0, 1)
        ends = flat[inputs["first_places"]], flat[inputs["last_places"]]
        return jaket.entity_scores(*ends, knowledge[None])

    assert torch.equal(scores_with(None), scores_with(own))
    assert not torch.allclose(scores_with(None), scores_with(other))


def test_no_gradient_reaches_lm1_through_the_memory(tasks, jaket, records, vocabulary, jaket_tokenizer):
    """Category and relation are told from the memory alone, which LM1 has just made."""
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
    with pytest.raises(UsageError, match="cannot be loaded"):
        open_jaket(tmp_path / "none")


def test_a_split_outside_the_layers_is_refused(jaket):
    with pytest.raises(UsageError, match="2 layers cannot be split after 2"):
        JaketModel.around(
            jaket.text, JaketConfig(split_layer=2, gat_heads=2), relations=[], categories=[], seed=0
        )
