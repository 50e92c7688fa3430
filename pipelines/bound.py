"""Stages bound to a configuration (inputs, parameters, fingerprints, shard counts), resolved once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.declared import config_json, config_value, declared
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.splits import SPLIT_SHARES
from kgcorpus.contracts.stages import Source, Stage, fingerprint, sources_of
from kgcorpus.contracts.tables import Table, table
from pipelines.source_digests import SourceDigests
from pipelines.stages import stages


@dataclass(frozen=True)
class Output:
    """Where a stage's table goes.

    Attributes:
        fingerprint: names the folder; equal where the bytes are equal.
        shards: split (`part` for an unpublished table) -> number of shards.
    """

    fingerprint: str
    shards: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class BoundStage:
    """A stage and what a configuration decides about it.

    Attributes:
        stage: the declaration.
        table: the table that it makes.
        config: the fields that the stage declares; reading another one raises.
        params: the same fields as JSON, for the fingerprint.
        seed: the seed of every draw.
        inputs: the tables that it reads, the optional ones included that the configuration allows.
        sources: the configured files and models that it reads.
        unavailable: why the configuration does not allow the stage, or None.
    """

    stage: Stage
    table: Table
    config: BuildConfig
    params: Mapping[str, Any]
    seed: int
    inputs: tuple[str, ...]
    sources: tuple[Source, ...]
    unavailable: str | None

    @property
    def name(self) -> str:
        """The table's name, which is the stage's."""
        return self.stage.table

    @property
    def is_left_out(self) -> bool:
        """Whether the table is worth naming as n/a: one for a single format of an input is not."""
        return self.unavailable is not None and not self.stage.formats

    def output(self, manifest: Manifest, digests: SourceDigests) -> Output:
        """Return the table's place when it is current; all inputs must be committed.

        Raises:
            InputError: a source is missing, or has changed since it was first hashed.
        """
        print_ = fingerprint(
            self.stage,
            seed=self.seed,
            params=self.params,
            inputs={name: manifest.tables[name].digest for name in self.inputs},
            sources=[(source, digests.digest(source)) for source in self.sources],
        )
        if self.stage.inputs:
            size = manifest.tables[self.stage.inputs[0]].rows
        else:
            size = sum(digests.size(source) for source in self.sources if source.role in self.stage.needs)
        return Output(print_, shard_counts(self.stage, self.table, size))


def bind(config: BuildConfig) -> dict[str, BoundStage]:
    """Table -> its stage under this configuration, in the stages' order, unavailable ones included."""
    bound: dict[str, BoundStage] = {}
    for stage in stages().values():
        sources = tuple(sources_of(config, stage.sources, stage.formats))
        optional = (name for name in stage.optional if _is_read(stage, name, config, bound))
        bound[stage.table] = BoundStage(
            stage=stage,
            table=table(stage.table),
            config=declared(config, stage.params, reader=stage.table),
            params=config_json(config, stage.params),
            seed=config.seed,
            inputs=(*stage.inputs, *optional),
            sources=sources,
            unavailable=_unavailable(stage, config, sources, bound),
        )
    return bound


def shard_counts(stage: Stage, made: Table, size: int) -> dict[str, int]:
    """Shards of each split, from committed input only, so that no run-time setting changes a byte.

    Args:
        size: rows of the stage's first input, or bytes of the sources it needs.
    """
    shards = size * stage.growth / made.rows_per_shard
    if not made.published:
        return {"part": max(1, round(shards))}
    return {split: max(1, round(shards * share)) for split, share in SPLIT_SHARES.items()}


def _unavailable(
    stage: Stage, config: BuildConfig, sources: Sequence[Source], bound: Mapping[str, BoundStage]
) -> str | None:
    if stage.needs and not any(source.role in stage.needs for source in sources):
        kind = f"a {' or '.join(stage.formats)} file in " if stage.formats else ""
        return f"not configured: {kind}{' or '.join(stage.needs)}"
    if stage.enabled_by and not config_value(config, stage.enabled_by):
        return f"not configured: {stage.enabled_by.split('.')[0]}"
    return next((reason for name in stage.inputs if (reason := bound[name].unavailable)), None)


def _is_read(stage: Stage, optional: str, config: BuildConfig, bound: Mapping[str, BoundStage]) -> bool:
    if optional in stage.only_if:
        path, value = stage.only_if[optional]
        if config_value(config, path) != value:
            return False
    return bound[optional].unavailable is None
