"""An explanation for people: tables, a page, a picture; and for programs: JSON."""

import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.store import replacing, write_text
from kgcorpus.report.terminal import recorder, say
from trainer.trelm.explain import Explanation, Neuron

_PICTURES = (".png", ".svg", ".pdf")
_BAR = 20


def show(explanation: Explanation, console: Console) -> None:
    """Print what was asked, the path through the layers and the top neurons."""
    say(explanation.sentence, console=console)
    say(
        f"answer {explanation.answer}: probability {explanation.probability:.3g} (the model's guess: "
        f"{explanation.guess}); with the {len(explanation.top)} top neurons at zero "
        f"{explanation.suppressed:.3g}, doubled {explanation.doubled:.3g}",
        console=console,
    )
    path = Table("layer", "share", "", "on the path", "best neurons", title="The path through the layers")
    highest = max((layer.share for layer in explanation.layers), default=0) or 1
    # The answer comes out at the top.
    for layer in reversed(explanation.layers):
        best = ", ".join(f"{x.neuron} ({x.score:.2g})" for x in layer.best)
        bar = "█" * round(_BAR * layer.share / highest)
        path.add_row(str(layer.layer), f"{layer.share:.1%}", bar, str(layer.neurons or "-"), best)
    console.print(path)
    neurons = Table("layer", "neuron", "score", title="The top neurons")
    for neuron in explanation.top:
        neurons.add_row(str(neuron.layer), str(neuron.neuron), f"{neuron.score:.3g}")
    console.print(neurons)


def save(explanation: Explanation, path: Path) -> None:
    """Write a file whose name ends in .json, .html (the tables), .png, .svg or .pdf (the picture).

    Raises:
        UsageError: another ending, or a file of a build or a run.
        EnvironmentLacksError: a picture without matplotlib.
    """
    refuse_replaced(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        text = json.dumps(dataclasses.asdict(explanation), ensure_ascii=False, indent=1) + "\n"
        write_text(path, text)
    elif path.suffix == ".html":
        console = recorder(width=120)
        show(explanation, console)
        write_text(path, console.export_html())
    elif path.suffix in _PICTURES:
        _draw(explanation, path)
    else:
        raise UsageError(
            f"cannot write {path.suffix or 'a file without an ending'}",
            where=str(path),
            mend=f"The endings are: .json, .html, {', '.join(_PICTURES)}",
        )


def _draw(explanation: Explanation, path: Path) -> None:
    """Left the top neurons by layer, the best of each layer joined; right each layer's share."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentLacksError(
            "a picture needs matplotlib", where=str(path), mend="pip install 'kgcorpus[report]'"
        ) from None
    count = len(explanation.layers)
    figure = Figure(figsize=(9, 1.5 + 0.35 * count), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    highest = explanation.top[0].score if explanation.top else 1.0
    for x in explanation.top:
        left.scatter(x.neuron, x.layer, s=30 + 270 * x.score / highest, color="tab:blue", alpha=0.5)
    line = _spine(explanation)
    left.plot([x.neuron for x in line], [x.layer for x in line], color="tab:orange", zorder=0)
    left.set(xlabel="neuron", ylabel="layer", yticks=range(count), ylim=(-0.5, count - 0.5))
    right.barh([layer.layer for layer in explanation.layers], [layer.share for layer in explanation.layers])
    right.set(xlabel="share of the attribution")
    figure.suptitle(f"{explanation.sentence}  {explanation.answer} ({explanation.probability:.3f})")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix[1:])


def _spine(explanation: Explanation) -> list[Neuron]:
    """The best neuron of each layer on the path."""
    return [layer.best[0] for layer in explanation.layers if layer.neurons and layer.best]
