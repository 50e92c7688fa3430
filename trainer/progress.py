"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from kgcorpus.report.progress.bar import has_terminal, open_bar
from kgcorpus.report.progress.text import duration
from kgcorpus.report.terminal import verbosity

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def progress(
    start: int, end: int, *, log_every: int, unit: str = "tokens"
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function to call with each step's metrics.

    Args:
        start: steps done before.
        end: steps done at the end.
        log_every: steps between lines where stderr is no terminal.
        unit: the field of the line whose sum over the time is the speed.
    """
    began, seen = time.monotonic(), 0
    if not has_terminal():
        # `--quiet` hides the lines, as it does all that are no warnings.
        every = 1 if verbosity() == "verbose" else log_every

        def log(line: dict[str, Any]) -> None:
            nonlocal seen
            seen += line[unit]
            step, seconds = line["step"], max(time.monotonic() - began, 1e-9)
            if step % every == 0 or step == end:
                left = seconds / (step - start) * (end - step)
                _log.info(
                    "step %d/%d %s %s/s=%.0f left=%.0fs", step, end, _losses(line), unit, seen / seconds, left
                )

        yield log
        return
    if verbosity() == "quiet":
        yield lambda line: None
        return
    with open_bar(stays=True) as bar:

        def draw(line: dict[str, Any]) -> None:
            parts = [*_losses(line).split(), f"{line[unit] / line['seconds']:.0f} {unit}/s"]
            step, seconds = line["step"], max(time.monotonic() - began, 1e-9)
            left = duration(seconds / max(1, step - start) * (end - step))
            bar.draw(f"{step}/{end}", [[*parts, f"{left} left"]], step / max(1, end))

        yield draw


def _losses(line: dict[str, Any]) -> str:
    return " ".join(
        f"{name}={value:.3f}" for name, value in line.items() if name.startswith(("loss", "valid_loss"))
    )
