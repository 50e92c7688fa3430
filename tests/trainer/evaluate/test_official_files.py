"""Miniatures of the archives as published: names, encodings and columns are theirs, the text is our own."""

import gzip
import json

import pytest

from kgcorpus.contracts.errors import InputError
from tests.trainer.evaluate.settings import QUICK
from trainer.evaluate.fine_tuning import glue, ner, open_entity, sentence_pairs
from trainer.evaluate.fine_tuning.fewrel import read_sentences
from trainer.evaluate.probe.mlama import read_languages
from trainer.jaket.evaluate.fewrel_pair import _parts
from trainer.jaket.evaluate.metaqa import _parts as parts_of_metaqa
from trainer.jaket.evaluate.metaqa_questions import read_knowledge
from trainer.transe.data import read_facts


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def conll(folder, name, *sentences, header):
    blocks = [header, *("\n".join(lines) for lines in sentences)]
    write(folder / name, "\n\n".join(blocks) + "\n\n", "iso-8859-1")


def write_conll(folder):
    """CoNLL-2003's eng (4 columns, IOB1) and deu (5), CoNLL-2002's esp (2, no -DOCSTART-) and ned (3)."""
    for split in ("train", "testa", "testb"):
        conll(
            folder,
            f"eng.{split}",
            ["Ada NNP I-NP I-PER", "is VBZ I-VP O"],
            ["Ulm NNP I-NP I-LOC", "Rome NNP I-NP B-LOC"],
            header="-DOCSTART- -X- O O",
        )
        conll(
            folder,
            f"deu.{split}",
            ["Köln Köln NE I-NC I-LOC", "schön schön ADJD O O"],
            header="-DOCSTART- -X- -X- -X- O",
        )
        write(folder / f"esp.{split}", "Córdoba B-LOC\nde I-LOC\n. O\n\n", "iso-8859-1")
        conll(folder, f"ned.{split}", ["België N B-LOC", ". Punc O"], header="-DOCSTART- -DOCSTART- O")


def test_conll_2002_and_2003(bert, tmp_path):
    write_conll(tmp_path)
    found = ner.evaluate_ner(bert, tmp_path, QUICK)
    assert (found["format"], found["trained_on"], found["n_train"]) == ("conll", "eng.train", 2)
    assert found["selection"]["on"] == "eng.testa"
    assert {lang: part["n"] for lang, part in found["by_language"].items()} == {
        "de": 1,
        "en": 2,
        "es": 1,
        "nl": 1,
    }
    assert set(found["average"]) == {"languages", "precision", "recall", "f1"}
    words = [
        ner.read_bio(tmp_path / f"{name}.testb", encoding="iso-8859-1")[0].words
        for name in ("deu", "esp", "ned")
    ]
    assert words == [("Köln", "schön"), ("Córdoba", "de", "."), ("België", ".")]
    (tmp_path / "packed").mkdir()
    packed = tmp_path / "packed" / "esp.train.gz"
    packed.write_bytes(gzip.compress((tmp_path / "esp.train").read_bytes()))
    assert ner.read_bio(packed, encoding="iso-8859-1") == ner.read_bio(
        tmp_path / "esp.train", encoding="iso-8859-1"
    )
    write(tmp_path / "en" / "train", "Ada B-PER\n")
    with pytest.raises(InputError, match=r"holds both .*WikiAnn.*CoNLL"):
        ner.evaluate_ner(bert, tmp_path, QUICK)


def test_metaqa(tmp_path):
    write(
        tmp_path / "kb.txt",
        "Film One|directed_by|Ann Ö\nFilm One|release_year|1999\nFilm Two|directed_by|Ann Ö\n"
        "Film Two|has_genre|Drama\n",
    )
    for hops in (1, 2, 3):
        for split, question in (
            ("train", "who directed [Film One]\tAnn Ö"),
            ("dev", "when was [Film One] released\t1999"),
            ("test", "what films did [Ann Ö] direct\tFilm One|Film Two"),
        ):
            write(tmp_path / f"{hops}-hop" / "vanilla" / f"qa_{split}.txt", question + "\n")
            write(tmp_path / f"{hops}-hop" / "ntm" / f"qa_{split}.txt", "unused\tunused\n")
    knowledge = read_knowledge(tmp_path)
    assert knowledge.names == ["1999", "Ann Ö", "Drama", "Film One", "Film Two"]
    assert knowledge.relations == ["directed_by", "has_genre", "release_year"]
    assert len(knowledge.triples) == 4
    parts = parts_of_metaqa(tmp_path, knowledge, QUICK)
    # Each split as published: train trains, dev selects the epoch.
    assert {part: [q.text for q in questions] for part, questions in parts.items()} == {
        "train": ["who directed Film One"],
        "validation": ["when was Film One released"],
        "test": ["what films did Ann Ö direct"],
    }
    assert parts["test"][0].answers == (3, 4)
    write(tmp_path / "kb.txt", "Film One|directed_by\n")
    with pytest.raises(InputError, match=r"kb\.txt, line 1: is no line `head\|relation\|tail`"):
        read_knowledge(tmp_path)


def fewrel(*relations):
    item = {"tokens": ["Ada", "of", "Ulm"], "h": ["ada", "Q1", [[0]]], "t": ["ulm", "Q2", [[2]]]}
    return json.dumps({relation: [item] * 3 for relation in relations})


def test_fewrel_trains_on_train_wiki_and_scores_val_wiki(tmp_path):
    write(tmp_path / "train_wiki.json", fewrel(*(f"P{i}" for i in range(20))))
    write(tmp_path / "val_wiki.json", fewrel("P30", "P31", "P32", "P33", "P34"))
    parts = _parts(tmp_path, read_sentences(tmp_path), QUICK.jaket, seed=0)
    assert parts["test"] == ["P30", "P31", "P32", "P33", "P34"]
    assert len(parts["validation"]) == 5
    assert {*parts["train"], *parts["validation"]} == {f"P{i}" for i in range(20)}
    write(tmp_path / "val_wiki.json", fewrel("P3"))
    with pytest.raises(InputError, match="share relations: P3"):
        _parts(tmp_path, read_sentences(tmp_path), QUICK.jaket, seed=0)


def test_open_entity_as_published(tmp_path):
    line = {
        "annot_id": "x:1",
        "mention_span": "the town",
        "left_context_token": ["Ada", "left"],
        "right_context_token": ["."],
        "y_str": ["town", "place", "location"],
    }
    write(tmp_path / "crowd" / "train.json", json.dumps(line) + "\n" + json.dumps({**line, "y_str": []}))
    items = open_entity.read_open_entity(tmp_path / "crowd" / "train.json")
    assert items[0] == ("Ada left <e1> the town </e1> .", ["place", "location"])
    assert items[1].types == []


def test_qqp_has_broken_lines_that_are_counted(bert, tmp_path):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    rows = (
        "1\t2\t3\tIs Ulm good?\tIs it?\t1\n4\t5\t6\tis a line that\nends early?\tyes\t0\n7\t8\t9\ta\tb\t0\n"
    )
    for split in ("train", "dev"):
        write(tmp_path / "QQP" / f"{split}.tsv", header + rows)
    found = glue.evaluate_glue(bert, tmp_path, QUICK)["tasks"]["QQP"]
    assert found["tests"]["dev"]["n"] == 2
    assert found["broken_lines"] == 4
    write(tmp_path / "RTE" / "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tUlm\n")
    write(tmp_path / "RTE" / "dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tUlm\tit\tentailment\n")
    with pytest.raises(InputError, match=r"RTE.train\.tsv, line 2: has 2 columns, not 4"):
        glue.evaluate_glue(bert, tmp_path, QUICK)


def test_mlama(tmp_path):
    folder = tmp_path / "mlama1.1"
    template = {"relation": "P19", "template": "[X] wurde in [Y] geboren ."}
    write(folder / "de" / "templates.jsonl", json.dumps(template) + "\n")
    fact = {"obj_uri": "Q3012", "obj_label": "Ulm", "sub_uri": "Q1", "sub_label": "Ada", "lineid": 0}
    write(folder / "de" / "P19.jsonl", json.dumps(fact) + "\n")
    write(folder / "de" / "date_of_birth.jsonl", json.dumps({"sub_label": "Ada"}) + "\n")
    ((lang, rows, patterns),) = read_languages(tmp_path, None)
    assert (lang, patterns) == ("de", {"P19": "[X] wurde in [Y] geboren ."})
    assert [(row["predicate_id"], row["sub_uri"], row["obj_label"]) for row in rows] == [("P19", "Q1", "Ulm")]


def test_xnli_and_link_prediction(tmp_path):
    columns = [
        *("language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse"),
        *("sentence2_parse", "sentence1", "sentence2", "promptID", "pairID", "genre"),
        *(f"label{i}" for i in range(1, 6)),
        *("sentence1_tokenized", "sentence2_tokenized", "match"),
    ]
    row = {"language": "de", "gold_label": "neutral", "sentence1": 'Köln "ist', "sentence2": "gut"}
    text = "\t".join(columns) + "\n" + "\t".join(row.get(name, "") for name in columns) + "\n"
    write(tmp_path / "XNLI-1.0" / "xnli.dev.tsv", text)
    assert sentence_pairs._read_xnli(tmp_path / "XNLI-1.0" / "xnli.dev.tsv") == {
        "de": [('Köln "ist', "neutral", "gut")]
    }
    write(tmp_path / "wikidata5m_transductive_test.txt", "Q1\tP19\tQ2\r\nQ2\tP31\tQ3\r\n")
    assert read_facts(tmp_path / "wikidata5m_transductive_test.txt")["t"].to_pylist() == ["Q2", "Q3"]


@pytest.mark.parametrize(
    ("task", "header", "row", "expected"),
    [
        ("SST-2", "sentence label", "a fine day\t1", ("a fine day", "1", None)),
        (
            "QNLI",
            "index question sentence label",
            "0\tWho?\tIt is.\tentailment",
            ("Who?", "entailment", "It is."),
        ),
        (
            "RTE",
            "index sentence1 sentence2 label",
            "0\tOne.\tTwo.\tnot_entailment",
            ("One.", "not_entailment", "Two."),
        ),
        (
            "MNLI",
            "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse "
            "sentence2_parse sentence1 sentence2 label1 label2 label3 label4 label5 gold_label",
            "0\t1\t1a\tslate\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tOne.\tTwo.\tx\tx\tx\tx\tx\tneutral",
            ("One.", "neutral", "Two."),
        ),
    ],
)
def test_glue_columns_under_their_published_headers(tmp_path, task, header, row, expected):
    path = tmp_path / "dev.tsv"
    path.write_text("\t".join(header.split()) + "\n" + row + "\n")
    assert glue.read_task(path, glue._TASKS[task].columns) == [expected]


def test_stsb_under_its_published_header(tmp_path):
    header = "index genre filename year old_index source1 source2 sentence1 sentence2 score"
    path = tmp_path / "dev.tsv"
    path.write_text("\t".join(header.split()) + "\n0\tnews\tf\t2012\t1\tnone\tnone\tOne.\tTwo.\t3.800\n")
    (rated,) = glue._read_rated(path)
    assert tuple(rated) == ("One.", "Two.", 3.8)
