"""A run's metrics in TensorBoard or Weights & Biases, beside metrics.jsonl."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.extras import install_command

Log = Callable[[int, Mapping[str, float]], None]


@contextlib.contextmanager
def tracking(
    names: Sequence[str], folder: Path, *, step: int, config: Mapping[str, Any]
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that takes a line of metrics to every tracker; events are left to metrics.jsonl.

    Args:
        names: `tensorboard`, which writes to RUN/tensorboard; `wandb`, set up by its environment variables.
        folder: the run's; its name is the group of its sessions at Weights & Biases.
        step: steps done; what a stopped run logged beyond is void.
        config: of the run.

    Raises:
        EnvironmentLacksError: a tracker is not installed.
    """
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(_TRACKERS[name](folder, step, config)) for name in names]

        def write(line: Mapping[str, Any]) -> None:
            if "event" not in line:
                numbers = {name: value for name, value in line.items() if name != "step"}
                for log in logs:
                    log(line["step"], numbers)

        yield write


@contextlib.contextmanager
def _tensorboard(folder: Path, step: int, config: Mapping[str, Any]) -> Iterator[Log]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _not_installed("tensorboard") from None

    with SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1) as writer:

        def log(step: int, numbers: Mapping[str, float]) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)

        yield log


@contextlib.contextmanager
def _wandb(folder: Path, step: int, config: Mapping[str, Any]) -> Iterator[Log]:
    try:
        import wandb
    except ImportError:
        raise _not_installed("wandb") from None

    with wandb.init(project="kgcorpus", group=folder.name, dir=folder, config=dict(config)) as run:

        def log(step: int, numbers: Mapping[str, float]) -> None:
            run.log(dict(numbers), step=step)

        yield log


_TRACKERS = {"tensorboard": _tensorboard, "wandb": _wandb}


def _not_installed(name: str) -> EnvironmentLacksError:
    return EnvironmentLacksError(
        f"{name} is not installed", where="trackers", hint=f"Run: {install_command(name)}"
    )
