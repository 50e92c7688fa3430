"""Dynamic routing: when neurons are selected again, and the change of model and optimizer."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kgcorpus.contracts.errors import UsageError
from trainer.config import TrainingConfig
from trainer.masked_lm import PackedMaskedLM
from trainer.metrics_log import MetricsLog
from trainer.objectives import Prepared
from trainer.trelm.config import TrelmConfig
from trainer.trelm.routing.also import LAYER_PARTS, first_layer, parameters_of
from trainer.trelm.routing.attribution import LogProbabilities, Rows, jaccard, select
from trainer.trelm.routing.blocks import block_of, check_blocks
from trainer.trelm.routing.layers import Ends, RoutedLayers
from trainer.trelm.routing.optimizer_state import OptimizerState, carry_state, replace_parameters
from trainer.trelm.routing.scores import (
    SITES,
    Scores,
    at_random,
    by_attribution,
    by_gradient,
    select_ends,
)
from trainer.trelm.routing.table import TableRows, joined

if TYPE_CHECKING:
    from accelerate import Accelerator

# Matrix products on GPUs are quickest in multiples of this.
_GPU_MULTIPLE = 64
_FILE = "router.safetensors"
# The name of a site's scores in that file where it is not the site's.
_SCORES = {"neurons": "scores"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Routable:
    """What a router works on.

    Attributes:
        model: what is trained; it is given a child `routed`, which holds the compact parameters, and
            `inputs_frozen`: whether a gradient of what the first layer reads is asked for.
        packed: the language model within it.
        heads: parameters that are trained on after the warm-up.
        injection: parameters below the layers, trained on unless a depth cut keeps gradients from them.
        probe: step -> forward passes over tokens of that step, each with the same tokens at every call.
        groups: the optimizer's groups, for the parameters that are trainable at the call.
        losses: step -> parts of the total loss of some examples of that step.
        touched: step -> the rows of the embedding table that the step trains, ascending.
    """

    model: nn.Module
    packed: PackedMaskedLM
    heads: Iterable[nn.Parameter]
    injection: Iterable[nn.Parameter]
    probe: Callable[[int], Sequence[LogProbabilities]]
    groups: Callable[[], list[dict[str, Any]]]
    losses: Callable[[int, "Accelerator"], Sequence[Callable[[], Tensor]]]
    touched: Callable[[int], Tensor]


class Router:
    """Dynamic knowledge routing (arXiv 2403.11203, section 3.3).

    In the warm-up all parameters are trained. After it and every `reroute_every` steps the neurons are scored
    on the step to come, the scores averaged with the earlier ones and the best neurons selected. Besides them
    only the heads, the injection and what `routing.also` names are trained until the next time.

    Args:
        subject: the model and its parts.
        options: of the objective.
        total_steps: of the schedule.
        seed: of the random control.
        log: RUN/routes.jsonl, of lines {step, layer, rows}, with `end_share` also {inputs, outputs}; step =
            steps done when the rows were chosen.

    Raises:
        UsageError: the model's feed-forward blocks cannot be routed, or it has no layer at `lowest_layer`.
    """

    def __init__(
        self, subject: Routable, options: TrelmConfig, *, total_steps: int, seed: int, log: Path
    ) -> None:
        check_blocks(subject.packed.lm.config)
        self._subject, self._options, self._seed, self._log = subject, options.routing, seed, log
        layers = len(subject.packed.layers)
        self._cut = first_layer(options.routing.lowest_layer, layers)
        if self._cut >= layers:
            raise UsageError(
                f"no layer is left to train: the model has {layers}, the lowest is {self._cut}",
                where="trelm.routing.lowest_layer",
                hint="Set a lower one",
            )
        self._warmup = dense_steps(options, total_steps)
        self._every = options.reroute_every
        self._scores: Scores = {}
        self._rows: Rows = {}
        self._ends: dict[int, Ends] = {}
        self._routed: RoutedLayers | None = None
        self._table: TableRows | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._step = -1
        self._log_is_cut = False
        self._warn_of_path()

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Route if the step is one of those; the optimizer's groups and state are changed in place."""
        prepared = self._route(step, optimizer, accelerator)
        if self._table is not None:
            self._optimizer = optimizer
            self._table.prepare(joined(self._subject.touched(step), accelerator))
        return prepared

    def reduce_gradients(self, accelerator: "Accelerator") -> None:
        """Average the gradient of the table's rows over the ranks."""
        if self._table is not None:
            self._table.reduce_gradient(accelerator)

    def after_step(self) -> None:
        """Write the trained rows back into the full weights, and train those of the table."""
        if self._routed is not None:
            self._routed.write_back()
        if self._table is not None and self._optimizer is not None:
            group = self._optimizer.param_groups[0]
            self._table.step(
                lr=group["lr"] * self._options.table_lr_scale,
                weight_decay=group["weight_decay"],
                betas=group["betas"],
                eps=group["eps"],
            )

    def state(self) -> dict[str, Any]:
        """The step of the last routing; `save` keeps the rest."""
        return {"routed_at": self._step}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the step back; `load` comes before."""
        self._step = state["routed_at"]

    def save(self, folder: Path) -> None:
        """Write router.safetensors: averaged scores, each layer's rows and ends, the table's moments."""
        from safetensors.torch import save_file

        if self._routed is None:
            return
        tensors = {_SCORES.get(site, site): found for site, found in self._scores.items()}
        tensors |= {f"rows.{layer}": found for layer, found in self._rows.items()}
        for layer, ends in self._ends.items():
            tensors |= {f"inputs.{layer}": ends.inputs, f"outputs.{layer}": ends.outputs}
        if self._table is not None:
            tensors |= self._table.state()
        # A file without tensors is not read back by every version of safetensors.
        save_file({**tensors, "lowest": torch.tensor(self._lowest)}, folder / _FILE)

    def load(self, folder: Path) -> None:
        """Route as when `save` was called; the full weights are loaded already."""
        from safetensors.torch import load_file

        if not (folder / _FILE).exists():
            return
        tensors = load_file(folder / _FILE)
        tensors.pop("lowest", None)
        of_table = {name: tensors.pop(name) for name in list(tensors) if name.startswith("table.")}
        self._scores = {
            site: tensors.pop(_SCORES.get(site, site)) for site in SITES if _SCORES.get(site, site) in tensors
        }
        by_kind: dict[str, dict[int, Tensor]] = {"rows": {}, "inputs": {}, "outputs": {}}
        for name, found in tensors.items():
            kind, _, layer = name.partition(".")
            by_kind[kind][int(layer)] = found
        ends = {layer: Ends(found, by_kind["outputs"][layer]) for layer, found in by_kind["inputs"].items()}
        self._install(dict(sorted(by_kind["rows"].items())), ends)
        if self._table is not None and of_table:
            self._table.load_state(of_table)

    def _warn_of_path(self) -> None:
        options = self._options
        spoiled: list[str] = [part for part in options.also if part in LAYER_PARTS - {"feed_forward"}]
        if "table" in options.also or "target_rows" in options.also:
            spoiled.append("table")
        if not (options.depth_cut and self._cut):
            spoiled.append("injection")
        if options.mode == "path" and options.share and spoiled:
            _log.warning(
                "trelm.routing.mode path: gradients that pass a routed layer are not exact, so below it "
                "%s are trained on other gradients; mode exact keeps them",
                ", ".join(spoiled),
            )

    @property
    def _lowest(self) -> int:
        """The lowest layer with a trained parameter; the number of layers if there is none."""
        if self._rows:
            return min(self._rows)
        return self._cut if LAYER_PARTS & set(self._options.also) else len(self._subject.packed.layers)

    @property
    def _injection_frozen(self) -> bool:
        """Frozen, nothing below the lowest trained layer asks for a gradient: there is no backward pass."""
        return self._options.depth_cut and self._lowest > 0

    def _route(self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator") -> Prepared:
        if accelerator.is_main_process and not self._log_is_cut:
            with MetricsLog(self._log, step=self._step):
                self._log_is_cut = True
        # The checkpoint that a failed step leaves behind holds that step's routing already.
        if step < self._warmup or (step - self._warmup) % self._every or step == self._step:
            return Prepared()
        if self._routed is not None and not self._options.share:
            return Prepared()
        began = time.monotonic()
        if self._routed is not None:
            self._routed.remove()
        with _evaluating(self._subject.model):
            rows, ends, event = self._choose(step, accelerator)
        event["jaccard"] = jaccard(self._rows, rows) if self._rows else None
        self._exchange(rows, ends, optimizer)
        self._step = step
        if accelerator.is_main_process:
            with self._log.open("a", encoding="utf-8") as stream:
                for layer, found in rows.items():
                    own = {name: part.tolist() for name, part in _named(ends.get(layer)).items()}
                    line = {"step": step, "layer": layer, "rows": found.tolist(), **own}
                    stream.write(json.dumps(line) + "\n")
        event["trained"] = sum(p.numel() for p in self._subject.model.parameters() if p.requires_grad)
        event["injection_frozen"] = self._injection_frozen
        event["seconds"] = time.monotonic() - began
        return Prepared(events=(event,), rewired=True)

    def _choose(self, step: int, accelerator: "Accelerator") -> tuple[Rows, dict[int, Ends], dict[str, Any]]:
        """The rows that are trained from `step` on, their ends, and the event that reports them."""
        options, rows = self._options, Rows()
        ends: dict[int, Ends] = {}
        if options.share:
            self._scores = self._score(step, accelerator)
            multiple = _GPU_MULTIPLE if accelerator.device.type == "cuda" else 1
            rows = select(self._scores["neurons"], share=options.share, lowest=self._cut, multiple=multiple)
            if options.end_share < 1:
                ends = select_ends(self._scores, rows, share=options.end_share)
            if not rows:
                _log.warning("step %d: no neuron has a positive score, none is trained", step)
        event = {
            "event": "reroute",
            "neurons": sum(map(len, rows.values())),
            "layers": len(rows),
            "lowest_layer": min(rows, default=None),
        }
        if options.mode == "path" and rows:
            layers = self._subject.packed.layers
            event["cosine"] = _cosine(layers, self._subject.probe(step), rows)
        return rows, ends, event

    def _score(self, step: int, accelerator: "Accelerator") -> Scores:
        options, subject = self._options, self._subject
        sites = SITES if options.end_share < 1 else SITES[:1]
        if options.choice == "random":
            return at_random(subject.packed.layers, sites, seed=self._seed, step=step)
        if options.choice == "gradient":
            losses = subject.losses(step, accelerator)
            found = by_gradient(subject.packed.layers, losses, sites, accelerator)
        else:
            method, points = options.attribution, options.points
            probes = subject.probe(step)
            found = by_attribution(
                subject.packed.layers, probes, sites, accelerator, method=method, points=points
            )
        for site, earlier in self._scores.items():
            found[site] = options.average * earlier + (1 - options.average) * found[site]
        return found

    def _install(self, rows: Rows, ends: dict[int, Ends]) -> RoutedLayers:
        """Freeze all but the rows, the heads, `also` and, where gradients reach it, the injection."""
        subject, options = self._subject, self._options
        self._rows, self._ends = rows, ends
        path, layers = options.mode == "path", subject.packed.layers
        model: Any = subject.model
        model.requires_grad_(False)
        trained = [*subject.heads, *parameters_of(subject.packed, options.also, lowest=self._lowest)]
        if not self._injection_frozen:
            trained += subject.injection
        # Off the path there is no gradient.
        off = {id(block_of(layer).inner.bias) for i, layer in enumerate(layers) if path and i not in rows}
        for parameter in trained:
            parameter.requires_grad_(id(parameter) not in off)
        whole_biases = "biases" in options.also
        routed = RoutedLayers(layers, rows, path=path, ends=ends, whole_biases=whole_biases)
        self._routed = model.routed = routed
        model.inputs_frozen = self._injection_frozen
        if {"table", "target_rows"} & set(options.also):
            self._install_table(model)
        return routed

    def _install_table(self, model: nn.Module) -> None:
        if self._table is None:
            self._table = self._subject.packed.tied_table = TableRows(self._subject.packed.table)
            # Its rows change at each step, so it reduces its own gradient.
            own = [name for name, found in model.named_parameters() if found is self._table.values]
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, own)
        self._table.values.requires_grad_(True)

    def _exchange(self, rows: Rows, ends: dict[int, Ends], optimizer: torch.optim.Optimizer) -> None:
        """Put the rows in the place of what was trained, with the moments of those that stay."""
        old = self._routed.blocks if self._routed is not None else {}
        first = self._table is None
        state: OptimizerState = {}
        for i, block in self._install(rows, ends).blocks.items():
            state |= carry_state(optimizer, self._subject.packed.layers[i], old=old.get(i), new=block)
        whole = optimizer.state.get(self._subject.packed.table)
        if first and self._table is not None and whole:
            self._table.take_moments(whole)
        replace_parameters(optimizer, self._subject.groups(), state=state)


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


def _named(ends: Ends | None) -> dict[str, Tensor]:
    return {} if ends is None else ends._asdict()


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
