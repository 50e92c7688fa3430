import gzip
import json
import tarfile
from collections import Counter

import pytest
import yaml

from proofs.told_facts import _TEMPLATES, write_told_facts
from trainer.evaluate.files import read_json_lines
from trainer.evaluate.probe.lama import _Relation, read_trex

FACTS = ["Q1 P19 Q3", "Q2 P19 Q3", "Q4 P19 Q3", "Q5 P19 Q3", "Q1 P17 Q3", "Q6 P19 Q3"]
LABELS = ["Q1\ten\tAda", "Q2\ten\t\tByron", "Q3\ten\tLondon", "Q4\ten\tLampedusa"]
LABELS += ["Q5\tfr\tAnne", "Q6\ten\tEve"]


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.fixture
def inputs(tmp_path):
    write(tmp_path / "kg" / "triples.txt.gz", [fact.replace(" ", "\t") for fact in FACTS])
    write(tmp_path / "kg" / "labels_10lang.tsv.gz", LABELS)
    lama = tmp_path / "lama"
    (lama / "TREx").mkdir(parents=True)
    (lama / "relations.jsonl").write_text(
        json.dumps({"relation": "P19", "template": "[X] was born in [Y] ."}) + "\n"
    )
    asked = {
        "predicate_id": "P19", "sub_label": "Eve", "obj_label": "London", "sub_uri": "Q6", "obj_uri": "Q3",
    }  # fmt: skip
    (lama / "TREx" / "P19.jsonl").write_text(json.dumps(asked) + "\n")
    return tmp_path / "kg", lama


def test_named_facts_are_told_once_but_for_those_that_lama_asks(tmp_path, inputs):
    out = tmp_path / "told.txt"
    assert write_told_facts(*inputs, out, per_relation=10, seed=1) == 3
    lines = out.read_text().splitlines()
    assert len(lines) == 3
    for name in ("Ada", "Byron", "Lampedusa"):
        assert sum(name in line and "London" in line for line in lines) == 1
    assert all(line[0].isupper() for line in lines)
    # Anne has no English name, Eve's fact is LAMA's, P17 has no sentence.
    assert not any(name in line for name in ("Anne", "Eve") for line in lines)


def test_a_fact_is_told_each_time_in_another_sentence(tmp_path, inputs):
    out = tmp_path / "told.txt"
    assert write_told_facts(*inputs, out, per_relation=10, times=4, seed=1) == 12
    lines = out.read_text().splitlines()
    for name in ("Ada", "Byron", "Lampedusa"):
        assert len({line for line in lines if name in line}) == 4
    with pytest.raises(ValueError, match="fewer than 100 sentences: P19"):
        write_told_facts(*inputs, out, per_relation=10, times=100, seed=1)


def test_a_relation_has_its_most_facts_and_a_seed_its_choice(tmp_path, inputs):
    chosen = set()
    for seed in range(8):
        assert write_told_facts(*inputs, tmp_path / "told.txt", per_relation=2, seed=seed) == 2
        chosen.add((tmp_path / "told.txt").read_text())
        write_told_facts(*inputs, tmp_path / "again.txt", per_relation=2, seed=seed)
        assert (tmp_path / "again.txt").read_text() == (tmp_path / "told.txt").read_text()
    assert len(chosen) > 1


def test_no_sentence_is_one_that_lama_asks_with(real_data, tmp_path):
    with tarfile.open(real_data / "lama" / "lama-trex-googlere-squad.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (relations,) = tmp_path.rglob("relations.jsonl")
    templates = {
        row["relation"]: row["template"].replace("[X]", "{x}").replace("[Y]", "{y}").replace(" .", ".")
        for row in read_json_lines(relations, _Relation, form="LAMA")
    }
    sentences = yaml.safe_load(_TEMPLATES.read_text())
    assert {query.relation for query in read_trex(relations.parent, Counter())} <= set(sentences)
    for relation, forms in sentences.items():
        assert templates[relation] not in forms
        assert all(form.count("{x}") == form.count("{y}") == 1 for form in forms)
