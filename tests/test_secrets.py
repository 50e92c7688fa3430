"""No file of OUT or RUN, no line of output and no command line holds a password or a key."""

import json
import re
import time
from pathlib import Path

import fsspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.config import BuildConfig, load
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.secrets import redact, redact_command, remember
from pipelines.failures import redacted_errors
from tests.made import command, finished_build
from tests.trainer.toy import rows_of, write_corpus

SECRET = "hunter2-top-secret"
URL = f"memory://user:{SECRET}@bucket/relations.tsv?X-Amz-Signature={SECRET}&versionId=7"
SPARK = f"spark: {{conf: {{spark.hadoop.fs.s3a.secret.key: {SECRET}, spark.my.own: {SECRET}}}}}\n"
_word = st.text("abcXYZ019-_.~%+", min_size=1)
_password = st.lists(
    st.sampled_from([*"abcXYZ019-_.~%+!$*,=:@", "::s3://", "::https://"]), min_size=1, max_size=12
).map(lambda pieces: SECRET + "".join(pieces))


def files_with_secret(*folders: Path) -> list[Path]:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pw@host:80/a.bz2?sig=x#t", "https://host:80/a.bz2?sig=***#***"),
        (
            "https://token@host/a?X-Amz-Signature=a/b%2F&versionId=1",
            "https://host/a?X-Amz-Signature=***&versionId=1",
        ),
        ("s3://key:sec/ret@bucket/a", "s3://bucket/a"),
        ("abfs://container@account.net/a?sv=1", "abfs://container@account.net/a?sv=***"),
        ("hdfs://alice@nn:8020/a", "hdfs://alice@nn:8020/a"),
        ("http://host:80/@alice/a", "http://host:80/@alice/a"),
        ("no file https://u:12/34@h, again", "no file https://h, again"),
        ("ftp://u:12/34@h/a", "ftp://h/a"),
        ("http://host.org:80/a@b", "http://host.org:80/a@b"),
        ("http://localhost:80/a@b", "http://localhost:80/a@b"),
        ("hdfs://nn:8020/a@b", "hdfs://nn:8020/a@b"),
        ("https://h/a;sig=abc;v=2/b.bz2;name=x?c=d", "https://h/a;sig=***;v=***/b.bz2;name=x?c=***"),
        ("https://h/a;token", "https://h/a;token"),
        ("see 'ftp://u:p@h/a' and \"s3://b/c\"", "see 'ftp://h/a' and \"s3://b/c\""),
        ("filecache::https://u:p@h/a", "filecache::https://h/a"),
        ("zip://a/b.tsv::https://u:p@h/a.zip?sig=x", "zip://a/b.tsv::https://h/a.zip?sig=***"),
        ("tar://a.tsv::simplecache::s3://k:sec/ret@b/a", "tar://a.tsv::simplecache::s3://b/a"),
        ("https://u:pw::s3://more@h/a", "https://h/a"),
        ("https://jo.e:pw::hdfs://mo/re@h/a", "https://h/a"),
        ("s3://key:12::s3://more@b/a and zip://a::s3://k:s::gs://t@b/a", "s3://b/a and zip://a::s3://b/a"),
        ("https://token::s3://more@h/a", "https://h/a"),
        ("https://u:p@[::1]:80/a and https://[::1]:80/@a", "https://[::1]:80/a and https://[::1]:80/@a"),
        ("C:/a?b=c and 1:2@3", "C:/a?b=c and 1:2@3"),
    ],
)
def test_users_and_queries_of_urls_are_removed_and_the_rest_stays(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(redact(text)) == expected


@settings(max_examples=50)
@given(_word, _password, _word, _word)
def test_no_password_and_no_signature_is_left_of_any_url(user, password, host, path) -> None:
    text = redact(f"cannot read 'https://{user}:{password}@{host}/{path}?sig={password}#{password}', again")
    assert SECRET not in text
    # After a slash in a password, the last `@` ends it, wherever it is.
    assert f"/{path}" in text or "://" in password
    assert SECRET not in redact(f"https://{host}/{path};sig={password.replace('/', '')}/{path}")


@settings(max_examples=50)
@given(st.from_regex("[a-z]{1,8}", fullmatch=True), st.integers(0, 99_999), st.text("abc019-_", min_size=1))
def test_a_password_of_digits_and_a_slash_is_removed(user, digits, more) -> None:
    assert redact(f"(https://{user}:{digits}/{more}@host/x)") == "(https://host/x)"


def test_redacting_a_long_text_takes_linear_time() -> None:
    began = time.process_time()
    for piece in ("a", "a:", "://", "?a=b&", "@", "https://a@", "https://a:b"):
        redact(piece * 200_000)
    assert time.process_time() - began < 10


def test_settings_of_spark_are_masked_in_a_command() -> None:
    words = [
        "--set",
        f"spark.conf={{a: {SECRET}}}",
        f"--set=spark.conf.b={SECRET}",
        "--out",
        "OUT",
        f"u={URL}",
    ]
    assert SECRET not in " ".join(redact_command(words))
    assert redact_command(words)[3:5] == ["--out", "OUT"]


def test_a_secret_that_was_configured_is_found_in_other_texts() -> None:
    remember({"spark": {"conf": {"spark.hadoop.a.token": "abcdef123456"}}, "tokenizer": "roberta"})
    assert redact("denied to abcdef123456 by roberta") == "denied to *** by roberta"


@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_quotes_in_a_configured_password_hide_none_of_it(quote) -> None:
    url = f"https://user:pa{quote}ssw0rd@example.org/t.txt?sig=abc{quote}defghi"
    remember({"graph": {"triples": [url]}})
    shown = redact(f"error: {url}: no such file")
    assert "ssw0rd" not in shown
    assert "defghi" not in shown


def test_an_error_of_a_worker_and_its_causes_hold_no_secret() -> None:
    caused = InputError("cannot be read", where=URL)
    caused.__cause__ = OSError(f"no {URL}")

    def fail(error: Exception) -> None:
        with redacted_errors():
            raise error

    with pytest.raises(InputError) as caught:
        fail(caused)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())


@pytest.fixture
def secret_build(tmp_path: Path) -> tuple[Path, Path]:
    """A build whose input is a URL with a password and a signature, and whose Spark settings hold keys."""
    out, file = finished_build(tmp_path, settings=SPARK)
    text = (tmp_path / "relations.tsv").read_bytes()
    with fsspec.open(URL, "wb") as stream:
        stream.write(text)
    file.write_text(file.read_text().replace(str(tmp_path / "relations.tsv"), f'"{URL}"'))
    return out, file


def test_no_file_of_a_build_and_no_output_holds_a_secret(secret_build, tmp_path, capsys) -> None:
    out, file = secret_build
    words = ["--config", file, "--set", f"spark.conf={{spark.password: {SECRET}}}"]
    assert command("build-corpus", "--out", out, *words) == 0
    assert command("plan", "--out", out, *words) == 0
    assert command("status", "--out", out) == 0
    assert command("report", "--out", out) == 0
    assert command("publish", "--out", out, "--to", f"memory://user:{SECRET}@store/a?token={SECRET}") == 0
    assert not files_with_secret(out)
    assert SECRET not in "".join(capsys.readouterr())
    assert load_manifest(out).sources[0]["file"] == "relations.tsv"
    store = fsspec.filesystem("memory")
    sent = [path for path in store.find("") if "@store" in path]
    assert len(sent) == 5
    assert not [path for path in sent if SECRET.encode() in store.cat_file(path)]


def test_a_published_configuration_is_valid_and_has_no_spark_settings(secret_build) -> None:
    out, file = secret_build
    assert command("build-corpus", "--out", out, "--config", file) == 0
    data = yaml.safe_load((out / "config.yaml").read_text())
    assert "spark" not in data
    assert data["graph"]["relations"] == ["memory://bucket/relations.tsv?X-Amz-Signature=***&versionId=7"]
    assert load(BuildConfig, out / "config.yaml").languages == ("en",)


def test_a_build_of_an_older_version_is_published_once_its_settings_are_gone(secret_build, tmp_path) -> None:
    out, file = secret_build
    (out / "config.yaml").write_text(SPARK)
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 3
    assert not (tmp_path / "store").exists()
    assert command("build-corpus", "--out", out, "--config", file) == 0
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 0
    assert not files_with_secret(tmp_path / "store")


def test_a_configuration_of_others_sees_no_variable_of_the_environment(tmp_path, monkeypatch, capsys) -> None:
    out, _ = finished_build(tmp_path)
    monkeypatch.setenv("MY_KEY", SECRET)
    (out / "config.yaml").write_text("text: [{lang: en, path: '${MY_KEY}'}]\n")
    assert command("report", "--out", out) == 0
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 0
    assert not files_with_secret(out, tmp_path / "store")
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "words",
    [
        ["build-corpus", "--set", f"graph.relations='{URL}x'"],
        ["build-corpus", "--set", f"spark.conf={{a: {SECRET}"],
        ["build-corpus", "--set", f"spark.conf={{a: [{SECRET}]}}"],
        ["build-corpus", "--config", "BAD"],
        ["build-corpus", "--config", "ALIAS"],
        ["build-corpus", "--config", "SECTION"],
        ["publish", "--to", f"nosuch://user:{SECRET}@host/x"],
        ["publish", "--to", f"https://user:{SECRET}@localhost:1/x?sig={SECRET}"],
        ["train", "kmlm", "--corpus", f"https://user:{SECRET}@localhost:1/x?sig={SECRET}", "--out", "RUN"],
        ["train", "kmlm", "--corpus", f"{URL}x", "--out", "RUN"],
        ["train", "kmlm", "--corpus", f"nosuch://u:{SECRET}@h/x", "--out", f"nosuch://u:{SECRET}@h/x"],
    ],
)
def test_no_line_of_an_error_holds_a_secret(secret_build, tmp_path, words, capsys) -> None:
    out, file = secret_build
    (tmp_path / "BAD").write_text(f'spark: {{conf: {{a: "{SECRET}}}}}\n')
    (tmp_path / "ALIAS").write_text(f"spark: {{conf: {{a: *{SECRET}}}}}\n")
    (tmp_path / "SECTION").write_text(f"spark: {SECRET}\n")
    words = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in words]
    words = [str(tmp_path / "RUN") if word == "RUN" else word for word in words]
    if words[0] != "train":
        words += ["--out", str(out)]
    if words[0] == "build-corpus" and "--config" not in words:
        words += ["--config", str(file)]
    assert command("--debug", *words) in (2, 3, 4)
    said = "".join(capsys.readouterr())
    assert SECRET not in said
    assert re.search(r"^error: ", said, re.MULTILINE)


def test_no_file_of_a_run_holds_a_secret(tmp_path, capsys) -> None:
    corpus = write_corpus(tmp_path / "out", rows_of(20))
    for name in ("README.md", "report.json"):
        (corpus / name).write_text("{}")
    url = f"memory://user:{SECRET}@corpus/a"
    assert command("publish", "--out", corpus, "--to", url) == 0
    sets = [
        "model.hidden=16",
        "model.layers=1",
        "model.heads=2",
        "model.vocab_size=300",
        "records_per_step=8",
    ]
    sets = [word for value in [*sets, "trackers=[tensorboard]"] for word in ("--set", value)]
    run = tmp_path / "RUN"
    for steps in ("1", "2"):
        assert command("train", "kmlm", "--corpus", url, "--out", run, "--max-steps", steps, *sets) == 0
    grid = {"objective": "kmlm", "max_steps": 1, "arms": {"one": {}}}
    score = {"benchmark": "cycles", "data": str(corpus), "report": ["accuracy"]}
    (tmp_path / "grid.yaml").write_text(json.dumps({**grid, "scores": [score]}))
    command("sweep", tmp_path / "grid.yaml", "--corpus", url, "--out", tmp_path / "SWEEP", *sets)
    assert not files_with_secret(run, tmp_path / "SWEEP")
    assert SECRET not in "".join(capsys.readouterr())
