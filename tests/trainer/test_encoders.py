"""Records that share a row have the states and scores that each has alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForMaskedLM

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from tests.trainer.trelm.world import write_vectors, write_world
from trainer.config import TrainingConfig
from trainer.encoders import ENCODERS
from trainer.masked_lm import PackedMaskedLM
from trainer.metrics_log import read_metrics
from trainer.packing import pack
from trainer.run import train

VOCABULARY, PAD = 60, 1
SIZES = np.array([5, 23, 9, 2, 17, 11])
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": PAD,
    # Larger than the usual .02, so that what crosses a border is seen.
    "initializer_range": 0.5,
}
RELATIVE = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_buckets": 4,
    "max_relative_positions": -1,
    "position_biased_input": False,
    "type_vocab_size": 0,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {}),
    "roberta": ("Roberta", {}),
    "xlm-roberta": ("XLMRoberta", {}),
    "camembert": ("Camembert", {}),
    "xlm-roberta-xl": ("XLMRobertaXL", {}),
    "electra": ("Electra", {"embedding_size": 8}),
    "deberta-v3": ("DebertaV2", RELATIVE),
    "deberta-v3, new head": ("DebertaV2", {**RELATIVE, "legacy": False}),
    "deberta-v2 with a convolution": (
        "DebertaV2",
        {**RELATIVE, "conv_kernel_size": 3, "conv_act": "gelu", "position_buckets": 8},
    ),
    # The window is smaller than the longer records.
    "modernbert": ("ModernBert", {"local_attention": 6, "global_attn_every_n_layers": 3}),
}


def small(name: str, **changed: Any) -> Any:
    """A model with random weights in float64, in evaluation mode."""
    kind, own = FAMILIES[name]
    config = getattr(transformers, f"{kind}Config")(**{**COMMON, **own, **changed})
    torch.manual_seed(0)
    lm = AutoModelForMaskedLM.from_config(config)
    with torch.no_grad():
        for parameter in lm.parameters():
            # New biases are 0 and new norms 1, which would hide those that are left out.
            parameter.add_(0.1 * torch.randn_like(parameter))
    return lm.double().eval()


def scores_alone(lm: Any, ids: torch.Tensor) -> torch.Tensor:
    """The logits [tokens, vocabulary] of transformers' own forward pass, a record at a time."""
    return torch.cat([lm(input_ids=record[None]).logits[0] for record in ids.split(SIZES.tolist())])


@pytest.fixture(scope="module", params=FAMILIES)
def lm(request: pytest.FixtureRequest) -> Any:
    return small(request.param)


def packed_inputs(ids: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    rows = pack(ids.numpy().astype(np.int32), SIZES, length=32, pad=PAD)
    arrays = (rows.ids, rows.segments, rows.positions)
    return [torch.as_tensor(array) for array in arrays], torch.as_tensor(rows.flat)


def test_every_family_has_a_model_here() -> None:
    built = {getattr(transformers, f"{kind}Config").model_type for kind, _ in FAMILIES.values()}
    assert built == set(ENCODERS)


def test_packed_scores_and_gradients_are_those_of_each_record_alone(lm: Any) -> None:
    ids = torch.randint(2, VOCABULARY, (int(SIZES.sum()),), generator=torch.Generator().manual_seed(1))
    model = PackedMaskedLM(lm)
    inputs, flat = packed_inputs(ids)
    assert len(inputs[0]) < len(SIZES)
    expected = scores_alone(lm, ids)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2)).double()
    (expected * weights).sum().backward()
    own = {name: weight.grad for name, weight in lm.named_parameters() if weight.grad is not None}
    gradients = {name: gradient.clone() for name, gradient in own.items()}
    lm.zero_grad()
    scores = model.logits(model.states(*inputs).flatten(0, 1)[flat])
    torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-8)
    (scores * weights).sum().backward()
    for name, gradient in gradients.items():
        found = lm.get_parameter(name).grad
        torch.testing.assert_close(found, gradient, rtol=1e-6, atol=1e-8)
    lm.zero_grad()


def test_states_at_some_places_are_those_of_all_states(lm: Any) -> None:
    ids = torch.randint(2, VOCABULARY, (int(SIZES.sum()),), generator=torch.Generator().manual_seed(1))
    model = PackedMaskedLM(lm)
    inputs, flat = packed_inputs(ids)
    at = flat[torch.tensor([3, 40, 3, 0, 66])]
    found, expected = model.states(*inputs, at=at), model.states(*inputs).flatten(0, 1)[at]
    torch.testing.assert_close(found, expected)
    parameters = [weight for weight in lm.parameters() if weight.requires_grad]
    ours, theirs = (
        torch.autograd.grad(states.square().sum(), parameters, allow_unused=True)
        for states in (found, expected)
    )
    torch.testing.assert_close(
        [gradient for gradient in ours if gradient is not None],
        [gradient for gradient in theirs if gradient is not None],
    )
    nothing = model.states(*inputs, at=flat[:0])
    assert nothing.shape == (0, 16)


def saved_and_gradients(
    model: PackedMaskedLM, inputs: list[torch.Tensor], at: torch.Tensor, parameters: list[torch.Tensor]
) -> tuple[int, list[torch.Tensor]]:
    """Numbers that a forward pass keeps for the backward pass, and the gradients; with the same dropout."""
    saved: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel())
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.states(*inputs, at=at).square().sum()
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return sum(saved), [gradient for gradient in gradients if gradient is not None]


def test_checkpointed_activations_change_no_gradient_and_save_tensors(lm: Any) -> None:
    ids = torch.randint(2, VOCABULARY, (int(SIZES.sum()),), generator=torch.Generator().manual_seed(1))
    model, found = PackedMaskedLM(lm), []
    inputs, flat = packed_inputs(ids)
    parameters = [weight for weight in lm.parameters() if weight.requires_grad]
    lm.train()
    for checkpointed in (False, True):
        if checkpointed:
            lm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        found.append(saved_and_gradients(model, inputs, flat[::3], parameters))
    lm.gradient_checkpointing_disable()
    lm.eval()
    torch.testing.assert_close(found[0][1], found[1][1])
    assert found[1][0] < 0.5 * found[0][0]


def test_few_places_save_a_tenth_of_the_flops_of_six_layers() -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 6}
    lm = AutoModelForMaskedLM.from_config(transformers.BertConfig(**{**COMMON, **sizes}))
    model, ids = PackedMaskedLM(lm), torch.randint(2, VOCABULARY, (8, 32))
    segments, positions = torch.ones_like(ids), torch.arange(32).expand_as(ids)
    predicted = torch.arange(0, 256, 7)
    counts = []
    for some in (True, False):
        with FlopCounterMode(display=False) as counter:
            if some:
                states = model.states(ids, segments, positions, at=predicted)
            else:
                states = model.states(ids, segments, positions).flatten(0, 1)[predicted]
            states.sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] < 0.91 * counts[1]


def test_the_parts_of_the_head_make_its_scores(lm: Any) -> None:
    model = PackedMaskedLM(lm)
    states = torch.randn(7, 16, generator=torch.Generator().manual_seed(3)).double()
    by_parts = model.transform(states) @ model.table.T + model.bias
    torch.testing.assert_close(model.logits(states), by_parts)
    own = set(map(id, lm.parameters()))
    assert {id(parameter) for parameter in model.transform_parameters()} <= own
    assert len(model.layers) == 3


def test_blocks_are_refused_where_the_layers_are_others(lm: Any) -> None:
    model = PackedMaskedLM(lm)
    if ENCODERS[lm.config.model_type].SPLITS:
        model.require("SPLITS", "this")
        ids = torch.randint(2, VOCABULARY, (1, 9))
        segments, positions = torch.ones_like(ids), torch.arange(9)[None]
        below = model.run_layers(slice(0, 2), model.embed(ids, positions), segments)
        states = model.run_layers(slice(2, None), below, segments)
        torch.testing.assert_close(states, model.states(ids, segments, positions))
    else:
        with pytest.raises(UsageError, match="this does not work with a model of type"):
            model.require("SPLITS", "this")


def run(base: Path, corpus: Path, out: Path, steps: int, **settings: Any) -> None:
    config = TrainingConfig(
        base_model=str(base),
        records_per_step=6,
        rows_per_forward=2,
        schedule_steps=6,
        max_length=96,
        **settings,
    )
    train("kmlm", corpus=corpus, out=out, config=config, max_steps=steps)


@pytest.fixture
def base(
    request: pytest.FixtureRequest, tmp_path: Path, tokenizer: transformers.PreTrainedTokenizerFast
) -> Path:
    """A folder with a small model of a family, and a tokenizer."""
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 104}
    lm = small(request.param, pad_token_id=tokenizer.pad_token_id, **sizes)
    folder = tmp_path / "base"
    lm.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "base",
    [
        "modernbert",
        "deberta-v2 with a convolution",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("camembert", "electra", "deberta-v3", "xlm-roberta-xl")
        ),
    ],
    indirect=True,
)
def test_a_family_trains_resumes_exactly_and_opens_in_transformers(
    base: Path, corpus: Path, tmp_path: Path
) -> None:
    run(base, corpus, tmp_path / "whole", 4)
    for steps in (2, 4):
        run(base, corpus, tmp_path / "resumed", steps)
    whole, resumed = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "resumed")
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    first = load_file(base / "model.safetensors")
    assert any(not torch.equal(whole[name], first[name]) for name in whole)
    lm, loading = AutoModelForMaskedLM.from_pretrained(tmp_path / "whole" / "model", output_loading_info=True)
    assert not loading["missing_keys"]
    assert lm.config.model_type in ENCODERS


@pytest.mark.parametrize("base", ["modernbert"], indirect=True)
def test_jaket_refuses_a_family_whose_layers_it_cannot_split(base: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", jaket_rows(), row_group=20)
    config = TrainingConfig(base_model=str(base), max_length=96)
    with pytest.raises(UsageError, match="jaket does not work with a model of type modernbert"):
        train("jaket", corpus=corpus, out=tmp_path / "run", config=config, max_steps=1)


def trelm_settings(base: Path, vectors: Path, mode: str, **own: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "base_model": str(base),
            "records_per_step": 6,
            "max_length": 96,
            "trelm": {
                "kge": str(write_vectors(vectors)),
                "memory": {"word_quantiles": [0.0, 0.8]},
                "routing": {"mode": mode},
                **own,
            },
        }
    )


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("electra", "trelm needs word embeddings as wide as the states"),
    ],
    indirect=["base"],
)
def test_trelm_refuses_models_that_it_cannot_train(base: Path, tmp_path: Path, said: str) -> None:
    config = trelm_settings(base, tmp_path / "vectors", "none")
    with pytest.raises(UsageError, match=said):
        train(
            "trelm", corpus=write_world(tmp_path / "world"), out=tmp_path / "run", config=config, max_steps=1
        )


def test_modernbert_names_the_transformers_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = small("modernbert")
    monkeypatch.setattr("trainer.encoders.version", lambda package: "4.57.1")
    with pytest.raises(EnvironmentLacksError, match=r"needs transformers 5 or newer, not 4\.57\.1"):
        PackedMaskedLM(lm)


@pytest.mark.slow
@pytest.mark.parametrize("base", ["modernbert", "deberta-v3", "xlm-roberta-xl"], indirect=True)
def test_trelm_trains_other_families_without_routing(base: Path, tmp_path: Path) -> None:
    config = trelm_settings(base, tmp_path / "vectors", "none")
    corpus, out = write_world(tmp_path / "world"), tmp_path / "run"
    train("trelm", corpus=corpus, out=out, config=config, max_steps=2)
    assert [line["loss_mlm"] > 0 for line in read_metrics(out / "metrics.jsonl")] == [True, True]


@pytest.mark.parametrize("base", ["deberta-v3"], indirect=True)
def test_routing_refuses_blocks_that_it_does_not_know(base: Path, tmp_path: Path) -> None:
    config, corpus = trelm_settings(base, tmp_path / "vectors", "exact"), write_world(tmp_path / "world")
    with pytest.raises(UsageError, match=r"model of type deberta-v2.*Set trelm\.routing\.mode: none"):
        train("trelm", corpus=corpus, out=tmp_path / "run", config=config, max_steps=2)


@pytest.mark.parametrize("base", ["modernbert"], indirect=True)
def test_routing_of_modernbert_trains_both_halves_of_its_rows_and_resumes(base: Path, tmp_path: Path) -> None:
    corpus = write_world(tmp_path / "world")
    config = trelm_settings(base, tmp_path / "vectors", "exact", warmup_steps=1)
    for name, stops in (("whole", [3]), ("parts", [1, 2, 3])):
        for steps in stops:
            train("trelm", corpus=corpus, out=tmp_path / name, config=config, max_steps=steps)
    first = load_file(tmp_path / "parts" / "checkpoints" / "step-00000002" / "model.safetensors")
    whole, parts = (load_file(tmp_path / n / "model" / "model.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    lines = (tmp_path / "whole" / "routes.jsonl").read_text().splitlines()
    routes = {route["layer"]: set(route["rows"]) for route in map(json.loads, lines)}
    assert routes
    for layer in range(3):
        moved = {
            part: (whole[name] != first[name]).any(dim=axis).nonzero().flatten().tolist()
            for part, axis in (("Wi", 1), ("Wo", 0))
            for name in [f"model.layers.{layer}.mlp.{part}.weight"]
        }
        rows = routes.get(layer, set())
        assert set(moved["Wo"]) == rows
        assert set(moved["Wi"]) == rows | {row + 24 for row in rows}
