"""What a build says of its inputs before it reads them, and the repetitions that it refuses."""

import bz2
import gzip
import json
import logging
import lzma
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgcorpus.cli import app
from kgcorpus.config import BuildConfig
from kgcorpus.contracts.stages import sources_of
from kgcorpus.report.terminal import set_verbosity
from pipelines import names, pages, titles, triples
from pipelines.runner import build
from pipelines.sources import log_formats, read_as
from pipelines.stages import STAGES

LINES = [f"Document {n} has one line. It ends here.\n" for n in range(1000)]


def plan(folder: Path, config: dict) -> tuple[int, str]:
    """The exit code of `kgcorpus plan`, and the last line of what it prints."""
    (folder / "config.yaml").write_text(json.dumps(config))
    done = CliRunner().invoke(
        app, ["plan", "--config", str(folder / "config.yaml"), "--out", str(folder / "O")]
    )
    return getattr(done.exception, "exit_code", done.exit_code), str(done.exception or done.output)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"a": "A text.\n", "b": "A text.\n", "c": "Texts A\n", "empty": "", "void": ""}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in texts}


@pytest.mark.parametrize("pair", ["aa", "ab"])
@pytest.mark.parametrize(
    "layout",
    [
        lambda one, two: {"text": [{"lang": "en", "path": one}, {"lang": "de", "path": two}]},
        lambda one, two: {"graph": {"triples": [one, two]}},
        lambda one, two: {"graph": {"triples": one, "labels": [two, two]}},
        lambda one, two: {"wikipedia": [{"lang": "en", "dump": [one, two]}]},
        lambda one, two: {"wikipedia": [{"lang": "en", "dump": one}, {"lang": "de", "dump": two}]},
        lambda one, two: {"wikipedia": [{"lang": "en", "dump": one, "titles": [two, two]}]},
    ],
)
def test_equal_files_of_one_field_are_refused_unless_allowed(tmp_path, files, layout, pair) -> None:
    config = layout(*(files[name] for name in pair))
    code, said = plan(tmp_path, config)
    assert code == 3
    assert "names it" in said
    assert plan(tmp_path, config | {"repeated_inputs": "allow"})[0] == 0


@pytest.mark.parametrize(
    ("one", "two"),
    [("a.txt", "a.txt.gz"), ("a.txt.gz", "a.txt.bz2"), ("a.txt.xz", "a.txt.gz"), ("a.txt.gz", "b.txt.gz")],
)
def test_one_text_packed_in_two_ways_is_a_repetition(tmp_path, one, two) -> None:
    content = "".join(LINES * 4).encode()
    pack = {".txt": bytes, ".bz2": bz2.compress, ".xz": lzma.compress}
    for name, level in ((one, 9), (two, 1)):
        packed = pack.get(Path(name).suffix, partial(gzip.compress, compresslevel=level))
        (tmp_path / name).write_bytes(packed(content))
    config = {"text": [{"lang": "en", "path": str(tmp_path / name)} for name in (one, two)]}
    code, said = plan(tmp_path, config)
    assert (code, "content is equal" in said) == (3, True)
    assert plan(tmp_path, config | {"repeated_inputs": "allow"})[0] == 0
    (tmp_path / "a.txt").write_bytes(content + b"More.\n")
    config["text"] = [{"lang": "en", "path": str(tmp_path / name)} for name in ("a.txt", two)]
    assert plan(tmp_path, config)[0] == 0


def test_equal_files_of_two_fields_or_wikis_and_empty_ones_are_not_repetitions(tmp_path, files) -> None:
    wikis = [
        {"lang": "en", "dump": files["a"], "titles": files["c"]},
        {"lang": "de", "dump": files["empty"], "titles": files["c"]},
    ]
    graph = {"triples": files["a"], "labels": [files["b"], files["empty"], files["void"]]}
    assert plan(tmp_path, {"graph": graph, "wikipedia": wikis})[0] == 0


def said(
    config: BuildConfig, caplog: pytest.LogCaptureFixture, *, verbose: bool = True
) -> list[tuple[str, str]]:
    caplog.clear()
    set_verbosity(quiet=False, verbose=verbose)
    with caplog.at_level(logging.INFO, "pipelines.sources"):
        stages = (triples.STAGE, names.ENTITIES, names.RELATIONS, pages.STAGE, titles.STAGE)
        log_formats(config, [source for stage in stages for source in sources_of(config, stage.sources)])
    set_verbosity(quiet=False, verbose=False)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_every_inference_is_said_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents = {
        "t.tsv": "Q1\tP1\tQ2\nQ2\tP1\tQ3\trank\n",
        "w.json.gz": gzip.compress(b"[\n]\n"),
        "labels.tsv": "Q1\ten\tOne\n" * 30 + "Q1\tx y\tOne\n",
        "names.txt": "Q1\tOne\tThe One\n" * 10,
        "a.txt": "".join(LINES),
        "own.jsonl": '{"text": "A text."}\n',
        "page.sql": "",
        "en.tsv": "One\tQ1\n",
        "en.xml": "<mediawiki/>",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    at = {name: str(tmp_path / name) for name in contents}
    config = BuildConfig.model_validate(
        {
            "graph": {
                "triples": [at["t.tsv"], at["w.json.gz"]],
                "labels": [at["labels.tsv"], at["names.txt"]],
            },
            "wikipedia": [{"lang": "en", "dump": at["en.xml"], "titles": [at["page.sql"], at["en.tsv"]]}],
            "text": [{"lang": "en", "path": at["a.txt"]}, {"lang": "de", "path": at["own.jsonl"]}],
        }
    )
    lines = said(config, caplog)
    assert {level for level, _ in lines} == {"INFO"}
    for expected in (
        "graph.triples: t.tsv: `h r t` (3 to 4 columns in 2 sampled lines)",
        "graph.triples: w.json.gz: Wikidata's JSON dump (by the file's name)",
        "labels.tsv: `id lang label...` (30 of 31 sampled lines have a language in column 2)",
        "names.txt: `id label...`, English (0 of 10 sampled lines",
        "wikipedia.titles (en): page.sql: an SQL dump (by the file's name)",
        "wikipedia.titles (en): en.tsv: `title id` (2 columns in 1 sampled lines)",
        "text (en): a.txt: a document on each line (inferred; the first 1,000 lines",
        "1,000 documents of 40 characters on average",
        "text (de): own.jsonl: JSON lines, a document a line (by the file's name)",
    ):
        assert any(expected in line for _, line in lines), (expected, lines)
    # A dump has one layout.
    assert not any("en.xml" in line for _, line in lines)
    brief = [line for _, line in said(config, caplog, verbose=False)]
    assert "text (en): a.txt: a document on each line" in brief
    assert len(brief) == len(lines)


def test_a_line_of_the_log_fits_80_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = "wikidata5m-transductive-and-inductive-of-2026-06-01"
    for name in (f"{long}-a.tsv", f"{long}-b.tsv"):
        (tmp_path / name).write_text(f"Q1\tP1\tQ2\t{name}\n")
    (tmp_path / f"{long}.txt").write_text("A text.\n\n" * 5)
    text = {"lang": "pt-BR", "path": str(tmp_path / f"{long}.txt")}
    graph = {"triples": [str(tmp_path / f"{long}-{end}.tsv") for end in "ab"]}
    config = BuildConfig.model_validate({"graph": graph, "text": [text]})
    lines = [f"{level} pipelines.sources: {line}" for level, line in said(config, caplog, verbose=False)]
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80, lines
    assert lines[0].endswith("a.tsv and 1 more: `h r t`")
    assert lines[1].endswith("1.txt: documents between blank lines")


def test_of_every_input_it_is_said_how_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a\tb\tc\n")
    path = str(tmp_path / "x")
    names = {role.partition(".")[2] for stage in STAGES for role in stage.sources if role.startswith("graph")}
    wiki = {"lang": "en", "dump": path, "index": path, "titles": path, "templates": path}
    config = BuildConfig.model_validate(
        {
            "graph": dict.fromkeys(names, path),
            "wikipedia": [wiki],
            "text": [{"lang": "en", "path": path}],
            "importance": {"encoder": str(tmp_path)},
            "passages": {"tokenizer": "a/hub-id"},
        }
    )
    roles = {role for stage in STAGES for role in stage.sources}
    found = {source.role: read_as(source, config) for source in sources_of(config, sorted(roles))}
    assert found.keys() == roles
    assert all(found.values()), found


@pytest.mark.parametrize(
    ("text", "documents", "level", "expected"),
    [
        ("".join([*LINES[:500], "\n", *LINES[500:]]), None, "WARNING", "1,000 documents of 40 char"),
        ("".join([*LINES[:15], "\n", *LINES[15:30]]), None, "WARNING", "2 documents of"),
        ("".join([*LINES[:15], "\n", *LINES[15:30]]), "lines", "INFO", "as configured"),
        ("".join([*LINES[:3], "\n", *LINES[3:6]]), None, "WARNING", "2 documents of"),
        ("".join([*LINES[:1], "\n", *LINES[1:3]]), None, "WARNING", "2 documents of"),
        (
            "".join(line + "\n" * (n in (1, 3, 5)) for n, line in enumerate(LINES[:8])),
            None,
            "WARNING",
            "4 doc",
        ),
        # Both forms give the same documents.
        ("\n".join(LINES[:3]), None, "INFO", "3 documents of"),
        ("".join([*LINES[:6], "\n"]), None, "INFO", "6 documents of"),
        ("", None, "INFO", "0 documents of"),
        ("".join(line + "\n" * (n % 2) for n, line in enumerate(LINES[:10])), None, "INFO", "5 documents of"),
        ("".join(line + "\n" * (n % 3 == 2) for n, line in enumerate(LINES)), None, "INFO", "334 documents"),
        ('{"text": "A text."}\n' * 5, None, "WARNING", "a document on each line"),
        ('["A text.", 7]\n' * 5, None, "WARNING", "a document on each line"),
        ("\n<mediawiki>\n<page>\n" + "A text.\n" * 5, None, "WARNING", "a document on each line"),
        ('<doc id="1">\nA text.\n</doc>\n\n' * 5, None, "WARNING", "documents between blank lines"),
        ("A text.\n<html>\n", None, "INFO", "2 documents of"),
    ],
)
def test_a_text_that_fits_no_form_well_is_a_warning(
    tmp_path, caplog, text, documents, level, expected
) -> None:
    (tmp_path / "x.txt").write_text(text)
    entry = {"lang": "en", "path": str(tmp_path / "x.txt"), "documents": documents}
    ((found, line),) = said(BuildConfig.model_validate({"text": [entry]}), caplog)
    assert found == level
    assert expected in line


@pytest.mark.slow
def test_a_build_keeps_the_configured_form_and_reports_it(spark: object, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("".join([*LINES[:500], "\n", *LINES[500:]]))
    rows = {}
    for documents in (None, "lines", "paragraphs"):
        entry = {"lang": "en", "path": str(tmp_path / "x.txt"), "documents": documents}
        config = BuildConfig.model_validate(
            {"text": [entry], "spark": {"master": "local[2]", "partitions": 2}}
        )
        build(config, tmp_path / "out", targets=["pages"])
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        rows[documents] = report["tables"]["pages"]["rows"]
        assert ("as configured" if documents else "inferred") in report["sources"][0]["read_as"]
    assert rows == {None: 1000, "lines": 1000, "paragraphs": 2}
