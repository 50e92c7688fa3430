"""Printing for all commands; control characters in text from outside are escaped."""

import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.secrets import redact
from kgcorpus.report.visible import UNSAFE, visible

if TYPE_CHECKING:
    from rich.live import Live


class _Console(Console):
    """Console that survives a closed pipe (`| head`): the command continues, further output is discarded."""

    def on_broken_pipe(self) -> None:
        """Discard further output; `rich.console.Console` would end the process."""
        _drop_output()


_OURS = ("kgcorpus", "pipelines", "trainer")
# Markup and `:emoji:` codes are off, because printed data may contain them.
stdout = _Console(highlight=False, markup=False, emoji=False)
stderr = _Console(stderr=True, highlight=False, markup=False, emoji=False)
# The bars of `kgcorpus.report.progress.bar` that are on the terminal.
bars: list["Live"] = []
bar_lock = threading.RLock()
Verbosity = Literal["quiet", "normal", "verbose"]
_verbosity: list[Verbosity] = ["normal"]


def recorder(*, width: int) -> Console:
    """Return a console that records its output for `export_html` and prints nothing."""
    return Console(record=True, file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def _bars_hidden() -> Iterator[None]:
    """Hide the bar while a line is printed: both streams may be the same terminal."""
    with bar_lock:
        hidden = list(bars)
        for bar in hidden:
            bar.stop()
        try:
            yield
        finally:
            for bar in hidden:
                bar.start(refresh=True)


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Choose how much a command prints; `quiet` leaves warnings and errors.

    Raises:
        UsageError: both are chosen.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", hint="Leave one out")
    _verbosity[:] = ["quiet" if quiet else "verbose" if verbose else "normal"]
    if quiet:
        for name in _OURS:
            logging.getLogger(name).setLevel(logging.WARNING)


def verbosity() -> Verbosity:
    """How much the command prints."""
    return _verbosity[0]


def say(text: str, *, console: Console = stdout, style: str | None = None) -> None:
    """Print one line."""
    with _bars_hidden():
        console.print(visible(text), style=style, soft_wrap=True)


def say_unless_quiet(text: str, *, console: Console = stdout) -> None:
    """Print one line that `--quiet` leaves out."""
    if verbosity() != "quiet":
        say(text, console=console)


def detail(text: str) -> None:
    """Print one line of `--verbose`, on stderr."""
    if verbosity() == "verbose":
        say(text, console=stderr)


def say_lines(text: str, *, console: Console = stdout) -> None:
    """Print a text of several lines; other control characters are escaped."""
    with _bars_hidden():
        console.print(_visible_lines(text), soft_wrap=True)


def say_json(value: Any, *, indent: int | None = 1) -> None:
    r"""Print a value as JSON on stdout, with control characters as `\u` escapes."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not is_unicode, indent=indent)
    # JSON escapes newlines within strings; the remaining ones separate values.
    lines = (UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line) for line in text.split("\n"))
    with _bars_hidden():
        try:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()


def say_rows(rows: Sequence[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """Print one line for each row, or all rows as JSON.

    Args:
        line: from a row to its line.
    """
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(line(row))


def prepare_streams() -> None:
    """Make stdin, stdout and stderr usable even if the caller closed them.

    A closed stream is reopened on /dev/null. Otherwise the next opened file, for example a shard, would get
    its descriptor, and messages would be written into that file. Characters that the encoding lacks are
    written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # os.open returns the lowest free descriptor, which is `number`.
            os.open(os.devnull, os.O_RDWR)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def use_unicode_names() -> None:
    """Decode file names and arguments as UTF-8 in an ASCII locale (`LC_ALL=C`), as the JVM is configured to.

    Python chooses the encoding at startup, so the command restarts itself if necessary.
    """
    if os.environ.get("LC_ALL") in ("C", "POSIX"):
        os.environ["LC_ALL"] = "C.UTF-8"
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _drop_output() -> None:
    """Redirect pending and further output to /dev/null."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def guard_logs(*, debug: bool) -> None:
    """Send logs to stderr; escape control characters and redact secrets in logs and warnings."""
    logging.setLogRecordFactory(_Record)
    warnings.formatwarning = _formatted
    logging.basicConfig(level=logging.WARNING, handlers=[_Handler()])
    for handler in logging.getLogger().handlers:
        # Py4J logs a traceback when the JVM exits, partly on the root logger; the error is raised anyway.
        handler.addFilter(lambda record: debug or "py4j" not in Path(record.pathname).parts)
        handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    _verbosity[:] = ["normal"]
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)


class _Handler(logging.StreamHandler[Any]):
    """Writes logs to stderr, above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        with _bars_hidden():
            super().emit(record)


class _Record(logging.LogRecord):
    """Escapes and redacts the message when the record is made, before handlers of other libraries see it."""

    def getMessage(self) -> str:  # noqa: N802  logging has this name
        shown = visible if self.name.partition(".")[0] in _OURS else _visible_lines
        return shown(redact(super().getMessage()))


class _Formatter(logging.Formatter):
    """Escapes and redacts tracebacks, which quote the messages of errors."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging has this name
        return _visible_lines(redact(super().formatException(ei)))


def _visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


_format_warning = warnings.formatwarning


def _formatted(*args: Any, **keywords: Any) -> str:
    return _visible_lines(redact(_format_warning(*args, **keywords)))
