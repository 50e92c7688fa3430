"""Names beside ids are in the build's base language, where none is asked for."""

import re
import subprocess
import sys

import pytest
import yaml

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.corpus import Corpus
from kgcorpus.report.labels import labels_of
from tests.trainer.toy import write_corpus


def test_inspect_names_ids_in_the_base_language(tmp_path):
    names = [{"lang": lang, "label": f"Roma-{lang}", "aliases": []} for lang in ("ltg", "lv")]
    rows = {
        "entities": [{"qid": "Q1", "names": names, "description": None, "types": []}],
        "triples": [{"h": "Q1", "r": "P1", "t": "Q1"}],
    }
    corpus = write_corpus(tmp_path, rows, shards=1)
    for languages in (["ltg", "lv"], ["lv", "ltg"]):
        (corpus / "config.yaml").write_text(yaml.safe_dump({"languages": languages}))
        shown = subprocess.run(
            [sys.executable, "-m", "kgcorpus", "inspect", "triples", "--out", corpus],
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"Roma-{languages[0]}" in shown.stdout
        assert f"Roma-{languages[1]}" not in shown.stdout
        assert shown.stderr == f"labels beside ids are in {languages[0]}, the base language\n"


@pytest.mark.parametrize("text", [None, "", "languages: []", "[1]", "a: {"])
def test_a_build_without_languages_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml.*Build the corpus"):
        base_language_of(tmp_path)


def test_an_entity_and_a_relation_of_one_id_have_their_own_labels(tmp_path):
    def named(label):
        return [{"lang": "pt-BR", "label": label, "aliases": []}]

    rows = {
        "entities": [{"qid": "capital", "names": named("a city"), "description": None, "types": []}],
        "relations": [{"pid": "capital", "names": named("is the seat of")}],
        "code_switched": [
            {
                "id": "1",
                "lang": "pt-BR",
                "kind": "alias",
                "text": "ab",
                "triples": [{"h": "capital", "r": "capital", "t": "capital"}],
                "slots": [
                    {
                        "start": n,
                        "end": n + 1,
                        "sentence": 0,
                        "slot": n + 1,
                        "qid": "capital",
                        "lang": "pt-BR",
                    }
                    for n in range(2)
                ],
            }
        ],
    }
    corpus = write_corpus(tmp_path, rows, shards=1)
    (corpus / "config.yaml").write_text("languages: [pt-BR]\n")
    (record,) = Corpus.open(corpus).records("code_switched", 1)
    assert "a city —is the seat of→ a city" in str(record)
    assert re.findall('title="(.*?)"', record._repr_html_()) == ["a city", "is the seat of"]
    assert labels_of(load_manifest(corpus), corpus, lang="PT_br")("capital") == "a city"
