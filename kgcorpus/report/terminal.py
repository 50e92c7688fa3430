"""The one place that prints: text from outside reaches a terminal with its control characters escaped."""

import json
import logging
import sys
import warnings
from typing import Any

from rich.console import Console

from kgcorpus.contracts.secrets import redact
from kgcorpus.report.visible import UNSAFE, visible

_OURS = ("kgcorpus", "pipelines", "trainer")
# Neither markup nor `:emoji:` codes: data are shown as they are.
stdout = Console(highlight=False, markup=False, emoji=False)
stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str, *, console: Console = stdout, style: str | None = None) -> None:
    """Print one line."""
    console.print(visible(text), style=style, soft_wrap=True)


def say_lines(text: str, *, console: Console = stdout) -> None:
    """Print a text whose line ends are ours."""
    console.print(_visible_lines(text), soft_wrap=True)


def say_json(value: Any, *, indent: int | None = 1) -> None:
    r"""Print a value as JSON on stdout, control characters as `\u` escapes, which mean the same value."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # JSON escapes a line end within a text, so those that are left are between values.
    lines = (UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line) for line in text.split("\n"))
    sys.stdout.write("\n".join(lines) + "\n")


def guard_logs(*, debug: bool) -> None:
    """Send logs to stderr; what they and warnings print is visible and without secrets, of any library."""
    logging.setLogRecordFactory(_Record)
    warnings.formatwarning = _formatted
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)


class _Record(logging.LogRecord):
    """Libraries bring handlers of their own, so the message is made visible before any of them has it."""

    def getMessage(self) -> str:  # noqa: N802  logging has this name
        shown = visible if self.name.partition(".")[0] in _OURS else _visible_lines
        return shown(redact(super().getMessage()))


class _Formatter(logging.Formatter):
    """A trace quotes the texts of errors."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging has this name
        return _visible_lines(redact(super().formatException(ei)))


def _visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


_format_warning = warnings.formatwarning


def _formatted(*args: Any, **keywords: Any) -> str:
    return _visible_lines(redact(_format_warning(*args, **keywords)))
