"""Inputs are checked before the first stage starts, and alone by `plan --check`."""

import json

import pytest

from tests.made import command

FILES = {
    "triples.tsv": "ex:a\tp:in\tex:b\n",
    "labels.tsv": "ex:a\tltg\tAa\nex:b\tltg\tBe\n",
    "relations.tsv": "p:in\tltg\teisti\n",
    "own.jsonl": '{"text": "Aa ir.", "links": [{"start": 0, "end": 2, "qid": "ex:a"}]}\n',
}
CONFIG = """
languages: [ltg]
graph: {triples: [triples.tsv], labels: [labels.tsv], relations: [relations.tsv]}
text: [{lang: ltg, path: own.jsonl}]
"""


def checked(folder, capsys, monkeypatch, *words, **files):
    """The exit code, and what was found: (kind, text); a table that is n/a is left out."""
    for name, text in {**FILES, **files}.items():
        (folder / name).write_text(text)
    (folder / "c.yaml").write_text(CONFIG)
    monkeypatch.chdir(folder)
    capsys.readouterr()
    code = command("plan", "--check", "--config", "c.yaml", "--json", *words)
    rows = json.loads(capsys.readouterr().out)
    return code, [(row["kind"], row["text"]) for row in rows if row["kind"] != "n/a"]


def test_inputs_that_fit_are_checked_in_silence(tmp_path, capsys, monkeypatch):
    assert checked(tmp_path, capsys, monkeypatch) == (0, [])
    assert command("plan", "--check", "--config", "c.yaml") == 0
    shown = capsys.readouterr().out
    assert "n/a      trelm: not configured: importance.encoder" in shown
    assert "checked: 4 inputs and models" in shown


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.tsv", "ex:a\tltg\n", "entities: labels.tsv:1: a row of names"),
        ("relations.tsv", "p:in\n", "relations: relations.tsv:1: "),
        ("triples.tsv", "ex:a\tp:in\n", "triples: triples.tsv:1: a triple (h, r, t)"),
        ("own.jsonl", "{", "pages: own.jsonl:1: this is not JSON"),
    ],
)
def test_a_first_record_that_is_malformed_is_an_error(tmp_path, capsys, monkeypatch, name, text, said):
    code, found = checked(tmp_path, capsys, monkeypatch, **{name: text})
    if name == "labels.tsv":  # two columns are Wikidata5M's layout
        assert code == 0
        return
    assert code == 3
    assert [kind for kind, _ in found if kind == "error"] == ["error"]
    assert said in dict(found)["error"]
    quarantined = checked(tmp_path, capsys, monkeypatch, "--set", "on_bad_input=quarantine", **{name: text})
    assert quarantined[0] == 0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"labels.tsv": "Q1\tltg\tAa\n"}, "graph.labels: none of its ids is in graph.triples"),
        ({"relations.tsv": "P1\tltg\teisti\n"}, "graph.relations: none of its ids is in graph.triples"),
        (
            {"own.jsonl": '{"text": "Aa", "links": [{"start": 0, "end": 2, "qid": "Q7"}]}'},
            "text.path: none of its ids is in graph.triples",
        ),
    ],
)
def test_ids_that_differ_between_files_are_told(tmp_path, capsys, monkeypatch, files, said):
    code, found = checked(tmp_path, capsys, monkeypatch, **files)
    assert code == 0
    assert [kind for kind, _ in found] == ["warning"]
    assert said in found[0][1]


def test_a_language_without_names_is_told(tmp_path, capsys, monkeypatch):
    code, found = checked(tmp_path, capsys, monkeypatch, "--set", "languages=[ltg, lv]")
    assert (code, [text for _, text in found]) == (
        0,
        [
            "languages: graph.labels name nothing in lv",
            "languages: graph.relations name nothing in lv",
        ],
    )


def test_models_and_every_missing_file_are_told_at_once(tmp_path, capsys, monkeypatch):
    sets = ("--set", "graph.labels=gone.tsv", "--set", "importance.encoder=./no-model")
    code, found = checked(tmp_path, capsys, monkeypatch, *sets)
    assert code == 3
    errors = [text for kind, text in found if kind == "error"]
    assert len(errors) == 2
    assert "gone.tsv" in errors[0]
    assert "no-model" in errors[1]
    assert command("build-corpus", "--config", "c.yaml", "--out", "OUT", *sets) == 3
    assert not list(tmp_path.glob("OUT/tables/*"))
