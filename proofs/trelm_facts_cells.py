"""One cell of the proof on the pretrained base: it is taught new facts by one of the arms, for a time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_batches
from kgcorpus.wiki.sentences import split_sentences
from proofs.corpus import write_build
from proofs.grid import Cell
from proofs.trelm_facts import Fact, Size, World
from proofs.trelm_questions import HeldOut, Questions, single_token
from proofs.trelm_watch import Watched, train_watched
from trainer.config import TrainingConfig
from trainer.evaluate.probe.probing import BLANK
from trainer.pretrained import load_tokenizer
from trainer.transe.config import TranseConfig
from trainer.trelm.config import MemoryConfig, RoutingConfig, TrelmConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from trainer.trelm.objective import Trelm

# Link to the folder of `proofs.base`; what the base knows and real text that nothing trains on.
BASE, APART = "base", "apart.json"
_KNOWN, _HELD_OUT, _PER_RELATION = 200, 200, 40


@dataclass(frozen=True)
class Arm:
    """What differs between the arms.

    Attributes:
        routing: of `RoutingConfig`.
        trelm: of `TrelmConfig`, beside what all arms have.
        memory: whether there is a memory bank.
        dense_share: of a run's steps, before the first routing.
    """

    routing: dict[str, Any] = field(default_factory=dict)
    trelm: dict[str, Any] = field(default_factory=dict)
    memory: bool = True
    dense_share: float = 0.0


_DENSE: dict[str, Any] = {"mode": "none"}
_ROWS: dict[str, Any] = {"mode": "exact", "share": 0.1}
_CUT: dict[str, Any] = {"mode": "exact", "lowest_layer": 0.5, "also": ("attention", "norms", "biases")}
_PRINTED: dict[str, Any] = {"plain_share": 0.0}
_TEXT: dict[str, Any] = {"theta": 1.0, "inject": "none"}
CUT = "cut, also, attributed rows"
ARMS = {
    "dense": Arm(_DENSE),
    "dense above the cut": Arm({**_CUT, "share": 0, "also": (*_CUT["also"], "feed_forward")}),
    "as printed": Arm(_ROWS, _PRINTED, dense_share=0.05),
    "as printed, table": Arm({**_ROWS, "also": ("table",)}, _PRINTED, dense_share=0.05),
    CUT: Arm({**_CUT, "share": 0.1}),
    "cut, also, no rows": Arm({**_CUT, "share": 0}),
    "cut, also, random rows": Arm({**_CUT, "share": 0.1, "choice": "random"}),
    "cut, also, injection kept": Arm({**_CUT, "share": 0, "depth_cut": False}),
    "LoRA": Arm({"mode": "lora", "share": 0.1}),
    "DKPLM-style": Arm(_DENSE, {**_PRINTED, "provider": "shared"}, memory=False),
    "dense, text alone": Arm(_DENSE, _TEXT, memory=False),
    "cut, also, text alone": Arm({**_CUT, "share": 0}, _TEXT, memory=False),
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every cell has in common.

    Attributes:
        epochs: of the dense arm; its CPU time is every arm's.
        records_per_step: passages of a step, real sentences among them.
        mlm_probability: share of the tokens predicted.
        plain_share: of the passages, those with nothing injected, except in the arms as printed.
        routings: in a run.
        warmup: share of the steps in which the learning rate rises.
        kge_steps: of the graph's vectors, made once for a seed.
        calibration_steps: of each round of the calibration.
    """

    epochs: int = 8
    records_per_step: int = 32
    mlm_probability: float = 0.3
    plain_share: float = 0.5
    routings: int = 2
    warmup: float = 0.05
    max_length: int = 64
    kge_steps: int = 300
    calibration_steps: int = 8


def load_world(folder: Path, size: Size, *, seed: int) -> tuple[World, "PreTrainedTokenizerFast"]:
    """A seed's world, and the base's tokenizer; `folder`: of the seed, beside the link to the base."""
    tokenizer = load_tokenizer(model_of(folder), where="base")

    def usable(word: str) -> bool:
        ids: list[int] = tokenizer(word, add_special_tokens=False)["input_ids"]
        return len(ids) > 1 and tokenizer.unk_token_id not in ids

    return World(size, seed=seed, usable=usable), tokenizer


def model_of(folder: Path) -> Path:
    """The base that the cells of a seed start from."""
    return folder.parent / BASE / "run" / "model"


def write_world(folder: Path, size: Size, training: Training, *, seed: int) -> dict[str, Any]:
    """Write a seed's corpus, its vectors, and what is asked apart from the new facts.

    Returns:
        Counts of passages and of the facts of LAMA that the base knows, at most 200.
    """
    from trainer.run import train

    world, _ = load_world(folder, size, seed=seed)
    base = folder.parent / BASE
    real = _sentences(base / "corpus", "train", size, count=size.replay, seed=seed)
    tables = {**world.graph(), "trelm": world.passages(real)}
    split = {table: [{**row, "split": "train"} for row in own] for table, own in tables.items()}
    corpus = folder / "corpus"
    write_build(corpus, split, seed=seed)
    (corpus / "config.yaml").write_text(yaml.safe_dump({"seed": seed, "languages": ["en"]}), encoding="utf-8")
    config = TrainingConfig(seed=seed, transe=TranseConfig(dim=32, steps=training.kge_steps))
    train("transe", corpus=corpus, out=folder / "kge", config=config)
    known = _known(model_of(folder), base / "lama" / "data")
    apart = {
        "known": known,
        # The same text for every seed.
        "held_out": _sentences(base / "corpus", "test", size, count=_HELD_OUT, seed=0),
    }
    (folder / APART).write_text(json.dumps(apart), encoding="utf-8")
    return {"passages": len(tables["trelm"]), "known": len(known)}


def configure(
    arm: Arm, folder: Path, training: Training, *, lr: float, seed: int, steps: int
) -> TrainingConfig:
    """A run, as `train trelm` takes it; `steps`: of the run, in which rate and lambda reach 0."""
    trelm: dict[str, Any] = {"mlm_probability": training.mlm_probability, "plain_share": training.plain_share}
    trelm |= arm.trelm
    if trelm.get("provider") != "shared":
        trelm["kge"] = str(folder / "kge")
    return TrainingConfig(
        seed=seed,
        schedule_steps=steps,
        lr=lr,
        lr_warmup=round(training.warmup * steps),
        records_per_step=training.records_per_step,
        max_length=training.max_length,
        base_model=str(model_of(folder)),
        checkpoint_every=steps,
        keep=1,
        trelm=TrelmConfig(
            memory=MemoryConfig(enabled=arm.memory),
            warmup_steps=round(steps * arm.dense_share),
            reroute_every=max(1, -(-steps // training.routings)),
            routing=RoutingConfig(**arm.routing),
            **trelm,
        ),
    )


def run_cell(
    cell: Cell, folder: Path, run: Path, size: Size, training: Training, *, steps: int
) -> dict[str, Any]:
    """Train a cell and ask for the new facts every half epoch.

    Args:
        cell: arm, learning rate and seed.
        folder: of the seed, written by `write_world`.
        run: folder of the training.
        size, training: of the plan.
        steps: of this arm in the time that all arms have.

    Returns:
        `series`, by probe `step`, CPU `seconds` and the share of facts `right`: `new`; every second epoch
        and at the end also `known`, and `held_out`, the loss on real text; at the end also `other wording`
        of the new facts and `graph only`. `losses` of each step, `events`, `trained`: the most parameters
        that a step trained, `optimizer_bytes`.
    """
    from trainer.metrics_log import read_metrics

    config = configure(ARMS[cell.arm], folder, training, lr=cell.lr, seed=cell.seed, steps=steps)
    asked = _Asked(folder, size, training, seed=cell.seed, steps=steps)
    watched = train_watched(config, folder / "corpus", run, measure=asked.of)
    lines = [line for line in read_metrics(run / "metrics.jsonl") if "loss" in line]
    trained = [event["trained"] for event in watched.events if "trained" in event]
    whole = sum(p.numel() for p in watched.model.parameters())
    return {
        "steps": steps,
        "series": [asked.before, *watched.series],
        "losses": [round(line["loss"], 5) for line in lines],
        "events": watched.events,
        "trained": max(trained, default=whole),
        "optimizer_bytes": watched.optimizer_bytes,
    }


class _Asked:
    """The measurements of one cell."""

    def __init__(self, folder: Path, size: Size, training: Training, *, seed: int, steps: int) -> None:
        world, tokenizer = load_world(folder, size, seed=seed)
        apart = json.loads((folder / APART).read_text(encoding="utf-8"))
        told = world.told

        def about(facts: Sequence[Fact], wording: int) -> Questions:
            prompts = [world.question(fact, wording, blank=BLANK) for fact in facts]
            return Questions(tokenizer, prompts, [world.names[fact.tail] for fact in facts])

        self._new, self._other = about(told, 0), about(told, 1)
        self._untold = about([fact for fact in world.facts if not fact.told], 0)
        self._known = Questions(tokenizer, *zip(*apart["known"], strict=True)) if apart["known"] else None
        self._held_out = HeldOut(tokenizer, apart["held_out"], seed=0)
        self._half = max(1, round(epoch_steps(size, training) / 2))
        self._steps = steps
        self.before: dict[str, Any] = {}

    def of(self, objective: "Trelm") -> Callable[[int], dict[str, Any] | None]:
        """The measurement of an objective's model; the base's is made now."""
        packed = objective.model.packed

        def measure(step: int) -> dict[str, Any] | None:
            last = step == self._steps
            if step % self._half and not last:
                return None
            right = {"new": float(self._new.right(packed).mean())}
            found: dict[str, Any] = {"right": right}
            if last or step % (4 * self._half) == 0:
                if self._known is not None:
                    right["known"] = float(self._known.right(packed).mean())
                found["held_out"] = self._held_out.loss(packed)
            if last:
                right["other wording"] = float(self._other.right(packed).mean())
                right["graph only"] = float(self._untold.right(packed).mean())
            return found

        objective.model.eval()
        self.before = {"step": 0, "seconds": 0.0, **(measure(0) or {})}
        return measure


def epoch_steps(size: Size, training: Training) -> float:
    """Steps in which every passage is read once."""
    from proofs.trelm_facts import RELATIONS

    wordings = len(next(iter(RELATIONS.values())).told)
    return (wordings * (size.people + size.places) + size.replay) / training.records_per_step


def _sentences(corpus: Path, split: str, size: Size, *, count: int, seed: int) -> list[str]:
    """Real sentences of a split of `plain_text`, drawn by the seed."""
    least, most = size.words
    found: list[str] = []
    for file in load_manifest(corpus, required=True).tables["plain_text"].files:
        if file.split == split:
            for batch in read_batches(corpus / file.path, ["text"], rows=1000):
                for text in batch.column("text").to_pylist():
                    own = [text[start:end] for start, end in split_sentences(text, "en")]
                    found += [one for one in own if least <= len(one.split()) <= most]
    unique = sorted(set(found))
    return Draw(seed, "real", split).sample(unique, min(count, len(unique)))


def _known(model: Path, lama: Path) -> list[tuple[str, str]]:
    """Facts of LAMA's T-REx that the base answers right: prompt and answer."""
    from collections import Counter

    from trainer.evaluate.probe.lama import ask, read_trex
    from trainer.evaluate.probe.probing import Prober, drawn, with_others

    prober, skipped = Prober(model), Counter[str]()
    asked = list(read_trex(lama, skipped))
    asked = with_others(asked, [(query.relation, query.subject, query.object) for query in asked])
    answers = ask(prober, drawn(asked, _PER_RELATION), prober.vocabulary, skipped)
    tokenizer = load_tokenizer(model, where="base")
    right = [(answer.query.text, answer.query.names[0]) for answer in answers if answer.right]
    right = [(text, name) for text, name in right if single_token(tokenizer, name) is not None]
    return Draw(0, "known").sample(right, min(_KNOWN, len(right)))


def clock_of(watched: Watched) -> list[float]:
    """CPU seconds of each step of a run that measured nothing."""
    ends = [0.0, *(found["seconds"] for found in watched.series)]
    return [end - start for start, end in pairwise(ends)]
