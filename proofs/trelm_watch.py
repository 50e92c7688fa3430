"""A training that is stopped for measurements whose time does not count."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trainer.objectives import Batch, Objective, Prepared
from trainer.trelm.routing.table import TableRows

if TYPE_CHECKING:
    from accelerate import Accelerator

    from trainer.config import TrainingConfig
    from trainer.schedule import Phase
    from trainer.trelm.objective import Trelm


class Watched(Objective):
    """TRELM's objective, measured after some steps.

    Args:
        inner: the objective.
        measure: number of steps done -> what is measured then; None: nothing at this step.

    Attributes:
        series: what was measured, each with `step` and `seconds`: CPU seconds of the process since the first
            step began, without the measurements.
        events: of the routing, each with its `step`.
        optimizer_bytes: of the optimizer's state, at most.
    """

    def __init__(self, inner: "Trelm", measure: Callable[[int], dict[str, Any] | None]) -> None:
        self._inner, self._measure = inner, measure
        self.terms, self.model, self.total_steps = inner.terms, inner.model, inner.total_steps
        self.series: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.optimizer_bytes = 0
        self._began: float | None = None
        self._apart = 0.0
        self._optimizer: torch.optim.Optimizer | None = None

    @property
    def seconds(self) -> float:
        """CPU seconds of training so far."""
        return 0.0 if self._began is None else time.process_time() - self._began - self._apart

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Start the clock at the first step."""
        if self._began is None:
            self._began = time.process_time()
        self._optimizer = optimizer
        prepared = self._inner.before_step(step, optimizer, accelerator)
        self.events += [{"step": step, **event} for event in prepared.events]
        return prepared

    def after_step(self, step: int, accelerator: "Accelerator") -> Mapping[str, float]:
        """Measure, if it is time."""
        numbers = self._inner.after_step(step, accelerator)
        began, seconds = time.process_time(), self.seconds
        found = self._measured(step)
        if found is not None:
            self.series.append({"step": step, "seconds": seconds, **found})
            self.optimizer_bytes = max(self.optimizer_bytes, self._state_bytes())
        self._apart += time.process_time() - began
        return numbers

    def _measured(self, step: int) -> dict[str, Any] | None:
        self.model.eval()
        try:
            return self._measure(step)
        finally:
            self.model.train()

    def _state_bytes(self) -> int:
        assert self._optimizer is not None
        tensors = [x for state in self._optimizer.state.values() for x in state.values()]
        table = self._inner.model.packed.tied_table
        if isinstance(table, TableRows):
            tensors += table.state().values()
        return sum(x.numel() * x.element_size() for x in tensors if isinstance(x, torch.Tensor))

    def next_step(self, step: int) -> Sequence[Batch]:
        """As of the inner objective, like all that follows."""
        return self._inner.next_step(step)

    def state(self) -> dict[str, Any]:
        """Of the inner objective."""
        return self._inner.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Of the inner objective."""
        self._inner.load_state(state)

    def collect(self) -> None:
        """Of the inner objective."""
        self._inner.collect()

    def save(self, folder: Path) -> None:
        """Of the inner objective."""
        self._inner.save(folder)

    def load(self, folder: Path) -> None:
        """Of the inner objective."""
        self._inner.load(folder)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Of the inner objective."""
        return self._inner.parameter_groups(weight_decay)

    def phases(self, config: "TrainingConfig") -> "Sequence[Phase]":
        """Of the inner objective."""
        return self._inner.phases(config)

    def reduce_gradients(self, accelerator: "Accelerator") -> None:
        """Of the inner objective."""
        self._inner.reduce_gradients(accelerator)


def train_watched(
    config: "TrainingConfig",
    corpus: Path,
    run: Path,
    *,
    measure: Callable[["Trelm"], Callable[[int], dict[str, Any] | None]],
    max_steps: int | None = None,
) -> Watched:
    """Train TRELM on the records of a build.

    Args:
        config: of the run.
        corpus: the build.
        run: folder of the run.
        measure: objective -> the measurement of `Watched`.
        max_steps: fewer steps than the schedule's.
    """
    from accelerate import Accelerator

    from kgcorpus.contracts.manifest import load_manifest
    from trainer import loop
    from trainer.run import open_tokenizer
    from trainer.run_identity import ensure_same_run
    from trainer.trelm.objective import build_trelm

    accelerator = Accelerator(cpu=True)
    ensure_same_run(run, {"config": config.model_dump(mode="json")})
    manifest = load_manifest(corpus, required=True)
    tokenizer = open_tokenizer(run / "tokenizer", corpus, manifest, config, tables=["trelm"])
    inner = build_trelm(config, corpus, run, tokenizer, accelerator)
    watched = Watched(inner, measure(inner))
    loop.run_training(watched, config, run, accelerator=accelerator, max_steps=max_steps)
    return watched
