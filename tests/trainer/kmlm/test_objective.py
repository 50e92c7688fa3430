from collections import Counter

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import ENTITIES, RELATIONS, rows_of, sentence_rows, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.kmlm.config import KmlmConfig
from trainer.kmlm.objective import Kmlm, MaskedLoss
from trainer.loop import gradients
from trainer.masked_lm import PackedMaskedLM

SMALL = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)


def config_of(**options):
    return TrainingConfig(**{"model": SMALL, "records_per_step": 12, "max_length": 96, **options})


def tensors_of(batch):
    return {name: torch.from_numpy(array) for name, array in batch.inputs.items()}


def sums_of(module, batches):
    return torch.stack([module(**tensors_of(batch)) for batch in batches])


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_packed_records_have_the_loss_of_records_alone(files, tokenizer, family):
    kind, make = {"bert": (BertConfig, BertForMaskedLM), "roberta": (RobertaConfig, RobertaForMaskedLM)}[
        family
    ]
    torch.manual_seed(0)
    lm = make(
        kind(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=140,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).eval()
    # So far from zero that a wrong position or neighbour shows.
    torch.nn.init.normal_(lm.get_input_embeddings().weight)
    (batch,) = Kmlm(config_of(rows_per_forward=500), files=files, tokenizer=tokenizer).next_step(0)
    ids, segments = batch.inputs["ids"], batch.inputs["segments"]
    expected = torch.zeros(3, dtype=torch.float64)
    labels = np.full(ids.size, -100)
    labels[batch.inputs["where"]] = batch.inputs["labels"]
    term = np.zeros(ids.size, np.int64)
    term[batch.inputs["where"]] = batch.inputs["term"]
    labels, term = labels.reshape(ids.shape), term.reshape(ids.shape)
    records = 0
    for row in range(len(ids)):
        for segment in range(1, segments[row].max() + 1):
            own = segments[row] == segment
            records += 1
            if (labels[row][own] == -100).all():
                continue
            alone = lm(input_ids=torch.from_numpy(ids[row][own])[None])
            loss = torch.nn.functional.cross_entropy(
                alone.logits[0].double(), torch.from_numpy(labels[row][own]), reduction="sum"
            )
            expected[term[row][own][labels[row][own] != -100][0]] += loss.detach()
    assert records == 36
    assert (segments.max(axis=1) > 1).any()
    with torch.no_grad():
        sums = sums_of(MaskedLoss(PackedMaskedLM(lm), 3), [batch])[0]
    torch.testing.assert_close(sums.double(), expected, rtol=1e-5, atol=1e-5)


def test_the_loss_is_the_weighted_sum_of_each_stream_s_own_mean_however_cut(files, tokenizer):
    found = []
    for rows in (1, 3, 500):
        objective = Kmlm(config_of(rows_per_forward=rows), files=files, tokenizer=tokenizer)
        batches = objective.next_step(0)
        counts = sum(batch.counts for batch in batches)
        sums = sums_of(objective.model, batches).sum(dim=0)
        means = [s / n for s, n in zip(sums.tolist(), counts, strict=True)]
        result = gradients(objective.model, batches, objective.terms, Accelerator(cpu=True))
        assert result.loss == pytest.approx(means[0] + 0.3 * (means[1] + means[2]), rel=1e-5)
        assert list(result.means) == ["loss_plain", "loss_code_switched", "loss_reasoning"]
        assert list(result.means.values()) == pytest.approx(means, rel=1e-5)
        gradient = torch.cat([p.grad.flatten() for p in objective.model.parameters()])
        found.append((len(batches), gradient))
    assert found[0][0] > found[1][0] > found[2][0] == 1
    for _, gradient in found[1:]:
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-3, atol=1e-5)


def test_the_head_is_told_each_term_s_factor(files, tokenizer):
    """The gradient is that of a backward pass that was told nothing, at three products a head, not four."""
    objective = Kmlm(config_of(rows_per_forward=500), files=files, tokenizer=tokenizer)
    (batch,) = objective.next_step(0)
    torch.manual_seed(0)
    with FlopCounterMode(display=False) as told:
        gradients(objective.model, [batch], objective.terms, Accelerator(cpu=True))
    found = [p.grad for p in objective.model.parameters()]
    objective.model.zero_grad()
    torch.manual_seed(0)
    with FlopCounterMode(display=False) as untold:
        weights = torch.tensor([*objective.terms.values()]) / torch.from_numpy(batch.counts)
        inputs = {name: torch.as_tensor(array) for name, array in batch.inputs.items()}
        (objective.model(**inputs) * weights.float()).sum().backward()
    torch.testing.assert_close(found, [p.grad for p in objective.model.parameters()])
    table = objective.model.packed.table
    one_product = 2 * len(batch.inputs["labels"]) * table.numel()
    assert untold.get_total_flops() - told.get_total_flops() == one_product


def test_two_ranks_read_what_one_reads(files, tokenizer):
    (one,) = Kmlm(config_of(), files=files, tokenizer=tokenizer).next_step(0)
    ranks = [Kmlm(config_of(), files=files, tokenizer=tokenizer, rank=r, world=2) for r in range(2)]
    two = [rank.next_step(0)[0] for rank in ranks]
    assert Counter(one.records) == Counter(two[0].records + two[1].records)
    assert (one.counts == two[0].counts + two[1].counts).all()
    assert ranks[0].state() == ranks[1].state()
    assert ranks[0].total_steps == ranks[1].total_steps
    losses = [sums_of(ranks[0].model, [batch])[0] for batch in (one, *two)]
    torch.testing.assert_close(losses[0], losses[1] + losses[2], rtol=1e-5, atol=1e-5)


def test_two_ranks_validate_on_what_one_validates_on(files, tokenizer):
    config = config_of(validate_every=1, validation_records=9)

    def sample(**ranks):
        made = {"files": files, "validation_files": files, "tokenizer": tokenizer, **ranks}
        (batch,) = Kmlm(config, **made).validation()[""]
        return batch

    one, *two = sample(), sample(rank=0, world=2), sample(rank=1, world=2)
    assert Counter(one.records) == Counter(two[0].records + two[1].records)
    assert (one.counts == two[0].counts + two[1].counts).all()
    model = Kmlm(config, files=files, validation_files=files, tokenizer=tokenizer)
    losses = [sums_of(model.model.eval(), [batch])[0] for batch in (one, *two)]
    torch.testing.assert_close(losses[0], losses[1] + losses[2], rtol=1e-5, atol=1e-5)
    right = [
        {name: int(found.sum()) for name, found in model.right(batch, tensors_of(batch)).items()}
        for batch in (one, *two)
    ]
    assert all(right[0][name] == right[1][name] + right[2][name] for name in model.terms)


def test_the_accuracy_of_cycles_is_that_of_whole_hidden_relations(files, tokenizer):
    config = config_of(validate_every=1, validation_records=40)
    objective = Kmlm(config, files=files, validation_files=files, tokenizer=tokenizer)
    (batch,) = objective.validation()[""]
    inputs = tensors_of(batch)
    cycles = inputs["term"] == list(objective.terms).index("reasoning")
    asked = torch.tensor(batch.questions)
    # Hidden entities of cycles of four are predicted, but not asked for; nor is anything of other streams.
    assert (asked[cycles] < 0).any()
    assert (asked[~cycles] < 0).all()
    relations = asked[cycles & (asked >= 0)].unique()
    assert len(relations) > 10
    model = objective.model.packed
    model.best = lambda states: inputs["labels"]
    assert objective.right(batch, inputs)["reasoning"].tolist() == [True] * len(relations)
    # One wrong token of a relation makes it wrong; a wrong entity changes nothing.
    wrong = inputs["labels"].clone()
    wrong[(asked == relations[0]).nonzero()[-1]] += 1
    wrong[cycles & (asked < 0)] += 1
    model.best = lambda states: wrong
    assert objective.right(batch, inputs)["reasoning"].tolist() == [False] + [True] * (len(relations) - 1)


def test_a_rank_without_a_validation_record_has_no_batch(files, tokenizer):
    config = config_of(validate_every=1, validation_records=1)
    made = {"files": files, "validation_files": files, "tokenizer": tokenizer, "world": 4}
    found = [Kmlm(config, **made, rank=rank).validation()[""] for rank in range(4)]
    assert [sum(len(batch.records) for batch in part) for part in found] == [3, 0, 0, 0]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, tokenizer):
    """Token files of plain text in three languages: 600, 200 and 40 texts."""
    rows = [
        {"id": f"{lang}:{i}", "lang": lang, "text": f"a river flows through Ulm {i}.", "length": 128}
        for lang, n in (("en", 600), ("de", 200), ("ja", 40))
        for i in range(n)
    ]
    corpus = write_corpus(tmp_path_factory.mktemp("mixed"), {"plain_text": rows}, row_group=50)
    made = ensure_tokens(corpus, "plain_text", tokenizer.backend_tokenizer, mask_token="[MASK]")
    return {"plain": made["train"]}


@pytest.mark.parametrize("exponent", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("long_steps", [0, 28])
def test_both_phases_sample_languages_by_the_exponent(mixed, tokenizer, exponent, long_steps):
    kmlm = KmlmConfig(language_exponent=exponent, long_steps=long_steps, long_length=96)
    config = config_of(records_per_step=60, schedule_steps=1, kmlm=kmlm)
    objective = Kmlm(config, files=mixed, tokenizer=tokenizer)
    first = 1 if long_steps else 0
    names = [n for step in range(first, first + 28) for b in objective.next_step(step) for n in b.records]
    found = Counter(name.split(":")[0] for name in names)
    wanted = {lang: n**exponent for lang, n in (("en", 600), ("de", 200), ("ja", 40))}
    for lang, weight in wanted.items():
        assert found[lang] / len(names) == pytest.approx(weight / sum(wanted.values()), abs=0.02)


def test_language_sampling_is_the_same_after_a_resume_and_for_two_ranks(mixed, tokenizer):
    def records(objective, steps):
        return [sorted(name for b in objective.next_step(step) for name in b.records) for step in steps]

    one, again = (Kmlm(config_of(), files=mixed, tokenizer=tokenizer) for _ in range(2))
    expected = records(one, range(80))
    records(again, range(33))
    state = again.state()
    resumed = Kmlm(config_of(), files=mixed, tokenizer=tokenizer)
    resumed.load_state(state)
    assert records(resumed, range(33, 80)) == expected[33:]
    ranks = [Kmlm(config_of(), files=mixed, tokenizer=tokenizer, rank=r, world=2) for r in range(2)]
    halves = zip(*(records(rank, range(80)) for rank in ranks), strict=True)
    assert [sorted(a + b) for a, b in halves] == expected


def test_no_link_is_a_label(files, tokenizer):
    objective = Kmlm(config_of(), files=files, tokenizer=tokenizer)
    for step in range(5):
        for batch in objective.next_step(step):
            assert not set(batch.inputs["labels"].tolist()) & set(tokenizer.all_special_ids)


def test_nothing_to_predict_gives_a_loss_of_0(tmp_path, tokenizer):
    rows = sentence_rows("cycle3", [[(ENTITIES[0], RELATIONS[0], ENTITIES[1])]] * 20, prefix="r")
    for row in rows:
        row["slots"] = []
    corpus = write_corpus(tmp_path, {"reasoning": rows}, seed=1)
    files = ensure_tokens(corpus, "reasoning", tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
    objective = Kmlm(config_of(), files={"reasoning": files}, tokenizer=tokenizer)
    result = gradients(objective.model, objective.next_step(0), objective.terms, Accelerator(cpu=True))
    assert result.loss == 0
    assert result.means == {"loss_reasoning": 0}
    assert all((p.grad == 0).all() for p in objective.model.parameters())


def test_the_plain_stream_sets_the_epoch_without_it_the_longest(files, tokenizer):
    epoch = config_of(schedule_steps=None)
    assert Kmlm(epoch, files=files, tokenizer=tokenizer).total_steps == -(-400 // 12)
    without = {name: file for name, file in files.items() if name != "plain"}
    objective = Kmlm(epoch, files=without, tokenizer=tokenizer)
    assert set(objective.terms) == {"code_switched", "reasoning"}
    longest = max(stream.rows for stream in objective._streams.values())
    assert objective.total_steps == -(-longest // 12)


def test_the_ablation_masks_cycles_as_code_switched_text(files, tokenizer):
    whole, share = (
        Kmlm(
            config_of(kmlm=KmlmConfig(streams=("reasoning",), reasoning_mask=mask), records_per_step=200),
            files=files,
            tokenizer=tokenizer,
        ).next_step(0)
        for mask in ("relations", "plain")
    )
    for batches, masked in ((whole, 1.0), (share, 0.8)):
        hidden = [batch.inputs["ids"].flatten()[batch.inputs["where"]] for batch in batches]
        found = np.concatenate(hidden) == tokenizer.mask_token_id
        assert found.mean() == pytest.approx(masked, abs=0.06)


def test_long_steps_follow_on_long_plain_text_alone(tmp_path, tokenizer):
    rows = rows_of(20)
    rows["plain_text"] += [
        {**row, "id": "long" + row["id"], "length": 256, "text": " ".join([row["text"]] * 4)}
        for row in rows["plain_text"]
    ]
    corpus = write_corpus(tmp_path, rows)
    files = {
        stream: ensure_tokens(corpus, name, tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
        for stream, name in (("plain", "plain_text"), ("reasoning", "reasoning"))
    }
    config = config_of(max_length=128, schedule_steps=3, kmlm=KmlmConfig(long_length=256, long_steps=2))
    objective = Kmlm(config, files=files, tokenizer=tokenizer)
    assert objective.total_steps == 5
    main, long = objective.phases(config)
    assert (main.first, main.steps, main.peak) == (0, 3, config.lr)
    assert (long.first, long.steps, long.peak) == (3, 2, config.lr)
    objective.next_step(2)
    (batch,) = objective.next_step(3)
    assert len(batch.records) == 12 * 128 // 256
    assert all(name.startswith("long") for name in batch.records)
    assert batch.inputs["ids"].shape[1] == 256
    assert batch.counts[0] > 0 == batch.counts[1]
    del files["plain"]
    with pytest.raises(UsageError, match="plain"):
        Kmlm(config, files=files, tokenizer=tokenizer)


def test_a_corpus_without_records_and_more_ranks_than_records_are_errors(files, tokenizer):
    with pytest.raises(InputError, match="no records"):
        Kmlm(config_of(), files={"plain": []}, tokenizer=tokenizer)
    with pytest.raises(UsageError, match="fewer than 13 ranks"):
        Kmlm(config_of(), files=files, tokenizer=tokenizer, world=13)
