"""All stages of a build in order, and `register_stage` for stages of your own. The table of contents."""

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.registry import Registry
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import TABLES, Table, table
from pipelines import (
    attribution,
    cycles,
    entity_statistics,
    importance,
    jaket,
    kmlm,
    linked_sentences,
    names,
    pages,
    passages,
    rules,
    surfaces,
    titles,
    trelm,
    triples,
    wikidata,
    xlr,
)

STAGES: tuple[Stage, ...] = (
    wikidata.STAGE,
    triples.STAGE,
    names.ENTITIES,
    names.RELATIONS,
    cycles.STAGE,
    rules.STAGE,
    xlr.STAGE,
    kmlm.CODE_SWITCHED,
    kmlm.REASONING,
    pages.STAGE,
    titles.STAGE,
    surfaces.SURFACES,
    surfaces.IN_LINKS,
    linked_sentences.STAGE,
    passages.STAGE,
    passages.PLAIN_TEXT,
    importance.STAGE,
    entity_statistics.STAGE,
    trelm.STAGE,
    passages.JAKET_TEXT,
    jaket.ENTITIES,
    jaket.EDGES,
    attribution.STAGE,
)

REGISTRY: Registry[Stage] = Registry("stage", STAGES, of=Stage, group="kgcorpus.stages")


def register_stage(stage: Stage, *, table: Table | None = None) -> None:
    """Add a stage to all builds of this process; `kgcorpus.register_stage` in programs.

    Args:
        stage: the stage; it may read the tables of all stages that are registered.
        table: the table that it makes, unless that is registered already.

    Raises:
        UsageError: another table or stage has the name, or the stage reads a table that no stage makes.
    """
    if table is not None and table.name != stage.table:
        raise UsageError(f"the stage makes {stage.table}, not this table", where=table.name)
    if table is not None:
        TABLES.register(table)
    REGISTRY.register(stage)
    try:
        stages()
    except UsageError:
        unregister_stage(stage.name)
        raise


def unregister_stage(name: str) -> None:
    """Remove a stage that `register_stage` added, and its table."""
    REGISTRY.unregister(name)
    TABLES.unregister(name)


def stages() -> dict[str, Stage]:
    """Table -> its stage, each after the stages that it reads.

    Raises:
        UsageError: a stage has no table, or reads a table that no stage before it makes.
    """
    found: dict[str, Stage] = {}
    waiting = list(REGISTRY.values())
    while waiting:
        ready = [stage for stage in waiting if {*stage.inputs, *stage.optional} <= found.keys()]
        if not ready:
            unknown = {*waiting[0].inputs, *waiting[0].optional} - found.keys()
            raise UsageError(
                f"the stage reads {', '.join(sorted(unknown))}, which no stage before it makes",
                where=waiting[0].name,
                hint="Register the stage that makes it",
            )
        found |= {table(stage.table).name: stage for stage in ready[:1]}
        waiting.remove(ready[0])
    return found
