"""Fingerprints follow content and params, and nothing else."""

from pathlib import Path

import pytest

from kgcorpus.config import BuildConfig, GraphConfig, SparkConfig, WikipediaConfig
from kgcorpus.contracts.declared import config_json
from kgcorpus.contracts.stages import Source, Stage, fingerprint, sources_of

STAGE = Stage(table="cycles", version=1, run=lambda context: None, params=("cycles", "languages"))


def print_of(**changes: object) -> str:
    arguments: dict[str, object] = {
        "seed": 0,
        "params": config_json(BuildConfig(), STAGE.params),
        "inputs": {"triples": "d1"},
        "sources": [(Source("graph.triples", "/a/x.txt"), "s1")],
    }
    return fingerprint(STAGE, **(arguments | changes))  # type: ignore[arg-type]


def test_a_path_does_not_matter_but_content_role_and_seed_do() -> None:
    assert print_of() == print_of(sources=[(Source("graph.triples", "/b/y.txt"), "s1")])
    others = [
        print_of(sources=[(Source("graph.triples", "/a/x.txt"), "s2")]),
        print_of(sources=[(Source("graph.labels", "/a/x.txt"), "s1")]),
        print_of(seed=1),
        print_of(inputs={"triples": "d2"}),
        print_of(params={"cycles": {}, "languages": []}),
    ]
    assert len({print_of(), *others}) == 6


@pytest.mark.parametrize("name", ["own.jsonl", "own.json.gz", "own.sql.bz2"])
def test_a_name_that_picks_another_parser_counts_but_not_its_packing(name: str) -> None:
    """A misnamed file that is renamed must not keep what the wrong parser made of it."""

    def named(path: str) -> str:
        return print_of(sources=[(Source("text.path", path), "s1")])

    assert named("own.txt") == named("other.tsv.gz")
    assert named("own.txt") != named(name)
    assert named(name) == named(name.removesuffix(".gz").removesuffix(".bz2"))


def test_only_declared_params_count() -> None:
    config = BuildConfig(
        spark=SparkConfig(master="local[7]", partitions=99), graph=GraphConfig(triples=("x",))
    )
    assert config_json(config, STAGE.params) == config_json(BuildConfig(), STAGE.params)


def test_sources_carry_role_and_language() -> None:
    config = BuildConfig(
        wikipedia=(
            WikipediaConfig(lang="de", dump="d.xml", titles="t.tsv"),
            WikipediaConfig(lang="fr", dump="f.xml"),
        ),
        graph=GraphConfig(labels=("l1", "l2")),
    )
    found = sources_of(config, ["wikipedia.titles", "wikipedia.dump", "graph.labels", "importance.encoder"])
    assert found == [
        Source("wikipedia.titles", "t.tsv", "de"),
        Source("wikipedia.dump", "d.xml", "de"),
        Source("wikipedia.dump", "f.xml", "fr"),
        Source("graph.labels", "l1"),
        Source("graph.labels", "l2"),
    ]


def test_every_stage_declares_existing_config_fields(tmp_path: Path) -> None:
    from kgcorpus.contracts.tables import TABLES
    from pipelines.stages import STAGES

    seen: set[str] = set()
    for stage in STAGES:
        config_json(BuildConfig(), stage.params)
        sources_of(BuildConfig(), (*stage.sources, *stage.needs))
        assert set(stage.needs) <= set(stage.sources)
        assert set(stage.only_if) <= set(stage.optional)
        assert {*stage.inputs, *stage.optional} <= seen, f"{stage.table} reads a later stage's table"
        seen.add(stage.table)
    assert seen == set(TABLES)


@pytest.mark.parametrize(
    ("table", "settings", "read"),
    [
        ("importance", {"importance": {"encoder": "e", "replacement": "mask"}}, []),
        ("importance", {"importance": {"encoder": "e", "replacement": "entity"}}, ["entities"]),
        ("linked_sentences", {}, ["titles", "triples"]),
        (
            "linked_sentences",
            {"linking": {"dictionary": True}},
            ["titles", "triples", "surfaces", "in_links", "entities"],
        ),
    ],
)
def test_an_optional_table_is_read_where_the_configuration_asks_for_it(
    table: str, settings: dict[str, object], read: list[str]
) -> None:
    from pipelines.bound import bind

    graph = {"triples": ["t.txt"], "labels": ["l.tsv"]}
    wiki = {"lang": "en", "dump": "d.xml", "titles": "t.tsv"}
    config = BuildConfig.model_validate({"graph": graph, "wikipedia": [wiki], **settings})
    bound = bind(config)[table]
    assert bound.inputs == (*bound.stage.inputs, *read)
