"""Takes each step's lines to metrics.jsonl, to the trackers and to the terminal."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.secrets import redact_all
from trainer.config import TrainingConfig
from trainer.metrics_log import MetricsLog
from trainer.progress import progress
from trainer.trackers import tracking


@contextlib.contextmanager
def reporting(
    folder: Path, config: TrainingConfig, *, main: bool, step: int, end: int
) -> Iterator[Callable[[Sequence[dict[str, Any]]], None]]:
    """Yield a function that writes a step's lines and shows the last; it does nothing on other ranks.

    Args:
        folder: the run's.
        main: whether this is the main rank.
        step: steps done; later lines of metrics are removed.
        end: steps done at the end.
    """
    if not main:
        yield lambda lines: None
        return
    settings = redact_all(config.model_dump(mode="json"))
    with (
        MetricsLog(folder / "metrics.jsonl", step=step) as metrics,
        tracking(config.trackers, folder, step=step, config=settings) as track,
        progress(step, end, log_every=config.log_every) as show,
    ):

        def write(lines: Sequence[dict[str, Any]]) -> None:
            for line in lines:
                metrics.write(line)
                track(line)
            show(lines[-1])

        yield write
