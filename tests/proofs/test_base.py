import json
import math
import re
import shutil
from pathlib import Path

import pytest

import kgcorpus.demo
from kgcorpus.contracts.errors import UsageError
from proofs.base import Plan, make_base, require_base, with_floor
from proofs.base_report import Floor, floor, markdown
from proofs.corpus import write_build

WORDS = ["the", "river", "is", "in", "Rome", "and", "the", "town", "is", "on", "the", "sea", "of", "Italy"]
FACTS = [(name, "Rome" if i % 3 else "Italy") for i, name in enumerate("abcdef")]


@pytest.fixture
def inputs(tmp_path):
    """A corpus and LAMA's files; the encoder is the embedded world's."""
    rows = [
        {"id": f"{split}{i}", "lang": "en", "text": " ".join(WORDS[i % 5 :]), "length": 128, "split": split}
        for split, n in (("train", 12), ("test", 5))
        for i in range(n)
    ]
    write_build(tmp_path / "corpus", {"plain_text": rows}, seed=0)
    data = tmp_path / "lama"
    relations = [{"relation": "P19", "template": "[X] was born in [Y] ."}]
    facts = [{"predicate_id": "P19", "sub_label": name, "obj_label": town} for name, town in FACTS]
    for name, lines in (("relations.jsonl", relations), ("TREx/P19.jsonl", facts)):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {
        "encoder": Path(kgcorpus.demo.__file__).parent / "world" / "encoder",
        "corpus": tmp_path / "corpus",
        "lama": data,
    }


def small(**changed):
    return Plan(**{"steps": 2, "warmup": 1, "records_per_step": 4, "precision": "fp32", **changed})


@pytest.mark.slow
def test_a_proof_gets_only_the_base_that_was_measured_above_the_floor(tmp_path, inputs):
    out = tmp_path / "base"
    with pytest.raises(UsageError, match="no measured base"):
        require_base(out)
    found = make_base(small(floor=Floor(share=0, facts=1)), out, **inputs)
    assert found["text"]["records"] == 8
    assert found["held_out"]["start"]["records"] == found["held_out"]["base"]["records"] == 8
    assert found["held_out"]["start"]["predicted"] == found["held_out"]["base"]["predicted"]
    assert 0 < found["held_out"]["base"]["loss"] < 2 * math.log(3000)
    assert found["lama"]["trex"]["relations"]["P19"]["n"] == len(FACTS)
    assert require_base(out) == out / "run" / "model"
    assert with_floor("# Title\n\nText", out) == "# Title\n\nText"
    first = (out / "base.json").read_bytes()
    shutil.rmtree(out / "run" / "model")
    make_base(small(floor=Floor(share=0, facts=1)), out, **inputs)
    assert (out / "base.json").read_bytes() == first

    with pytest.raises(UsageError):
        make_base(small(seed=2), out, **inputs)
    changed = json.loads(first)
    changed["plan"]["floor"] = {"share": 1.1, "facts": 1}
    (out / "base.json").write_text(json.dumps(changed))
    with pytest.raises(UsageError, match="the floor is 2"):
        require_base(out)
    assert require_base(out, below_floor=True) == out / "run" / "model"
    shown = with_floor("# Title\n\nText", out)
    assert re.fullmatch(r"# Title\n\n\*\*.* of 1 relations of LAMA, and 2 were asked for.*\n\nText", shown)
    (out / "base.json").write_bytes(first)
    (out / "run" / "model" / "vocab.txt").write_text("other")
    with pytest.raises(UsageError, match="not the model"):
        require_base(out)


def relation(p, majority, n=30):
    return {"n": n, "p@1": p, "majority": majority, "chance": 0.0}


def test_the_floor_counts_relations_with_enough_facts():
    lama = {
        "google_re": {"relations": {"a": relation(0.2, 0.1), "b": relation(0.1, 0.1)}},
        "trex": {"relations": {"c": relation(0.5, 0.4), "few": relation(1.0, 0.0, n=19)}},
    }
    assert floor(lama, Floor()) == {"above": 2, "relations": 3, "needed": 2, "met": True}
    lama["trex"]["relations"]["d"] = relation(0.1, 0.2)
    assert floor(lama, Floor()) == {"above": 2, "relations": 4, "needed": 3, "met": False}
    assert not floor({"candidates": 1}, Floor())["met"]


def test_the_report_says_whether_the_floor_is_met():
    whole = {"difference": 0.1, "interval": [0.05, 0.15]}
    scores = {"n": 60, "p@1": 0.3, "majority": 0.2, "chance": 0.0, "all_facts": whole}
    lama = {"trex": {**scores, "relations": {"c": relation(0.5, 0.4), "d": relation(0.1, 0.2)}}}
    page = markdown(
        {
            "plan": {"floor": {"share": 2 / 3, "facts": 20}},
            "package": "encoder 1",
            "text": {"records": 8, "tokens": 64},
            "held_out": {"base": {"loss": 2.5, "predicted": 9, "records": 8}},
            "lama": lama,
            "floor": floor(lama, Floor()),
        }
    )
    assert "above the majority in 1 of 2 relations" in page
    assert "The floor is not met" in page
    assert "| trex | 60 | 30.0 % | 20.0 % | 0.0 % | +10.0 [+5.0, +15.0] |" in page
    assert "| d | 30 | 10.0 % | 20.0 % | no |" in page
