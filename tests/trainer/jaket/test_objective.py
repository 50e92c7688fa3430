import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from kgcorpus.config import load
from kgcorpus.contracts.errors import InputError, UsageError
from tests.trainer.jaket.toy import jaket_rows, relation_rows
from tests.trainer.measuring import without_costs
from tests.trainer.toy import with_validation, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.model import JaketModel
from trainer.jaket.objective import Jaket
from trainer.loop import gradients
from trainer.metrics_log import read_metrics
from trainer.run import train
from trainer.tokenizer import make_tokenizer

CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400, dropout=0.1),
    max_length=64,
    schedule_steps=60,
    checkpoint_every=6,
    jaket=JaketConfig(
        passages=8, roots=16, gat_heads=2, description_length=16, km_lr_scale=2.0, memory_first_interval=5
    ),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rows = {**jaket_rows(), "relations": relation_rows()}
    return write_corpus(tmp_path_factory.mktemp("corpus"), rows, row_group=20)


@pytest.fixture(scope="module")
def tokenizer():
    texts = [row["text"] for table in ("jaket_entities", "jaket_text") for row in jaket_rows()[table]]
    return make_tokenizer(texts, vocab_size=400, max_length=64)


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """A run of 14 steps in one go."""
    out = tmp_path_factory.mktemp("whole")
    train("jaket", corpus=corpus, out=out, config=CONFIG, max_steps=14)
    return out


def with_options(**options):
    return CONFIG.model_copy(update={"jaket": CONFIG.jaket.model_copy(update=options)})


def lines(out):
    return read_metrics(out / "metrics.jsonl")


def assert_same_run(one, other):
    assert without_costs(lines(one)) == without_costs(lines(other))
    for name in ("model.safetensors", "memory.safetensors", "lm1_before_training.safetensors"):
        weights, others = load_file(one / "model" / name), load_file(other / "model" / name)
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[key], others[key]) for key in weights)


def test_a_resumed_run_has_the_losses_memory_and_weights_of_an_uninterrupted_one(corpus, tmp_path, whole):
    # One stop right before a sweep, one right after, one between.
    for steps in (5, 6, 8, 14):
        train("jaket", corpus=corpus, out=tmp_path, config=CONFIG, max_steps=steps)
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize(
    "options", [{"merge": "gate"}, {"merge": "norm_at_mentions", "relation_embeddings": "texts"}], ids=str
)
def test_a_run_with_options_is_resumed_exactly(corpus, tmp_path, options):
    for name, stops in (("whole", (7,)), ("resumed", (4, 6, 7))):
        for steps in stops:
            train(
                "jaket", corpus=corpus, out=tmp_path / name, config=with_options(**options), max_steps=steps
            )
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


def test_each_interval_gives_a_sweep_in_the_metrics(whole):
    events = [line for line in lines(whole) if "event" in line]
    assert [(line["step"], line["event"]) for line in events] == [
        (0, "memory_fill"),
        (5, "memory_sweep"),
        (10, "memory_sweep"),
    ]
    losses = [line for line in lines(whole) if "loss" in line]
    assert [line["step"] for line in losses] == list(range(1, 15))
    for line in losses:
        parts = [line[f"loss_{name}"] for name in ("category", "relation", "token", "entity")]
        assert line["loss"] == pytest.approx(sum(parts), rel=1e-6)


def test_a_checkpoint_opens_as_a_whole(whole):
    newest = whole / "checkpoints" / "step-00000014"
    _, report = JaketModel.from_pretrained(newest, output_loading_info=True)
    assert not report["missing_keys"]
    assert load_file(newest / "memory.safetensors")["context"].shape == (60, 16)
    assert json.loads((newest / "state.json").read_text())["objective"]["sweeps"] == 2


def test_the_memory_of_the_weights_that_are_kept_as_the_first_made_the_first_memory(
    corpus, tokenizer, accelerator, whole
):
    """With LM1 as it was before training, the model's memory is the one that training began with."""
    objective = Jaket(CONFIG, corpus=corpus, tokenizer=tokenizer)
    first = load_file(whole / "model" / "lm1_before_training.safetensors")
    weights = objective.model.jaket.lm.state_dict()
    trained = load_file(whole / "model" / "model.safetensors")
    assert first
    assert all(torch.equal(weights[name], first[name]) for name in first)
    assert any(not torch.equal(trained[f"lm.{name}"], first[name]) for name in first)


def test_the_unseen_are_in_no_task(corpus, tokenizer):
    objective = Jaket(with_options(unseen_share=0.4), corpus=corpus, tokenizer=tokenizer)
    entities = objective._tasks.entities
    unseen = set(np.flatnonzero(entities.unseen(0.4, 0)).tolist())
    assert 10 < len(unseen) < 40
    assert not unseen & set(objective._tasks.graph.neighbours.tolist())
    for step in range(4):
        for batch in objective.next_step(step):
            wanted = batch.inputs["wanted"]
            assert not unseen & set(wanted.tolist())
            read = (batch.inputs["nodes"], batch.inputs["candidates"])
            assert {row for rows in read for row in rows.ravel().tolist()} == set(range(len(wanted)))


def test_what_is_made_ahead_changes_no_step_and_no_state(corpus, tokenizer):
    """A state holds what was asked for, not what was read for the next step."""

    def ids(objective, steps):
        return [objective.next_step(step)[0].inputs["ids"].tolist() for step in steps]

    one, other = (Jaket(CONFIG, corpus=corpus, tokenizer=tokenizer) for _ in range(2))
    expected = ids(one, range(5))
    assert ids(other, range(2)) == expected[:2]
    state = other.state()
    assert ids(other, [2]) == expected[2:3]
    other.load_state(state)
    assert other.state() == state
    assert ids(other, range(2, 5)) == expected[2:]
    assert other.state() == one.state()


def test_the_roots_of_an_epoch_are_all_known_entities_once(corpus, tokenizer):
    objective = Jaket(with_options(unseen_share=0.0, roots=15), corpus=corpus, tokenizer=tokenizer)
    epochs = [np.concatenate([objective._roots(step) for step in range(4 * e, 4 * e + 4)]) for e in range(2)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(60))
    assert epochs[0].tolist() != epochs[1].tolist()


def test_two_ranks_have_the_sums_of_one(corpus, tokenizer, accelerator):
    def sums(rank, world):
        objective = Jaket(CONFIG, corpus=corpus, tokenizer=tokenizer, rank=rank, world=world)
        objective.before_step(0, None, accelerator)
        objective.model.eval()
        (batch,) = objective.next_step(0)
        inputs = {name: torch.as_tensor(array) for name, array in batch.inputs.items()}
        return objective.model(**inputs), batch.counts

    one, two = sums(0, 1), [sums(rank, 2) for rank in range(2)]
    torch.testing.assert_close(one[0], two[0][0] + two[1][0], rtol=1e-4, atol=1e-4)
    assert (one[1] == two[0][1] + two[1][1]).all()


def test_the_loss_does_not_depend_on_the_cut_into_forward_passes(corpus, tokenizer, accelerator):
    found = []
    for rows in (3, 100):
        config = CONFIG.model_copy(update={"rows_per_forward": rows})
        objective = Jaket(config, corpus=corpus, tokenizer=tokenizer)
        objective.before_step(0, None, accelerator)
        objective.model.eval()
        batches = objective.next_step(0)
        result = gradients(objective.model, batches, objective.terms, accelerator)
        found.append((len(batches), result.loss))
    assert found[0][0] == 3 > found[1][0] == 1
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-5)


@pytest.mark.parametrize("merge", ["norm", "norm_at_mentions", "gate"])
def test_all_parameters_learn_and_the_language_model_at_its_own_rate(corpus, tokenizer, accelerator, merge):
    options = with_options(relation_embeddings="trained", merge=merge)
    objective = Jaket(options, corpus=corpus, tokenizer=tokenizer)
    objective.before_step(0, None, accelerator)
    gradients(objective.model, objective.next_step(0), objective.terms, accelerator)
    model = objective.model.jaket
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    groups = objective.parameter_groups(0.1)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    rates = {id(p): group.get("lr_scale", 1.0) for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in model.lm.parameters()} == {1.0}
    assert {rates[id(p)] for p in (*model.knowledge.parameters(), *model.category_head.parameters())} == {2.0}
    assert all((p.ndim > 1) == (group["weight_decay"] > 0) for group in groups for p in group["params"])


def test_relation_vectors_are_made_of_the_labels_that_the_build_has(corpus, tokenizer, accelerator):
    """The loss is that of a table whose rows are written out: centred means of transformers' own states."""
    objective = Jaket(with_options(relation_embeddings="texts"), corpus=corpus, tokenizer=tokenizer)
    objective.before_step(0, None, accelerator)
    model = objective.model.eval()
    (batch,) = objective.next_step(0)
    inputs = {name: torch.as_tensor(array) for name, array in batch.inputs.items()}
    found = model(**inputs)
    rows = []
    for text in [f"{way}{label}" for way in ("", "inverse: ") for label in ("river of", "town in", "P3")]:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        states = model.jaket.lm(ids, output_hidden_states=True).hidden_states[1][0, 1:-1].detach()
        rows.append(states.mean(dim=0).double())
    apart = torch.stack(rows) - sum(rows) / len(rows)
    table = (apart / math.sqrt((apart**2).sum() / apart.numel())).float()
    model._relations = None
    model.jaket.knowledge.relations = torch.nn.Embedding.from_pretrained(table)
    torch.testing.assert_close(found, model(**inputs), rtol=1e-4, atol=1e-4)
    model.jaket.knowledge.relations = None
    assert not torch.allclose(found, model(**inputs), rtol=1e-3)


def test_relation_vectors_are_updated_with_the_memory_and_its_momentum(corpus, tokenizer, accelerator):
    objective = Jaket(with_options(relation_embeddings="texts"), corpus=corpus, tokenizer=tokenizer)
    objective.before_step(0, None, accelerator)
    first = objective.relations.states.clone()
    objective.before_step(4, None, accelerator)
    assert torch.equal(objective.relations.states, first)
    objective.relations.states.fill_(1.0)
    objective.before_step(5, None, accelerator)
    torch.testing.assert_close(objective.relations.states, 0.8 + 0.2 * first)


def test_relations_without_labels_are_refused(tokenizer, tmp_path):
    bare = write_corpus(tmp_path / "bare", jaket_rows())
    with pytest.raises(InputError, match="no label of its relations"):
        Jaket(with_options(relation_embeddings="texts"), corpus=bare, tokenizer=tokenizer)


@pytest.mark.parametrize(("warmup", "share"), [(0, 1.0), (4, 0.25)])
def test_the_knowledge_module_s_rate_has_a_warm_up_of_its_own(corpus, tmp_path, warmup, share):
    """Section 4.1: both rates decay linearly, but only the language model's has the warm-up."""
    config = with_options(km_lr_warmup=warmup).model_copy(update={"lr_warmup": 10, "lr": 1e-3})
    train("jaket", corpus=corpus, out=tmp_path, config=config, max_steps=1)
    saved = torch.load(tmp_path / "checkpoints" / "step-00000001" / "optimizer.pt", weights_only=True)
    text, text_vectors, knowledge, knowledge_vectors = (group["lr"] for group in saved["param_groups"])
    assert text == text_vectors == pytest.approx(1e-3 / 10)
    assert knowledge == knowledge_vectors == pytest.approx(2 * 1e-3 * share)


def test_epochs_set_the_schedule_and_max_steps_does_not(corpus, tokenizer, tmp_path):
    steps = {}
    for epochs in (1, 8, 0.5):
        config = TrainingConfig.model_validate(
            {**CONFIG.model_dump(exclude={"schedule_steps"}), "epochs": epochs}
        )
        steps[epochs] = Jaket(config, corpus=corpus, tokenizer=tokenizer).total_steps
    assert steps == {1: 6, 8: 48, 0.5: 3}
    null = CONFIG.model_copy(update={"schedule_steps": None})
    assert Jaket(null, corpus=corpus, tokenizer=tokenizer).total_steps == 6
    with pytest.raises(UsageError, match="epochs and schedule_steps both set the schedule"):
        load(TrainingConfig, None, overrides=["epochs=8", "schedule_steps=10"])
    eight = load(TrainingConfig, None, overrides=["epochs=8"])
    assert eight.schedule_steps is None
    config = CONFIG.model_copy(update={"schedule_steps": None, "epochs": 8.0, "lr_warmup": 0})
    train("jaket", corpus=corpus, out=tmp_path, config=config, max_steps=2)
    rates = [line["lr"] for line in lines(tmp_path) if "loss" in line]
    assert rates == pytest.approx([config.lr, config.lr * 47 / 48])


def test_without_neighbours_it_is_the_control_without_a_graph(corpus, tokenizer, accelerator):
    objective = Jaket(with_options(neighbours=0), corpus=corpus, tokenizer=tokenizer)
    objective.before_step(0, None, accelerator)
    (batch,) = objective.next_step(0)
    targets = np.unique(np.concatenate([batch.inputs[name].ravel() for name in ("merged", "pairs")]))
    assert len(batch.inputs["nodes"]) >= len(targets)
    assert batch.inputs["hop0_neighbours"].shape[1] == 0
    assert math.isfinite(gradients(objective.model, [batch], objective.terms, accelerator).loss)


def test_wrong_use_is_told(corpus, tokenizer, tmp_path):
    with pytest.raises(UsageError, match="fewer than 9 ranks"):
        Jaket(CONFIG, corpus=corpus, tokenizer=tokenizer, world=9)
    rows = jaket_rows()
    empty = write_corpus(tmp_path / "a", {**rows, "jaket_text": []})
    with pytest.raises(InputError, match="no passage"):
        Jaket(CONFIG, corpus=empty, tokenizer=tokenizer)


CODE = """
import sys
from trainer.config import TrainingConfig
from trainer.run import train
config = TrainingConfig.model_validate_json(sys.argv[3])
train("jaket", corpus=sys.argv[1], out=sys.argv[2], config=config, max_steps=int(sys.argv[4]))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_sweeps_included(corpus, tmp_path):
    # Without dropout, whose draws differ by rank.
    model = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)
    settings = {"model": model, "validate_every": 4, "validation_records": 15}
    config, corpus = (
        CONFIG.model_copy(update=settings),
        with_validation(shutil.copytree(corpus, tmp_path / "c")),
    )
    train("jaket", corpus=corpus, out=tmp_path / "one", config=config, max_steps=8)
    (tmp_path / "train.py").write_text(CODE)
    rest = [str(tmp_path / "train.py"), str(corpus), str(tmp_path / "two"), config.model_dump_json()]
    # The memory is held by two processes, then by one, then by two again.
    for processes, steps in ((2, 3), (1, 5), (2, 8)):
        number = f"--nproc-per-node={processes}"
        launch = [sys.executable, "-m", "torch.distributed.run", number, "--standalone"]
        environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
        subprocess.run([*launch, *rest, str(steps)], check=True, env=environment)
    one, two = (lines(tmp_path / name) for name in ("one", "two"))
    assert [line.get("event") for line in two] == [line.get("event") for line in one]
    losses = [[line["loss"] for line in run if "loss" in line] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    validations = [[line for line in run if "valid_loss" in line] for run in (one, two)]
    assert len(validations[0]) == 2
    for first, second in zip(*validations, strict=True):
        measured = {name for name in first if name.startswith("valid_")} - {"valid_seconds"}
        assert {f"valid_accuracy_{task}" for task in ("category", "relation", "token")} <= measured
        assert {n: second[n] for n in measured} == pytest.approx({n: first[n] for n in measured}, rel=1e-3)
    memories = [load_file(tmp_path / name / "model" / "memory.safetensors") for name in ("one", "two")]
    torch.testing.assert_close(memories[0]["context"], memories[1]["context"], rtol=1e-2, atol=1e-2)


@pytest.mark.slow
def test_the_losses_fall(corpus, tmp_path):
    config = CONFIG.model_copy(
        update={"model": ModelConfig(hidden=64, layers=2, heads=2, vocab_size=400), "lr": 3e-3}
    )
    train("jaket", corpus=corpus, out=tmp_path, config=config, max_steps=60)
    losses = [line for line in lines(tmp_path) if "loss" in line]
    # The toy's passages name entities at random: there is nothing to learn about a removed one.
    for name in ("loss", "loss_category", "loss_relation", "loss_token"):
        values = [line[name] for line in losses]
        assert np.mean(values[-10:]) < 0.95 * np.mean(values[:10]), name
