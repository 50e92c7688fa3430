"""Damaged files of every reader, through the command: exit 3, one line that names the file and the place."""

import json

import pytest
from typer.testing import CliRunner

from kgcorpus.cli import app
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.fine_tuning import (
    fewrel,
    glue,
    ner,
    open_entity,
    pos,
    question_answering,
    relx,
    sentence_pairs,
    tacred,
)
from trainer.evaluate.probe.mlama import read_languages
from trainer.evaluate.probe.xfactr import _prompts
from trainer.transe.data import read_facts

NUL, DEEP = b"Ada O\nU\0lm O\n\n", b"[" * 100_000
BROKEN = (b"\xff", b"", b'[{"token": ["a"', b"[1]", b'{"data": 1}', b'["\\ud800"]')
CONLLU = b"1\tUlm\tUlm\tPROPN\tNNP\t_\t0\troot\t_\t_\n\n"
RTE = b"index\tsentence1\tsentence2\tlabel\n"
SQUAD = {"data": [{"paragraphs": [{"context": "Ulm is", "qas": []}]}]}
ITEM = {"token": ["a"], "subj_start": 0, "subj_end": 0, "obj_start": 0, "obj_end": 0, "relation": "r"}
MENTION = {"tokens": ["a"], "h": ["a", "Q1", [[0]]], "t": ["b", "Q2", [[5]]]}


def asked(*questions):
    return json.dumps({"data": [{"paragraphs": [{"context": "Ulm is", "qas": questions}]}]}).encode()


def question(**changes):
    return {"id": "1", "question": "?", "answers": [{"text": "Ulm", "answer_start": 0}], **changes}


LINES = [
    ner.read_bio,
    pos.read_conllu,
    relx.read_relx,
    read_facts,
    lambda path: glue.read_task(path, ("sentence", "label")),
]
JSON = [
    tacred.read_tacred,
    open_entity.read_open_entity,
    question_answering.read_squad,
    fewrel.read_sentences,
]


@pytest.mark.parametrize("read", LINES)
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"en:Berlin B-LOC\n\xff O\n", "line 2: is not UTF-8"),
        (b"\xff\xfea\0\n\0", "UTF-16"),
        (b"x" * (33 << 20), "longer than"),
    ],
    ids=["not utf-8", "utf-16", "huge line"],
)
def test_lines_of_any_format(read, data, told, tmp_path):
    if read is not ner.read_bio and b"Berlin" in data:
        data, told = b"\xff\n", "line 1: is not UTF-8"
    (tmp_path / "f.txt").write_bytes(data)
    with pytest.raises(InputError, match=told) as error:
        read(tmp_path / "f.txt")
    assert "f.txt" in str(error.value)


@pytest.mark.parametrize("read", JSON)
@pytest.mark.parametrize(
    "data",
    [DEEP, b'{"a": ' * 100_000, b"\xff", b"", b'[{"token": ["a"', b"[1]", b'{"data": 1}', b'["\\ud800"]'],
)
def test_json_of_any_format(read, data, tmp_path):
    (tmp_path / "f.json").write_bytes(data)
    with pytest.raises(InputError, match=r"f\.json.* (is not JSON|is not in .*'s format|UTF-8|longer)"):
        read(tmp_path / "f.json")


@pytest.mark.parametrize(
    ("read", "data", "told"),
    [
        (ner.read_bio, NUL, "line 2: holds a NUL byte"),
        (ner.read_bio, b"Ada B-PER\nUlm NNP B-LOC\n", "line 2: has 3 columns, not 2"),
        (ner.read_bio, b"Ada B-PER\nUlm LOC\n", "line 2: has no tag"),
        (ner.read_bio, b"\n\n", "holds no example"),
        (pos.read_conllu, b"# a comment alone\n", "holds no example"),
        (pos.read_conllu, CONLLU + b"1\tUlm\n", "line 3: has 2 columns, not 10"),
        (relx.read_relx, b'1\t"a"\nper:x(e1,e2)\n\n\nx\t"b"\nper:x(e1,e2)\n', "line 5: is no numbered"),
        (relx.read_relx, b'1\t"a"\nsome words\n', "line 1: is no numbered"),
        (relx.read_relx, b'1\t"a"\n', "line 1: is no numbered"),
        (relx.read_relx, b"", "holds no example"),
        (sentence_pairs._read_pairs, b"sentence1\tsentence2\tlabel\na\tb\n", "line 2: has 2 columns, not 3"),
        (glue._read_rated, b"sentence1\tsentence2\tscore\na\tb\tgood\n", "line 2: the score is 'good'"),
        (lambda path: glue.read_task(path, ("sentence1", "label")), RTE, "holds no example"),
        (
            lambda path: glue.read_task(path, ("sentence", "label")),
            b"x\t1\nx\n",
            "line 2: the line has not 2",
        ),
        (read_facts, b"Q1\tP1\n", "line 1: a triple .* has at least 3 tab-separated columns"),
        (read_facts, "Q1\tP1\tQ\u200b2\n".encode(), "line 1: column 3 of a triple .* invisible"),
        (_prompts, b'pid,relation,en\nP19,x,"[X] a\n', "is not CSV"),
        (_prompts, b"pid,relation,en\nP19\n", "line 2: has not the header's columns"),
        (tacred.read_tacred, json.dumps([{**ITEM, "obj_end": 4}]).encode(), "example 0: obj is not within"),
        (
            tacred.read_tacred,
            json.dumps([{**ITEM, "subj_start": "0"}]).encode(),
            r"0\.subj_start: is not in TACRED",
        ),
        (tacred.read_tacred, b"[]", "holds no example"),
        (
            open_entity.read_open_entity,
            b'{"mention_span": "a"}\n',
            "line 1: is not in Open Entity's format: has no left",
        ),
        (fewrel.read_sentences, json.dumps({"P1": [MENTION]}).encode(), r"P1\.0: the mention t"),
        (question_answering.read_squad, json.dumps(SQUAD).encode(), "holds no example"),
        (question_answering.read_squad, asked(question(), question()), "question 1: the id occurs twice"),
        (question_answering.read_squad, asked(question(answers=[])), "question 1: has no answer"),
        (
            question_answering.read_squad,
            asked(question(answers=[{"text": "Ulm", "answer_start": 9}])),
            "not within its text",
        ),
    ],
)
def test_a_fault_of_one_format(read, data, told, tmp_path):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(InputError, match=told) as error:
        read(tmp_path / "f")
    assert str(tmp_path / "f") in str(error.value)


def test_a_line_of_facts_by_language(tmp_path):
    (tmp_path / "trex_de.jsonl").write_text('{"predicate_id": 19}\n')
    with pytest.raises(InputError, match=r"trex_de\.jsonl, line 1"):
        list(read_languages(tmp_path, None))


def test_byte_order_marks_and_carriage_returns_change_nothing(tmp_path):
    for name, read, data in (
        ("a", ner.read_bio, b"Ada B-PER\nUlm B-LOC\n\n"),
        ("b", relx.read_relx, b'1\t"<e1> a </e1> <e2> b </e2>"\nper:x(e1,e2)\nComment:\n\n'),
        ("c", pos.read_conllu, CONLLU),
        ("d", tacred.read_tacred, json.dumps([ITEM], indent=1).encode() + b"\n"),
    ):
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name}2").write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
        assert read(tmp_path / name) == read(tmp_path / f"{name}2")


@pytest.mark.parametrize(
    ("benchmark", "files", "told"),
    [
        ("ner", {"en/train": b"en:Berlin B-LOC\n\xff O\n\n", "en/test": b"Ulm B-LOC\n"}, r"en/train, line 2"),
        ("xquad", {"xquad.de.json": DEEP, "train-v1.1.json": asked(question())}, r"xquad\.de\.json"),
        ("lama", {"TREx/P19.jsonl": b"\xff\n", "relations.jsonl": b""}, r"TREx/P19\.jsonl, line 1"),
    ],
)
def test_the_command_ends_with_3_and_one_line(bert, benchmark, files, told, tmp_path):
    for name, data in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    arguments = ["--model", str(bert), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "o.json")]
    done = CliRunner().invoke(app, ["evaluate", benchmark, *arguments])
    assert isinstance(done.exception, InputError)
    assert done.exception.exit_code == 3
    with pytest.raises(InputError, match=told):
        raise done.exception
