import copy
from functools import partial

import numpy as np
import pytest
import torch

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError, KgcorpusError, UsageError
from tests.trainer.evaluate.settings import QUICK, THOROUGH
from trainer.evaluate.fine_tuning.finetune import finetune, open_base, predict, scores_by_seed
from trainer.evaluate.fine_tuning.heads import SequenceHead, SpanHead, TokenHead
from trainer.evaluate.fine_tuning.inputs import NO_LABEL, Example, Row, shuffled_batches, target_tensor

LETTERS = range(10, 30)


def toy(n=64):
    """Rows of 5-9 random tokens between the first two ids; 60 among them or not is what decides."""
    examples = []
    for i in range(n):
        draw = Draw("toy", i)
        ids = [2, *(draw.choice(LETTERS) for _ in range(4 + draw.below(5))), 3]
        if i % 2:
            ids[1 + draw.below(len(ids) - 2)] = 60
        examples.append(Example((Row(ids, [0] * len(ids)),), i % 2))
    return examples


def tokens(example):
    ids = example.rows[0].ids
    return Example(example.rows, [NO_LABEL, *(int(i == 60) for i in ids[1:-1]), NO_LABEL])


def span(example):
    ids = list(example.rows[0].ids)
    place = ids.index(60) if 60 in ids else 0
    return Example(example.rows, (place, place))


@pytest.fixture(scope="module", params=["bert", "roberta"])
def base(request):
    return open_base(request.getfixturevalue(request.param))


classes = partial(SequenceHead, outputs=2)


@pytest.mark.parametrize(
    ("head", "form", "decide"),
    [
        (classes, lambda e: e, np.argmax),
        (
            partial(SequenceHead, outputs=1, kind="number"),
            lambda e: Example(e.rows, float(e.target)),
            lambda s: s > 0.5,
        ),
        (
            partial(SequenceHead, outputs=2, kind="labels"),
            lambda e: Example(e.rows, [float(e.target), 1.0 - e.target]),
            lambda s: s[0] > 0 > s[1],
        ),
        (partial(TokenHead, classes=2), tokens, lambda s: s[1:-1].argmax(1).max()),
        (SpanHead, span, lambda s: s.argmax(0)[0] > 0),
    ],
    ids=["classes", "number", "labels", "tokens", "spans"],
)
def test_every_head_learns(bert, head, form, decide):
    base = open_base(bert)
    examples = [form(example) for example in toy()]
    tuned = finetune(base, head, examples, THOROUGH, seed=0)
    scores = predict(tuned, examples, batch=16)
    right = [bool(decide(score)) == bool(i % 2) for i, score in enumerate(scores)]
    assert np.mean(right) > 0.9


def test_choices_are_told_apart(base):
    rows = [example.rows[0] for example in toy()]
    pairs = [
        Example((rows[i + i % 4 // 2], rows[i + 1 - i % 4 // 2]), 1 - i % 4 // 2) for i in range(0, 64, 2)
    ]
    tuned = finetune(base, partial(SequenceHead, outputs=2, kind="choices"), pairs, THOROUGH, seed=0)
    scores = predict(tuned, pairs, batch=16)
    assert {score.shape for score in scores} == {(2,)}
    assert np.mean([score.argmax() == pair.target for score, pair in zip(scores, pairs, strict=True)]) > 0.9


def test_a_seed_gives_the_same_scores_and_another_others(base):
    config = QUICK.model_copy(update={"seeds": (0, 1, 0)})
    before = copy.deepcopy(base.encoder.state_dict())
    one, other, again = scores_by_seed(base, classes, toy(), {"x": toy(9)}, config)
    one, other, again = (run.scores["x"] for run in (one, other, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.allclose(one[0], other[0])
    assert all(torch.equal(before[name], now) for name, now in base.encoder.state_dict().items())


def test_a_score_does_not_depend_on_the_batch(base):
    tuned = finetune(base, partial(TokenHead, classes=2), [tokens(e) for e in toy()], QUICK, seed=0)
    whole, alone = (predict(tuned, toy(), batch=size) for size in (64, 1))
    assert [score.shape for score in whole] == [(e.length, 2) for e in toy()]
    for one, other in zip(whole, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_bf16_is_near_fp32(base):
    half = QUICK.model_copy(update={"precision": "bf16"})
    one, other = (predict(finetune(base, classes, toy(), c, seed=0), toy(), batch=64) for c in (QUICK, half))
    np.testing.assert_allclose(np.array(one), np.array(other), atol=0.1)
    assert not np.array_equal(np.array(one), np.array(other))


def test_what_cannot_be_opened_is_told(bert, tmp_path):
    from safetensors.torch import load_file, save_file
    from transformers import AutoModel, AutoTokenizer

    with pytest.raises(UsageError, match="no such folder"):
        open_base(tmp_path / "none")
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(bert)
    model.save_pretrained(tmp_path)
    open_base(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks the weights encoder\.layer\.1"):
        open_base(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="its weights cannot be read"):
        open_base(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"only in \.bin.*Run kgcorpus convert"):
        open_base(tmp_path)


def test_rows_beyond_the_positions_are_refused(base):
    rows = [Example((Row([2, *[10] * (n - 2), 3], [0] * n),)) for n in (64, 65)]
    tuned = finetune(base, classes, rows[:1], QUICK, seed=0)
    with pytest.raises(UsageError, match=r"max_length.*reach 64 tokens, a row has 65"):
        predict(tuned, rows, batch=1)


def test_markers_are_tokens_of_their_own(bert):
    base = open_base(bert, markers=["<e1>", "</e1>"])
    (marker,) = base.tokenizer("<e1>", add_special_tokens=False)["input_ids"]
    assert base.encoder.get_input_embeddings().num_embeddings == len(base.tokenizer) == marker + 2
    again = open_base(bert, markers=["<e1>", "</e1>"])
    assert torch.equal(
        base.encoder.get_input_embeddings().weight, again.encoder.get_input_embeddings().weight
    )


def test_a_loss_that_is_not_finite_stops(base):
    with pytest.raises(KgcorpusError, match="step 2"):
        finetune(base, classes, toy(), QUICK.model_copy(update={"lr": 1e25}), seed=0)


def test_batches_hold_every_example_once_near_others_of_its_length():
    examples = toy(100)
    batches = list(shuffled_batches(examples, 8, Draw("order")))
    assert sorted(id(example) for batch in batches for example in batch) == sorted(map(id, examples))
    assert max(max(e.length for e in b) - min(e.length for e in b) for b in batches) <= 1
    assert [b[0].length for b in batches] != sorted(b[0].length for b in batches)


def test_targets_are_padded_where_they_are_per_token():
    row = (Row([1], [0]),)
    assert target_tensor([Example(row, [1, 2]), Example(row, [3])]).tolist() == [[1, 2], [3, NO_LABEL]]
    assert target_tensor([Example(row, 0.5), Example(row, 2.0)]).dtype == torch.float32
