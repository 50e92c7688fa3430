"""`kgcorpus init`: what it writes is what a build reads, and its flags are checked."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.config import BuildConfig, load
from kgcorpus.config.commented import commented_yaml
from tests.made import command

FILES = {
    "triples.tsv": "a\tr\tb\nb\tr\tc\na\tr\tc\n",
    "labels.tsv": "a\tltg\tA\nb\tltg\tB\nc\tltg\tC\n",
    "relations.tsv": "r\tltg\tpi\n",
    "text.txt": "A ir pi B.\n\nB ir pi C.\n",
}
FLAGS = ["--triples", "triples.tsv", "--labels", "labels.tsv", "--relations", "relations.tsv"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_written_file_passes_the_check_of_inputs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("init", "my.yaml", *FLAGS, "--text", "ltg=text.txt", "--languages", "ltg,no") == 0
    assert "kgcorpus plan --check --config my.yaml" in capsys.readouterr().out
    assert command("plan", "--check", "--config", "my.yaml") == 0
    config = load(BuildConfig, here / "my.yaml")
    assert config.languages == ("ltg", "no")
    assert config.graph.triples == ("triples.tsv",)
    assert [(text.lang, text.path) for text in config.text] == [("ltg", "text.txt")]


def test_the_languages_default_to_those_of_the_files(here: Path) -> None:
    assert command("init", *FLAGS, "--text", "lv=text.txt", "--text", "ltg=text.txt") == 0
    assert load(BuildConfig, here / "my.yaml").languages == ("lv", "ltg")


def test_the_files_of_a_dump_go_to_its_entry(here: Path) -> None:
    for name in ("one.xml.bz2", "two.xml.bz2", "i1.txt.bz2", "i2.txt.bz2", "titles.tsv", "own.tsv"):
        (here / name).write_text("")
    wiki = [f"--wikipedia={lang}={name}.xml.bz2" for lang, name in (("ltg", "one"), ("ltg", "two"))]
    rest = ["--index", "ltg=i1.txt.bz2", "--index", "ltg=i2.txt.bz2", "--titles", "ltg=titles.tsv"]
    assert (
        command("init", *wiki, *rest, "--templates", "ltg=own.tsv", "--set", "linking.dictionary=true") == 0
    )
    config = load(BuildConfig, here / "my.yaml")
    (entry,) = config.wikipedia
    assert (entry.dump, entry.index) == (("one.xml.bz2", "two.xml.bz2"), ("i1.txt.bz2", "i2.txt.bz2"))
    assert (entry.titles, entry.templates) == (("titles.tsv",), ("own.tsv",))
    assert config.linking.dictionary


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "no input is named. Add --triples"),
        (["--text", "text.txt"], 2, "--text needs LANG=FILE, not 'text.txt'"),
        (["--text", "ltg=none.txt"], 3, "none.txt: no such file"),
        (["--titles", "ltg=text.txt"], 2, "--titles names ltg, but no --wikipedia does"),
        (["--triples", "triples.tsv", "--set", "cycles.per_pear=3"], 2, "did you mean cycles.per_pair"),
        (["text.txt", "--triples", "triples.tsv"], 2, "text.txt: the file exists. Name another FILE"),
    ],
)
def test_wrong_flags_write_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert command("init", *words) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert {path.name for path in here.iterdir()} == set(FILES)


def test_an_existing_file_is_replaced_with_force_only(here: Path) -> None:
    assert command("init", *FLAGS) == 0
    assert command("init", *FLAGS) == 2
    assert command("init", *FLAGS, "--languages", "ltg", "--force") == 0
    assert load(BuildConfig, here / "my.yaml").languages == ("ltg",)


names = st.text(min_size=1, max_size=12).filter(str.isprintable)


@given(
    path=names | st.sampled_from(["no", "007", "- a", "a: b", "[x]", "#", "'", '"', "a #b", "~", "{", "a,b"])
)
def test_any_name_of_a_file_is_read_back(path: str) -> None:
    values: dict[str, Any] = {"graph": {"triples": [path]}, "text": [{"lang": "no", "path": path}]}
    assert yaml.safe_load(commented_yaml(BuildConfig, values)) == values


def test_a_section_is_set_by_removing_its_first_comment_marks() -> None:
    written = commented_yaml(BuildConfig, {})
    for name in ("graph", "linking", "cycles", "jaket", "spark", "limits"):
        lines = written[written.index(f"# {name}:") :].partition("\n\n")[0].splitlines()
        opened = yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines))
        assert BuildConfig.model_validate(opened) == BuildConfig()
        assert opened[name].keys() == type(getattr(BuildConfig(), name)).model_fields.keys()
