"""The training loop of all objectives, from the first step to the last."""

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kgcorpus.contracts.caches import private_folder
from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import KgcorpusError, UsageError
from kgcorpus.contracts.secrets import redact_all
from trainer.checkpoint import Checkpoints, settle, write_model
from trainer.config import TrainingConfig
from trainer.determinism import deterministic_on_cpu
from trainer.metrics_log import MetricsLog
from trainer.objectives import Batch, Objective
from trainer.progress import progress
from trainer.schedule import Phase, set_learning_rates
from trainer.stopping import stop_requests
from trainer.trackers import tracking

# After so many steps without a label a term is reported; a run that ends sooner reports it at its end.
_STEPS_WITHOUT_LABELS = 10
_log = logging.getLogger(__name__)


@deterministic_on_cpu()
def run(
    objective: Objective,
    config: TrainingConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    max_steps: int | None,
) -> int:
    """Train up to `max_steps`, or over the schedule, from the newest checkpoint in `folder`.

    Returns:
        0; or, if a signal ended the run early, the exit code. Its checkpoint is saved.

    Raises:
        UsageError: more steps than that are done.
        InputError: the newest checkpoint is damaged.
        KgcorpusError: a loss or gradient that is not finite; the state before that step is saved.
    """
    if accelerator.is_main_process:
        settle(folder / "model")
    checkpoints = Checkpoints(folder / "checkpoints", keep=config.keep)
    step, moments = checkpoints.restore(objective)
    if config.compile:
        _compile(objective.model)
    # transformers hands out models in evaluation mode, without dropout.
    model: nn.Module = accelerator.prepare_model(objective.model.train())
    optimizer, phases = _optimizer(objective, config, moments), objective.phases(config)
    accelerator.wait_for_everyone()
    end = _last_step(objective, max_steps, phases, done=step, folder=folder)
    main = accelerator.is_main_process
    saved, stopping = time.monotonic(), False
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(stop_requests())
        report = stack.enter_context(_report(folder, config, main=main, step=step, end=end))
        count_labels = stack.enter_context(_unlabelled_terms(objective.terms, main=main))
        while step < end and not stopping:
            began = time.monotonic()
            # Dropout is drawn from the step too, so no state of the generator has to be kept.
            torch.manual_seed(hash64(config.seed, "step", step, accelerator.process_index))
            prepared = objective.before_step(step, optimizer, accelerator)
            if prepared.rewired:
                model = accelerator.prepare_model(objective.model)
            rate = set_learning_rates(optimizer, phases, step)
            before = objective.state()
            batches = objective.next_step(step)
            overdue = main and began - saved >= 60 * config.checkpoint_minutes
            requests = (request.is_set(), overdue)
            bf16 = config.precision == "bf16"
            result = gradients(model, batches, objective.terms, accelerator, bf16=bf16, requests=requests)
            norm = float(accelerator.clip_grad_norm_(model.parameters(), config.grad_clip))
            if not (math.isfinite(result.loss) and math.isfinite(norm)):
                objective.load_state(before)
                _save(checkpoints, step, objective, optimizer, main=main)
                raise _not_finite(result, norm, step + 1, objective.model)
            optimizer.step()
            optimizer.zero_grad()
            step, stopping = step + 1, result.stop
            count_labels(result.labelled)
            numbers = objective.after_step(step, accelerator)
            line = {"step": step, "loss": result.loss, **result.means, "lr": rate, "tokens": result.tokens}
            line |= {"gradient_norm": norm, "seconds": time.monotonic() - began, **numbers}
            report([*({"step": step - 1, **event} for event in prepared.events), line])
            if result.overdue or stopping or step % config.checkpoint_every == 0 or step == end:
                _save(checkpoints, step, objective, optimizer, main=main)
                saved = time.monotonic()
    objective.collect()
    if main:
        write_model(folder / "model", objective.save, step=step)
    accelerator.wait_for_everyone()
    return 0 if step >= end else request.exit_code


@contextlib.contextmanager
def _unlabelled_terms(
    terms: Mapping[str, float], *, main: bool
) -> Iterator[Callable[[Collection[str]], None]]:
    """Yield a function that takes each step's labelled terms; warn once of terms that never have a label."""
    silent, steps = {name for name, weight in terms.items() if weight}, 0

    def warn() -> None:
        if silent and main:
            names = ", ".join(sorted(silent))
            _log.warning("%s: no label in %d steps, so the loss is 0 and trains nothing", names, steps)
            silent.clear()

    def count(labelled: Collection[str]) -> None:
        nonlocal steps
        steps += 1
        silent.difference_update(labelled)
        if steps == _STEPS_WITHOUT_LABELS:
            warn()

    yield count
    if 0 < steps < _STEPS_WITHOUT_LABELS:
        warn()


def _compile(model: nn.Module) -> None:
    # torch loads code from its cache, and would keep it under a name in /tmp that anyone could make.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("torchinductor")))
    # In place, so that the names in checkpoints stay; sizes change from step to step.
    model.compile(dynamic=True)


def _save(
    checkpoints: Checkpoints,
    step: int,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    *,
    main: bool,
) -> None:
    objective.collect()
    if main:
        checkpoints.save(step, objective, optimizer)


def _optimizer(
    objective: Objective, config: TrainingConfig, moments: dict[str, Any] | None
) -> torch.optim.Optimizer:
    groups = objective.parameter_groups(config.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.999), fused=True)
    if moments is not None:
        optimizer.load_state_dict(moments)
    return optimizer


@contextlib.contextmanager
def _report(
    folder: Path, config: TrainingConfig, *, main: bool, step: int, end: int
) -> Iterator[Callable[[Sequence[dict[str, Any]]], None]]:
    """Yield what writes a step's lines to metrics and trackers and shows the last; only on the main rank."""
    if not main:
        yield lambda lines: None
        return
    with (
        MetricsLog(folder / "metrics.jsonl", step=step) as metrics,
        tracking(
            config.trackers, folder, step=step, config=redact_all(config.model_dump(mode="json"))
        ) as track,
        progress(step, end, log_every=config.log_every) as show,
    ):

        def write(lines: Sequence[dict[str, Any]]) -> None:
            for line in lines:
                metrics.write(line)
                track(line)
            show(lines[-1])

        yield write


def _not_finite(result: "StepResult", norm: float, step: int, model: nn.Module) -> KgcorpusError:
    for name, weight in model.state_dict().items():
        if not weight.isfinite().all():
            return KgcorpusError(
                f"the weights {name} held NaN or infinity before the step",
                where=f"step {step}",
                hint="Delete the newest checkpoints, or start again with a lower lr in another --out",
            )
    return KgcorpusError(
        f"the loss ({result.loss}) or the norm of its gradient ({norm}) is not finite",
        where=f"step {step}, records {result.suspects}",
        hint="The state before the step is saved. Lower lr, or look at these records",
    )


def _last_step(
    objective: Objective, max_steps: int | None, phases: Sequence[Phase], *, done: int, folder: Path
) -> int:
    end = objective.total_steps if max_steps is None else max_steps
    if done > end:
        raise UsageError(
            f"has done {done} steps, more than the {end} asked for",
            where=str(folder),
            hint="Choose another --out, or a larger --max-steps",
        )
    if end > objective.total_steps and phases[-1].rate(objective.total_steps) == 0:
        _log.warning("the learning rate is 0 from step %d on; raise schedule_steps", objective.total_steps)
    return end


@dataclass(frozen=True)
class StepResult:
    """What a step came to, over all ranks.

    Attributes:
        loss: the weighted sum of the terms' means.
        means: `loss_<term>` -> mean over its labels, 0 without any.
        labelled: the terms that had a label.
        tokens: tokens read, padding left out.
        stop, overdue: whether any rank requests the end of the run, or a checkpoint is due.
        suspects: this rank's records to look at if the step is not finite.
    """

    loss: float
    means: dict[str, float]
    labelled: frozenset[str]
    tokens: int
    stop: bool
    overdue: bool
    suspects: str


def gradients(
    model: nn.Module,
    batches: Sequence[Batch],
    terms: Mapping[str, float],
    accelerator: Accelerator,
    *,
    bf16: bool = False,
    requests: tuple[bool, bool] = (False, False),
) -> StepResult:
    """Leave in the parameters the gradient of the weighted means over all labels of all ranks' batches.

    Args:
        bf16: run the forward pass in bfloat16; weights and gradients stay in float32.
        requests: this rank's (stop requested, checkpoint due); every rank gets the same answer.
    """
    device = accelerator.device
    weights = torch.tensor(list(terms.values()), dtype=torch.float64, device=device)
    local = torch.tensor([batch.counts.tolist() for batch in batches], dtype=torch.float64, device=device)
    counts = accelerator.reduce(local.sum(dim=0), reduction="sum")
    # The ranks' gradients are averaged, hence the factor.
    scale = torch.where(counts > 0, weights / counts.clamp(min=1), 0.0) * accelerator.num_processes
    sums = torch.stack(list(_backward(model, batches, scale.float(), accelerator, bf16=bf16)))
    flags = torch.tensor(
        [sum(batch.tokens for batch in batches), *requests], dtype=torch.float64, device=device
    )
    # What the ranks have to agree on travels together.
    shared = accelerator.reduce(torch.cat([sums.sum(dim=0), flags]), reduction="sum").tolist()
    totals, (tokens, stop, overdue) = shared[: len(terms)], shared[len(terms) :]
    means = [total / n if n else 0.0 for total, n in zip(totals, counts.tolist(), strict=True)]
    return StepResult(
        loss=sum(weight * mean for weight, mean in zip(terms.values(), means, strict=True)),
        means={f"loss_{name}": mean for name, mean in zip(terms, means, strict=True)},
        labelled=frozenset(name for name, n in zip(terms, counts.tolist(), strict=True) if n),
        tokens=int(tokens),
        stop=bool(stop),
        overdue=bool(overdue),
        suspects=_suspects(batches, sums),
    )


def _backward(
    model: nn.Module, batches: Sequence[Batch], scale: Tensor, accelerator: Accelerator, *, bf16: bool
) -> Iterator[Tensor]:
    """Add each batch's gradient of `scale * sums`, yield the sums [terms]; ranks meet at the last one."""
    device = accelerator.device
    for batch in batches:
        inputs = {name: torch.as_tensor(array, device=device) for name, array in batch.inputs.items()}
        with contextlib.nullcontext() if batch is batches[-1] else accelerator.no_sync(model):
            # Accelerate's own autocast is set once a process; two runs may differ.
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                sums = model(**inputs)
            accelerator.backward((sums * scale).sum())
        yield sums.detach().double()


def _suspects(batches: Sequence[Batch], sums: Tensor) -> str:
    """The records of the batches whose sums are not finite; of all, if it is only the gradient."""
    bad = [not finite for finite in sums.isfinite().all(dim=1).tolist()]
    names = [
        name for batch, b in zip(batches, bad, strict=True) if b or not any(bad) for name in batch.records
    ]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
