"""Inputs are checked before the first stage starts, and alone by `plan --check`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kgcorpus.demo
from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.stages import Source
from kgcorpus.importance.model_files import check_encoder_files
from pipelines.first_records import read_sample
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
    assert "checked: 4 inputs" in shown


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
        (
            {"own.jsonl": '{"text": "Aa", "title": "Aa", "qid": "Q7"}'},
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


def test_names_without_a_language_are_english(tmp_path, capsys, monkeypatch):
    code, found = checked(tmp_path, capsys, monkeypatch, **{"labels.tsv": "ex:a\tAa\nex:b\tBe\n"})
    line = (
        "languages: graph.labels name nothing in ltg; files without a column of languages are read as English"
    )
    assert (code, [text for _, text in found]) == (0, [line])


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


ENCODER = Path(kgcorpus.demo.__file__).parent / "world" / "encoder"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("model.safetensors", lambda data: data[:-1], "its header says"),
        ("model.safetensors", lambda data: b"\xff" * 8 + data[8:], "is not a safetensors file"),
        ("model.safetensors", lambda data: data[:8] + b"]" + data[9:], "the header of model.safetensors"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("config.json", lambda data: b"[]", "config.json is not a JSON object"),
        ("config.json", lambda data: b'{"is_encoder_decoder": true}', "an encoder-decoder is no encoder"),
        ("config.json", None, "config.json is missing"),
        ("tokenizer.json", None, "holds no tokenizer.json"),
        ("tokenizer.json", lambda data: data[:-2], "cannot be read as a tokenizer"),
    ],
)
def test_a_damaged_encoder_is_found_by_its_files(tmp_path, name, change, said):
    read_sample(
        Source("importance.encoder", str(ENCODER)), BuildConfig(), stage="importance", load_models=False
    )
    folder = shutil.copytree(ENCODER, tmp_path / "encoder")
    data = (folder / name).read_bytes()
    (folder / name).unlink()
    if change:
        (folder / name).write_bytes(change(data))
    for load_models in (False, True):
        with pytest.raises((InputError, UsageError)) as error:
            read_sample(
                Source("importance.encoder", str(folder)),
                BuildConfig(),
                stage="importance",
                load_models=load_models,
            )
        assert load_models or said in str(error.value)


def test_weights_in_parts_are_checked_part_by_part(tmp_path):
    folder = shutil.copytree(ENCODER, tmp_path / "encoder")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    check_encoder_files(str(folder))
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(InputError, match=r"model-2\.safetensors is missing"):
        check_encoder_files(str(folder))


def test_checking_the_inputs_of_a_build_with_an_encoder_imports_no_torch(tmp_path):
    code = (
        "import sys\n"
        "from kgcorpus.cli import app\n"
        f"app(['plan', '--check', '--out', {str(tmp_path / 'OUT')!r}], standalone_mode=False)\n"
        "print([name for name in ('torch', 'transformers', 'numba', 'spacy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["checked: 15 inputs; nothing stops the build", "[]"]
