"""Ids, labels and languages drawn at random, through the commands that a user runs."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kgcorpus
import kgcorpus.demo
from kgcorpus.contracts.languages import fallback_codes, language_key
from kgcorpus.linking.characters import normalise
from tests import opaque
from tests.made import command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ENCODER = Path(kgcorpus.demo.__file__).parent / "world" / "encoder"
ENTITIES, RELATIONS, DOCUMENTS = 60, 8, 48
RELATION = "\0"
SMALL = {
    "model": {"hidden": 16, "layers": 1, "heads": 2, "vocab_size": 300},
    "records_per_step": 8,
    "transe": {"dim": 8, "steps": 5, "facts_per_step": 32, "negatives": 8},
}


@dataclass
class World:
    """A graph with its names: a ring of entities, of which each is joined to the next three.

    Attributes:
        names: (id, of a relation behind `RELATION`; code of a language) -> label.
    """

    languages: list[str]
    entities: list[str]
    relations: list[str]
    names: dict[tuple[str, str], str]
    triples: list[tuple[str, str, str]] = field(default_factory=list)

    def label(self, ident: str, lang: str) -> str | None:
        """The label in a language, by the documented chain."""
        codes = dict.fromkeys(map(language_key, fallback_codes(lang)))
        return next((self.names[ident, code] for code in codes if (ident, code) in self.names), None)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    languages = draw(
        st.lists(opaque.languages, min_size=2, max_size=3, unique_by=language_key), label="languages"
    )
    # An entity and a relation may have one id.
    entities = draw(st.lists(opaque.ids, min_size=ENTITIES, max_size=ENTITIES, unique=True), label="entities")
    relations = draw(
        st.lists(opaque.ids | st.sampled_from(entities), min_size=RELATIONS, max_size=RELATIONS, unique=True),
        label="relations",
    )
    codes = [language_key(lang) for lang in languages]
    labels = draw(
        st.lists(
            opaque.labels, min_size=ENTITIES + RELATIONS, max_size=ENTITIES + RELATIONS, unique_by=normalise
        ),
        label="labels",
    )
    names = {}
    for n, (ident, label) in enumerate(zip([*entities, *relations], labels, strict=True)):
        # The last third has the default label only; the others have one in each language.
        for code in ["mul"] if n % 3 == 2 else codes:
            names[ident if n < ENTITIES else f"{RELATION}{ident}", code] = label
    world = World(languages, entities, relations, names)
    for n, head in enumerate(entities):
        for step in (1, 2, 3):
            relation = draw(st.sampled_from(relations))
            world.triples.append((head, relation, entities[(n + step) % ENTITIES]))
    return world


def write(world: World, folder: Path) -> Path:
    """The files of a build, and its configuration."""
    base = world.languages[0]
    entities = [(i, code, label) for (i, code), label in world.names.items() if not i.startswith(RELATION)]
    relations = [(i[1:], code, label) for (i, code), label in world.names.items() if i.startswith(RELATION)]
    tables = {
        "triples": world.triples,
        "labels": entities,
        "relations": relations,
        "types": [(ident, world.entities[n % 3]) for n, ident in enumerate(world.entities)],
        "descriptions": [
            (ident, f"{world.label(ident, base)} is a place in the world.") for ident in world.entities
        ],
    }
    for name, rows in tables.items():
        (folder / f"{name}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    with open(folder / "own.jsonl", "w", encoding="utf-8") as stream:
        for n, (head, _, tail) in enumerate(world.triples[:DOCUMENTS]):
            stream.write(json.dumps(document(world, head, tail, world.languages[n % 2])) + "\n")
    config = {
        "languages": world.languages,
        "graph": {name: [str(folder / f"{name}.tsv")] for name in tables},
        "text": [{"lang": base, "path": str(folder / "own.jsonl")}],
        "linking": {"dictionary": True, "min_confidence": 0.2},
        "importance": {"encoder": str(ENCODER)},
        "xlr": {"train": 6, "validation": 3, "test": 3},
        "jaket": {"min_neighbours": 1, "category_relation": world.relations[0]},
        "spark": {"master": "local[2]", "partitions": 2, "memory": "1g"},
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    return folder / "my.yaml"


def document(world: World, head: str, tail: str, lang: str) -> dict[str, Any]:
    """A sentence that names two entities, of which the first one is linked."""
    first, second = (world.label(ident, lang) or "" for ident in (head, tail))
    text = f"Here is {first} and there is {second} too."
    return {"text": text, "lang": lang, "links": [{"start": 8, "end": 8 + len(first), "qid": head}]}


def rows_of(out: Path, name: str, split: str = "") -> list[dict[str, Any]]:
    """The rows of a table, or of one split of it."""
    manifest = json.loads((out / "manifest.json").read_text())
    files = [file for file in manifest["tables"][name]["files"] if f"/{split}" in file["path"]]
    return [row for file in files for row in pq.read_table(out / file["path"]).to_pylist()]


def triples_in(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        for triple in row["triples"]:
            yield triple["h"], triple["r"], triple["t"]


@settings(
    max_examples=2,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(world=worlds())
def test_a_world_of_strange_names_keeps_them_all(world, tmp_path_factory, capsys):
    folder = tmp_path_factory.mktemp("world")
    config, out = write(world, folder), folder / "OUT"
    capsys.readouterr()
    assert command("plan", "--check", "--config", config) == 0
    checked = capsys.readouterr().out
    assert "warning" not in checked
    assert command("build-corpus", "--config", config, "--out", out) == 0, capsys.readouterr().err
    graph_is_kept(world, out)
    records_are_of_the_graph(world, out)
    links_are_found(world, out, folder, capsys)
    tables_are_shown(world, out, capsys)
    models_are_scored(world, out, folder)


def graph_is_kept(world: World, out: Path) -> None:
    found = [(row["h"], row["r"], row["t"]) for row in rows_of(out, "triples")]
    assert sorted(found) == sorted(set(world.triples))
    for table, key, ids, mark in (
        ("entities", "qid", world.entities, ""),
        ("relations", "pid", world.relations, RELATION),
    ):
        names = {
            (row[key], name["lang"]): name["label"] for row in rows_of(out, table) for name in row["names"]
        }
        wanted = {(i, lang): world.label(mark + i, lang) for i in ids for lang in world.languages}
        assert names == {place: label for place, label in wanted.items() if label}


def records_are_of_the_graph(world: World, out: Path) -> None:
    facts, slots = set(world.triples), 0
    for table in ("code_switched", "reasoning"):
        rows = rows_of(out, table)
        assert rows
        assert set(triples_in(rows)) <= facts
        for row in rows:
            assert row["lang"] in world.languages
            for slot in row["slots"]:
                mark = RELATION if slot["slot"] == 2 else ""
                label = world.label(mark + slot["qid"], slot["lang"])
                assert row["text"][slot["start"] : slot["end"]] == label
                slots += 1
    assert slots
    for row in rows_of(out, "xlr"):
        assert {choice["pid"] for choice in row["choices"]} <= set(world.relations)
    edges = {(row["h"], row["r"], row["t"]) for row in rows_of(out, "jaket_edges")}
    assert edges
    assert edges <= facts
    entities = rows_of(out, "jaket_entities")
    assert {row["category"] for row in entities} <= set(world.entities[:3])
    assert {row["qid"] for row in entities} <= set(world.entities)
    mentions = [mention for row in rows_of(out, "trelm") for mention in row["mentions"]]
    assert {mention["qid"] for mention in mentions} <= set(world.entities)
    for mention in mentions:
        for fact in mention["triples"]:
            ends = (mention["qid"], fact["other"])
            head, tail = ends if fact["direction"] == "tail" else ends[::-1]
            assert (head, fact["r"], tail) in facts


def links_are_found(world: World, out: Path, folder: Path, capsys: Any) -> None:
    anchors = {
        (row["lang"], row["text"][mention["start"] : mention["end"]], mention["qid"])
        for row in rows_of(out, "linked_sentences")
        for mention in row["mentions"]
        if mention["source"] == "anchor"
    }
    linked = {
        (world.languages[n % 2], world.label(head, world.languages[n % 2]), head)
        for n, (head, _, _) in enumerate(world.triples[:DOCUMENTS])
    }
    # A name may look like the end of a sentence; such links span two sentences and are dropped.
    assert anchors <= linked
    assert len(anchors) > len(linked) / 2
    lang = world.languages[0]
    asked = sorted(
        {(ident, world.label(ident, lang)) for ident in world.entities if world.label(ident, lang)}
    )
    texts, gold = folder / "texts.jsonl", folder / "gold.jsonl"
    texts.write_text("".join(json.dumps({"id": ident, "text": label}) + "\n" for ident, label in asked))
    capsys.readouterr()
    assert command("link", texts, "--corpus", out, "--lang", lang, "--json") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == [ident for ident, _ in asked]
    right = sum(answer["id"] in {m["qid"] for m in answer["mentions"]} for answer in answers)
    assert right > 0
    labels = [{"text": label, "labels": [{"span": [0, len(label)], "entity_id": i}]} for i, label in asked]
    gold.write_text("".join(json.dumps(row) + "\n" for row in labels))
    words = (
        "evaluate",
        "linking",
        "--corpus",
        out,
        "--lang",
        lang,
        "--data",
        gold,
        "--out",
        folder / "l.json",
    )
    assert command(*words) == 0
    scored = json.loads((folder / "l.json").read_text())
    assert scored["strict"]["gold"] == len(asked)
    assert scored["strict"]["right"] == right


def tables_are_shown(world: World, out: Path, capsys: Any) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    for table in manifest["tables"]:
        assert command("inspect", table, "--out", out, "-n", "3", "--json") == 0
        assert command("inspect", table, "--out", out, "-n", "3") == 0
    capsys.readouterr()
    assert command("inspect", "triples", "--out", out, "-n", "1") == 0
    shown = capsys.readouterr().out
    assert any(re.search(r"^h +" + re.escape(head), shown, re.MULTILINE) for head, _, _ in world.triples)
    for words in (("report", "--out", out), ("status", "--out", out)):
        assert command(*words) == 0
    for record in kgcorpus.Corpus.open(out).records("code_switched", 2):
        assert "<mark" in record._repr_html_()


def models_are_scored(world: World, out: Path, folder: Path) -> None:
    config = folder / "train.yaml"
    config.write_text(yaml.safe_dump(SMALL))
    for objective, steps in (("kmlm", "2"), ("transe", "5")):
        words = ("train", objective, "--corpus", out, "--out", folder / objective, "--config", config)
        assert command(*words, "--max-steps", steps) == 0
    run, data = folder / "kmlm" / "model", folder / "triples"
    data.mkdir()
    for split in ("train", "valid", "test"):
        (data / f"{split}.txt").write_text("".join("\t".join(t) + "\n" for t in sorted(world.triples)))
    words = ("evaluate", "link-prediction", "--model", folder / "transe" / "model", "--data", data)
    assert command(*words, "--out", folder / "link-prediction.json") == 0
    questions = {
        "cycles": [row for row in rows_of(out, "reasoning", "test") if row["kind"] == "cycle3"],
        "xlr-zero-shot": rows_of(out, "xlr", "test"),
    }
    for benchmark, asked in questions.items():
        result = folder / f"{benchmark}.json"
        code = command("evaluate", benchmark, "--model", run, "--data", out, "--out", result)
        # A small world may have no held-out question.
        assert code == (0 if asked else 3), benchmark
        if benchmark == "cycles" and asked:
            assert set(json.loads(result.read_text())["excluded"]) <= set(world.relations)
