"""Typed querying on hand-made files in mParaRel's layout, against a ranking written anew; real files."""

import json
import tarfile
from collections import Counter

import pytest
import torch

from kgcorpus.contracts.errors import InputError
from tests.trainer.evaluate.probe.test_probing import plain
from tests.trainer.toy import write_corpus
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import read_json_lines
from trainer.evaluate.probe.mlama import Fact, evaluate_mlama, queries_of, read_patterns
from trainer.evaluate.prompt_counter import prompt_counter

FACTS = [
    ("Q1", "Ada", "Q11", "Ulm"),
    ("Q2", "Bob", "Q12", "Rome city"),
    ("Q3", "Carl", "Q13", "Paris"),
    ("Q4", "Dora", "Q14", "Oslo"),
    ("Q5", "river", "Q11", "Ulm"),
]
PATTERN = "[X] was born in [Y] ."


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path):
    for lang in ("en", "de", "zh-hans"):
        (tmp_path / "patterns" / lang).mkdir(parents=True)
        patterns = [
            {"pattern": "[Y], [Y] or [X]", "checked-by-human": True},
            {"pattern": "[X] of [Y]", "checked-by-human": False},
            {"pattern": PATTERN, "checked-by-human": True},
        ]
        (tmp_path / "patterns" / lang / "P19.jsonl").write_text(lines(patterns))
    for lang in ("en", "de", "zh"):
        rows = [
            {
                "predicate_id": "P19",
                "sub_uri": head,
                "obj_uri": tail,
                "sub_label": name,
                "obj_label": city,
                "from_english": lang != "zh" and head == "Q2",
            }
            for head, name, tail, city in FACTS
        ]
        rows.append({**rows[0], "predicate_id": "P20"})
        (tmp_path / f"trex_{lang}.jsonl").write_text(lines(rows))
    return tmp_path


def naive_ranking(folder, subject: str, candidates: list[str]) -> str:
    """The candidate whose tokens have the highest mean log-probability, each in as many masks."""
    model, tokenizer = plain(folder)

    def score(name: str) -> float:
        tokens = tokenizer(f"in {name} .", add_special_tokens=False)["input_ids"][1:-1]
        text = PATTERN.replace("[X]", subject).replace("[Y]", " ".join([tokenizer.mask_token] * len(tokens)))
        encoded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            table = model(**encoded).logits[0].log_softmax(-1)
        places = (encoded["input_ids"][0] == tokenizer.mask_token_id).nonzero().flatten().tolist()
        return sum(float(table[p, t]) for p, t in zip(places, tokens, strict=True)) / len(tokens)

    return max(candidates, key=score)


def test_objects_are_ranked_by_the_mean_of_their_tokens(bert, data):
    prompt_counter.restart()
    found = evaluate_mlama(bert, data, EvaluationConfig(languages=["zh"]))["languages"]["zh"]
    counts = prompt_counter.counts()
    assert counts.done == counts.total >= 5
    cities = sorted({city for *_, city in FACTS})
    right = [naive_ranking(bert, name, cities) == city for _, name, _, city in FACTS]
    assert found["relations"] == {
        "P19": {"n": 5, "p@1": sum(right) / 5, "majority": 2 / 5, "chance": 1 / 4},
    }
    # Four candidates and five facts: one is right unless the toy ranks a wrong one first each time.
    assert any(right)
    assert found["skipped"] == {"no_pattern": 1}


def test_other_right_objects_are_removed_before_ranking(bert, data):
    path = data / "trex_zh.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    # Ada has every city as object: for each fact, the other three leave the ranking.
    rows += [{**rows[0], "obj_uri": tail, "obj_label": city} for _, _, tail, city in FACTS[1:4]]
    # A name that is only English is no candidate for its own fact, but it is right.
    rows += [{**rows[2], "obj_uri": "Q11", "obj_label": "Ulm", "from_english": True}]
    path.write_text(lines(rows))
    found = evaluate_mlama(bert, data, EvaluationConfig(languages=["zh"]))["languages"]["zh"]["relations"][
        "P19"
    ]
    cities = sorted({city for *_, city in FACTS})
    rest = [
        naive_ranking(bert, name, [c for c in cities if name != "Carl" or c != "Ulm"]) == city
        for _, name, _, city in FACTS[1:]
    ]
    assert found["n"] == 8
    assert found["p@1"] == (4 + sum(rest)) / 8
    assert found["chance"] == pytest.approx((4 + 1 / 3 + 3 / 4) / 8)


def test_names_that_are_only_english_do_not_count_as_native(bert, data):
    found = evaluate_mlama(bert, data, EvaluationConfig())["languages"]
    assert found["en"]["n"] == 5
    assert found["de"]["n"] == 4
    assert found["de"]["skipped"] == {"from_english": 1, "no_pattern": 1}
    # Its object is no candidate either.
    assert found["de"]["chance"] == pytest.approx(1 / 3)


def test_seen_facts_leave_the_questions_but_not_the_candidates(bert, data, tmp_path):
    triples = [{"h": "Q4", "r": "P19", "t": "Q14"}, {"h": "Q14", "r": "P19", "t": "Q3"}]
    corpus = write_corpus(tmp_path / "corpus", {"triples": triples})
    config = EvaluationConfig(languages=["en"], exclude_corpus=str(corpus))
    found = evaluate_mlama(bert, data, config)["languages"]["en"]
    assert found["n"] == 4
    assert found["chance"] == pytest.approx(1 / 4)
    assert found["seen"]["facts"] == [["Q4", "P19", "Q14"]]


def test_a_folder_without_facts_is_an_error(bert, tmp_path):
    with pytest.raises(InputError, match="holds no facts"):
        evaluate_mlama(bert, tmp_path, EvaluationConfig())


@pytest.mark.slow
def test_real_facts_and_patterns_are_read_whole(bert, real_data, tmp_path):
    with tarfile.open(real_data / "mpararel-trex" / "mpararel-10lang.tar.xz") as archive:
        archive.extractall(tmp_path)
    for lang, folder in (("de", "de"), ("zh", "zh-hans")):
        skipped: Counter[str] = Counter()
        patterns = read_patterns(tmp_path / "patterns" / folder)
        rows = read_json_lines(tmp_path / f"trex_{lang}.jsonl", Fact, form="mParaRel")
        queries = list(queries_of(rows, patterns, skipped, lang=lang))
        assert len(patterns) >= 35
        assert len(queries) + sum(skipped.values()) == 34_039
        assert len(queries) > 15_000
    config = EvaluationConfig(limit=1, languages=["de"])
    few = evaluate_mlama(bert, tmp_path, config)["languages"]["de"]
    assert few["n"] + few["skipped"].get("too_long", 0) + few["skipped"].get("unknown_token", 0) >= 35
