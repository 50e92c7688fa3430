"""The official formats: files by hand through a whole benchmark, and real files where they are at hand."""

import json
from collections import Counter

import pytest

from kgcorpus.contracts.errors import InputError
from tests.trainer.evaluate.files import unpack, write
from tests.trainer.evaluate.settings import QUICK, QUICK_2
from trainer.evaluate.fine_tuning import (
    fewrel,
    ner,
    open_entity,
    pos,
    question_answering,
    relx,
    sentence_pairs,
    tacred,
)
from trainer.evaluate.fine_tuning.inputs import marked


def check_seeds(score):
    assert len(score["values"]) == 2
    assert 0 <= score["mean"] <= 1


def test_markers_stand_around_both_spans():
    tokens = ["Ada", "of", "Ulm"]
    assert marked(tokens, (0, 1), (2, 3)) == "<e1> Ada </e1> of <e2> Ulm </e2>"
    assert marked(tokens, (1, 3), (0, 1)) == "<e2> Ada </e2> <e1> of Ulm </e1>"


KBP = (
    '7\t" <e1> Ada </e1> of <e2> Ulm </e2> . "\nper:city(e1,e2)\n\n\n'
    '8\t"<e2> Oslo </e2>, <e1> Bob </e1>"\nno_relation\n\n\n'
)


def test_relx(bert, tmp_path):
    write(tmp_path / "kbp37" / "train.txt", KBP)
    write(tmp_path / "kbp37" / "dev.txt", KBP)
    write(tmp_path / "RELX" / "RELX_en.txt", KBP)
    write(tmp_path / "RELX" / "RELX_tr.txt", KBP + KBP.replace("(e1,e2)", "(e2,e1)"))
    assert relx.read_relx(tmp_path / "kbp37" / "train.txt")[0] == (
        "<e1> Ada </e1> of <e2> Ulm </e2> .",
        "per:city(e1,e2)",
        None,
    )
    found = relx.evaluate_relx(bert, tmp_path, QUICK_2)
    assert (found["n_train"], found["classes"], list(found["tests"])) == (2, 2, ["en", "tr"])
    assert found["tests"]["tr"]["n"] == 4
    # `no_relation` is the first of the two equally frequent labels.
    assert found["tests"]["tr"]["majority"] == {
        "accuracy": 0.5,
        **{f"macro_{name}": 0.0 for name in ("precision", "recall", "f1")},
    }
    check_seeds(found["tests"]["en"]["accuracy"])
    assert (found["selection"]["on"], found["selection"]["n"]) == ("dev.txt", 2)
    # The development sentences are the English test sentences.
    assert found["selection"]["dev"] == found["tests"]["en"]["macro_f1"]
    assert relx.evaluate_relx(bert, tmp_path, QUICK_2) == found
    write(tmp_path / "RELX" / "RELX_fr.txt", "no number\nx\n\n\n")
    with pytest.raises(InputError, match=r"RELX_fr\.txt, line 1"):
        relx.evaluate_relx(bert, tmp_path, QUICK)


def test_relx_as_published(real_data, tmp_path):
    unpack(real_data, "relx/relx.tar.xz", tmp_path)
    unpack(real_data, "relx/kbp37.tar.xz", tmp_path)
    training = relx.read_relx(tmp_path / "train.txt")
    assert len(training) == 15_917
    assert len({item.label for item in training}) == 37
    for lang in ("de", "en", "es", "fr", "tr"):
        items = relx.read_relx(next(tmp_path.rglob(f"RELX_{lang}.txt")))
        assert len(items) == 502
        assert all(
            all(item.text.count(marker) == 1 for marker in ("<e1>", "</e1>", "<e2>", "</e2>"))
            for item in items
        )


def test_ner(bert, tmp_path):
    write(tmp_path / "en" / "train", "en:Ada\tB-PER\nen:in\tO\nen:Ulm\tB-LOC\n\nen:Oslo\tB-LOC\n\n")
    write(tmp_path / "en" / "test.txt", "-DOCSTART- -X- O O\n\nAda NNP I-NP I-PER\nBob NNP I-NP I-PER\n\n")
    write(tmp_path / "en" / "dev", "en:Oslo\tB-LOC\n\n")
    write(tmp_path / "zh" / "test", "zh:大\tB-LOC\nzh:小\tI-LOC\n")
    assert ner.read_bio(tmp_path / "en" / "train") == [
        (("Ada", "in", "Ulm"), ("B-PER", "O", "B-LOC")),
        (("Oslo",), ("B-LOC",)),
    ]
    assert ner.read_bio(tmp_path / "en" / "test.txt") == [(("Ada", "Bob"), ("I-PER", "I-PER"))]
    found = ner.evaluate_ner(bert, tmp_path, QUICK_2)
    assert found["trained_on"] == "en/train"
    assert (found["n_train"], found["selection"]["on"], found["selection"]["n"]) == (2, "en/dev", 1)
    assert found["average"]["languages"] == ["en", "zh"]
    assert found["average_without_ja_zh"]["languages"] == ["en"]
    assert found["average_without_ja_zh"]["f1"] == found["by_language"]["en"]["f1"]
    values = [found["by_language"][lang]["f1"]["values"] for lang in ("en", "zh")]
    assert found["average"]["f1"]["values"] == [sum(pair) / 2 for pair in zip(*values, strict=True)]
    write(tmp_path / "zh" / "test", "大\n")
    with pytest.raises(InputError, match="line 1: has no tag"):
        ner.evaluate_ner(bert, tmp_path, QUICK)


def test_wikiann_as_published(real_data, tmp_path):
    folder = unpack(real_data, "wikiann/wikiann-de-en-fr-nl-dev-test.tar.xz", tmp_path) / "WikiANN"
    for lang in ("de", "en", "fr", "nl"):
        sentences = ner.read_bio(folder / lang / "test")
        assert len(sentences) == 10_000
        kinds = Counter(tag[2:] for sentence in sentences for tag in sentence.tags)
        assert set(kinds) == {"", "LOC", "ORG", "PER"}
        assert not any(word.startswith(f"{lang}:") for sentence in sentences[:100] for word in sentence.words)


CONLLU = """# text = Ulm's good
1-2\tUlm's\t_\t_\t_\t_\t_\t_\t_\t_
1\tUlm\tUlm\tPROPN\tNNP\t_\t0\troot\t_\t_
2\t's\t's\tPART\tPOS\t_\t1\tcase\t_\t_
2.1\tis\tbe\tAUX\t_\t_\t_\t_\t_\t_
3\tgood\tgood\tADJ\tJJ\t_\t1\tamod\t_\t_

"""


def test_pos(bert, tmp_path):
    for name in ("en_x-ud-train", "en_x-ud-dev", "en_x-ud-test", "fr_y-ud-test", "fr_z-ud-test"):
        write(tmp_path / f"{name}.conllu", CONLLU)
    found = pos.evaluate_pos(bert, tmp_path, QUICK_2)
    assert (found["n_train"], found["tags"]) == (1, 3)
    assert found["selection"]["on"] == "en_*-dev.conllu"
    assert found["selection"]["dev"] == found["by_language"]["en"]["accuracy"]
    assert {lang: part["n"] for lang, part in found["by_language"].items()} == {"en": 1, "fr": 2}
    # Each word has been seen with its tag.
    assert found["by_language"]["fr"]["majority"] == {"accuracy": 1.0}
    assert pos.word_accuracy([["A", "B"], ["C"]], [["A", "C"], ["C"]]) == pytest.approx(2 / 3)
    write(tmp_path / "de_z-ud-test.conllu", "1\tUlm\n")
    with pytest.raises(InputError, match="has 2 columns"):
        pos.evaluate_pos(bert, tmp_path, QUICK)


def test_xnli(bert, tmp_path):
    write(
        tmp_path / "multinli" / "multinli.train.en.tsv",
        'premise\thypo\tlabel\na\tb\tentailment\nc\t"d\tcontradictory\n',
    )
    header = "language\tgold_label\tsentence1_binary_parse\tsentence1\tsentence2\n"
    lines = "en\tcontradiction\t\tUlm\tis it\nde\tentailment\t\tUlm\tgood\nde\tneutral\t\tUlm\tbad\n"
    write(tmp_path / "xnli.test.tsv", header + lines)
    write(tmp_path / "xnli.dev.tsv", header + lines)
    found = sentence_pairs.xnli(bert, tmp_path, QUICK_2)
    assert found["classes"] == 2
    assert (found["selection"]["on"], found["selection"]["n"]) == ("xnli.dev.tsv, en", 1)
    assert {lang: test["n"] for lang, test in found["tests"].items()} == {"de": 2, "en": 1}
    assert found["tests"]["en"]["majority"] == {"accuracy": 1.0}
    both = zip(*(test["accuracy"]["values"] for test in found["tests"].values()), strict=True)
    assert found["average"]["accuracy"]["values"] == [sum(pair) / 2 for pair in both]


def test_paws_x(bert, tmp_path):
    text = "id\tsentence1\tsentence2\tlabel\n1\tUlm is\tis Ulm\t1\n2\tOslo\tLima\t0\n"
    for path in (
        "en/train.tsv",
        "en/dev_2k.tsv",
        "fr/dev_2k.tsv",
        "en/test_2k.tsv",
        "fr/test_2k.tsv",
        "fr/translated_train.tsv",
    ):
        write(tmp_path / "x-final" / path, text)
    found = sentence_pairs.paws_x(bert, tmp_path, QUICK)
    assert (found["n_train"], sorted(found["tests"])) == (2, ["en", "fr"])
    assert found["selection"]["on"] == "en/dev_2k.tsv"
    french = sentence_pairs.paws_x(
        bert, tmp_path, QUICK.model_copy(update={"train_language": "fr", "languages": ("fr",)})
    )
    assert sorted(french["tests"]) == ["fr"]
    write(tmp_path / "x-final" / "en" / "train.tsv", "id\tsentence1\tlabel\n1\ta\t1\n")
    with pytest.raises(InputError, match="no column sentence2"):
        sentence_pairs.paws_x(bert, tmp_path, QUICK)


def squad(*questions):
    text = "Ada was born in Ulm, a town of the river."
    asked = [
        {"id": ident, "question": "is it?", "answers": [{"text": answer, "answer_start": text.index(answer)}]}
        for ident, answer in questions
    ]
    return json.dumps(
        {"version": "1.1", "data": [{"title": "x", "paragraphs": [{"context": text, "qas": asked}]}]}
    )


def test_questions(bert, tmp_path):
    write(tmp_path / "squad" / "train-v1.1.json", squad(("1", "Ulm"), ("2", "Ulm"), ("3", "Ada")))
    write(tmp_path / "xquad.de.json", squad(("1", "Ulm"), ("2", "the river")))
    write(tmp_path / "xquad.en.json", squad(("1", "Ada")))
    write(tmp_path / "test-context-es-question-es.json", squad(("1", "Ulm")))
    write(tmp_path / "test-context-es-question-de.json", squad(("1", "Ulm")))
    found = question_answering.xquad(bert, tmp_path, QUICK_2)
    assert {lang: part["n"] for lang, part in found["by_language"].items()} == {"de": 2, "en": 1}
    assert found["by_language"]["de"]["majority"] == {"exact_match": 0.5, "f1": 0.5}
    check_seeds(found["average"]["f1"])
    assert (found["n_train"], found["selection"]["n"]) == (2, 1)
    assert found["selection"]["on"] == "1 of 3 training examples, by hash"
    write(tmp_path / "dev-context-en-question-en.json", squad(("8", "Ulm"), ("9", "Ada")))
    found = question_answering.mlqa(bert, tmp_path, QUICK)
    assert list(found["by_language"]) == ["es"]
    assert (found["n_train"], found["selection"]["n"]) == (3, 2)
    assert found["selection"]["on"] == "dev-context-en-question-en.json"
    write(tmp_path / "tydiqa-goldp-v1.1-train.json", squad(("english-1", "Ulm"), ("korean-2", "Ada")))
    write(
        tmp_path / "tydiqa-goldp-v1.1-dev.json",
        squad(("english-3", "Ulm"), ("korean-4", "Ada"), ("korean-5", "Ulm")),
    )
    found = question_answering.tydiqa(bert, tmp_path, QUICK)
    assert found["n_train"] == 1
    assert {lang: part["n"] for lang, part in found["by_language"].items()} == {"en": 1, "ko": 2}
    write(tmp_path / "xquad.de.json", '{"data": [{}]}')
    with pytest.raises(InputError, match="SQuAD's format"):
        question_answering.xquad(bert, tmp_path, QUICK)


def test_fewrel(bert, real_data, tmp_path):
    unpack(real_data, "fewrel/fewrel-val.tar.xz", tmp_path)
    items = fewrel.read_fewrel(tmp_path / "data" / "val_wiki.json")
    assert len(items) == 16 * 700
    assert items[0][1].label == "P177" or "P177" in {item.label for _, item in items}
    first = next(item for pair, item in items if pair == ("Q5034838", "Q1497"))
    assert "<e1> Cape Girardeau Bridge </e1>" in first.text
    assert "<e2> Mississippi River </e2>" in first.text
    config = QUICK.model_copy(update={"limit": 20})
    found = fewrel.evaluate_fewrel(bert, tmp_path / "data" / "val_wiki.json", config)
    assert (found["n_train"], found["tests"]["test"]["n"]) == (20, 20)
    with pytest.raises(InputError, match=r"no \*_wiki\.json"):
        fewrel.evaluate_fewrel(bert, real_data / "relx", config)


def test_tacred(bert, tmp_path):
    item = {
        "token": ["Ada", "-LRB-", "of", "Ulm", "-RRB-"],
        "subj_start": 0,
        "subj_end": 0,
        "obj_start": 3,
        "obj_end": 3,
    }
    rows = [
        {**item, "relation": "per:city"},
        {**item, "relation": "no_relation"},
        {**item, "relation": "per:city"},
    ]
    for split in ("train", "dev", "test"):
        write(tmp_path / f"{split}.json", json.dumps(rows))
    assert tacred.read_tacred(tmp_path / "dev.json")[0].text == "<e1> Ada </e1> ( of <e2> Ulm </e2> )"
    found = tacred.evaluate_tacred(bert, tmp_path, QUICK_2)["tests"]["test"]
    of_both = {"precision": 2 / 3, "recall": 1.0, "f1": 0.8}
    assert found["majority"] == pytest.approx(
        {f"{kind}_{name}": value for kind in ("micro", "macro") for name, value in of_both.items()}
    )
    check_seeds(found["micro_f1"])
    assert found["micro_precision"]["values"][0] >= 0
    write(tmp_path / "test.json", '[{"token": ["a"]}]')
    with pytest.raises(InputError, match="TACRED's format"):
        tacred.evaluate_tacred(bert, tmp_path, QUICK)


def test_open_entity(bert, tmp_path):
    def item(mention, *labels):
        text = "Ada was born in Ulm."
        start = text.index(mention)
        return {"sent": text, "start": start, "end": start + len(mention), "labels": labels, "ents": []}

    rows = [item("Ada", "person"), item("Ulm", "place", "location"), item("Ada", "person")]
    for split in ("train", "dev", "test"):
        write(tmp_path / f"{split}.json", json.dumps(rows))
    assert open_entity.read_open_entity(tmp_path / "train.json")[1].text == "Ada was born in <e1> Ulm </e1>."
    found = open_entity.evaluate_open_entity(bert, tmp_path, QUICK_2)
    assert found["types"] == 3
    assert found["majority"]["strict_accuracy"] == pytest.approx(2 / 3)
    # Three types said of each of three, four of them right: P 4/9, R 1.
    assert found["chance"]["loose_micro_f1"] == pytest.approx(2 * 4 / (9 + 4))
    check_seeds(found["loose_micro_f1"])


def test_the_epoch_is_selected_on_dev_and_test_is_scored_there(bert, tmp_path):
    """Development and test labels contradict the training labels: the more is learnt, the worse the score."""

    def item(mention, relation):
        token = ["Ada", "is", mention]
        ends = {"subj_start": 0, "subj_end": 0, "obj_start": 2, "obj_end": 2}
        return {"token": token, **ends, "relation": relation}

    towns, lakes = ("Ulm", "Rome", "Paris", "Lima"), ("river", "lake", "good", "bad")
    taught = [item(m, "per:town") for m in towns] + [item(m, "per:lake") for m in lakes]
    swapped = [item(m, "per:lake") for m in towns] + [item(m, "per:town") for m in lakes]
    config = QUICK_2.model_copy(update={"epochs": 12, "lr": 5e-3})
    for split, rows in (("train", taught * 3), ("dev", swapped), ("test", swapped)):
        write(tmp_path / f"{split}.json", json.dumps(rows))
    found = tacred.evaluate_tacred(bert, tmp_path, config)
    assert found["selection"]["metric"] == "micro_f1"
    assert found["selection"]["dev"] == found["tests"]["test"]["micro_f1"]
    # The last epoch has learnt the training labels by heart and scores 0 here.
    assert all(epoch < 12 for epoch in found["selection"]["epochs"])
    assert found["tests"]["test"]["micro_f1"]["mean"] > 0
    write(tmp_path / "dev.json", json.dumps(taught))
    agreeing = tacred.evaluate_tacred(bert, tmp_path, config)
    assert agreeing["selection"]["dev"]["mean"] == 1.0
    assert agreeing["tests"]["test"]["micro_f1"]["mean"] == 0.0


@pytest.mark.parametrize(
    ("found", "configured", "chosen"),
    [
        ({"de", "en", "fr"}, None, "en"),
        ({"ltg"}, None, "ltg"),
        ({"de", "fr"}, "fr", "fr"),
        ({"de", "fr"}, None, "training examples in de, fr. Set train_language"),
        ({"de", "en"}, "ltg", "training examples in de, en, not in ltg. Set train_language"),
        (set(), None, "training examples in no language, not in en"),
    ],
)
def test_the_training_language_follows_the_data(found, configured, chosen):
    config = QUICK.model_copy(update={"train_language": configured})
    if "training" not in chosen:
        assert config.training_language(found, where="data") == chosen
        return
    with pytest.raises(InputError, match=chosen):
        config.training_language(found, where="data")


def test_data_in_one_language_are_learnt_in_it(bert, tmp_path):
    for split in ("train", "dev", "test"):
        write(tmp_path / "ner" / "ltg" / split, "Ada\tB-PER\nin\tO\nUlm\tB-LOC\n\n" * 2)
    assert ner.evaluate_ner(bert, tmp_path / "ner", QUICK)["trained_on"] == "ltg/train"
    words = "".join(
        f"{n}\t{word}\t_\tNOUN{chr(9) + '_'}{(chr(9) + '_') * 5}\n" for n, word in enumerate("ab", 1)
    )
    for split in ("train", "test"):
        write(tmp_path / "pos" / f"cy_own-ud-{split}.conllu", f"{words}\n" * 12)
    assert set(pos.evaluate_pos(bert, tmp_path / "pos", QUICK)["by_language"]) == {"cy"}
