from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.trainer.jaket.toy import jaket_rows
from trainer.jaket.config import JaketConfig
from trainer.jaket.memory import EntityMemory, encode, sweep_interval


def memory_of(entities, tokenizer, model, *, ranks=None, **options):
    return EntityMemory(
        entities,
        hidden=model.lm.config.hidden_size,
        options=JaketConfig(**options),
        pad=tokenizer.pad_token_id,
        ranks=ranks,
    )


def test_intervals_are_the_papers():
    assert [sweep_interval(i) for i in range(7)] == [10, 10, 10, 20, 20, 20, 40]
    assert [sweep_interval(i) for i in (15, 17, 18, 100, 10**6)] == [320, 320, 500, 500, 500]


def test_sweeps_are_due_at_the_sums_of_the_intervals(entities, jaket_tokenizer, jaket):
    memory = memory_of(entities, jaket_tokenizer, jaket)
    events = []
    for step in range(75):
        if memory.due(step):
            events.append((step, memory.update(jaket)))
            assert not memory.due(step)
    assert [step for step, _ in events] == [0, 10, 20, 30, 50, 70]
    assert [event["event"] for _, event in events] == ["memory_fill"] + 5 * ["memory_sweep"]
    assert [event["sweep"] for _, event in events[1:]] == [0, 1, 2, 3, 4]
    assert {event["entities"] for _, event in events} == {len(entities)}


def test_an_embedding_is_the_mean_of_lm1_s_states_at_the_mention_s_ends(entities, jaket_tokenizer, jaket):
    found = encode(jaket, entities, np.arange(len(entities)), pad=jaket_tokenizer.pad_token_id)
    for i, qid in enumerate(entities.qids):
        text = next(r["text"] for r in jaket_rows()["jaket_entities"] if r["qid"] == qid.decode())
        ids = jaket_tokenizer(text, truncation=True, max_length=18, return_tensors="pt")["input_ids"]
        # The first of the two layers alone, by transformers' own forward pass.
        alone = jaket.lm(ids, output_hidden_states=True).hidden_states[1][0]
        first, last = entities.spans[i]
        torch.testing.assert_close(found[i], (alone[first] + alone[last]) / 2, rtol=1e-4, atol=1e-5)


def test_the_first_fill_has_no_momentum_and_a_sweep_has(entities, jaket_tokenizer, jaket):
    memory = memory_of(entities, jaket_tokenizer, jaket)
    fresh = encode(jaket, entities, np.arange(len(entities)), pad=jaket_tokenizer.pad_token_id)
    memory.update(jaket)
    torch.testing.assert_close(memory.values, fresh)
    memory.values.fill_(1.0)
    memory.update(jaket)
    torch.testing.assert_close(memory.values, 0.8 + 0.2 * fresh)


def test_a_share_is_swept_in_turn_and_all_within_the_bound(entities, jaket_tokenizer, jaket):
    memory = memory_of(entities, jaket_tokenizer, jaket, memory_share=0.3)
    assert memory.update(jaket)["entities"] == len(entities)
    touched = []
    for _ in range(4):
        memory.values.fill_(1.0)
        assert memory.update(jaket)["entities"] == 18
        touched.append((memory.values != 1).any(dim=1))
    assert [int(rows.sum()) for rows in touched] == [18] * 4
    assert torch.stack(touched).any(dim=0).all()
    assert not (touched[0] & touched[1]).any()


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_the_fill_loses_weight_as_fast_under_partial_sweeps(entities, jaket_tokenizer, jaket, share):
    """Both have swept ten times: of the fill remains .8^10, whatever the share."""
    memories = [
        memory_of(entities, jaket_tokenizer, jaket, memory_share=of_sweep) for of_sweep in (1.0, share)
    ]
    for memory in memories:
        memory.update(jaket)
        memory.values.fill_(1.0)
        for _ in range(10):
            memory.update(jaket)
    torch.testing.assert_close(memories[0].values, memories[1].values, rtol=1e-4, atol=1e-5)
    fresh = encode(jaket, entities, np.arange(len(entities)), pad=jaket_tokenizer.pad_token_id)
    torch.testing.assert_close(memories[1].values, 0.8**10 + (1 - 0.8**10) * fresh, rtol=1e-4, atol=1e-5)


def test_dropout_is_off_in_a_sweep_and_on_again_after_it(entities, jaket_tokenizer, jaket):
    memory = memory_of(entities, jaket_tokenizer, jaket)
    jaket.train()
    memory.update(jaket)
    assert jaket.training
    jaket.eval()
    again = encode(jaket, entities, np.arange(len(entities)), pad=jaket_tokenizer.pad_token_id)
    torch.testing.assert_close(memory.values, again)


def test_bf16_keeps_half_the_bytes(entities, jaket_tokenizer, jaket):
    whole = memory_of(entities, jaket_tokenizer, jaket)
    half = memory_of(entities, jaket_tokenizer, jaket, memory_dtype="bf16")
    for memory in (whole, half):
        memory.update(jaket)
    assert half.values.nbytes * 2 == whole.values.nbytes
    torch.testing.assert_close(half.values.float(), whole.values, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("world", [2, 7])
def test_ranks_sweep_and_hold_a_share_each(entities, jaket_tokenizer, jaket, world):
    one = memory_of(entities, jaket_tokenizer, jaket, memory_share=0.5)
    ranks = [
        memory_of(
            entities,
            jaket_tokenizer,
            jaket,
            ranks=SimpleNamespace(process_index=rank, num_processes=world, device=torch.device("cpu")),
            memory_share=0.5,
        )
        for rank in range(world)
    ]
    for _ in range(3):
        for memory in (one, *ranks):
            memory.update(jaket)
    assert {len(memory.values) for memory in ranks} == {-(-len(entities) // world)}
    together = torch.stack([memory.values for memory in ranks], dim=1).flatten(0, 1)
    torch.testing.assert_close(together[: len(entities)], one.values)
    for memory in ranks:
        held = memory.values.clone()
        memory.load(one.values)
        torch.testing.assert_close(memory.values[:-1], held[:-1])
