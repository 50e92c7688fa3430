"""Attention within records: the numbers of a mask over whole rows, without such a mask."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForMaskedLM, BertConfig, DebertaV2Config, ModernBertConfig

from tests.trainer.measuring import LargestTensor
from trainer.attention import Records, attend, jagged
from trainer.masked_lm import PackedMaskedLM

HEADS, SIZE = 2, 8


def packed_rows(rows: list[list[int]], length: int) -> Tensor:
    """Segments of rows with records of these sizes, padding behind them."""
    segments = torch.zeros(len(rows), length, dtype=torch.int32)
    for row, sizes in zip(segments, rows, strict=True):
        numbers = np.repeat(np.arange(1, len(sizes) + 1, dtype=np.int32), sizes)
        row[: len(numbers)] = torch.from_numpy(numbers)
    return segments


def by_mask(query: Tensor, key: Tensor, value: Tensor, segments: Tensor, window: int | None) -> Tensor:
    """The same from a mask [rows, 1, length, length]."""
    visible = segments[:, None, :, None] == segments[:, None, None, :]
    if window is not None:
        places = torch.arange(segments.shape[1])
        visible = visible & ((places[:, None] - places[None, :]).abs() <= window)
    return scaled_dot_product_attention(query, key, value, attn_mask=visible, scale=0.3).transpose(1, 2)


def inputs(segments: Tensor) -> list[Tensor]:
    """Queries, keys and values as transformers has them: views of [rows, length, heads, size]."""
    draws = torch.Generator().manual_seed(0)
    shape = (*segments.shape, HEADS, SIZE)
    made = [torch.randn(shape, generator=draws, dtype=torch.float64) for _ in range(3)]
    return [part.requires_grad_() for part in made]


def assert_same(found: Tensor, expected: Tensor, leaves: list[Tensor], segments: Tensor) -> None:
    """Equal states of real tokens, and equal gradients; none at padding."""
    real = segments > 0
    torch.testing.assert_close(found[real], expected[real])
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = weights * real[:, :, None, None]
    ours, theirs = (torch.autograd.grad((states * weights).sum(), leaves) for states in (found, expected))
    torch.testing.assert_close(ours, theirs)


@st.composite
def rows_of_records(draw: st.DrawFn) -> list[list[int]]:
    rows = [[draw(st.integers(1, 64))]]
    for _ in range(draw(st.integers(0, 2))):
        room, sizes = 64, list[int]()
        while room and draw(st.integers(0, 5)):
            sizes.append(draw(st.integers(1, room)))
            room -= sizes[-1]
        rows.append(sizes)
    return rows


@settings(max_examples=60, deadline=None)
@given(rows=rows_of_records(), window=st.sampled_from([None, 1, 3, 17, 63]))
def test_states_and_gradients_are_those_of_a_mask(rows: list[list[int]], window: int | None) -> None:
    segments = packed_rows(rows, 64)
    leaves = inputs(segments)
    views = [leaf.transpose(1, 2) for leaf in leaves]
    found = attend(*views, Records.of(segments), scale=0.3, window=window)
    assert_same(found, by_mask(*views, segments, window), leaves, segments)
    assert not found[segments == 0].any()


@pytest.mark.parametrize("rows", [[[64], [64]], [[5, 40, 9], [64], []], [[1]]])
def test_the_jagged_batch_of_a_gpu_has_the_states_and_gradients_of_a_mask(rows: list[list[int]]) -> None:
    segments = packed_rows(rows, 64)
    leaves = inputs(segments)
    flat = [leaf.flatten(0, 1) for leaf in leaves]
    found = jagged(flat, Records.of(segments), dropout=0.0, scale=0.3).unflatten(0, segments.shape)
    views = [leaf.transpose(1, 2) for leaf in leaves]
    assert_same(found, by_mask(*views, segments, None), leaves, segments)


def test_rows_of_padding_alone_have_states_of_zero() -> None:
    segments = packed_rows([[], []], 8)
    assert not attend(*(leaf.transpose(1, 2) for leaf in inputs(segments)), Records.of(segments)).any()


SMALL: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
LONG = 8192
LONG_MODELS: dict[str, Any] = {
    "bert": BertConfig(
        **SMALL, num_hidden_layers=1, max_position_embeddings=LONG, attention_probs_dropout_prob=0.0
    ),
    "deberta": DebertaV2Config(
        **SMALL, num_hidden_layers=1, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=8
    ),
    "modernbert": ModernBertConfig(
        **SMALL,
        num_hidden_layers=2,
        max_position_embeddings=LONG,
        global_attn_every_n_layers=2,
        pad_token_id=0,
    ),
}


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        *(("bert", [LONG]), ("bert", [5000, 3000, 100, 50])),
        *(("modernbert", [LONG]), ("modernbert", [5000, 3000, 100, 50])),
        # Its own attention has all scores of a record.
        ("deberta", [400, 399, *[90] * 80, 17]),
    ],
)
def test_rows_of_8192_tokens_are_trained_without_a_matrix_over_them(family: str, sizes: list[int]) -> None:
    model = PackedMaskedLM(AutoModelForMaskedLM.from_config(LONG_MODELS[family])).train()
    ids = torch.randint(0, 30, (1, LONG))
    positions = torch.cat([torch.arange(size) for size in [*sizes, LONG - sum(sizes)]])[None]
    segments = packed_rows([sizes], LONG)
    with LargestTensor() as largest:
        model.states(ids, segments, positions).sum().backward()
    assert largest.elements <= LONG * 1024 < LONG * LONG / 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_compiled_model_is_compiled_once() -> None:
    config = BertConfig(**SMALL, num_hidden_layers=3, max_position_embeddings=64)
    model = PackedMaskedLM(AutoModelForMaskedLM.from_config(config)).train()
    compiled, draws, graphs = torch.compile(model.states, dynamic=True), np.random.default_rng(0), []
    for step in range(8):
        rows = [draws.integers(1, 22, 3).tolist() for _ in range(2 + step % 5)]
        segments = packed_rows(rows, 64)
        ids, positions = torch.randint(0, 30, segments.shape), torch.arange(64).expand_as(segments)
        compiled(ids, segments, positions.contiguous()).sum().backward()
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert graphs[0] > 0
    # The first step warms up; after it at most one more, for sizes that the first one took for fixed.
    assert graphs[-1] <= graphs[0] + 1
