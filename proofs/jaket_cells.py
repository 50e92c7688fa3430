"""One cell of the grid: an arm trained at a learning rate and a seed, and asked about the unseen entities."""

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from kgcorpus.contracts.store import write_text
from proofs.corpus import write_build
from proofs.grid import Cell
from proofs.jaket_world import Size, World
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


def ensure_seed(folder: Path, *, seed: int, size: Size, training: Training) -> None:
    """Write a seed's corpus, the same for all its cells; what stands there is kept."""
    from trainer.jaket.entities import is_unseen

    if (folder / "manifest.json").exists():
        return
    world = World(size, seed=seed)
    entities = world.entities()
    qids = [row["qid"] for row in entities]
    aside = is_unseen(qids, share=training.unseen_share, seed=seed)
    tables = {
        "jaket_entities": entities,
        "jaket_edges": world.edges(),
        "jaket_text": world.passages({qid for qid, unseen in zip(qids, aside, strict=True) if unseen}),
    }
    write_build(folder, tables, seed=seed)


def run_cell(cell: Cell, corpus: Path, out: Path, training: Training) -> None:
    """Train and ask, and write OUT/<cell>.json; one that stands there is kept.

    Args:
        cell: which.
        corpus: of its seed, as `ensure_seed` left it.
        out: the cells' folder.
        training: what every cell has in common.
    """
    from trainer.jaket.evaluate.memory import answers
    from trainer.metrics_log import read_metrics
    from trainer.run import train

    target = out / f"{cell.name}.json"
    if target.exists():
        return
    began, run = time.perf_counter(), out / cell.name
    model = train("jaket", corpus=corpus, out=run, config=configure(cell, training))
    seconds = round(time.perf_counter() - began, 1)
    tokens = sum(line["tokens"] for line in read_metrics(run / "metrics.jsonl") if "tokens" in line)
    asked = answers(model, corpus, seed=cell.seed, limit=None)
    found = {**asdict(cell), "train_seconds": seconds, "tokens": tokens}
    found |= {task: {"about": of_task.about, "right": of_task.right} for task, of_task in asked.items()}
    write_text(target, json.dumps(found) + "\n")
    shutil.rmtree(run)
