"""Table of contents: every stage of a build, in order."""

from kgcorpus.contracts.stages import Stage
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
    xlr,
)

STAGES: tuple[Stage, ...] = (
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
BY_TABLE = {stage.table: stage for stage in STAGES}
