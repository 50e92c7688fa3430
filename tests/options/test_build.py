"""Every option of a build acts: another value gives another content of the table that it is for."""

import contextlib
import gzip
import io
import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from kgcorpus.cli import app, run_app
from kgcorpus.config import BuildConfig
from kgcorpus.demo.embedded import demo_config
from pipelines.stages import stages
from tests.options.build_cases import ACTS_ELSEWHERE, BASE, CASES, Case
from tests.options.fields import merged, nested, options_of

TABLES = sorted({case.table for case in CASES.values()})
Outcome = dict[str, str]


def test_every_build_option_has_a_case_or_a_reason() -> None:
    assert sorted([*CASES, *ACTS_ELSEWHERE]) == sorted(options_of(BuildConfig))


def above(table: str) -> set[str]:
    """All tables that this one is made from."""
    stage = stages()[table]
    direct = {*stage.inputs, *stage.optional}
    return direct.union(*map(above, direct)) if direct else direct


def groups() -> Iterator[list[str]]:
    """Options that one build can change at once: no option's table is made from another's.

    So each table shows its own option alone, which the test checks by the digests of its inputs.
    """
    waiting = [name for name, case in CASES.items() if case.own is None and name not in ALONE]
    while waiting:
        group: list[str] = []
        for name in waiting:
            case = CASES[name]
            tables = {CASES[other].table for other in group}
            near = {case.table} & tables or above(case.table) & tables
            near = near or any(case.table in above(table) for table in tables)
            if not near and all(CASES[other].given == case.given for other in group):
                group.append(name)
        waiting = [name for name in waiting if name not in group]
        yield group


# These change several tables at once.
ALONE = ("seed", "languages", "base_language")
GROUPS = [*groups(), *([name] for name in ALONE)]


class Builds:
    """Builds from one finished base, by settings; each is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        _, variables = demo_config(folder)
        make_files(folder / "made", Path(variables["WORLD"]), Path(variables["DUMPS"]))
        self._places = {
            "{world}": variables["WORLD"],
            "{dumps}": variables["DUMPS"],
            "{made}": str(folder / "made"),
        }
        self.outcome = cache(self._outcome)
        code, told = self._build(folder / "base", BASE, TABLES)
        assert code == 0, told

    def of_group(self, group: list[str], *, changed: bool) -> Outcome:
        """Table -> digest, with the given settings, and with the options' other values if `changed`."""
        given = CASES[group[0]].given
        values = {name: CASES[name].value for name in group} if changed else {}
        for name in [name for name in values if name.startswith(("wikipedia.", "text."))]:
            values[name.partition(".")[0]] = values.pop(name)
        wanted = TABLES if not changed and not given else sorted({CASES[name].table for name in group})
        settings = merged(BASE, nested({**given, **values}))
        if not changed and not given:
            return digests(self._folder / "base")
        return self.outcome(json.dumps(settings), tuple(wanted))

    def of_own(self, case: Case, option: str | None) -> tuple[int, str]:
        """Exit code and error of a build that has nothing of the base."""
        assert case.own is not None
        name = str(option).partition(".")[0] if str(option).startswith("wikipedia.") else option
        settings = merged(case.own, nested({str(name): case.value}) if option else {})
        return self._build(self._new(), settings, [case.table])

    def _outcome(self, settings: str, tables: tuple[str, ...]) -> Outcome:
        out = self._new()
        # Hard links: a build replaces files and never writes into one.
        left_out = shutil.ignore_patterns(".lock", "*.log", "run.json", "cache", "scratch")
        shutil.copytree(self._folder / "base", out, copy_function=os.link, ignore=left_out)
        code, told = self._build(out, json.loads(settings), tables)
        assert code == 0, told
        return digests(out)

    def _new(self) -> Path:
        return self._folder / f"out-{len(list(self._folder.glob('out-*')))}"

    def _build(self, out: Path, settings: dict[str, Any], tables: Any) -> tuple[int, str]:
        text = yaml.safe_dump(settings)
        for name, place in self._places.items():
            text = text.replace(name, place)
        config = self._folder / "config.yaml"
        config.write_text(text)
        words = ["build-corpus", *tables, "--config", config, "--out", out]
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            code = run_app(lambda: app([*map(str, words)], standalone_mode=False))
        (line,) = [x for x in errors.getvalue().splitlines() if x.startswith("error:")] or [""]
        return code, line


def digests(out: Path) -> Outcome:
    tables = json.loads((out / "manifest.json").read_text())["tables"]
    return {name: entry["digest"] for name, entry in tables.items()}


def make_files(made: Path, world: Path, dumps: Path) -> None:
    """The cases' own input files."""
    from safetensors.numpy import load_file, save_file

    from trainer.tokenizer import make_tokenizer

    made.mkdir()
    lines = (world / "wikipedia" / "en.wikitext").read_text(encoding="utf-8").splitlines()
    prose = [line for line in lines if line.isascii() and len(line) > 80 and line[0].isalpha()]
    (made / "text.txt").write_text("\n".join(prose[:20]) + "\n")
    documents = ({"text": line, "title": line.split()[0]} for line in prose[:20])
    (made / "documents.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    (made / "other.txt").write_text("\n".join(prose[20:30]) + "\n")
    pq.write_table(pa.table({"text": prose[:10], "other": prose[10:20]}), made / "rows.parquet")
    triples = (world / "graph" / "wikidata5m_transductive_train.txt").read_text().splitlines()
    (made / "triples.txt").write_text("\n".join(triples[::2]) + "\n")
    (made / "types.txt").write_text("".join(f"{line.split()[0]}\tQ35120\n" for line in triples[:50]))
    titles = (world / "wikipedia" / "en-titles.tsv").read_text(encoding="utf-8").splitlines()
    (made / "titles.tsv").write_text("\n".join(titles[::2]) + "\n", encoding="utf-8")
    (made / "templates.tsv").write_text("circa\tabout {1}\nnowrap\tother words\nlang\tsome words\n")
    (made / "bad.txt").write_text("Q1\tP1\tQ2\nQ2\tP1\n")
    (made / "long.txt").write_text(f"Q1\tP1\tQ2\nQ1\tP1\tQ{'x' * (1 << 20)}\n")
    with gzip.open(made / "packed.txt.gz", "wt") as packed:
        packed.writelines(f"Q1\tP1\tQ{i}{'x' * (1 << 20)}\n" for i in range(70))
        packed.write("Q1\tP1\n")
    from kgcorpus.inputs import open_input

    with open_input(str(dumps / "enwiki-demo-pages-articles.xml.bz2")) as stream:
        whole = stream.read().decode()
    head, *pages = whole.split("  <page>")
    (made / "enwiki.xml").write_text("  <page>".join([head, *pages[:20]]).rstrip() + "\n</mediawiki>\n")
    chinese = (
        "<mediawiki xml:lang='zh'><siteinfo><dbname>zhwiki</dbname><case>first-letter</case><namespaces>"
        "<namespace key='6'>File</namespace></namespaces></siteinfo>"
        "<page><title>T</title><ns>0</ns><id>1</id><revision><id>1</id>"
        "<text>-{zh-cn:a;zh-tw:b}-</text></revision></page></mediawiki>"
    )
    (made / "zhwiki.xml").write_text(chinese)
    make_tokenizer(prose, vocab_size=300, max_length=512).save_pretrained(made / "tokenizer")
    shutil.copytree(world / "encoder", made / "encoder")
    weights = load_file(made / "encoder" / "model.safetensors")
    halved = {name: array / 2 if "embeddings" in name else array for name, array in weights.items()}
    save_file(halved, made / "encoder" / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Builds:
    return Builds(tmp_path_factory.mktemp("builds"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("group", GROUPS, ids="+".join)
def test_another_value_of_each_option_shows_in_its_table(builds: Builds, group: list[str]) -> None:
    before, after = (builds.of_group(group, changed=changed) for changed in (False, True))
    tables = {name: CASES[name].table for name in group}
    dead = [name for name, table in tables.items() if before[table] == after[table]]
    assert not dead, f"options that change nothing: {dead}"
    if len(group) > 1:
        inputs = {table for name in tables.values() for table in above(name)} & before.keys() & after.keys()
        assert {table for table in inputs if before[table] != after[table]} == set()


@pytest.mark.slow
@pytest.mark.parametrize("option", [name for name, case in CASES.items() if case.own is not None])
def test_another_value_of_the_option_accepts_or_refuses(builds: Builds, option: str) -> None:
    case = CASES[option]
    assert builds.of_own(case, None) != builds.of_own(case, option)
