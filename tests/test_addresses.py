"""What looks like an address and is none of ours is refused everywhere; no folder of that name is made."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.remote import file_system_of, is_remote, require_served
from tests.made import command, finished_build
from tests.test_links import content
from tests.test_places import commands
from tests.trainer.toy import rows_of, write_corpus

NOT_SERVED = [
    "dbfs:/Volumes/x",
    "blockcache::/tmp/x",
    "simplecache::./x",
    "file://elsewhere/tmp/x",
    "file://x",
    "file:/tmp/x",
    "S3://bucket/x",
    " s3://bucket/x",
    "s3:/bucket/x",
    "gs:bucket",
    "foo://bucket/x",
    "C:\\x",
]


@pytest.mark.parametrize("place", NOT_SERVED)
def test_no_command_writes_to_a_scheme_that_is_not_served(tmp_path, monkeypatch, capsys, place) -> None:
    corpus = write_corpus(tmp_path / "corpus", rows_of(4))
    _, config = finished_build(tmp_path)
    monkeypatch.chdir(tmp_path)
    model = ("evaluate", "xlr", "--model", corpus, "--data", corpus, "--out", place)
    others = [("convert", corpus, "--to", place), ("explain", "--model", corpus, "--sentence", "x")]
    asked = [*commands(tmp_path / "x", corpus, config)[:7], model, *others]
    asked = [[place if word == tmp_path / "x" else word for word in words] for words in asked]
    asked[-1] += ["--out", place]
    before = content(tmp_path)
    for words in asked:
        assert command(*words) == 2, words
        told = capsys.readouterr().err.strip()
        assert "error" in told.lower()
        assert content(tmp_path) == before, words


@pytest.mark.parametrize("place", NOT_SERVED)
@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("plan",), "graph.triples"),
        (("plan",), "text.0.path"),
        (("plan",), "wikipedia.0.dump"),
        (("plan",), "importance.encoder"),
        (("train", "kmlm"), "base_model"),
        (("train", "trelm"), "trelm.kge"),
        (("train", "transe"), "transe.held_out"),
    ],
)
def test_no_configuration_names_a_scheme_that_is_not_served(
    tmp_path, monkeypatch, capsys, words, key, place
) -> None:
    monkeypatch.chdir(tmp_path)
    section, _, field = key.partition(".")
    quoted = "'" + place + "'"
    set_ = f"{key}={quoted}"
    if field.startswith("0."):
        set_ = f"{section}=[{{lang: en, {field[2:]}: {quoted}}}]"
    (tmp_path / "config.yaml").write_text("{}")
    corpus = ("--corpus", "corpus") if words[0] == "train" else ()
    asked = (*words, *corpus, "--config", "config.yaml", "--out", "out", "--set", set_)
    assert command(*asked) == 2
    told = capsys.readouterr().err.strip()
    assert key.split(".")[-1] in told or key in told
    assert place.strip().partition(":")[0] in told
    assert "\n" not in told
    assert os.listdir(tmp_path) == ["config.yaml"]


@pytest.mark.parametrize("key", ["importance.encoder", "passages.tokenizer"])
def test_a_model_at_a_url_is_refused_before_a_build(tmp_path, capsys, key) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    asked = ("plan", "--config", tmp_path / "config.yaml", "--set", f"{key}=s3://bucket/model")
    assert command(*asked, "--out", tmp_path / "out") == 2
    assert "a URL is not read here" in capsys.readouterr().err


def test_a_file_url_with_localhost_is_a_path_of_this_machine(tmp_path, monkeypatch) -> None:
    out, _ = finished_build(tmp_path)
    monkeypatch.chdir(tmp_path / "OUT")
    assert command("publish", "--out", out, "--to", f"file://localhost{tmp_path}/store") == 0
    assert (tmp_path / "store" / "manifest.json").is_file()
    assert not (out / "localhost").exists()
    assert command("publish", "--out", out, "--to", f"file://localhost{out}") == 2


def test_local_names_with_colons_are_served_below_a_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./dbfs:/x", f"{tmp_path}/a::b", "sub/s3:x", "2024-01-01T10:30", "10:30/x", "é:x", "a b:c"):
        assert require_served(name) == name
        assert not is_remote(name)
        assert file_system_of(name)[1] == os.path.join(tmp_path, name.removeprefix("./"))


@settings(max_examples=300)
@given(st.text(st.sampled_from("aS3-+.:/ \t\n2é"), max_size=12))
def test_what_is_served_is_a_url_or_a_path_that_no_one_takes_for_one(place) -> None:
    try:
        require_served(place)
    except UsageError:
        assert ":" in place.partition("/")[0]
        return
    first = place.lstrip().partition("/")[0]
    assert (
        is_remote(place)
        or ":" not in first
        or not (first[0].isascii() and first[0].isalpha())
        or (not all(c.isascii() and (c.isalnum() or c in "+.-") for c in first.partition(":")[0]))
    )
