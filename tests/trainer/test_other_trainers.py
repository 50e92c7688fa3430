"""kgcorpus.torch: a build's records for other trainers, with the order and the masks of our own loop."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

import kgcorpus
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.tokens import ensure_tokens
from kgcorpus.torch import JaketCollator, KmlmCollator, RecordDataset, TrelmCollator, kmlm_loss
from tests.trainer.jaket.conftest import jaket_corpus, jaket_tokenizer  # noqa: F401
from tests.trainer.trelm.world import LABELS, passages_of, write_world
from trainer.config import ModelConfig, TrainingConfig
from trainer.masked_lm import load_lm
from trainer.run import open_tokenizer
from trainer.schedule import Phase
from trainer.shards import ShardStream
from trainer.tokenizer import make_tokenizer

STREAMS = ("plain_text", "code_switched", "reasoning")
SMALL = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)


def ids_of(records, n):
    stream = iter(records)
    return [next(stream).id for _ in range(n)]


class KmlmTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels, terms = inputs.pop("labels"), inputs.pop("terms")
        outputs = model(**inputs)
        loss = kmlm_loss(outputs.logits, labels, terms)
        return (loss, outputs) if return_outputs else loss


def test_ten_steps_of_transformers_trainer_have_the_losses_of_our_loop(corpus, tmp_path):
    config = TrainingConfig(
        model=SMALL, records_per_step=12, max_length=96, schedule_steps=20, lr_warmup=3, lr=2e-3
    )
    kgcorpus.train("kmlm", corpus, tmp_path / "RUN", config=config, max_steps=10)
    lines = [json.loads(line) for line in (tmp_path / "RUN" / "metrics.jsonl").read_text().splitlines()]
    expected = [line["loss"] for line in lines if "loss" in line]

    tokenizer = open_tokenizer(tmp_path / "RUN" / "tokenizer", corpus, None, config, tables=STREAMS)
    records = RecordDataset(corpus, STREAMS, tokenizer, max_length=96, language_exponent=0.3)
    model = load_lm(config, tokenizer, longest=96).lm
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr)
    # That of transformers begins at 0, ours at the first fraction of the peak.
    phase = Phase(0, steps=20, peak=1.0, warmup=3)
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "HF"),
        per_device_train_batch_size=36,
        max_steps=10,
        logging_steps=1,
        max_grad_norm=config.grad_clip,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = KmlmTrainer(
        model=model,
        args=arguments,
        train_dataset=records,
        data_collator=KmlmCollator(tokenizer, with_terms=True),
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, phase.rate)),
    )
    trainer.train()
    found = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(found) == len(expected) == 10
    # The Trainer rounds its log to four places.
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_model_of_transformers_takes_a_batch_without_terms(corpus, tokenizer):
    records = RecordDataset(corpus, "plain_text", tokenizer, max_length=96)
    batch = next(iter(DataLoader(records, batch_size=8, collate_fn=KmlmCollator(tokenizer))))
    config = TrainingConfig(model=SMALL, max_length=96)
    model = load_lm(config, tokenizer, longest=96).lm
    loss = model(**batch).loss
    terms = torch.zeros(8, dtype=torch.int64)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    torch.testing.assert_close(loss, kmlm_loss(logits, batch["labels"], terms))


def test_records_come_in_our_loops_order_and_resume_exactly(corpus, tokenizer, files):
    records = RecordDataset(corpus, STREAMS, tokenizer, max_length=96)
    found = ids_of(records, 1500)
    for i, stream in enumerate(("plain", "code_switched", "reasoning")):
        own = ShardStream(files[stream], name=stream, seed=0, max_length=96)
        assert found[i::3] == [record.id for record in own.take(500)]
    again = RecordDataset(corpus, STREAMS, tokenizer, max_length=96)
    assert ids_of(again, 700) == found[:700]
    state = json.loads(json.dumps(again.state_dict()))
    resumed = RecordDataset(corpus, STREAMS, tokenizer, max_length=96)
    resumed.load_state_dict(state)
    assert ids_of(resumed, 800) == found[700:]
    assert ids_of(again, 800) == found[700:]
    with pytest.raises(ValueError, match="no row group"):
        resumed.load_state_dict({"next": 0, "streams": [{"epoch": 0, "group": 10**6, "record": 0}] * 3})


def test_ranks_and_workers_read_disjoint_records(corpus, tokenizer):
    whole = ids_of(RecordDataset(corpus, "reasoning", tokenizer, max_length=96), 60)
    by_rank = [
        ids_of(RecordDataset(corpus, "reasoning", tokenizer, max_length=96, rank=rank, world=3), 20)
        for rank in range(3)
    ]
    assert [by_rank[i % 3][i // 3] for i in range(60)] == whole
    records = RecordDataset(corpus, "reasoning", tokenizer, max_length=96)
    loader = DataLoader(records, batch_size=5, num_workers=2, collate_fn=lambda part: [r.id for r in part])
    batches = [batch for batch, _ in zip(loader, range(12), strict=False)]
    assert sorted(name for batch in batches for name in batch) == sorted(whole)


def test_a_missing_shard_is_an_error_with_a_hint(corpus, tokenizer):
    with pytest.raises(InputError, match="has no train records of trelm"):
        RecordDataset(corpus, "trelm", tokenizer)
    with pytest.raises(UsageError, match="no such table"):
        RecordDataset(corpus, "plain", tokenizer)
    with pytest.raises(InputError, match="within max_length"):
        RecordDataset(corpus, "reasoning", tokenizer, max_length=4)


@pytest.mark.parametrize("path", ["", "s3://bucket/OUT"])
def test_only_the_path_of_a_folder_is_read(path, corpus, tokenizer, monkeypatch):
    monkeypatch.chdir(corpus)
    with pytest.raises(UsageError):
        RecordDataset(path, "plain_text", tokenizer)


def test_code_switched_and_cycle_masks_are_those_of_the_paper(corpus, tokenizer):
    records = RecordDataset(corpus, STREAMS, tokenizer, max_length=96)
    stream = iter(records)
    taken = [next(stream) for _ in range(90)]
    batch = KmlmCollator(tokenizer, with_terms=True, pad_to_multiple_of=8)(taken)
    assert batch["input_ids"].shape[1] % 8 == 0
    assert batch["terms"].tolist() == [0, 1, 2] * 30
    for i, record in enumerate(taken):
        n = len(record.ids)
        labels, ids = batch["labels"][i].numpy(), batch["input_ids"][i].numpy()
        assert batch["attention_mask"][i].sum() == n
        predicted = labels != -100
        assert not predicted[n:].any()
        assert (labels[:n][predicted[:n]] == record.ids[predicted[:n]]).all()
        if record.kind == "code_switched":
            assert (record.slot[predicted[:n]] > 0).all()
        if record.kind == "cycle3":
            assert set(record.slot[predicted[:n]].tolist()) == {2}
            assert (ids[predicted] == tokenizer.mask_token_id).all()
    plain = KmlmCollator(tokenizer, reasoning_mask="plain")(taken)
    assert not torch.equal(plain["labels"], KmlmCollator(tokenizer)(taken)["labels"])


def test_trelm_targets_carry_a_true_fact(tmp_path):
    world = write_world(tmp_path / "world")
    texts = [row["text"] for row in passages_of(60)] + list(LABELS.values())
    tokenizer = make_tokenizer(texts, vocab_size=340, max_length=128)
    records = RecordDataset(world, "trelm", tokenizer, max_length=128)
    entities = {qid: i for i, qid in enumerate(sorted(LABELS))}
    relations = {"P19": 0, "P17": 1}
    collate = TrelmCollator(tokenizer, entities=entities, relations=relations)
    stream = iter(records)
    taken = [next(stream) for _ in range(40)]
    batch = collate(taken)
    names = sorted(LABELS)
    assert len(batch["target_spans"]) > 20
    for (row, start, end), entity, relation, other, direction in zip(
        batch["target_spans"].tolist(),
        batch["target_entity"].tolist(),
        batch["fact_relation"].tolist(),
        batch["fact_other"].tolist(),
        batch["fact_direction"].tolist(),
        strict=True,
    ):
        (mention,) = [m for m in taken[row].mentions if m["start"] == start]
        assert (mention["end"], mention["qid"], mention["long_tail"]) == (end, names[entity], True)
        fact = {
            "r": ("P19", "P17")[relation],
            "other": names[other],
            "direction": "tail" if direction == 1 else "head",
        }
        assert any(fact.items() <= triple.items() for triple in mention["triples"])
    empty = TrelmCollator(tokenizer, entities={}, relations={})(taken)
    assert empty["target_spans"].shape == (0, 3)
    assert torch.equal(empty["labels"], batch["labels"])


def test_jakets_removed_mentions_are_masks_without_labels(request):
    corpus = request.getfixturevalue("jaket_corpus")
    tokenizer = request.getfixturevalue("jaket_tokenizer")
    records = RecordDataset(corpus, "jaket_text", tokenizer, max_length=64)
    stream = iter(records)
    taken = [next(stream) for _ in range(40)]
    qids = sorted({m["qid"] for record in taken for m in record.mentions})
    known = {qid: i for i, qid in enumerate(qids[::2])}
    batch = JaketCollator(tokenizer, entities=known, removed_share=0.3)(taken)
    spans, removed = batch["mention_spans"].tolist(), batch["removed"].tolist()
    expected = sum(m["qid"] in known for record in taken for m in record.mentions)
    assert len(spans) == len(removed) == expected
    assert 0.1 < np.mean(removed) < 0.5
    for (row, start, end), entity, gone in zip(spans, batch["mention_entity"].tolist(), removed, strict=True):
        (mention,) = [m for m in taken[row].mentions if (m["start"], m["end"]) == (start, end)]
        assert known[mention["qid"]] == entity
        if gone:
            assert (batch["input_ids"][row, start:end] == tokenizer.mask_token_id).all()
            assert (batch["labels"][row, start:end] == -100).all()
    assert (batch["labels"] != -100).any()
    made = ensure_tokens(corpus, "jaket_text", tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
    assert [r.id for r in taken] == [
        r.id for r in ShardStream(made, name="jaket", seed=0, max_length=64).take(40)
    ]
