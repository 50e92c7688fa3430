"""The training loop of all objectives, from the first step to the last."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import KgcorpusError, UsageError
from trainer.config import TrainingConfig
from trainer.determinism import deterministic_on_cpu
from trainer.objectives import Batch, Objective
from trainer.reporting import reporting
from trainer.schedule import Phase, set_learning_rates
from trainer.sharding import is_sharded, local_part, whole
from trainer.stopping import stop_requests
from trainer.throughput import Throughput
from trainer.trained import Trained
from trainer.validation import Validation

# After so many steps without a label a term is reported; a run that ends sooner reports it at its end.
_STEPS_WITHOUT_LABELS = 10
_log = logging.getLogger(__name__)


@deterministic_on_cpu()
def run_training(
    objective: Objective,
    config: TrainingConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    max_steps: int | None,
) -> int:
    """Train up to `max_steps`, or over the schedule, from the newest checkpoint in `folder`.

    Returns:
        0, also if validation ended the run early; or the exit code of the signal that did. The checkpoint of
        the last step is saved.

    Raises:
        UsageError: more steps than that are done.
        InputError: the newest checkpoint is damaged.
        KgcorpusError: a loss or gradient that is not finite; the state before that step is saved.
    """
    trained = Trained(objective, config, folder, accelerator)
    step, optimizer, phases = trained.restored, trained.optimizer, objective.phases(config)
    accelerator.wait_for_everyone()
    end = _last_step(objective, max_steps, phases, done=step, folder=folder)
    main = accelerator.is_main_process
    validation = Validation(objective, config, folder, accelerator, step=step)
    throughput = Throughput(objective.model, config, accelerator)
    saved, stopping = time.monotonic(), False
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(stop_requests())
        report = stack.enter_context(reporting(folder, config, main=main, step=step, end=end))
        count_labels = stack.enter_context(_unlabelled_terms(objective.terms, main=main))
        while step < end and not (stopping or validation.exhausted):
            began = time.monotonic()
            # Dropout is drawn from the step too, so no state of the generator has to be kept.
            torch.manual_seed(hash64(config.seed, "step", step, accelerator.process_index))
            prepared = objective.before_step(step, optimizer, accelerator)
            if prepared.rewired:
                trained.wrap()
            rate = set_learning_rates(optimizer, phases, step)
            before, (batches, waited) = objective.state(), _next_step(objective, step)
            requests = request.is_set(), main and began - saved >= 60 * config.checkpoint_minutes
            model, bf16 = trained.model, config.precision == "bf16"
            result = gradients(model, batches, objective.terms, accelerator, bf16=bf16, requests=requests)
            norm = _clip(objective, model, accelerator, config.grad_clip)
            if not (math.isfinite(result.loss) and math.isfinite(norm)):
                objective.load_state(before)
                trained.save(step)
                raise _not_finite(result, norm, step + 1, objective.model)
            optimizer.step()
            optimizer.zero_grad()
            step, stopping = step + 1, result.stop
            count_labels(result.labelled)
            numbers = objective.after_step(step, accelerator)
            line = {"step": step, "loss": result.loss, **result.means, "lr": rate, "tokens": result.tokens}
            line |= {"gradient_norm": norm, "seconds": (seconds := time.monotonic() - began), **numbers}
            line |= throughput.numbers(result.tokens, seconds, waited) | validation.after_step(step)
            report([*({"step": step - 1, **event} for event in prepared.events), line])
            ends = stopping or validation.exhausted or step == end
            if result.overdue or ends or step % config.checkpoint_every == 0:
                trained.save(step)
                saved = time.monotonic()
    trained.write_model("model", step)
    accelerator.wait_for_everyone()
    return 0 if step >= end or validation.exhausted else request.exit_code


def _next_step(objective: Objective, step: int) -> tuple[Sequence[Batch], float]:
    """The step's batches, and the seconds that they took."""
    began = time.monotonic()
    return objective.next_step(step), time.monotonic() - began


def _clip(objective: Objective, model: nn.Module, accelerator: Accelerator, most: float) -> float:
    """Scale the gradients, the same on every rank, to a norm of at most `most`; return it before that."""
    objective.reduce_gradients(accelerator)
    return float(whole(accelerator.clip_grad_norm_(model.parameters(), most)))


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


def _not_finite(result: "StepResult", norm: float, step: int, model: nn.Module) -> KgcorpusError:
    for name, weight in model.state_dict().items():
        if not local_part(weight).isfinite().all():
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
    """Add each batch's gradient of `scale * sums`, yield the sums [terms]; ranks meet at the last one.

    Ranks that share a sharded model meet at each: one with fewer batches computes its last one again, with
    weight 0.
    """
    device, missing = accelerator.device, 0
    if is_sharded(model):
        passes = accelerator.gather(torch.tensor([len(batches)], device=device))
        missing = int(passes.max()) - len(batches)
    for batch in batches:
        inputs = {name: torch.as_tensor(array, device=device) for name, array in batch.inputs.items()}
        if batch.scaled:
            inputs["scale"] = scale
        with contextlib.nullcontext() if batch is batches[-1] else accelerator.no_sync(model):
            # Accelerate's own autocast is set once a process; two runs may differ.
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                sums = model(**inputs)
            accelerator.backward((sums * scale).sum())
        yield sums.detach().double()
    if missing:
        # In evaluation mode the model leaves nothing for a memory.
        model.eval()
        for _ in range(missing):
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                sums = model(**inputs)
            accelerator.backward((sums * 0).sum())
        model.train()


def _suspects(batches: Sequence[Batch], sums: Tensor) -> str:
    """The records of the batches whose sums are not finite; of all, if it is only the gradient."""
    bad = [not finite for finite in sums.isfinite().all(dim=1).tolist()]
    names = [
        name for batch, b in zip(batches, bad, strict=True) if b or not any(bad) for name in batch.records
    ]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
