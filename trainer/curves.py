"""Draws the curves of runs from their metrics: RUN/curves.png and RUN/curves.svg."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.store import replacing
from trainer.metrics_log import read_metrics

_FORMATS = ("png", "svg")
_VALID = "valid_"
# Panels beside the losses and the accuracies.
_OTHERS = ("lr", "gradient_norm", "tokens_per_second", "facts_per_second", "data_share", "mfu")
_COLUMNS = 3
Curve = tuple[list[int], list[float]]


def write_curves(runs: Sequence[Path]) -> list[Path]:
    """Write the curves of runs, side by side, into the folder of the first.

    Args:
        runs: folders of runs, at least one.

    Returns:
        The files.

    Raises:
        InputError: a folder has no metrics, or a line of them is damaged.
        EnvironmentLacksError: matplotlib is not installed.
    """
    curves = {run: curves_of(run) for run in runs}
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentLacksError(
            "curves need matplotlib", where="report --run", hint=f"Run: {install_command('report')}"
        ) from None
    panels = panels_of({name for of_run in curves.values() for name in of_run})
    lines = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 3.2 * lines + 0.4), layout="constrained")
    axes = figure.subplots(lines, _COLUMNS, squeeze=False).ravel().tolist()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, names) in zip(axes, panels.items(), strict=False):
        for number, run in enumerate(runs):
            for name in names:
                if name in curves[run]:
                    style = "--" if name.startswith(_VALID) else "-"
                    axis.plot(*curves[run][name], style, color=f"C{number}", linewidth=1)
        axis.set(title=title, xlabel="step")
    labels = [run.name for run in runs] if len({run.name for run in runs}) == len(runs) else map(str, runs)
    handles = [mpl.lines.Line2D([], [], color=f"C{number}") for number in range(len(runs))]
    # Dollar signs are text: matplotlib would parse what is between two of them as a formula.
    figure.legend(handles, [label.replace("$", r"\$") for label in labels], loc="outside upper center")
    written = [runs[0] / f"curves.{kind}" for kind in _FORMATS]
    # Without a date and random ids the same metrics give the same bytes.
    with mpl.rc_context({"svg.hashsalt": "kgcorpus"}):
        for path, kind in zip(written, _FORMATS, strict=True):
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            with replacing(path) as temporary:
                figure.savefig(temporary, dpi=120, format=kind, metadata=metadata)
    return written


def curves_of(run: Path) -> dict[str, Curve]:
    """Each field's steps and values.

    Args:
        run: a run's folder.

    Raises:
        InputError: it has no metrics, or a line of them is damaged.
    """
    found: dict[str, Curve] = {}
    for line in read_metrics(run / "metrics.jsonl"):
        for name, value in _numbers(line).items():
            steps, values = found.setdefault(name, ([], []))
            steps.append(line["step"])
            values.append(value)
    if not found:
        raise InputError(
            "has no metrics of a run",
            where=str(run / "metrics.jsonl"),
            hint="Name the folder of a run of kgcorpus train",
        )
    return found


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a step; none of an event."""
    if "event" in line:
        return {}
    return {name: float(value) for name, value in line.items() if name != "step" and _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def panels_of(names: set[str]) -> dict[str, tuple[str, str]]:
    """Title -> the fields of training and of validation; losses first."""
    bare = {name.removeprefix(_VALID) for name in names}
    losses = sorted(name for name in bare if name.startswith("loss"))
    measured = sorted(name for name in bare if "accuracy" in name or name.startswith("without_"))
    shown = [*losses, *measured, *(name for name in _OTHERS if name in names)]
    return {name: (name, f"{_VALID}{name}") for name in shown}
