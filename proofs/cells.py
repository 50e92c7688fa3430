"""One cell of the grid: an arm trained at a learning rate and a seed, and asked the held-out questions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from proofs.corpus import write_corpora
from proofs.experiment import train_timed
from proofs.grid import Cell
from proofs.world import World
from trainer.config import ModelConfig, TrainingConfig
from trainer.kmlm.config import KmlmConfig


@dataclass(frozen=True)
class Arm:
    """What is trained on.

    Attributes:
        corpus: a folder of `write_corpora`.
        mask: whole relations and entities (K3, K4), or 15 % of the tokens.
    """

    corpus: Literal["grouped", "ungrouped"]
    mask: Literal["relations", "plain"]


ARMS = {
    "R": Arm("grouped", "relations"),
    "M": Arm("grouped", "plain"),
    "C": Arm("ungrouped", "relations"),
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every cell has in common.

    Attributes:
        steps, records_per_step: as many for every arm.
        hidden, layers, heads: of the model, which is drawn from the seed and the same in every arm.
        max_length: tokens of a record and of a packed row.
    """

    steps: int = 640
    records_per_step: int = 32
    hidden: int = 96
    layers: int = 2
    heads: int = 4
    max_length: int = 128


def write_world(
    world: World, folder: Path, *, seed: int, questions: dict[str, int], training: Training
) -> dict[str, int]:
    """Write a seed's corpora and the model that its cells start from; return counts of the corpora."""
    counts = write_corpora(world, folder, sizes=questions, seed=seed)
    _write_start(folder, seed=seed, training=training)
    return counts


def _write_start(folder: Path, *, seed: int, training: Training) -> None:
    from kgcorpus.contracts.manifest import load_manifest
    from trainer.masked_lm import load_lm
    from trainer.run import open_tokenizer

    corpus = folder / "grouped"
    config = TrainingConfig(
        seed=seed,
        max_length=training.max_length,
        model=ModelConfig(hidden=training.hidden, layers=training.layers, heads=training.heads),
    )
    manifest = load_manifest(corpus, required=True)
    tokenizer = open_tokenizer(folder / "start", corpus, manifest, config, tables=["reasoning"])
    load_lm(config, tokenizer, longest=training.max_length).lm.save_pretrained(folder / "start")


def run_cell(cell: Cell, world: Path, run: Path, training: Training) -> dict[str, Any]:
    """Train a cell and ask it the held-out questions.

    Args:
        cell: arm, learning rate and seed.
        world: folder of the seed, written by `write_world`.
        run: folder of the training.
        training: what every cell has in common.

    Returns:
        What `train_timed` and `_answers` return.
    """
    arm = ARMS[cell.arm]
    config = TrainingConfig(
        seed=cell.seed,
        schedule_steps=training.steps,
        lr=cell.lr,
        records_per_step=training.records_per_step,
        max_length=training.max_length,
        base_model=str(world / "start"),
        checkpoint_every=training.steps,
        kmlm=KmlmConfig(streams=("reasoning",), reasoning_mask=arm.mask),
    )
    model, spent = train_timed("kmlm", corpus=world / arm.corpus, run=run, config=config)
    return {**spent, **_answers(model, world / arm.corpus)}


def _answers(model: Path, corpus: Path) -> dict[str, Any]:
    """Each test question's id and whether it is of an unseen combination; which answers are right (0, 1)."""
    from trainer.kmlm.evaluate.xlr_questions import (
        majority,
        question_only,
        read_questions,
        shuffled_context,
    )
    from trainer.kmlm.evaluate.xlr_zero_shot import answers
    from trainer.masked_lm import open_lm

    lm, tokenizer = open_lm(model)
    validation, test = (read_questions(corpus, split) for split in ("validation", "test"))
    asked = {
        "validation": validation,
        "test": test,
        "question_only": question_only(test),
        "shuffled_context": shuffled_context(test),
    }
    right = {name: [int(yes) for yes in answers(lm, tokenizer, shown)] for name, shown in asked.items()}
    return {
        "questions": [question.asked for question in test],
        "unseen": [int(question.unseen_combination) for question in test],
        "right": right,
        "majority": [int(yes) for yes in majority(test, validation)],
    }
