"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_log = logging.getLogger(__name__)
# Columns of the bar itself.
_BAR = 12


@contextlib.contextmanager
def progress(
    start: int, end: int, *, log_every: int, unit: str = "tokens"
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that is told each step's line of metrics.

    Args:
        start: steps done before.
        end: steps done at the end.
        log_every: steps between lines where stderr is no terminal.
        unit: the field of the line whose sum over the time is the speed.
    """
    if not sys.stderr.isatty():
        began, seen = time.monotonic(), 0

        def log(line: dict[str, Any]) -> None:
            nonlocal seen
            seen += line[unit]
            step, seconds = line["step"], max(time.monotonic() - began, 1e-9)
            if step % log_every == 0 or step == end:
                left = seconds / (step - start) * (end - step)
                _log.info(
                    "step %d/%d %s %s/s=%.0f left=%.0fs", step, end, _losses(line), unit, seen / seconds, left
                )

        yield log
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    from kgcorpus.report.terminal import stderr

    # The losses give way: one line at any width, 80 columns included.
    losses = TextColumn(
        "{task.fields[shown]}",
        markup=False,
        table_column=Column(no_wrap=True, overflow="crop", ratio=1),
    )
    columns = (BarColumn(bar_width=_BAR), MofNCompleteColumn(), losses, TimeRemainingColumn(compact=True))
    with Progress(*columns, console=stderr, expand=True) as bar:
        task = bar.add_task("", total=end, completed=start, shown="")

        def draw(line: dict[str, Any]) -> None:
            speed = line[unit] / line["seconds"]
            bar.update(task, completed=line["step"], shown=f"{_losses(line)} {unit}/s={speed:.0f}")

        yield draw


def _losses(line: dict[str, Any]) -> str:
    return " ".join(f"{name}={value:.3f}" for name, value in line.items() if name.startswith("loss"))
