"""Attribution of a masked language model's answer to feed-forward neurons, as text, HTML and pictures."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.store import replacing, write_text
from kgcorpus.report.terminal import recorder, say
from kgcorpus.report.visible import visible
from trainer.masked_lm import PackedMaskedLM, open_lm
from trainer.trelm.routing.attribution import attribute, scaled, select

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MASK = "[MASK]"
_PICTURES = (".png", ".svg", ".pdf")
_BAR = 20


@dataclass(frozen=True)
class Neuron:
    """A feed-forward neuron of a layer (both from 0), and what it adds to the answer's probability."""

    layer: int
    neuron: int
    score: float


@dataclass(frozen=True)
class Layer:
    """A layer's part in the path.

    Attributes:
        layer: from 0.
        share: of all positive scores.
        neurons: how many are on the path; 0 for a layer that it leaves out.
        best: its highest ones.
    """

    layer: int
    share: float
    neurons: int
    best: tuple[Neuron, ...]


@dataclass(frozen=True)
class Explanation:
    """Where an answer comes from.

    Attributes:
        sentence: with one [MASK].
        answer: explained.
        probability: of the answer: the product over its tokens, all masked at once.
        guess: the most probable answer of as many tokens.
        top: the neurons of the highest scores over all layers.
        layers: from the lowest.
        suppressed, doubled: the answer's probability with the activations of `top` at 0, and at twice their
            value.
    """

    sentence: str
    answer: str
    probability: float
    guess: str
    top: tuple[Neuron, ...]
    layers: tuple[Layer, ...]
    suppressed: float
    doubled: float


def explain(
    model: str | Path,
    sentence: str,
    *,
    answer: str | None = None,
    top: int = 20,
    points: int = 20,
    share: float = 0.1,
) -> Explanation:
    """Attribute an answer to neurons: integrated gradients, a layer scaled at once, over all positions.

    Scores: TRELM (arXiv 2403.11203, eq 9-11). Path: as routing selects it (eq 12).

    Args:
        model: folder or hub id of a masked language model of a family that routing knows, with its tokenizer.
        sentence: with one [MASK] in the place of the answer.
        answer: of one or more tokens; None: the model's own guess of one token.
        top: how many neurons.
        points: of the Riemann sum.
        share: of the neurons that a path has at most.

    Raises:
        UsageError: no such model, not one [MASK], or an answer without a token.
    """
    packed, tokenizer = open_lm(model)
    packed.require("ROUTES", "explain")
    sentence = sentence.replace(str(tokenizer.mask_token), MASK)
    question = _Question(packed, tokenizer, sentence, answer)
    scores = attribute(packed.layers, question.log_probability, method="layer", points=points).cpu()
    best = _best(scores, top)
    return Explanation(
        sentence=sentence,
        answer=question.answer,
        probability=question.probability(),
        guess=question.guess,
        top=best,
        layers=_layers(scores, share),
        suppressed=question.probability(best, factor=0.0),
        doubled=question.probability(best, factor=2.0),
    )


class _Question:
    """A sentence whose answer is masked, ready for the model."""

    def __init__(
        self,
        packed: PackedMaskedLM,
        tokenizer: "PreTrainedTokenizerFast",
        sentence: str,
        answer: str | None,
    ) -> None:
        if sentence.count(MASK) != 1:
            raise UsageError(f"needs one {MASK}, has {sentence.count(MASK)}", where=f"sentence {sentence!r}")
        before, after = sentence.split(MASK)
        # A byte-level tokenizer counts the space before a word as its first letter.
        space = " " if before[-1:].isspace() else ""
        tokens = [] if answer is None else tokenizer.encode(space + answer, add_special_tokens=False)
        if answer is not None and not tokens:
            raise UsageError("has no token", where=f"answer {answer!r}")
        masks = str(tokenizer.mask_token) * max(1, len(tokens))
        device = packed.table.device
        self._packed = packed
        self._ids = torch.tensor([tokenizer.encode(before + masks + after)], device=device)
        if self._ids.shape[1] > packed.longest:
            raise UsageError(f"is longer than {packed.longest} tokens", where=f"sentence {sentence!r}")
        self._where = (self._ids[0] == tokenizer.mask_token_id).nonzero()[:, 0]
        with torch.no_grad():
            guessed = self._logits().argmax(dim=1)
        self._tokens = torch.tensor(tokens, device=device) if tokens else guessed
        self.guess = str(tokenizer.decode(guessed.tolist())).strip()
        self.answer = self.guess if answer is None else answer

    def log_probability(self) -> Tensor:
        """Of the whole answer [1]."""
        return self._logits().log_softmax(dim=1).gather(1, self._tokens[:, None]).sum(dim=0)

    def probability(self, neurons: tuple[Neuron, ...] = (), *, factor: float = 1.0) -> float:
        """With the activations of some neurons multiplied."""
        rows: dict[int, list[int]] = {}
        for neuron in neurons:
            rows.setdefault(neuron.layer, []).append(neuron.neuron)
        with torch.no_grad(), scaled(self._packed.layers, rows, factor=factor):
            return float(self.log_probability().exp())

    def _logits(self) -> Tensor:
        positions = torch.arange(self._ids.shape[1], device=self._ids.device)[None]
        states = self._packed.states(self._ids, torch.ones_like(self._ids), positions)
        return self._packed.logits(states[0, self._where])


def _best(scores: Tensor, count: int) -> tuple[Neuron, ...]:
    """The neurons of the highest positive scores."""
    found = scores.flatten().topk(min(count, scores.numel()))
    places = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    neurons = scores.shape[1]
    return tuple(Neuron(x // neurons, x % neurons, score) for x, score in places if score > 0)


def _layers(scores: Tensor, share: float) -> tuple[Layer, ...]:
    path = select(scores, share=share)
    positive = scores.clamp(min=0)
    shares = (positive.sum(dim=1) / positive.sum().clamp(min=torch.finfo(scores.dtype).tiny)).tolist()
    found = []
    for layer, own in enumerate(shares):
        best = tuple(Neuron(layer, x.neuron, x.score) for x in _best(scores[layer : layer + 1], 3))
        found.append(Layer(layer, own, len(path.get(layer, ())), best))
    return tuple(found)


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
            hint=f"The endings are: .json, .html, {', '.join(_PICTURES)}",
        )


def _draw(explanation: Explanation, path: Path) -> None:
    """Left the top neurons by layer, the best of each layer joined; right each layer's share."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentLacksError(
            "a picture needs matplotlib", where=str(path), hint=f"Run: {install_command('report')}"
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
    title = visible(f"{explanation.sentence}  {explanation.answer} ({explanation.probability:.3f})")
    # Dollar signs are text: matplotlib would parse what is between two of them as a formula.
    figure.suptitle(title, parse_math=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix[1:])


def _spine(explanation: Explanation) -> list[Neuron]:
    """The best neuron of each layer on the path."""
    return [layer.best[0] for layer in explanation.layers if layer.neurons and layer.best]
