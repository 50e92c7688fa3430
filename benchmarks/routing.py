"""Seconds of a training step with routed feed-forward blocks beside dense training, masking and LoRA.

    python benchmarks/routing.py [--rounds 5] [--rows 4] [--length 128] [--layers 12]

The model has roberta-base's shapes and random weights, so that nothing is downloaded; which layers
attribution keeps of these says nothing, so the depth cut that follows from it is printed apart. A step is
forward, backward, clipping, AdamW and, where there is one, the write-back. In each round every way has one
step untimed and one timed; the rounds are interleaved and the median is kept. All ways but LoRA share one
model. The loss is masked-language modelling with logits at the predicted tokens only. Writes
benchmarks/results/routing.{json,md}.
"""

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel, RobertaConfig, RobertaForMaskedLM

from trainer.masked_lm import PackedMaskedLM
from trainer.trelm.model import sampled_log_probability
from trainer.trelm.routing.attribution import Rows, attribute, select
from trainer.trelm.routing.layers import RoutedLayers

RESULTS = Path(__file__).parent / "results"
SHARE, REROUTE_EVERY, CKA_TOKENS, NEGATIVES = 0.1, 200, 64, 64
GOALS = {"exact": 1.45, "path": 1.85, "exact, cut at L/2": 1.95, "path, cut at L/2": 2.35}


class Model(nn.Module):
    """The language model, and in the place of the injection a vector that is added to the words."""

    def __init__(self, lm: PreTrainedModel) -> None:
        super().__init__()
        self.packed = PackedMaskedLM(lm)
        self.injection = nn.Parameter(torch.zeros(lm.config.hidden_size))

    def states(self, batch: "Batch") -> Tensor:
        words = self.packed.words(batch.ids) + self.injection
        ones = torch.ones_like(batch.ids)
        positions = torch.arange(batch.ids.shape[1]).expand_as(batch.ids)
        return self.packed.states(batch.ids, ones, positions, words=words).flatten(0, 1)[batch.where]

    def loss(self, batch: "Batch") -> Tensor:
        return nn.functional.cross_entropy(self.packed.logits(self.states(batch)), batch.labels)

    @property
    def head(self) -> list[nn.Parameter]:
        """The transform of the head."""
        head = self.packed.lm.lm_head
        return [*head.dense.parameters(), *head.layer_norm.parameters()]


@dataclass
class Batch:
    ids: Tensor
    where: Tensor
    labels: Tensor


@dataclass
class Session:
    """A way of training that is set up: what it trains and what follows the backward pass."""

    model: Model
    optimizer: torch.optim.Optimizer
    after_backward: Callable[[], None] = lambda: None
    after_step: Callable[[], None] = lambda: None
    leave: Callable[[], None] = lambda: None

    def step(self, batch: Batch) -> None:
        self.model.loss(batch).backward()
        self.after_backward()
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        self.optimizer.step()
        self.after_step()


@dataclass
class Measured:
    seconds: list[float] = field(default_factory=list)
    flops: int = 0
    gradients: int = 0
    moments: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--layers", type=int, default=12)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, num_hidden_layers=arguments.layers, type_vocab_size=1
    )
    model = Model(RobertaForMaskedLM(config))
    batch = make_batch(arguments.rows, arguments.length, config.vocab_size)
    began = time.perf_counter()
    scores = attribution(model, batch)
    attribution_seconds = time.perf_counter() - began
    found = select(scores, share=SHARE)
    upper = select(scores, share=SHARE, lowest=arguments.layers // 2)
    drawn = select(torch.rand(scores.shape), share=SHARE)
    enter_dense = dense(model)
    ways: dict[str, Callable[[], Session]] = {
        "dense": enter_dense,
        "exact": routed(model, found, path=False),
        "path": routed(model, found, path=True),
        "exact, own cut": routed(model, found, path=False, cut=True),
        "path, own cut": routed(model, found, path=True, cut=True),
        "exact, cut at L/2": routed(model, upper, path=False, cut=True),
        "path, cut at L/2": routed(model, upper, path=True, cut=True),
        "exact, random 10 %": routed(model, drawn, path=False),
        "gradient masking": masked(model, found, enter_dense),
        "LoRA of equal size": lora(model, found),
    }
    measured = {name: Measured() for name in ways}
    for number in range(arguments.rounds):
        for name, way in ways.items():
            measure(way(), batch, measured[name], count=number == 0)
        print(f"round {number + 1} of {arguments.rounds}", flush=True)
    extra = {
        "attribution_seconds": attribution_seconds,
        "lowest_layer": min(found),
        "layers_kept": len(found),
    }
    report(measured, vars(arguments), extra)


def make_batch(rows: int, length: int, vocabulary: int) -> Batch:
    ids = torch.randint(5, vocabulary, (rows, length))
    where = torch.arange(0, rows * length, 7)
    return Batch(ids, where, ids.flatten()[where])


def attribution(model: Model, batch: Batch) -> Tensor:
    """As in training: `joint` over five points, of 64 tokens among 64 negatives."""
    few = Batch(batch.ids, batch.where[:CKA_TOKENS], batch.labels[:CKA_TOKENS])
    pool = torch.randint(5, 50265, (1024,))
    allowed = torch.rand(len(few.where), len(pool)) < NEGATIVES / len(pool)

    def log_probabilities() -> Tensor:
        packed = model.packed
        states = packed.transform(model.states(few))
        return sampled_log_probability(
            states, few.labels, pool, allowed, words=packed.words, bias=packed.bias
        )

    model.eval()
    scores = attribute(model.packed.layers, log_probabilities, method="joint", points=5)
    model.train()
    return scores


def dense(model: Model) -> Callable[[], Session]:
    """Every parameter."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def enter() -> Session:
        model.requires_grad_(True)
        return Session(model, optimizer)

    return enter


def routed(model: Model, rows: Rows, *, path: bool, cut: bool = False) -> Callable[[], Session]:
    """The rows and the head; `cut`: not the injection, so that nothing below the lowest row's layer."""

    def enter() -> Session:
        model.requires_grad_(False)
        blocks = RoutedLayers(model.packed.layers, rows, path=path)
        trained = [*blocks.parameters(), *model.head, *([] if cut else [model.injection])]
        for parameter in trained:
            parameter.requires_grad_(True)
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
        return Session(model, optimizer, after_step=blocks.write_back, leave=blocks.remove)

    return enter


def masked(model: Model, rows: Rows, enter_dense: Callable[[], Session]) -> Callable[[], Session]:
    """A dense step whose gradients are multiplied by 0 and 1."""
    masks: dict[nn.Parameter, Tensor] = {}
    for layer, found in rows.items():
        block: Any = model.packed.layers[layer]
        inner, outer = block.intermediate.dense, block.output.dense
        mask = torch.zeros(inner.out_features).index_fill(0, found, 1.0)
        masks |= {inner.weight: mask[:, None], inner.bias: mask, outer.weight: mask}
    kept = {*model.head, model.injection}

    def mask_gradients() -> None:
        for parameter in model.parameters():
            if parameter not in kept and parameter.grad is not None:
                parameter.grad.mul_(masks.get(parameter, 0.0))

    def enter() -> Session:
        session = enter_dense()
        session.after_backward = mask_gradients
        return session

    return enter


def lora(model: Model, rows: Rows) -> Callable[[], Session]:
    """Adapters of the feed-forward products, with as many numbers as the rows; head and injection too."""
    lm = model.packed.lm
    hidden, inner = lm.config.hidden_size, lm.config.intermediate_size
    numbers = sum(map(len, rows.values())) * (2 * hidden + 1)
    rank = round(numbers / (2 * (hidden + inner) * lm.config.num_hidden_layers))
    adapted = Model(copy.deepcopy(lm))
    target = r".*\.layer\.\d+\.(intermediate|output)\.dense"
    inject_adapter_in_model(LoraConfig(r=rank, target_modules=target), adapted.packed.lm)
    for parameter in (*adapted.head, adapted.injection):
        parameter.requires_grad_(True)

    def enter() -> Session:
        trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
        return Session(adapted, torch.optim.AdamW(trained, lr=1e-4))

    return enter


def measure(session: Session, batch: Batch, into: Measured, *, count: bool) -> None:
    """One step untimed (counted, the first time), one timed."""
    if count:
        with FlopCounterMode(display=False) as counter:
            session.step(batch)
        trained = [p for group in session.optimizer.param_groups for p in group["params"]]
        into.flops = counter.get_total_flops()
        into.gradients = sum(p.grad.numel() for p in trained)
        into.moments = sum(session.optimizer.state[p]["exp_avg"].numel() * 2 for p in trained)
    else:
        session.step(batch)
    session.optimizer.zero_grad()
    began = time.perf_counter()
    session.step(batch)
    session.optimizer.zero_grad()
    into.seconds.append(time.perf_counter() - began)
    session.leave()


def report(measured: dict[str, Measured], arguments: dict[str, int], extra: dict[str, Any]) -> None:
    medians = {name: statistics.median(found.seconds) for name, found in measured.items()}
    whole = measured["dense"]
    speed = {name: medians["dense"] / median for name, median in medians.items()}
    share = extra["attribution_seconds"] / (extra["attribution_seconds"] + REROUTE_EVERY * medians["exact"])
    rows = [
        f"| {name} | {medians[name]:.2f} | {speed[name]:.2f} | {whole.flops / found.flops:.2f} "
        f"| {100 * found.gradients / whole.gradients:.1f} | {100 * found.moments / whole.moments:.1f} "
        f"| {GOALS.get(name, '')} |"
        for name, found in measured.items()
    ]
    result = {
        "arguments": arguments,
        "machine": platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        **extra,
        "attribution_share": share,
        "speed_up": {name: round(value, 3) for name, value in speed.items()},
        "flops_ratio": {name: round(whole.flops / found.flops, 3) for name, found in measured.items()},
        "ways": {name: vars(found) for name, found in measured.items()},
        "goals": GOALS,
        "goals_reached": {name: speed[name] >= goal for name, goal in GOALS.items()},
    }
    text = "\n".join(
        [
            "# A training step with 10 % of the feed-forward neurons, against a dense one",
            "",
            f"`python benchmarks/routing.py` with {arguments}, roberta-base's shapes, random weights, fp32, "
            f"{torch.get_num_threads()} threads; the median of the rounds, interleaved.",
            "",
            "| way | seconds a step | speed-up | FLOPs, dense over way | gradients, % of dense "
            "| optimizer state, % of dense | goal |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "`exact` and `path` send gradients down to the injection; `own cut` freezes it, so that "
            f"nothing below the lowest selected layer ({extra['lowest_layer']}) has a backward pass.",
            "",
            f"Attribution (joint, 5 points, {CKA_TOKENS} tokens): {extra['attribution_seconds']:.1f} s, "
            f"{100 * share:.1f} % of the time when it is made every {REROUTE_EVERY} `exact` steps.",
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "routing.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "routing.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
