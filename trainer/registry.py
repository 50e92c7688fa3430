"""The objectives that `kgcorpus train` finds by name. This module imports no torch."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kgcorpus.contracts.registry import Registry
from trainer.config import TrainingConfig
from trainer.kmlm.config import STREAM_TABLES
from trainer.transe.config import TRANSE_TABLES


@dataclass(frozen=True, kw_only=True)
class TrainingObjective:
    """An objective: what it reads, and how it is made or trained.

    Attributes:
        name: its name on the command line.
        summary: what it trains, for the help.
        tables: from a run's configuration to the tables that it reads.
        build: a function from (configuration, corpus, out, tokenizer, accelerator) to a
            `trainer.objectives.Objective`, or `module:function`, imported when a run starts.
        own_loop: instead of `build`: a function from (corpus, out, configuration, max_steps=) to RUN/model
            that trains without a tokenizer and without `trainer.loop`.
        not_sharded: a function from a run's configuration to what of it cannot be trained with
            `sharding: fsdp`; empty if all can.
    """

    name: str
    summary: str
    tables: Callable[[TrainingConfig], Collection[str]]
    build: Callable[..., Any] | str = ""
    own_loop: Callable[..., Any] | str = ""
    not_sharded: Callable[[TrainingConfig], str] = lambda config: ""

    def load(self) -> Callable[..., Any]:
        """Return `own_loop`, or `build` without one."""
        function = self.own_loop or self.build
        if not isinstance(function, str):
            return function
        module, _, name = function.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), name)
        return loaded


def _kmlm_tables(config: TrainingConfig) -> list[str]:
    return [STREAM_TABLES[stream] for stream in config.kmlm.streams]


def _trelm_tables(config: TrainingConfig) -> list[str]:
    if config.trelm.provider == "shared":
        return ["trelm", "triples", "entities", "relations"]
    own = TRANSE_TABLES if config.trelm.kge is None else ()
    return list(dict.fromkeys(["trelm", "triples", "entities", *own]))


def _routing(config: TrainingConfig) -> str:
    from trainer.trelm.routing.router import resolve_mode

    mode = resolve_mode(config).routing.mode
    return "" if mode == "none" else f"trelm.routing.mode: {mode}"


def _jaket_tables(config: TrainingConfig) -> list[str]:
    labels = ["relations"] if config.jaket.relation_embeddings == "texts" else []
    return ["jaket_text", "jaket_entities", "jaket_edges", *labels]


OBJECTIVES: Registry[TrainingObjective] = Registry(
    "objective",
    (
        TrainingObjective(
            name="kmlm",
            summary="plain text, code-switched triples and reasoning cycles (KMLM)",
            tables=_kmlm_tables,
            build="trainer.kmlm.objective:build_kmlm",
        ),
        TrainingObjective(
            name="trelm",
            summary="long-tail entities injected, routed through knowledge neurons (TRELM)",
            tables=_trelm_tables,
            build="trainer.trelm.objective:build_trelm",
            not_sharded=_routing,
        ),
        TrainingObjective(
            name="jaket",
            summary="text and graph trained jointly (JAKET)",
            tables=_jaket_tables,
            build="trainer.jaket.objective:build_jaket",
            not_sharded=lambda config: "JAKET's entity memory",
        ),
        TrainingObjective(
            name="transe",
            summary="embeddings of the graph (TransE)",
            tables=lambda config: TRANSE_TABLES,
            own_loop="trainer.transe.train:train_transe",
        ),
    ),
    of=TrainingObjective,
    group="kgcorpus.objectives",
)


def register_objective(objective: TrainingObjective) -> None:
    """Add an objective to this process; `kgcorpus.register_objective` in programs.

    Raises:
        UsageError: an objective of that name is built in or belongs to an installed package.
    """
    OBJECTIVES.register(objective)
