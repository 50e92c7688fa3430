"""One cell of the grid: a model that knows some facts is taught new ones by one of the arms."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from proofs.corpus import write_build
from proofs.experiment import WORLD
from proofs.trelm_world import Fact, World, question
from trainer.config import ModelConfig, TrainingConfig
from trainer.transe.config import TranseConfig
from trainer.trelm.config import Also, MemoryConfig, RoutingConfig, TrelmConfig

# New facts alone, or with one known passage to three new ones.
CORPORA = ("new", "mixed")
_NEW_TO_KNOWN = 3


@dataclass(frozen=True)
class Arm:
    """What differs between the arms, in the words of `TrelmConfig`."""

    mode: Literal["exact", "path", "lora", "none"] = "none"
    share: float = 0.1
    choice: Literal["attributed", "random"] = "attributed"
    provider: Literal["transe", "shared"] = "transe"
    memory: bool = True
    attribution: Literal["joint", "layer"] = "joint"
    lowest_layer: int = 0
    also: tuple[Also, ...] = ()
    # Of a run's steps, before the first routing.
    dense_share: float = 0.05


ARMS = {
    "dense": Arm(),
    "dense, no memory": Arm(memory=False),
    "DKPLM-style": Arm(provider="shared", memory=False),
    **{
        f"{mode}, {choice} {share:.0%}": Arm(mode, share, choice)
        for share in (0.1, 0.3)
        for mode in ("exact", "path")
        for choice in ("attributed", "random")
    },
    "LoRA of 30%": Arm("lora", 0.3),
}
# What might let attributed neurons do better than random ones: another granularity, the upper half of the
# layers alone, and more that is trained before all but the neurons is frozen.
REMEDIES: dict[str, dict[str, Any]] = {
    "layer by layer": {"attribution": "layer"},
    "upper half": {"lowest_layer": 2},
    "half dense": {"dense_share": 0.5},
}
ARMS |= {
    f"exact, {choice} 30%, {name}": Arm("exact", 0.3, choice, **changed)
    for name, changed in REMEDIES.items()
    for choice in ("attributed", "random")
}
# What the frozen table costs: rows with the embedding table trained beside them.
TABLE = {
    "exact, attributed 30%, table": Arm("exact", 0.3, also=("table",)),
    "exact, random 30%, table": Arm("exact", 0.3, "random", also=("table",)),
    "path, attributed 30%, table": Arm("path", 0.3, also=("table",)),
    "table alone": Arm("exact", 0.0, also=("table",)),
}
ARMS |= TABLE


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every cell has in common.

    Attributes:
        base_steps, base_lr: of the model that knows the known facts.
        steps, records_per_step: as many for every arm.
        mlm_probability: share of the tokens predicted; a sentence has no more than nine.
        probes: how often the facts are asked for, at equal distances.
        hidden, layers, heads: of the model.
        vocabulary: of its tokenizer, large enough that most names are one token.
        kge_steps: of the graph's vectors, made once for a seed.
    """

    base_steps: int = 800
    base_lr: float = 1e-3
    steps: int = 200
    records_per_step: int = 64
    mlm_probability: float = 0.3
    probes: int = 8
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    vocabulary: int = 1200
    max_length: int = 64
    kge_steps: int = 300


@dataclass(frozen=True)
class Cell:
    """An arm on a corpus at a learning rate and a seed, which draws the world, the start and the masks."""

    arm: str
    corpus: str
    lr: float
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        arm = "".join(c for c in self.arm.replace(" ", "-") if c.isalnum() or c == "-")
        return f"{arm}-{self.corpus}-lr{self.lr:g}-seed{self.seed}"


def write_world(world: World, folder: Path, *, seed: int, training: Training) -> dict[str, Any]:
    """Write a seed's corpora, its vectors and the model that its cells start from.

    Returns:
        What that model knows; see `_probe`.
    """
    from trainer.run import train

    known, new = world.passages("known"), world.passages("new")
    corpora = {"known": known, "new": new, "mixed": [*new, *known[: len(new) // _NEW_TO_KNOWN]]}
    for name, rows in corpora.items():
        tables = {**world.graph(), "trelm": rows}
        split = {table: [{**row, "split": "train"} for row in own] for table, own in tables.items()}
        write_build(folder / name, split, seed=seed)
        (folder / name / "config.yaml").write_text(
            yaml.safe_dump({"seed": seed, "languages": ["en"]}), encoding="utf-8"
        )
    transe = TranseConfig(dim=32, steps=training.kge_steps)
    train(
        "transe", corpus=folder / "known", out=folder / "kge", config=TrainingConfig(seed=seed, transe=transe)
    )
    _write_start(folder / "start", [row["text"] for row in (*known, *new)], seed=seed, training=training)
    base = train(
        "trelm",
        corpus=folder / "known",
        out=folder / "base",
        config=TrainingConfig(
            seed=seed,
            schedule_steps=training.base_steps,
            lr=training.base_lr,
            lr_warmup=training.base_steps // 20,
            records_per_step=training.records_per_step,
            max_length=training.max_length,
            base_model=str(folder / "start"),
            checkpoint_every=training.base_steps,
            trelm=TrelmConfig(
                theta=1.0,
                mlm_probability=training.mlm_probability,
                inject="none",
                kge=str(folder / "kge"),
                memory=MemoryConfig(enabled=False),
                routing=RoutingConfig(mode="none"),
            ),
        ),
    )
    return _probe(base, world)


def _write_start(folder: Path, texts: Sequence[str], *, seed: int, training: Training) -> None:
    from trainer.masked_lm import load_lm
    from trainer.tokenizer import make_tokenizer

    tokenizer = make_tokenizer(texts, vocab_size=training.vocabulary, max_length=training.max_length)
    tokenizer.save_pretrained(folder)
    model = ModelConfig(hidden=training.hidden, layers=training.layers, heads=training.heads)
    config = TrainingConfig(seed=seed, max_length=training.max_length, model=model)
    load_lm(config, tokenizer, longest=training.max_length).lm.save_pretrained(folder)


def configure(cell: Cell, folder: Path, training: Training) -> TrainingConfig:
    """The cell's run, as `train trelm` takes it."""
    arm = ARMS[cell.arm]
    return TrainingConfig(
        seed=cell.seed,
        # The learning rate and the memory's lambda end at 0 with the run.
        schedule_steps=training.steps,
        lr=cell.lr,
        lr_warmup=training.steps // 20,
        records_per_step=training.records_per_step,
        max_length=training.max_length,
        base_model=str(folder / "base" / "model"),
        checkpoint_every=training.steps // training.probes,
        keep=training.probes,
        trelm=TrelmConfig(
            mlm_probability=training.mlm_probability,
            provider=arm.provider,
            kge=str(folder / "kge") if arm.provider == "transe" else None,
            memory=MemoryConfig(enabled=arm.memory),
            warmup_steps=round(training.steps * arm.dense_share),
            reroute_every=training.steps // 4,
            routing=RoutingConfig(
                mode=arm.mode,
                share=arm.share,
                choice=arm.choice,
                attribution=arm.attribution,
                lowest_layer=arm.lowest_layer,
                also=arm.also,
            ),
        ),
    )


def run_cell(cell: Cell, world: World, folder: Path, run: Path, training: Training) -> dict[str, Any]:
    """Train a cell and ask for the facts at each probe.

    Args:
        cell: arm, corpus, learning rate and seed.
        world: of the seed.
        folder: of the seed, written by `write_world`.
        run: folder of the training.
        training: what every cell has in common.

    Returns:
        `tokens`; `series`, by probe the step, CPU seconds, mean losses and what `_probe` returns; `events`.
    """
    from trainer.metrics_log import read_metrics
    from trainer.run import train

    train(
        "trelm",
        corpus=folder / cell.corpus,
        out=run,
        config=configure(cell, folder, training),
        max_steps=training.steps,
    )
    lines = [line for line in read_metrics(run / "metrics.jsonl") if "event" not in line]
    clock = np.cumsum([line["cpu_seconds"] for line in lines])
    every = training.steps // training.probes
    before = json.loads((folder / WORLD).read_text(encoding="utf-8"))
    series = [{"step": 0, "seconds": 0.0, **before}]
    for end in range(every, training.steps + 1, every):
        part = lines[end - every : end]
        probed = _probe(run / "checkpoints" / f"step-{end:08d}", world)
        losses = {name: float(np.mean([line[name] for line in part])) for name in ("loss", "loss_cka")}
        series.append({"step": end, "seconds": float(clock[end - 1]), **losses, **probed})
    events = [line for line in read_metrics(run / "metrics.jsonl") if "event" in line]
    return {"tokens": sum(line["tokens"] for line in lines), "series": series, "events": events}


def _probe(model: Path, world: World) -> dict[str, Any]:
    """What the model says of the facts without injection, by P@1 over the vocabulary.

    Returns:
        `right` and `log_loss`, means over the `known`, the `new`, and of these the `rare` and the `frequent`.
    """
    facts = [*world.facts["known"], *world.facts["new"]]
    asked = np.array(_ask(model, facts, world.names))
    new = np.arange(len(facts)) >= len(world.facts["known"])
    frequent = np.array([fact.told for fact in facts]) == max(fact.told for fact in facts)
    groups = {"known": ~new, "new": new, "rare": new & ~frequent, "frequent": new & frequent}
    means = {name: asked[group].mean(axis=0).tolist() for name, group in groups.items()}
    return {
        "right": {name: right for name, (right, _) in means.items()},
        "log_loss": {name: loss for name, (_, loss) in means.items()},
    }


def _ask(model: Path, facts: Sequence[Fact], names: dict[str, str]) -> list[tuple[bool, float]]:
    """Of each fact, whether the tail's tokens are the likeliest, and minus their mean log-probability."""
    from trainer.evaluate.probe.probing import BLANK, Prober

    prober = Prober(model)
    texts = [question(fact, names, blank=BLANK) for fact in facts]
    tails = [list(prober.tokens(text, names[fact.tail])) for text, fact in zip(texts, facts, strict=True)]
    found = []
    for table, tokens in zip(
        prober.log_probabilities(texts, [len(tokens) for tokens in tails]), tails, strict=True
    ):
        table[:, ~prober.vocabulary] = -np.inf
        right = bool((table.argmax(axis=1) == tokens).all())
        found.append((right, -float(table[range(len(tokens)), tokens].mean())))
    return found
