"""RUN/report.html: the curves of runs as a page without scripts or network."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from kgcorpus.contracts.store import write_text
from kgcorpus.report.charts import Point, lines
from kgcorpus.report.elements import Element, document
from kgcorpus.report.html import table_element
from trainer.curves import Curve, curves_of, panels_of

PAGE = "report.html"


def write_run_page(runs: Sequence[Path]) -> Path:
    """Write the curves of runs and their last values into the folder of the first.

    Args:
        runs: folders of runs, at least one.

    Returns:
        The page.

    Raises:
        InputError: a folder has no metrics, or a line of them is damaged.
    """
    names = [run.name for run in runs]
    labels = names if len(set(names)) == len(names) else [str(run) for run in runs]
    curves = dict(zip(labels, (curves_of(run) for run in runs), strict=True))
    panels = panels_of({name for of_run in curves.values() for name in of_run})
    charts = []
    for title, (training, validation) in panels.items():
        series: dict[str, list[Point]] = {}
        for label, of_run in curves.items():
            for name, shown in ((training, label), (validation, f"{label}, validation")):
                if name in of_run:
                    series[shown] = _points(of_run[name])
        charts.append(lines(series, x="step", y=title))
    page = document(
        "kgcorpus: report of runs",
        Element("header", Element("h1", "Curves of runs"), Element("p", ", ".join(labels), class_="soft")),
        Element("main", _last(curves), Element("div", *charts, class_="columns")),
    )
    write_text(runs[0] / PAGE, page)
    return runs[0] / PAGE


def _points(curve: Curve) -> list[Point]:
    return [(float(step), value) for step, value in zip(*curve, strict=True)]


def _last(curves: dict[str, dict[str, Curve]]) -> Element:
    """Steps and the mean loss over the last tenth of the steps, of each run."""
    rows = []
    for label, of_run in curves.items():
        steps, losses = of_run.get("loss", ([], []))
        tail = losses[-max(1, len(losses) // 10) :]
        rows.append([label, f"{max(steps, default=0):,}", f"{statistics.fmean(tail):.4f}" if tail else "-"])
    return Element("div", table_element(("run", "steps", "loss, last tenth"), rows), class_="scroll")
