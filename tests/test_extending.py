"""The examples of docs/extending work as they stand there."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.trainer.toy import rows_of, write_corpus

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAGES = Path(__file__).parents[1] / "docs" / "extending"


def example(page: str) -> dict[str, Any]:
    """What the page's Python blocks, run one after another, define."""
    blocks = re.findall(r"^```python\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": page.removesuffix(".md")}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    return names


def test_contributing_names_every_page() -> None:
    contributing = (PAGES.parents[1] / "CONTRIBUTING.md").read_text()
    assert all(f"docs/extending/{page.name}" in contributing for page in PAGES.iterdir())


def test_a_stage(spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kgcorpus.config import BuildConfig
    from kgcorpus.contracts.manifest import load_manifest
    from kgcorpus.contracts.tables import TABLES
    from pipelines import bound, runner
    from pipelines.stages import STAGES

    names = example("stage.md")
    hubs = names["STAGE"]
    monkeypatch.setitem(TABLES, "hubs", names["HUBS"])
    monkeypatch.setattr(bound, "STAGES", (*STAGES, hubs))
    triples = tmp_path / "triples.txt"
    triples.write_text("".join(f"Q{i}\tP1\tQ{90 + (i > 6)}\n" for i in range(10)))
    config = BuildConfig(graph={"triples": (str(triples),)}, spark={"master": "local[2]", "partitions": 2})
    runner.build(config, tmp_path / "out", targets=["hubs"])
    entry = load_manifest(tmp_path / "out").tables["hubs"]
    assert (entry.rows, entry.drops) == (1, {"few_facts": 1})
    again = runner.build(config, tmp_path / "out", targets=["hubs"])
    assert [outcome.action for outcome in again] == ["skip", "skip"]


def test_a_format(tmp_path: Path) -> None:
    from kgcorpus.contracts.errors import InputError

    names = example("format.md")
    path = tmp_path / "truthy.nt"
    fact = (
        "<http://www.wikidata.org/entity/Q1> <http://www.wikidata.org/prop/direct/P31> "
        "<http://www.wikidata.org/entity/Q5> .\n"
    )
    path.write_text(fact)
    assert names["facts"](str(path)) == [("Q1", "P31", "Q5")]
    path.write_text(fact + fact.replace("<http://www.wikidata.org/entity/Q5>", '"a text"'))
    with pytest.raises(InputError, match=r"truthy\.nt:2: this is no fact between two entities"):
        names["facts"](str(path))


def test_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    from kgcorpus.wiki import abbreviations
    from kgcorpus.wiki.sentences import split_sentences

    monkeypatch.setattr(abbreviations, "ABBREVIATIONS", abbreviations.ABBREVIATIONS)
    monkeypatch.delitem(abbreviations.ABBREVIATIONS, "eo", raising=False)
    names = {"TEXT": "Mi vidis ĝin, ekz. Parizo estas granda. Ĉu ne?"}
    assert len(split_sentences(names["TEXT"], "eo")) == 3
    monkeypatch.setitem(abbreviations.ABBREVIATIONS, "eo", abbreviations.DEFAULT)
    assert example("language.md")["sentences"]() == ["Mi vidis ĝin, ekz. Parizo estas granda.", "Ĉu ne?"]


def test_an_objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer import run
    from trainer.config import TrainingConfig
    from trainer.metrics import read_metrics

    names = example("objective.md")
    entry = run._Entry(lambda config: ["plain_text"], names["build_last_token"])
    monkeypatch.setitem(run.OBJECTIVES, "last_token", entry)
    corpus = write_corpus(tmp_path / "corpus", {"plain_text": rows_of(80)["plain_text"]})
    config = TrainingConfig(schedule_steps=12, records_per_step=32, lr=0.02, lr_warmup=2)
    run.train("last_token", corpus=corpus, out=tmp_path / "one", config=config, max_steps=12)
    for steps in (5, 12):
        run.train("last_token", corpus=corpus, out=tmp_path / "two", config=config, max_steps=steps)
    one, two = (
        [line["loss"] for line in read_metrics(tmp_path / x / "metrics.jsonl")] for x in ("one", "two")
    )
    assert one == two
    assert one[-1] < 0.9 * one[0]
