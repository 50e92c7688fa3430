"""Typed configuration of a build: its sections (`build`, `inputs`) and how it is loaded (`loading`)."""

from kgcorpus.config.build import (
    BuildConfig,
    CyclesConfig,
    ImportanceConfig,
    JaketConfig,
    LinkingConfig,
    PassagesConfig,
    RulesConfig,
    SparkConfig,
    TrelmConfig,
    XlrConfig,
)
from kgcorpus.config.fields import Count, Files, Id, Lang, LocalPlace, Place, Section
from kgcorpus.config.inputs import ExtractionConfig, GraphConfig, LimitsConfig, TextConfig, WikipediaConfig
from kgcorpus.config.loading import (
    Source,
    is_publishable,
    load,
    load_resolved,
    put,
    settings,
    to_yaml,
    validated,
)

__all__ = [
    "BuildConfig",
    "Count",
    "CyclesConfig",
    "ExtractionConfig",
    "Files",
    "GraphConfig",
    "Id",
    "ImportanceConfig",
    "JaketConfig",
    "Lang",
    "LimitsConfig",
    "LinkingConfig",
    "LocalPlace",
    "PassagesConfig",
    "Place",
    "RulesConfig",
    "Section",
    "Source",
    "SparkConfig",
    "TextConfig",
    "TrelmConfig",
    "WikipediaConfig",
    "XlrConfig",
    "is_publishable",
    "load",
    "load_resolved",
    "put",
    "settings",
    "to_yaml",
    "validated",
]
