"""A proof as one object: its plan, the world of each seed, its cells, and the files of the result."""

import json
import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from kgcorpus.contracts.store import write_text
from proofs.grid import Cell, read_options, run_grid
from proofs.statistics import Found

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from trainer.config import TrainingConfig

    class AnyCell(DataclassInstance, Protocol):
        """One training of the grid, identified by its fields."""

        @property
        def name(self) -> str:
            """Stem of the cell's file."""

        @property
        def seed(self) -> int:
            """Seed of the cell's world."""


# Marker file of a finished world; holds what `write_world` returned.
WORLD = "world.json"
C = TypeVar("C", bound="AnyCell")


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC, Generic[C]):
    """A proof. The fields of a subclass are its plan: everything that the result depends on."""

    @abstractmethod
    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Write a seed's corpora, and what its cells start from, to `folder`; return facts about them."""

    @abstractmethod
    def run_cell(self, cell: C, world: Path, run: Path) -> dict[str, Any]:
        """Train a cell in the folder `run` on the corpora in `world`; return its measurements."""

    def ensure_same_run(self, *folders: Path) -> None:
        """Write this plan into folders, or check that theirs is the same.

        Raises:
            UsageError: a folder has the cells of another plan.
        """
        from trainer import run_identity

        for folder in folders:
            # Through JSON, which turns tuples into lists, as the plan is when it is read back.
            run_identity.ensure_same_run(folder, json.loads(json.dumps({"plan": asdict(self)})))

    def run(self, cells: Sequence[C], out: Path, *, workers: int, done: Path | None = None) -> list[Found]:
        """Run the cells whose files are missing.

        Args:
            cells: of this plan.
            out: folder of the worlds (seed1, ...); one of another plan is refused.
            workers: processes, each on one core.
            done: folder of the cells' files; None: OUT/cells.

        Returns:
            The cells' measurements, in the order of `cells`.

        Raises:
            UsageError: the folder has another plan's cells.
        """
        done, worlds = done or out / "cells", {cell.seed: out / f"seed{cell.seed}" for cell in cells}
        run_grid(
            asdict(self),
            out,
            prepare=[partial(self._ensure_world, folder, seed) for seed, folder in worlds.items()],
            cells={cell.name: partial(self._ensure_cell, cell, worlds[cell.seed], done) for cell in cells},
            workers=workers,
        )
        return [json.loads((done / f"{cell.name}.json").read_text(encoding="utf-8")) for cell in cells]

    def _ensure_world(self, folder: Path, seed: int) -> None:
        if not (folder / WORLD).exists():
            about = self.write_world(folder, seed=seed)
            write_text(folder / WORLD, json.dumps(about, indent=1) + "\n")

    def _ensure_cell(self, cell: C, world: Path, done: Path) -> None:
        target, run = done / f"{cell.name}.json", done / cell.name
        if target.exists():
            return
        # A stopped cell starts again: its clock is the process's.
        shutil.rmtree(run, ignore_errors=True)
        done.mkdir(parents=True, exist_ok=True)
        found = {**asdict(cell), **self.run_cell(cell, world, run)}
        write_text(target, json.dumps(found) + "\n")
        shutil.rmtree(run)


@dataclass(frozen=True, kw_only=True)
class ArmsExperiment(Experiment[Cell]):
    """A proof that compares arms, each trained at every learning rate and every seed.

    Attributes:
        arms: names of the arms.
        rates: peak learning rates, the same for every arm.
        seeds: of the worlds, the starting weights and the masks; paired over arms.
    """

    arms: ClassVar[Sequence[str]]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def cells(self) -> list[Cell]:
        """The grid, seed by seed."""
        return [Cell(arm, lr, seed) for seed in self.seeds for lr in self.rates for arm in self.arms]

    def prove(
        self,
        name: str,
        description: str,
        arguments: Sequence[str] | None,
        *,
        analyse: Callable[[Sequence[Found]], dict[str, Any]],
        show: Callable[[Mapping[str, Any], Sequence[Found]], str],
    ) -> None:
        """Read the command line, run the grid and write RESULTS/<name>.{json,md}.

        Args:
            name: of the proof.
            description: first line of the command's help.
            arguments: of the command line; None for the process's.
            analyse: cells -> the comparisons.
            show: (comparisons, cells) -> tables in Markdown.
        """
        options = read_options(name, description, arguments)
        cells = self.run(self.cells, options.out, workers=options.workers)
        found = analyse(cells)
        text = show(found, cells)
        write_result(options.results / name, self, found, {"cells": cells}, text=text)


def train_timed(
    objective: str, *, corpus: Path, run: Path, config: "TrainingConfig"
) -> tuple[Path, dict[str, Any]]:
    """Train, and return RUN/model with `train_seconds` (wall) and `tokens` that the run read."""
    from trainer.metrics_log import read_metrics
    from trainer.run import train

    began = time.perf_counter()
    model = train(objective, corpus=corpus, out=run, config=config)
    seconds = round(time.perf_counter() - began, 1)
    tokens = sum(line["tokens"] for line in read_metrics(run / "metrics.jsonl") if "tokens" in line)
    return model, {"train_seconds": seconds, "tokens": tokens}


def write_result(
    target: Path, plan: Experiment[Any], found: Mapping[str, Any], cells: Mapping[str, Any], *, text: str
) -> None:
    """Write the plan, what was found, the machine and the cells to TARGET.json, and `text` to TARGET.md."""
    versions = {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "versions": versions}
    result = {"plan": asdict(plan), **found, **machine, **cells}
    write_text(target.with_suffix(".json"), json.dumps(result) + "\n")
    write_text(target.with_suffix(".md"), text)
