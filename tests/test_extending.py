"""The examples of docs/extending work as they stand there."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
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


@pytest.fixture
def _hubs_unregistered() -> Iterator[None]:
    from pipelines.stages import unregister_stage

    yield
    unregister_stage("hubs")


@pytest.mark.usefixtures("_hubs_unregistered")
def test_a_stage_is_registered_by_a_call(spark: "SparkSession", tmp_path: Path) -> None:
    from kgcorpus.config import BuildConfig
    from kgcorpus.contracts.manifest import load_manifest
    from pipelines import runner

    example("stage.md")
    example("stage.md")  # a notebook's cell that runs twice
    triples = tmp_path / "triples.txt"
    triples.write_text("".join(f"Q{i}\tP1\tQ{90 + (i > 6)}\n" for i in range(10)))
    config = BuildConfig(graph={"triples": (str(triples),)}, spark={"master": "local[2]", "partitions": 2})
    runner.build(config, tmp_path / "out", targets=["hubs"])
    entry = load_manifest(tmp_path / "out").tables["hubs"]
    assert (entry.rows, entry.drops) == (1, {"few_facts": 1})
    again = runner.build(config, tmp_path / "out", targets=["hubs"])
    assert [outcome.action for outcome in again] == ["skip", "skip"]


def installed(folder: Path, module: str) -> dict[str, str]:
    """The environment of a process in which the stage's package is installed, by its entry points.

    Args:
        folder: where it is installed.
        module: the source of `hubs.py`.
    """
    page = (PAGES / "stage.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    groups = tomllib.loads(block)["project"]["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items())
        for group, points in groups.items()
    ]
    info = folder / "hubs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hubs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / "hubs.py").write_text(module)
    return {**os.environ, "PYTHONPATH": str(folder)}


def planned(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kgcorpus", "plan", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_stage_is_found_by_its_packages_entry_points(tmp_path: Path) -> None:
    triples = tmp_path / "t.txt"
    triples.write_text("Q1\tP1\tQ2\n")
    words = ("hubs", "--out", str(tmp_path / "out"), "--set", f"graph.triples={triples}", "--config")
    (tmp_path / "c.yaml").write_text("{}")
    blocks = re.findall(r"^```python\n(.*?)^```", (PAGES / "stage.md").read_text(), re.MULTILINE | re.DOTALL)
    environment = installed(tmp_path / "site", "\n".join(blocks[:2]))
    done = planned(environment, *words, str(tmp_path / "c.yaml"), "--json")
    assert [step["stage"] for step in json.loads(done.stdout)] == ["triples", "hubs"]
    unknown = planned(dict(os.environ), *words, str(tmp_path / "c.yaml"))
    assert unknown.returncode == 2
    assert "hubs: no such table" in unknown.stderr


def test_an_entry_point_that_cannot_be_loaded_is_told_with_its_package(tmp_path: Path) -> None:
    done = planned(installed(tmp_path, "import no_such_module"), "--out", str(tmp_path / "out"))
    assert done.returncode == 4
    assert "hubs, entry point hubs of kgcorpus.tables: the entry point cannot be loaded" in done.stderr


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
    with pytest.raises(InputError, match=r"truthy\.nt:2: expected a fact between two entities"):
        names["facts"](str(path))


def test_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    from kgcorpus.wiki import abbreviations, sentences
    from kgcorpus.wiki.sentences import split_sentences

    monkeypatch.setattr(abbreviations, "ABBREVIATIONS", abbreviations.ABBREVIATIONS)
    monkeypatch.delitem(abbreviations.ABBREVIATIONS, "eo", raising=False)
    names = {"TEXT": "Mi vidis ĝin, ekz. Parizo estas granda. Ĉu ne?"}
    assert len(split_sentences(names["TEXT"], "eo")) == 3
    monkeypatch.setitem(abbreviations.ABBREVIATIONS, "eo", abbreviations.DEFAULT)
    sentences._language.cache_clear()  # the page's reader starts a new process
    assert example("language.md")["sentences"]() == ["Mi vidis ĝin, ekz. Parizo estas granda.", "Ĉu ne?"]


@pytest.fixture
def _last_token_unregistered() -> Iterator[None]:
    from trainer.registry import OBJECTIVES

    yield
    OBJECTIVES.unregister("last_token")


@pytest.mark.usefixtures("_last_token_unregistered")
def test_an_objective(tmp_path: Path) -> None:
    from trainer import run
    from trainer.config import TrainingConfig
    from trainer.metrics_log import read_metrics

    example("objective.md")
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
