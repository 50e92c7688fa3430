import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.tables import TABLES
from tests.trainer.evaluate.settings import QUICK
from trainer.kmlm.evaluate import xlr, xlr_fine_tuned
from trainer.kmlm.evaluate.xlr_questions import majority, question_only, read_questions, shuffled_context
from trainer.kmlm.evaluate.xlr_zero_shot import answers, breakdown, evaluate_zero_shot, scores
from trainer.masked_lm import open_lm

RELATIONS = {
    "P1": "is a river of",
    "P2": "born in",
    "P3": "town",
    "P4": "lake of",
    "P5": "died in",
    "P6": "city",
}
NAMES = ["Ulm", "St. Rome", "Paris", "Lima", "Oslo", "Ada | Bob", "Carl", "Dora"]


def question(i, lang):
    draw = Draw("toy-xlr", i)
    a, b, c = draw.sample(NAMES, 3)
    pids = sorted(RELATIONS)
    draw.shuffle(pids)
    answer = 0 if i % 3 == 0 else draw.below(6)
    row = {
        "id": f"xlr:{lang}:{i:04x}",
        "lang": lang,
        "context": f"{a} [mask] town [mask] {c}. {c} [mask] lake of [mask] {b}.",
        "question": {"h": "Q1", "t": "Q2", "h_label": a, "t_label": b},
        "choices": [{"pid": pid, "label": RELATIONS[pid]} for pid in pids],
        "answer": answer,
        "triples": [],
        "unseen_combination": i % 4 == 0,
        "held_out": [],
    }
    return row


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus with the table xlr alone: 24 training and 12 test questions in two languages."""
    numbers = {"train": range(24), "test": range(24, 36)}
    rows = {
        split: [question(i, lang) for lang in ("de", "en") for i in own] for split, own in numbers.items()
    }
    return write_questions(tmp_path_factory.mktemp("xlr"), rows)


def write_questions(out, rows):
    """A corpus with the table xlr alone; `rows`: split -> questions."""
    files = []
    for split, own in rows.items():
        path = f"data/xlr/{split}-00000-of-00001.parquet"
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(own, schema=TABLES["xlr"].schema), out / path)
        data = (out / path).read_bytes()
        files.append(File(path, len(own), len(data), hashlib.sha256(data).hexdigest()))
    manifest = Manifest()
    manifest.tables["xlr"] = TableEntry("xlr", "0" * 12, "0", 72, {}, {}, tuple(files))
    manifest.save(out)
    (out / "config.yaml").write_text("languages: [en, de]\n")
    return out


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_choice_s_score_is_its_mean_log_probability_with_its_own_masks(family, corpus, request):
    """Choice by choice, unpacked, by transformers alone."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = request.getfixturevalue(family)
    model, tokenizer = (
        AutoModelForMaskedLM.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    asked = read_questions(corpus, "test", limit=4)
    found = scores(*open_lm(folder), asked)
    sizes = set()
    for given, q in zip(found, asked, strict=True):
        expected = []
        for _, label in q.choices:
            before = f"{q.context} {q.labels[0]} [mask] ".replace("[mask]", tokenizer.mask_token)
            text = f"{before}{label} {tokenizer.mask_token} {q.labels[1]}."
            encoding = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
            offsets = encoding.pop("offset_mapping")[0]
            span = (offsets[:, 0] < len(before) + len(label)) & (offsets[:, 1] > len(before))
            ids = encoding["input_ids"]
            labels = ids[0, span].clone()
            ids[0, span] = tokenizer.mask_token_id
            with torch.no_grad():
                chances = model(**encoding).logits[0, span].log_softmax(-1)
            expected.append(float(chances[torch.arange(len(labels)), labels].mean()))
            sizes.add(len(labels))
        np.testing.assert_allclose(given, expected, atol=1e-4)
    assert len(sizes) > 1


def test_the_controls_change_the_context_alone(corpus):
    asked = read_questions(corpus, "test")
    assert [q.context for q in question_only(asked)] == [""] * len(asked)
    shuffled = shuffled_context(asked)
    for lang in ("de", "en"):
        before, after = ([q.context for q in part if q.lang == lang] for part in (asked, shuffled))
        assert sorted(before) == sorted(after)
        assert sum(x == y for x, y in zip(before, after, strict=True)) == 0
    for one, other in zip(asked, shuffled, strict=True):
        assert (one.ident, one.labels, one.choices, one.answer) == (
            other.ident,
            other.labels,
            other.choices,
            other.answer,
        )


def test_the_majority_is_the_choice_most_often_right_in_training(corpus):
    training, asked = (read_questions(corpus, split, languages=["en"]) for split in ("train", "test"))
    counts = {pid: sum(q.choices[q.answer][0] == pid for q in training) for pid in RELATIONS}
    most = max(sorted(counts), key=counts.get)
    assert majority(asked, training) == [q.choices[q.answer][0] == most for q in asked]


def test_the_parts_add_up(bert, corpus):
    found = evaluate_zero_shot(bert, corpus, QUICK)
    assert found["n"] == found["overall"]["n"] == 24
    assert found["questions"] == found["overall"]["clusters"] == 12
    assert found["chance"] == pytest.approx(1 / 6)
    assert found["seen_combinations"]["n"] + found["unseen_combinations"]["n"] == 24
    assert found["unseen_combinations"]["n"] == 6
    assert {lang: part["n"] for lang, part in found["by_language"].items()} == {"de": 12, "en": 12}
    assert found["against_question_only"]["accuracy"] == found["overall"]["accuracy"]
    only = evaluate_zero_shot(bert, corpus, QUICK.model_copy(update={"languages": ("en",), "limit": 5}))
    assert (only["n"], list(only["by_language"])) == (5, ["en"])


def test_an_answer_that_needs_the_context_is_lost_with_it(corpus):
    asked = read_questions(corpus, "test")

    def reader(questions):
        return [whole.context == shown.context for whole, shown in zip(asked, questions, strict=True)]

    found = breakdown(asked, reader, [False] * len(asked))
    assert found["overall"]["accuracy"] == 1.0
    assert (
        found["against_question_only"]["difference"] == found["against_shuffled_context"]["difference"] == 1.0
    )


def test_what_the_positions_do_not_reach_is_never_chosen(bert, corpus):
    lm, tokenizer = open_lm(bert)
    asked = read_questions(corpus, "test", limit=1)
    long = [q.__class__(**{**vars(q), "context": "Ulm. " * 80}) for q in asked]
    assert all(np.isneginf(s).all() for s in scores(lm, tokenizer, long))
    assert answers(lm, tokenizer, long) == [q.answer == 0 for q in long]


def test_fine_tuning_reports_its_controls_over_the_seeds(bert, corpus):
    config = QUICK.model_copy(update={"seeds": (0, 1), "max_length": 64})
    found = xlr.evaluate_xlr(bert, corpus, config)
    tuned = found["fine_tuned"]
    # Without a validation split a tenth of the 24 training questions selects the epoch.
    assert (tuned["n_train"], tuned["n"], tuned["cut"]) == (22, 24, 0)
    for selected in (tuned["selection"], tuned["question_only_selection"]):
        assert (selected["n"], selected["epochs"]) == (2, [1, 1])
    for part in (
        tuned["overall"],
        tuned["question_only"],
        tuned["shuffled_context"],
        tuned["by_language"]["de"],
    ):
        assert len(part["values"]) == 2
        assert part["mean"] == pytest.approx(np.mean(part["values"]))
        assert part["deviation"] == pytest.approx(np.std(part["values"], ddof=1))
    assert found["zero_shot"]["n"] == 24
    assert xlr.evaluate_xlr(bert, corpus, config) == found


def answered(numbers, pid):
    """English questions whose right choice is always `pid`."""
    found = [question(i, "en") for i in numbers]
    return [{**row, "answer": [choice["pid"] for choice in row["choices"]].index(pid)} for row in found]


@pytest.mark.parametrize(("dev", "kept"), [("P5", False), ("P3", True)])
def test_the_epoch_is_selected_on_the_validation_questions(bert, tmp_path, dev, kept):
    """The more of the training answers is learnt, the worse the other relation is answered."""
    rows = {"train": answered(range(24), "P3"), "validation": answered(range(24, 36), dev)}
    out = write_questions(tmp_path, {**rows, "test": answered(range(36, 48), dev)})
    config = QUICK.model_copy(update={"max_length": 64, "epochs": 8, "lr": 3e-3, "languages": ("en",)})
    selected = xlr.evaluate_xlr(bert, out, config)["fine_tuned"]["selection"]
    assert selected["n"] == 12
    assert all(epoch < 8 for epoch in selected["epochs"])
    assert (selected["dev"]["mean"] == 1.0) is kept


def test_a_corpus_without_questions_is_told(bert, corpus, tmp_path):
    with pytest.raises(InputError, match="no finished build"):
        evaluate_zero_shot(bert, tmp_path, QUICK)
    with pytest.raises(InputError, match="validation split has no XLR question"):
        evaluate_zero_shot(bert, corpus, QUICK, split="validation")
    Manifest().save(tmp_path)
    with pytest.raises(InputError, match="holds no table xlr"):
        evaluate_zero_shot(bert, tmp_path, QUICK)


def test_the_training_language_is_the_base_language_of_the_build(bert, corpus, tmp_path):
    rows = {
        split: [question(i, lang) for lang in ("lv", "ltg") for i in own]
        for split, own in {"train": range(24), "test": range(24, 30)}.items()
    }
    own = write_questions(tmp_path / "own", rows)
    (own / "config.yaml").write_text("languages: [ltg, lv]\n")
    found = xlr_fine_tuned.evaluate_fine_tuned(bert, own, QUICK)
    assert (found["train_language"], found["n_train"]) == ("ltg", 22)
    assert set(found["by_language"]) == {"ltg", "lv"}
    other = xlr_fine_tuned.evaluate_fine_tuned(bert, own, QUICK.model_copy(update={"train_language": "lv"}))
    assert other["train_language"] == "lv"
    with pytest.raises(InputError, match="no XLR question in en"):
        xlr_fine_tuned.evaluate_fine_tuned(bert, own, QUICK.model_copy(update={"train_language": "en"}))
