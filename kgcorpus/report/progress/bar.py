"""The one progress bar: a line on stderr that replaces itself and is hidden while other lines are printed."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from kgcorpus.report import terminal
from kgcorpus.report.progress.text import fitted
from kgcorpus.report.visible import visible


def has_terminal() -> bool:
    """Whether stderr is a terminal that can replace a line."""
    return sys.stderr.isatty() and not terminal.stderr.is_dumb_terminal


@dataclass(frozen=True)
class _Row:
    label: str
    forms: Sequence[Sequence[str]]
    share: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def shown(text: str) -> str:
            # The stream writes characters that its encoding lacks as escapes, which are wider.
            return visible(text).encode(options.encoding, "backslashreplace").decode(options.encoding)

        forms = [[*map(shown, parts)] for parts in self.forms]
        label, text, width = fitted(shown(self.label), forms, options.max_width)
        yield Text(f"{label} ", end="", no_wrap=True, overflow="crop")
        if width:
            drawing = ProgressBar(total=1.0, completed=self.share, width=width)
            bar = list(drawing.__rich_console__(console, options))
            yield from bar
            # Without colours only the finished part is drawn.
            drawn = sum(cell_len(segment.text) for segment in bar)  # type: ignore[union-attr, misc]
            yield Text(f"{' ' * (width - drawn)} ", end="")
        yield Text(text, end="", no_wrap=True, overflow="crop")


class Bar:
    """A line with a label, a bar and parts such as counts and the time left.

    Args:
        live: the display, which `open_bar` makes.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def draw(self, label: str, forms: Sequence[Sequence[str]], share: float) -> None:
        """Replace the line.

        Args:
            forms: the parts of the line as texts, the longest form first, as of `text.fitted`.
            share: the finished share, 0 to 1.
        """
        with terminal.bar_lock:
            self._live.update(_Row(label, forms, share), refresh=self._live.is_started)


@contextlib.contextmanager
def open_bar(*, stays: bool) -> Iterator[Bar]:
    """Show a bar at the end of stderr.

    Args:
        stays: whether its last state stays on the terminal.
    """
    live = Live(
        Text(""), console=terminal.stderr, auto_refresh=False, transient=not stays, redirect_stdout=False
    )
    with terminal.bar_lock:
        terminal.bars.append(live)
        live.start()
    try:
        yield Bar(live)
    finally:
        with terminal.bar_lock:
            terminal.bars.remove(live)
            live.stop()
