"""A build as Python objects, and the names that `import kgcorpus` offers."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kgcorpus
from kgcorpus.config import BuildConfig, load
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.tables import table
from tests.linking.conftest import ROWS, write_build


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return kgcorpus.Corpus.open(str(write_build(tmp_path_factory.mktemp("OUT"), ROWS)))


def test_every_public_name_is_there_and_typed():
    assert sorted(kgcorpus.__all__) == [
        "Corpus",
        "Linker",
        "Record",
        "build",
        "evaluate",
        "register_benchmark",
        "register_objective",
        "register_stage",
        "train",
    ]
    for name in kgcorpus.__all__:
        assert name in dir(kgcorpus)
        assert getattr(kgcorpus, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kgcorpus.nothing


def test_tables_come_as_arrow(corpus):
    assert corpus.tables["surfaces"] == len(ROWS["surfaces"])
    assert corpus.base_language == "en"
    found = corpus.arrow("surfaces")
    assert found.to_pylist() == ROWS["surfaces"]
    assert corpus.dataset("surfaces").schema == table("surfaces").schema
    assert corpus.arrow("surfaces", columns=["surface"]).column_names == ["surface"]
    assert corpus.splits("surfaces") == ("part",)
    assert "surfaces" in corpus._repr_html_()


def test_rows_and_samples_are_readable_records(corpus):
    rows = list(corpus.rows("pages"))
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS["pages"]]
    assert list(rows[0]) == table("pages").schema.names
    assert len(corpus.records("pages", n=2)) == 2
    assert corpus.records("pages", n=2, seed=1)[0] in [*rows]
    assert len(corpus.records("pages", n=10_000)) == len(ROWS["pages"])
    assert "[Mercury|Mercury (planet)]" in str(rows[0])
    assert len(corpus.records("pages", n=3)[:2]) == 2


def test_a_wrong_name_is_an_error_with_a_hint(corpus, tmp_path):
    with pytest.raises(UsageError, match="no such table"):
        corpus.arrow("surface")
    with pytest.raises(InputError, match="holds no table cycles"):
        corpus.dataset("cycles")
    with pytest.raises(UsageError, match="has no split train"):
        corpus.arrow("surfaces", split="train")
    with pytest.raises(InputError, match="no finished build"):
        kgcorpus.Corpus.open(tmp_path)
    with pytest.raises(UsageError):
        kgcorpus.Corpus.open("nowhere://bucket/corpus")


def test_a_damaged_file_is_refused(tmp_path):
    corpus = kgcorpus.Corpus.open(write_build(tmp_path, ROWS))
    path = next((tmp_path / "tables" / "surfaces").glob("*/*.parquet"))
    pq.write_table(pa.table({"surface": ["x"]}), path)
    with pytest.raises(InputError, match=path.name):
        corpus.arrow("surfaces")


def test_the_linker_has_every_language_of_the_build(corpus):
    text = "Both Mercury and Venus are hot."
    linker = corpus.linker()
    assert [m.entity for m in linker.link(text)] == ["Q308", "Q313"]
    assert linker.link(text, "en") == linker.link(text) == kgcorpus.Linker.open(corpus.path).link(text, "en")
    with pytest.raises(UsageError, match="no name in the language"):
        linker.link(text, "nl")


@pytest.mark.parametrize("given", ["file", "mapping", "config"])
def test_a_configuration_may_be_a_file_a_mapping_or_itself(tmp_path, given):
    values = {"seed": 7, "languages": ["en", "de"]}
    (tmp_path / "my.yaml").write_text(json.dumps(values))
    source = {
        "file": str(tmp_path / "my.yaml"),
        "mapping": values,
        "config": BuildConfig(seed=7, languages=("en", "de")),
    }[given]
    loaded = load(BuildConfig, source, overrides=["cycles.dedup=set"])
    assert (loaded.seed, loaded.languages, loaded.cycles.dedup) == (7, ("en", "de"), "set")
    assert values == {"seed": 7, "languages": ["en", "de"]}
    with pytest.raises(UsageError, match="sed"):
        load(BuildConfig, {"sed": 1})


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, None, "pipe"])
def test_a_damaged_report_is_refused_and_does_not_hang(content, tmp_path):
    corpus = kgcorpus.Corpus.open(write_build(tmp_path, ROWS))
    path = tmp_path / "report.json"
    path.unlink(missing_ok=True)
    if content == "pipe":
        os.mkfifo(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"report\.json"):
        _ = corpus.report


def test_a_table_of_another_version_is_listed_without_a_meaning(tmp_path):
    manifest = write_build(tmp_path, ROWS) / "manifest.json"
    content = json.loads(manifest.read_text())
    content["tables"]["of_tomorrow"] = content["tables"]["pages"]
    manifest.write_text(json.dumps(content))
    corpus = kgcorpus.Corpus.open(tmp_path)
    assert "of_tomorrow" in corpus._repr_html_()
    with pytest.raises(UsageError, match="no such table"):
        corpus.dataset("of_tomorrow")


def test_an_unknown_column_is_named(corpus):
    with pytest.raises(UsageError, match="surfaces has no column nothing"):
        corpus.arrow("surfaces", columns=["surface", "nothing"])


@pytest.mark.parametrize("path", ["", "nowhere://bucket/OUT", "dbfs:/OUT"])
def test_only_the_path_of_a_folder_is_opened(path, corpus, monkeypatch):
    # An empty path would be the working directory.
    monkeypatch.chdir(corpus.path)
    for opened in (kgcorpus.Corpus.open, kgcorpus.Linker.open):
        with pytest.raises(UsageError):
            opened(path)


@pytest.mark.parametrize("lang", ["5", "../../x", "[a]"])
def test_a_base_language_that_is_no_code_is_refused(lang, tmp_path):
    write_build(tmp_path, ROWS)
    (tmp_path / "config.yaml").write_text(f"languages: [{lang}]")
    with pytest.raises(InputError, match=r"config\.yaml: gives no languages"):
        _ = kgcorpus.Corpus.open(tmp_path).base_language
