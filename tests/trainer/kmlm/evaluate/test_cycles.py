import json
import re

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.splits import split_of_pair
from tests.trainer.toy import RELATIONS, rows_of, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.statistics import compare
from trainer.kmlm.evaluate.cycles import evaluate_cycles, score_cycles
from trainer.run import train

CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=400), records_per_step=6, schedule_steps=2
)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    train("kmlm", corpus=corpus, out=out, config=CONFIG)
    return out / "model"


def test_every_question_hides_a_held_out_pair_and_is_counted_once(run, corpus):
    found = score_cycles(run, corpus, exclude=frozenset({"P0", "P1", "P2"}))
    assert found == score_cycles(run, corpus, exclude=frozenset({"P0", "P1", "P2"}))
    json.dumps(found)
    rows = [row for row in rows_of(400)["reasoning"] if row["kind"] == "cycle3"]
    held_out = [
        row for row in rows if any(split_of_pair(0, t["h"], t["t"]) == "test" for t in row["triples"])
    ]
    assert found["overall"]["n"] + sum(found["skipped"].values()) == len(held_out)
    assert found["candidates"] == {"en": len(RELATIONS)}
    assert found["without"]["n"] < found["overall"]["n"]
    assert found["without"]["baseline_relation"] in {"P3", "P4", "P5"}
    assert found["by_language"]["en"] == found["overall"]
    assert found["one_language_a_cycle"]["overall"]["n"] == found["overall"]["n"]
    assert score_cycles(run, corpus, limit=3)["overall"]["n"] == 3


def test_the_configured_relations_are_left_out(run, corpus):
    some = EvaluationConfig(exclude_relations=("P0", "P1", "P2"))
    found = evaluate_cycles(run, corpus, some)
    assert found["excluded"] == ["P0", "P1", "P2"]
    assert found["without"]["n"] < found["overall"]["n"]
    assert evaluate_cycles(run, corpus, EvaluationConfig(exclude_relations=()))["excluded"] == []


def test_by_default_the_most_frequent_relation_of_the_training_cycles_is_left_out(run, corpus):
    found = evaluate_cycles(run, corpus, EvaluationConfig())
    assert found["excluded"] == [found["overall"]["baseline_relation"]]
    assert found["excluded"][0] in {f"P{n}" for n in range(len(RELATIONS))}
    assert 0 < found["without"]["n"] < found["overall"]["n"]


def test_ids_with_slashes_and_spaces_are_told_apart(run, corpus, tmp_path):
    """A question's key joins the ids of its cycle; opaque ids give the same result as Wikidata's."""
    rows = rows_of(400)["reasoning"]
    text = json.dumps(rows)
    renamed = json.loads(re.sub(r'"([QP])(\d+)"', r'"http://e.org/\1 x/\2"', text))
    opaque = score_cycles(run, write_corpus(tmp_path / "opaque", {"reasoning": renamed}))
    plain = score_cycles(run, write_corpus(tmp_path / "plain", {"reasoning": rows}))
    assert opaque["overall"]["n"] > 0
    assert opaque["candidates"] == plain["candidates"]
    assert opaque["excluded"][0].startswith("http://e.org/P x/")


def test_the_hidden_relation_decides(run, corpus, tmp_path):
    """A model whose head always says one relation's tokens is right where that is the answer."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model, tokenizer = AutoModelForMaskedLM.from_pretrained(run), AutoTokenizer.from_pretrained(run)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    tokens = tokenizer("twin", add_special_tokens=False).input_ids
    weights["cls.predictions.bias"][tokens] += 100.0
    save_file(weights, path, metadata={"format": "pt"})
    always = score_cycles(tmp_path, corpus, exclude=frozenset())
    without = score_cycles(tmp_path, corpus, exclude=frozenset({f"P{RELATIONS.index('twin')}"}))
    assert always["overall"]["accuracy"] > 0
    assert without["without"]["accuracy"] == 0


def test_translations_of_a_cycle_count_as_one_sample(run, tmp_path):
    rows = rows_of(400)["reasoning"]
    doubled = [{**row, "id": f"{lang}-{row['id']}", "lang": lang} for row in rows for lang in ("en", "de")]
    corpus = write_corpus(tmp_path, {"reasoning": doubled})
    found = score_cycles(run, corpus)
    assert set(found["by_language"]) == {"de", "en"}
    assert found["overall"]["n"] == 2 * found["overall"]["clusters"]
    assert found["one_language_a_cycle"]["overall"]["n"] == found["overall"]["clusters"]
    assert found["one_language_a_cycle"]["overall"]["accuracy"] == found["overall"]["accuracy"]
    assert 0 < found["one_language_a_cycle"]["by_language"]["en"]["n"] < found["overall"]["clusters"]


def test_what_cannot_be_evaluated_is_told(run, corpus, tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        score_cycles(tmp_path / "none", corpus)
    with pytest.raises(InputError):
        score_cycles(run, tmp_path)
    plain = write_corpus(tmp_path, {"plain_text": rows_of(5)["plain_text"]})
    with pytest.raises(InputError, match="holds no table reasoning"):
        score_cycles(run, plain)


def test_the_interval_narrows_with_samples_not_with_copies():
    right = (np.arange(200) % 3 > 0).tolist()
    wrong = [False] * 200
    names = [str(i) for i in range(200)]
    single = compare(right, wrong, names, seed=0)
    assert single["difference"] == pytest.approx(np.mean(right))
    low, high = single["interval"]
    assert low < single["difference"] < high
    # The normal approximation of the same interval.
    assert high - low == pytest.approx(2 * 1.96 * np.std(right) / np.sqrt(200), rel=0.1)
    copied = compare(right * 4, wrong * 4, names * 4, seed=0)
    assert copied["n"] == 800
    assert copied["clusters"] == 200
    assert copied["interval"] == pytest.approx(single["interval"])
    assert compare([True, False], [True, False], ["a", "b"], seed=0)["interval"] == [0.0, 0.0]
    assert compare([], [], [], seed=0) == {"n": 0}
