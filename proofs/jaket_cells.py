"""One cell of the grid: an arm trained at a learning rate and a seed, and asked about the unseen entities."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs.corpus import write_build
from proofs.experiment import train_timed
from proofs.grid import Cell
from proofs.jaket_world import World
from trainer.config import ModelConfig, TrainingConfig
from trainer.jaket.config import JaketConfig

# Neighbours a node and hop.
ARMS = {"joint": 10, "no graph": 0}


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every cell has in common.

    Attributes:
        steps, passages, roots: as many for every arm.
        hidden, layers, heads, vocabulary: of the language model, half of whose layers are LM1.
        max_length: tokens of a passage and of a packed row.
        entity_probability: share of the mentions removed.
        unseen_share: of the entities, of which training links, samples and predicts none.
    """

    steps: int = 800
    passages: int = 48
    roots: int = 64
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    vocabulary: int = 1000
    max_length: int = 128
    entity_probability: float = 0.3
    unseen_share: float = 0.15


def configure(cell: Cell, training: Training) -> TrainingConfig:
    """The cell's run, as `train jaket` takes it."""
    return TrainingConfig(
        seed=cell.seed,
        schedule_steps=training.steps,
        lr=cell.lr,
        max_length=training.max_length,
        lr_warmup=training.steps // 20,
        checkpoint_every=training.steps,
        log_every=100,
        model=ModelConfig(
            hidden=training.hidden,
            layers=training.layers,
            heads=training.heads,
            vocab_size=training.vocabulary,
        ),
        jaket=JaketConfig(
            passages=training.passages,
            roots=training.roots,
            neighbours=ARMS[cell.arm],
            entity_probability=training.entity_probability,
            unseen_share=training.unseen_share,
            description_length=16,
            # As in the published runs.
            km_lr_warmup=training.steps // 20,
        ),
    )


def write_world(world: World, folder: Path, *, seed: int, training: Training) -> None:
    """Write a seed's corpus, the same for all its cells."""
    from trainer.jaket.entities import is_unseen

    entities = world.entities()
    qids = [row["qid"] for row in entities]
    aside = is_unseen(qids, share=training.unseen_share, seed=seed)
    tables = {
        "jaket_entities": entities,
        "jaket_edges": world.edges(),
        "jaket_text": world.passages({qid for qid, unseen in zip(qids, aside, strict=True) if unseen}),
    }
    write_build(folder, tables, seed=seed)


def run_cell(cell: Cell, world: Path, run: Path, training: Training) -> dict[str, Any]:
    """Train a cell and ask it about the unseen entities.

    Args:
        cell: arm, learning rate and seed.
        world: folder of the seed, written by `write_world`.
        run: folder of the training.
        training: what every cell has in common.

    Returns:
        What `train_timed` returns, and by task `about` and `right` of the memory's evaluation.
    """
    from trainer.jaket.evaluate.memory import answers

    model, spent = train_timed("jaket", corpus=world, run=run, config=configure(cell, training))
    asked = answers(model, world, seed=cell.seed, limit=None)
    return spent | {task: {"about": found.about, "right": found.right} for task, found in asked.items()}
