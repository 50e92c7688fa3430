"""`kgcorpus link`: what it reads and prints."""

import json
import os

import pytest
from typer.testing import CliRunner

from kgcorpus.cli import app
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.linking.texts import read_texts

TEXT = "Both Mercury and Venus are hot."


def test_a_text_a_file_or_json_lines(tmp_path):
    plain, lines = tmp_path / "a.txt", tmp_path / "a.jsonl"
    plain.write_text("Two\nlines")
    lines.write_text('{"text": "one", "id": 7}\n\n{"text": "two\u2028still"}\n')
    assert list(read_texts("No file.")) == [{"id": "0", "text": "No file."}]
    assert list(read_texts(str(plain))) == [{"id": "a.txt", "text": "Two\nlines"}]
    assert list(read_texts(str(lines))) == [{"id": "7", "text": "one"}, {"id": "3", "text": "two\u2028still"}]
    assert len(list(read_texts("long " * 5000))) == 1


@pytest.mark.parametrize("name", ["gone.txt", "gone.JSONL", "./gone", "/no/such file", "../a", "~/a.md"])
def test_a_file_name_that_does_not_exist_is_no_text(name):
    with pytest.raises(InputError, match="no such file"):
        list(read_texts(name))


@pytest.mark.parametrize(
    "text", ["U.S.A.", "Amazon.com", "AC/DC", "Read gone.txt", "gone.txt ", "/", "Vienna."]
)
def test_a_text_that_resembles_a_file_name_is_a_text(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text == "/":
        with pytest.raises(InputError):  # the folder
            list(read_texts(text))
    else:
        assert [row["text"] for row in read_texts(text)] == [text]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": 1}', '{"text": "a\\ud800"}', '{"text": "a", "id": "\\udc00"}', "[" * 200_000]
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ""}\n' + line)
    with pytest.raises(InputError, match="line 2"):
        list(read_texts(str(path)))


def test_a_word_is_no_folder_and_a_pipe_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Berlin").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert list(read_texts("Berlin")) == [{"id": "0", "text": "Berlin"}]
    for path, kind in (("./Berlin", "folder"), ("pipe", "pipe"), ("/dev/null", "device")):
        with pytest.raises(InputError, match=f"no regular file but a {kind}"):
            list(read_texts(path))


def test_an_argument_that_is_no_unicode_is_refused():
    with pytest.raises(InputError, match="half of a character"):
        list(read_texts("a\udcff"))


def test_nothing_is_refused():
    with pytest.raises(UsageError):
        list(read_texts(" "))


def test_the_command_prints_json_lines_or_a_table(corpus):
    arguments = ["link", TEXT, "--corpus", str(corpus)]
    row = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert [(m["surface"], m["qid"], m["label"]) for m in row["mentions"]] == [
        ("Mercury", "Q308", "Mercury"),
        ("Venus", "Q313", "Venus"),
    ]
    table = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "Q308" in table
    assert "Venus" in table
