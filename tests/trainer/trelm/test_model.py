import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

from tests.trainer.trelm.made import (
    WORDS,
    config_of,
    filled,
    make,
    objective_of,
    options_of,
    sums_of,
    tensors_of,
    words_read,
)
from trainer.trelm.config import MemoryConfig
from trainer.trelm.inputs import TrelmInputs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def test_with_lambda_0_and_nothing_injected_it_is_the_plain_model_bit_for_bit(made):
    memory = WORDS.model_copy(update={"weight": 0.0})
    objective = filled(objective_of(made, config_of(trelm=options_of(inject="none", memory=memory))))
    (batch,) = objective.next_step(2)
    inputs = tensors_of(batch)
    plain = objective.model.packed
    rows = (inputs["ids"], inputs["segments"], inputs["positions"])
    states = plain.states(*rows, at=inputs["states_at"])
    assert torch.equal(objective.model.states(TrelmInputs.of(inputs)), states)
    losses = torch.nn.functional.cross_entropy(
        plain.logits(states[inputs["where"]]), inputs["labels"], reduction="none"
    )
    assert torch.equal(objective.model(**inputs)[0], losses.sum())
    assert batch.counts[1] > 0


def test_with_lambda_0_and_knowledge_injected_it_is_injection_alone(made):
    found = []
    for memory in (WORDS.model_copy(update={"weight": 0.0}), MemoryConfig(enabled=False)):
        objective = objective_of(made, config_of(trelm=options_of(memory=memory)))
        for step in range(3):
            (batch,) = objective.next_step(step)
            sums = sums_of(objective, [batch])
            objective.after_step(step + 1, Accelerator(cpu=True))
        found.append((sums, batch.counts))
    assert torch.equal(found[0][0], found[1][0])
    assert (found[0][1] == found[1][1]).all()
    plain = objective_of(made, config_of(trelm=options_of(inject="none", memory=MemoryConfig(enabled=False))))
    for step in range(3):
        batches = plain.next_step(step)
    assert not torch.equal(sums_of(plain, batches)[:, 0], found[0][0][:, 0])


def test_every_token_of_a_target_is_injected_but_those_that_are_predicted(made):
    objective = objective_of(
        made, config_of(trelm=options_of(memory=MemoryConfig(enabled=False), inject="both"))
    )
    (batch,) = objective.next_step(0)
    inputs = tensors_of(batch)
    plain = objective.model.packed.words(inputs["ids"]).flatten(0, 1)
    replaced = (words_read(objective, inputs) != plain).any(dim=1)
    examples = objective._maker.make(objective_of(made, config_of())._stream.take(12))
    expected = 0
    for example in examples:
        for question in example.questions:
            span = slice(question.target.start, question.target.end)
            expected += int((~example.predicted[span]).sum())
    assert replaced.sum() == expected > 12
    assert not replaced[inputs["states_at"][inputs["where"]]].any()
    assert not replaced[inputs["segments"].flatten() == 0].any()


@pytest.mark.parametrize("weight", [0.3, 0.8])
def test_memory_is_mixed_in_by_lambda_and_never_at_predicted_tokens(made, weight):
    memory = WORDS.model_copy(update={"weight": weight, "literal": True})
    objective = filled(objective_of(made, config_of(trelm=options_of(memory=memory))))
    (batch,) = objective.next_step(2)
    inputs = tensors_of(batch)
    without = {name: value for name, value in inputs.items() if not name.startswith("read")}
    injected, mixed = words_read(objective, without), words_read(objective, inputs)
    changed = (injected != mixed).any(dim=1)
    assert not changed[inputs["states_at"][inputs["where"]]].any()
    at, row = inputs["read_at"], inputs["read_row"]
    expected = (1 - weight) * injected[at] + weight * inputs["read_rows"][row]
    torch.testing.assert_close(mixed[at], expected)
    assert changed.sum() == len(at) > 20
    # Targets and long-tail words are read.
    targets = set(inputs["injected_at"].tolist())
    assert targets & set(at.tolist())
    assert set(at.tolist()) - targets


def test_reads_are_as_long_as_words_unless_literal(made):
    lengths = []
    for literal in (False, True):
        memory = WORDS.model_copy(update={"weight": 1.0, "literal": literal})
        objective = filled(objective_of(made, config_of(trelm=options_of(memory=memory))))
        (batch,) = objective.next_step(2)
        inputs = tensors_of(batch)
        lengths.append(float(words_read(objective, inputs)[inputs["read_at"]].detach().norm(dim=1).mean()))
    table = float(objective.model.packed.table.detach().norm(dim=1).mean())
    assert lengths[0] == pytest.approx(table, rel=0.3)
    assert lengths[1] > 1.5 * table


def test_an_injected_embedding_may_give_way_to_the_word(made):
    objective = objective_of(
        made, config_of(trelm=options_of(memory=MemoryConfig(enabled=False), inject_decay=2.0))
    )
    for step in (0, 5, 19):
        (batch,) = objective.next_step(step)
        inputs = tensors_of(batch)
        at, share = inputs["injected_at"], {0: 1.0, 5: 0.5, 19: 0.125}[step]
        whole = words_read(objective, {n: v for n, v in inputs.items() if n != "injected_share"})[at]
        own = objective.model.packed.words(inputs["ids"]).flatten(0, 1)[at]
        torch.testing.assert_close(words_read(objective, inputs)[at], share * whole + (1 - share) * own)


def test_shuffled_knowledge_and_an_empty_memory_change_both_losses(made):
    objective = filled(objective_of(made, config_of(trelm=options_of(inject="both"))))
    (batch,) = objective.next_step(2)
    inputs = tensors_of(batch)
    whole = objective.model(**inputs)
    shuffled = {**inputs, "injected_other": inputs["injected_other"].roll(1, 0)}
    assert (objective.model(**shuffled) != whole).all()
    assert (objective.model(**{**inputs, "read_rows": torch.zeros_like(inputs["read_rows"])}) != whole).all()


def test_a_window_s_mean_is_that_of_the_record_alone(made):
    """Eq. 4 by hand: states of the text without its neighbours in the row, specials left out."""
    memory = MemoryConfig(window=3, weight=0.0)
    objective = objective_of(made, config_of(trelm=options_of(inject="none", memory=memory)))
    (batch,) = objective.next_step(0)
    assert (batch.inputs["segments"].max(axis=1) > 1).any()
    objective.model(**tensors_of(batch))
    (seen,) = objective.model.seen
    fresh = objective_of(made, config_of(trelm=options_of(inject="none", memory=memory)))
    examples = fresh._maker.make(fresh._stream.take(12))
    row = 0
    for example in examples:
        n = len(example.ids)
        alone = torch.from_numpy(example.ids[None].astype(np.int64))
        states = fresh.model.packed.states(alone, torch.ones(1, n), torch.arange(n)[None])[0]
        for spot in example.spots:
            inside = [i for i in range(spot.start - 3, spot.end + 3) if 1 <= i < n - 1]
            torch.testing.assert_close(seen.local[row], states[inside].mean(dim=0), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(seen.summary[row], states[0], rtol=1e-4, atol=1e-5)
            assert seen.slots[row] == spot.slot
            row += 1
    assert row == len(seen.slots) > 12


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_packed_questions_are_answered_as_those_of_records_alone(made, family, tmp_path):
    kind, make = {"bert": (BertConfig, BertForMaskedLM), "roberta": (RobertaConfig, RobertaForMaskedLM)}[
        family
    ]
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    lm = make(kind(vocab_size=len(made.tokenizer), max_position_embeddings=100, pad_token_id=0, **sizes))
    lm.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    config = config_of(base_model=str(tmp_path))
    objective = objective_of(made, config)
    objective.model.eval()
    examples = objective._maker.make(objective._stream.take(12))
    packed = objective._packer.batches(examples, step=0, memory_weight=0.0)
    alone = [objective._packer.batches([example], step=0, memory_weight=0.0)[0] for example in examples]
    found = [
        torch.cat([objective.model.cka_log_probability(TrelmInputs.of(tensors_of(b))) for b in part])
        for part in (packed, alone)
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    assert len(found[0]) > 12


def test_in_text_the_answer_is_hidden_wherever_it_stands(made):
    objective = objective_of(
        made, config_of(trelm=options_of(inject="both", decode="in_text"), records_per_step=60)
    )
    (batch,) = objective.next_step(0)
    inputs = tensors_of(batch)
    asked_at = inputs["states_at"][inputs["asked_at"]]
    assert (inputs["ids"].flatten()[asked_at] == made.tokenizer.mask_token_id).all()
    assert not set(asked_at.tolist()) & set(inputs["injected_at"].tolist())
    records = objective_of(made, config_of())._stream.take(60)
    for example, record in zip(objective._maker.make(records), records, strict=True):
        for question in example.questions:
            hidden = example.ids[question.places]
            assert (hidden == made.tokenizer.mask_token_id).all()
            spans = [m for m in record.mentions if m["qid"] == question.target.asked["other"]]
            assert all(
                (example.ids[m["start"] : m["end"]] == made.tokenizer.mask_token_id).all() for m in spans
            )
            assert [token.label for token in question.tokens] == record.ids[question.places].tolist()
    assert batch.counts[1] > 5
    before = objective.model(**inputs)
    objective.model.decoder.weight.data.zero_()
    after = objective.model(**inputs)
    assert after[0] == before[0]
    assert after[1] != before[1]
