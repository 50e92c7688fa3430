"""Validation during training: losses on a fixed sample, the best step, and when to stop early."""

import logging
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator

from trainer.config import TrainingConfig
from trainer.metrics_log import read_metrics
from trainer.objectives import Batch, Objective
from trainer.sharding import gathered
from trainer.trained import write_whole_model

# The fields of a line of metrics that come from validation begin with this; the first is the whole loss.
PREFIX = "valid_"
LOSS = f"{PREFIX}loss"
_log = logging.getLogger(__name__)


class Validation:
    """Validates a run every `validate_every` steps; all ranks call its methods together.

    Which step was the best follows from the lines of metrics.jsonl, so a resumed run decides as an
    uninterrupted one.

    Args:
        objective: gives the sample.
        config: of the run.
        folder: the run's.
        accelerator: of the run.
        step: steps done; later lines of metrics do not count.
    """

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        folder: Path,
        accelerator: Accelerator,
        *,
        step: int,
    ) -> None:
        self._objective, self._config, self._folder = objective, config, folder
        self._accelerator = accelerator
        self._best, self._since = math.inf, 0
        main = accelerator.is_main_process
        lines = read_metrics(folder / "metrics.jsonl") if main and config.validate_every else []
        for line in lines:
            if line["step"] <= step and LOSS in line:
                self._note(float(line[LOSS]))
        # Only the main rank has the file.
        known = torch.tensor([self._best, self._since] if main else [0.0, 0.0], dtype=torch.float64)
        self._best, since = accelerator.reduce(known.to(accelerator.device), "sum").tolist()
        self._since = int(since)

    @property
    def exhausted(self) -> bool:
        """Whether the last `patience` validations were no better than the best before them."""
        return self._config.patience is not None and self._since >= self._config.patience

    def after_step(self, step: int) -> dict[str, float]:
        """Validate if it is due; return the numbers for the step's line of metrics.

        With `keep_best`, RUN/best is written if the loss is the smallest so far.
        """
        every = self._config.validate_every
        if every is None or step % every:
            return {}
        began = time.monotonic()
        numbers = self._measure()
        if self._note(numbers[LOSS]) and self._config.keep_best:
            best = self._folder / "best"
            write_whole_model(self._objective, best, step=step, accelerator=self._accelerator)
        if self.exhausted:
            _log.info("step %d: %s has not fallen in %d validations; the run ends", step, LOSS, self._since)
        return {**numbers, f"{PREFIX}seconds": time.monotonic() - began}

    def _note(self, loss: float) -> bool:
        """Take note of a validation's loss; return whether it is the best so far."""
        if loss < self._best:
            self._best, self._since = loss, 0
            return True
        self._since += 1
        return False

    @torch.no_grad()
    def _measure(self) -> dict[str, float]:
        model, found = self._objective.model, dict[str, float]()
        model.eval()
        try:
            # Ranks may have different numbers of batches.
            with gathered(model):
                for part, batches in self._objective.validation().items():
                    prefix = PREFIX + (f"{part}_" if part else "")
                    found |= {f"{prefix}{name}": mean for name, mean in self._means(batches).items()}
        finally:
            model.train()
        return found

    def _means(self, batches: Sequence[Batch]) -> dict[str, float]:
        """The weighted loss, each term's mean over its labels, and the objective's own measures."""
        objective, device = self._objective, self._accelerator.device
        names = [f"loss_{name}" for name in objective.terms]
        sums = Counter[str]()
        counts = Counter[str](dict.fromkeys([*names, *(f"accuracy_{name}" for name in objective.terms)], 0))
        for batch in batches:
            inputs = {name: torch.as_tensor(array, device=device) for name, array in batch.inputs.items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=self._config.precision == "bf16"):
                # `forward`, for a compiled model would be compiled again without gradients.
                losses = objective.model.forward(**inputs)
                right = objective.right(batch, inputs)
            for name, loss, n in zip(names, losses.tolist(), batch.counts.tolist(), strict=True):
                sums[name] += loss
                counts[name] += n
            for name, of_term in right.items():
                sums[f"accuracy_{name}"] += int(of_term.sum())
                counts[f"accuracy_{name}"] += len(of_term)
        local = torch.tensor([[sums[name], n] for name, n in counts.items()], dtype=torch.float64)
        shared = self._accelerator.reduce(local.to(device), "sum").tolist()
        means = {name: total / n for name, (total, n) in zip(counts, shared, strict=True) if n}
        weights: Mapping[str, float] = objective.terms
        loss = sum(weight * means.get(f"loss_{name}", 0.0) for name, weight in weights.items())
        return {"loss": loss, **means}
