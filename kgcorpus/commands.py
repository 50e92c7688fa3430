"""Shared behaviour of all commands: errors and signals become one line and an exit code."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from kgcorpus.contracts.errors import as_error
from kgcorpus.contracts.panics import is_panic, panic_as_error
from kgcorpus.contracts.secrets import redact
from kgcorpus.contracts.signals import Stopped, stop_on_signals, stopped
from kgcorpus.report.terminal import prepare_streams, say, stderr
from kgcorpus.report.visible import visible

# For `typer.Typer(context_settings=...)`; subcommands inherit it.
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class _ErrorsAsLines:
    """Escapes control characters in click's errors, and reports EOFError as an ordinary error."""

    def make_context(self, *args: Any, **keywords: Any) -> Any:
        """Parse the arguments."""
        with _errors_as_lines():
            return super().make_context(*args, **keywords)  # type: ignore[misc]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _errors_as_lines():
            return super().invoke(ctx)  # type: ignore[misc]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; a closed pipe (`| head`) is not an error."""
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        except SystemExit as stop:
            # rich has discarded the remaining output and would exit with 1.
            if not isinstance(stop.__context__, BrokenPipeError):
                raise


class Commands(_ErrorsAsLines, typer.core.TyperGroup):
    """The commands of `kgcorpus`."""


class Command(_ErrorsAsLines, typer.core.TyperCommand):
    """A program with a single command."""


@contextmanager
def _errors_as_lines() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        # click would print "Aborted!" and exit with 1.
        raise Stopped(signal.SIGINT) from None
    except EOFError as error:
        # click treats EOFError as Ctrl-D, but no command reads the keyboard: report it as an error.
        raise as_error(error) from error
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str) and hasattr(error, "format_message"):
            error.message = visible(message)  # type: ignore[attr-defined]
        raise


def run_app(application: Callable[[], Any]) -> int:
    """Run a Typer application. Errors and signals print one line; returns the exit code."""
    prepare_streams()
    stop_on_signals()
    try:
        application()
    except SystemExit as stop:
        return _code_of(stop)
    except Stopped as signal_:
        return _show_stopped(signal_)
    except BaseException as error:
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        logging.getLogger(__name__).debug("failed", exc_info=True)
        if (received := stopped()) is not None:
            return _show_stopped(received)
        shown = as_error(error) if isinstance(error, Exception) else panic_as_error(error)
        say(f"error: {redact(str(shown))}", console=stderr, style="red")
        return shown.exit_code
    return 0


def _code_of(stop: SystemExit) -> int:
    """Return the exit code. If stderr is a closed pipe, rich exits with 1 instead of the error's code."""
    cause: BaseException | None = stop
    while isinstance(stop.__context__, BrokenPipeError) and (cause := cause.__context__ if cause else None):
        if isinstance(code := getattr(cause, "exit_code", None), int):
            return code
    return stop.code if isinstance(stop.code, int) else 1


def _show_stopped(signal_: Stopped) -> int:
    say(f"error: {signal_}", console=stderr, style="red")
    return signal_.exit_code
