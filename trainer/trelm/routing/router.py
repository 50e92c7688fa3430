"""Dynamic routing: when neurons are selected again, and the change of model and optimizer."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64, mix64_array
from trainer.config import TrainingConfig
from trainer.masked_lm import PackedMaskedLM
from trainer.metrics_log import MetricsLog
from trainer.objectives import Prepared
from trainer.trelm.config import TrelmConfig
from trainer.trelm.routing.attribution import LogProbabilities, Rows, attribute, jaccard, select
from trainer.trelm.routing.layers import Moments, RoutedLayers, carry, check_activation, hand_over

if TYPE_CHECKING:
    from accelerate import Accelerator

# Matrix products on GPUs are quickest in multiples of this.
_GPU_MULTIPLE = 64
_FILE = "router.safetensors"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Routable:
    """What a router works on.

    Attributes:
        model: what is trained; it is given a child `routed`, which holds the compact parameters.
        packed: the language model within it.
        heads: parameters that are trained on after the warm-up.
        injection: parameters below the layers, trained on unless a depth cut keeps gradients from them.
        probe: step -> forward passes over CKA tokens of that step, each with the same tokens at every call.
        groups: the optimizer's groups, for the parameters that are trainable at the call.
    """

    model: nn.Module
    packed: PackedMaskedLM
    heads: Iterable[nn.Parameter]
    injection: Iterable[nn.Parameter]
    probe: Callable[[int], Sequence[LogProbabilities]]
    groups: Callable[[], list[dict[str, Any]]]


class Router:
    """Dynamic knowledge routing (arXiv 2403.11203, section 3.3).

    In the warm-up all parameters are trained. After it and every `reroute_every` steps the neurons are scored
    on CKA tokens of the step to come, the scores averaged with the earlier ones and the best neurons
    selected. Besides them only the heads and the injection are trained until the next time.

    Args:
        subject: the model and its parts.
        options: of the objective.
        total_steps: of the schedule.
        seed: of the random control.
        log: RUN/routes.jsonl, of lines {step, layer, rows}; step = steps done when the rows were chosen.

    Raises:
        UsageError: the model's activation is none that can be routed.
    """

    def __init__(
        self, subject: Routable, options: TrelmConfig, *, total_steps: int, seed: int, log: Path
    ) -> None:
        check_activation(subject.packed.lm.config.hidden_act)
        self._subject, self._options, self._seed, self._log = subject, options.routing, seed, log
        self._warmup = dense_steps(options, total_steps)
        self._every = options.reroute_every
        self._scores: Tensor | None = None
        self._rows: Rows = {}
        self._routed: RoutedLayers | None = None
        self._step = -1
        self._log_is_cut = False

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Route if the step is one of those; the optimizer's groups and state are changed in place."""
        if accelerator.is_main_process and not self._log_is_cut:
            with MetricsLog(self._log, step=self._step):
                self._log_is_cut = True
        # The checkpoint that a failed step leaves behind holds that step's routing already.
        if step < self._warmup or (step - self._warmup) % self._every or step == self._step:
            return Prepared()
        began = time.monotonic()
        if self._routed is not None:
            self._routed.remove()
        with _evaluating(self._subject.model):
            rows, event = self._choose(step, accelerator)
        event["jaccard"] = jaccard(self._rows, rows) if self._rows else None
        self._exchange(rows, optimizer)
        self._step = step
        if accelerator.is_main_process:
            with self._log.open("a", encoding="utf-8") as stream:
                for layer, found in rows.items():
                    stream.write(json.dumps({"step": step, "layer": layer, "rows": found.tolist()}) + "\n")
        event["injection_frozen"] = self._injection_frozen
        event["seconds"] = time.monotonic() - began
        return Prepared(events=(event,), rewired=True)

    def after_step(self) -> None:
        """Write the trained rows back into the full weights."""
        if self._routed is not None:
            self._routed.write_back()

    def state(self) -> dict[str, Any]:
        """The step of the last routing; `save` keeps the rest."""
        return {"routed_at": self._step}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the step back; `load` comes before."""
        self._step = state["routed_at"]

    def save(self, folder: Path) -> None:
        """Write router.safetensors: the averaged scores [layers, neurons] and each layer's rows."""
        from safetensors.torch import save_file

        if self._scores is not None:
            rows = {f"rows.{layer}": found for layer, found in self._rows.items()}
            save_file({"scores": self._scores, **rows}, folder / _FILE)

    def load(self, folder: Path) -> None:
        """Route as when `save` was called; the full weights are loaded already."""
        from safetensors.torch import load_file

        if (folder / _FILE).exists():
            tensors = load_file(folder / _FILE)
            self._scores = tensors.pop("scores")
            rows = {int(name.removeprefix("rows.")): found for name, found in tensors.items()}
            self._install(dict(sorted(rows.items())))

    @property
    def _injection_frozen(self) -> bool:
        """Frozen, nothing below the lowest routed layer asks for a gradient: there is no backward pass."""
        return self._options.depth_cut and min(self._rows, default=1) > 0

    def _choose(self, step: int, accelerator: "Accelerator") -> tuple[Rows, dict[str, Any]]:
        """The rows that are trained from `step` on, and the event that tells of them."""
        options, layers = self._options, self._subject.packed.layers
        probes = self._subject.probe(step)
        if options.choice == "random":
            shape = len(layers), int(self._subject.packed.lm.config.intermediate_size)
            self._scores = _random_scores(self._seed, step, shape)
        else:
            found = [
                attribute(layers, probe, method=options.attribution, points=options.points)
                for probe in probes
            ]
            scores = accelerator.reduce(torch.stack(found).sum(dim=0), "mean").cpu()
            if self._scores is not None:
                scores = options.average * self._scores + (1 - options.average) * scores
            self._scores = scores
        multiple = _GPU_MULTIPLE if accelerator.device.type == "cuda" else 1
        rows = select(self._scores, share=options.share, lowest=options.lowest_layer, multiple=multiple)
        if not rows:
            _log.warning("step %d: no neuron has a positive score, the heads alone are trained", step)
        event = {
            "event": "reroute",
            "neurons": sum(map(len, rows.values())),
            "layers": len(rows),
            "lowest_layer": min(rows, default=None),
        }
        if options.mode == "path" and rows:
            event["cosine"] = _cosine(layers, probes, rows)
        return rows, event

    def _install(self, rows: Rows) -> RoutedLayers:
        """Freeze all but the rows, the heads and, where gradients reach it, the injection."""
        subject, self._rows = self._subject, rows
        subject.model.requires_grad_(False)
        for parameter in (*subject.heads, *(() if self._injection_frozen else subject.injection)):
            parameter.requires_grad_(True)
        routed = RoutedLayers(subject.packed.layers, rows, path=self._options.mode == "path")
        self._routed = subject.model.routed = routed
        return routed

    def _exchange(self, rows: Rows, optimizer: torch.optim.Optimizer) -> None:
        """Put the rows in the place of what was trained, with the moments of those that stay."""
        old = self._routed.blocks if self._routed is not None else {}
        moments: Moments = {}
        for i, block in self._install(rows).blocks.items():
            moments |= carry(optimizer, self._subject.packed.layers[i], old=old.get(i), new=block)
        hand_over(optimizer, self._subject.groups(), moments=moments)


def resolve_mode(config: TrainingConfig) -> TrelmConfig:
    """The objective's options with a routing mode in the place of null; one line is logged if it matters.

    Routing freezes the embeddings and the attention. A model from scratch has not learned them when the first
    routing is due, so without a `base_model` null means `none`, unless another routing setting was changed.
    """
    options = config.trelm
    mode, default = options.routing.mode, TrelmConfig()
    if mode is None:
        changed = (options.routing, options.warmup_steps, options.reroute_every) != (
            default.routing,
            default.warmup_steps,
            default.reroute_every,
        )
        mode = "exact" if config.base_model is not None or changed else "none"
        if mode == "none":
            _log.info(
                "routing: off, all parameters are trained; without a base_model it would freeze random "
                "attention and embeddings. Set trelm.routing.mode to route anyway"
            )
    return options.model_copy(update={"routing": options.routing.model_copy(update={"mode": mode})})


def dense_steps(options: TrelmConfig, total_steps: int) -> int:
    """The steps of the warm-up, in which all parameters are trained."""
    return round(0.05 * total_steps) if options.warmup_steps is None else options.warmup_steps


def _random_scores(seed: int, step: int, shape: tuple[int, int]) -> Tensor:
    """Uniform numbers in (0, 1)."""
    keys = np.uint64(hash64(seed, "random neurons", step)) + np.arange(shape[0] * shape[1], dtype=np.uint64)
    return torch.from_numpy(((mix64_array(keys) >> np.uint64(11)) + 0.5) / (1 << 53)).view(shape)


def _cosine(layers: Sequence[nn.Module], probes: Sequence[LogProbabilities], rows: Rows) -> float:
    """Between the rows' gradients with and without `path`, of the probed tokens' loss."""
    gradients = []
    for path in (False, True):
        routed = RoutedLayers(layers, rows, path=path)
        try:
            parts = torch.autograd.grad(
                -torch.cat([probe() for probe in probes]).sum(), list(routed.parameters())
            )
        finally:
            routed.remove()
        gradients.append(torch.cat([part.flatten() for part in parts]))
    return float(torch.cosine_similarity(gradients[0], gradients[1], dim=0))


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
