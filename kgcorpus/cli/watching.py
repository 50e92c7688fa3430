"""`kgcorpus status` of a command that is at work: what it shows in its own terminal."""

from dataclasses import asdict
from pathlib import Path

from kgcorpus.report.progress import Facts, follow, is_running, read_facts
from kgcorpus.report.progress.show import WAIT_SECONDS, Display, is_waiting
from kgcorpus.report.progress.text import line_of
from kgcorpus.report.terminal import say, say_json, stderr

# Of a process that ended without a word: the environment ended it.
_GONE = 4


def describe(facts: Facts) -> str:
    """What a command does now, or how it ended, in one line."""
    if facts.state == "finished":
        return f"{facts.command} finished at {facts.updated}"
    if facts.state == "failed":
        return f"{facts.command} ended at {facts.updated}: {facts.error}"
    if is_running(facts):
        return f"{facts.command} is running (process {facts.process} on {facts.host}): {line_of(facts)}"
    return (
        f"{facts.command} was killed: process {facts.process} on {facts.host} is gone. Its last sign, "
        f"at {facts.updated}: {line_of(facts)}. Run the same command again: what is finished is kept"
    )


def exit_code_of(facts: Facts) -> int:
    """The exit code of the command, 4 if its process is gone; 0 while it runs."""
    if facts.state == "running":
        return 0 if is_running(facts) else _GONE
    return facts.exit_code or 0


def watch(out: str | Path, *, as_json: bool) -> int | None:
    """Show the progress of the command that works in `out` until it ends.

    Args:
        as_json: print the content of progress.json, one JSON object a line, whenever it changes.

    Returns:
        The command's exit code; None if no command has worked there.
    """
    if is_waiting(before := read_facts(out), before):
        say(f"waiting up to {WAIT_SECONDS:.0f} s for a command to start in {out}", console=stderr)
    last: Facts | None = None
    with Display() as display:
        for facts in follow(out):
            if as_json and facts != last:
                say_json(asdict(facts), indent=None)
            elif not as_json and is_running(facts):
                display.show(facts)
            last = facts
    if last is None:
        return None
    if not as_json:
        code = exit_code_of(last)
        say(describe(last), console=stderr, style="red" if code else None)
    return exit_code_of(last)
