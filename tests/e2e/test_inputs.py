"""What must not change a build's bytes: the order of rows and pages, and the names of files and folders."""

import bz2
import json
import os
import random
import re
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from kgcorpus.cli import app
from kgcorpus.config import BuildConfig, load, to_yaml
from kgcorpus.contracts.store import replacing
from kgcorpus.demo.dumps import write_dumps
from tests.e2e.commands import ONE_CORE, run, sets

WORLD = Path(__file__).parents[2] / "kgcorpus" / "demo"
# Patterns of Spark, marks of URLs, quotes of YAML and shells, and a letter written in two ways.
ODD = "a b%20 #1 ::c:d *?[x]{y} ~ 'q' \"p\" $HOME \\ ,;&=\n\t"
NFC, NFD = "\u00e9", "e\u0301"
PAGE = re.compile(r"  <page>.*?</page>\n", re.DOTALL)
TARGETS = (
    "code_switched",
    "reasoning",
    "xlr",
    "rules",
    "plain_text",
    "jaket_text",
    "jaket_entities",
    "in_links",
)


def shuffle_lines(path: Path, draw: random.Random) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines[-1].endswith("\n")
    draw.shuffle(lines)
    path.write_text("".join(lines), encoding="utf-8")


def shuffle_pages(path: Path, draw: random.Random) -> None:
    data = path.read_bytes()
    text = (bz2.decompress(data) if path.suffix == ".bz2" else data).decode()
    pages = PAGE.findall(text)
    assert len(pages) > 1
    draw.shuffle(pages)
    shuffled = PAGE.sub(lambda match: pages.pop(), text).encode()
    path.write_bytes(bz2.compress(shuffled) if path.suffix == ".bz2" else shuffled)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_neither_the_order_of_rows_nor_odd_names_change_a_byte(built: Path, tmp_path: Path) -> None:
    draw, place = random.Random(5), tmp_path / ODD
    world, dumps = place / NFC, place / NFD
    # Spark reads a path with a colon or one like a pattern, but not one with both.
    refused = run("build-corpus", "--out", place / "OUT")
    assert (refused.returncode, "Choose another --out" in refused.stderr) == (2, True)
    out = tmp_path / ODD.replace(":", "") / NFD
    shutil.copytree(WORLD / "world", world)
    write_dumps(dumps)
    rows = [*(world / "graph").iterdir(), *(world / "wikipedia").glob("*.tsv")]
    for path in rows:
        shuffle_lines(path, draw)
    for path in dumps.iterdir():
        shuffle_pages(path, draw)
    config = ("--config", WORLD / "config.yaml", "--out", out, *sets(*ONE_CORE))
    done = run("build-corpus", *TARGETS, *config, WORLD=str(world), DUMPS=str(dumps))
    assert done.returncode == 0, done.stderr
    made, expected = (json.loads((at / "manifest.json").read_text())["tables"] for at in (out, built))
    assert made.keys() >= set(TARGETS)
    # The fingerprint names the inputs' bytes, which another order changes.
    different = [name for name in made if made[name]["digest"] != expected[name]["digest"]]
    assert not different
    for words in (
        ("plan", *TARGETS, *config),
        ("status", "--out", out),
        ("inspect", "reasoning", "--out", out),
    ):
        again = run(*words, WORLD=str(world), DUMPS=str(dumps))
        assert again.returncode == 0, again.stderr
        assert words[0] != "plan" or " run " not in again.stdout


@pytest.mark.parametrize("place", ["--out", "--set", "variable"])
def test_a_path_that_is_not_utf8_is_refused_in_one_line(tmp_path: Path, place: str) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/x\xff")
    config = tmp_path / "c.yaml"
    config.write_text("graph: {triples: '${ODD:-t}'}\n")
    words = ["plan", "triples", "--config", config, "--out", odd if place == "--out" else tmp_path / "o"]
    words += sets(f"graph.triples={odd}") if place == "--set" else []
    done = run(*words, **({"ODD": odd} if place == "variable" else {}))
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1


NAMES = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, NAMES, st.sampled_from(["file", "variable", "set"]))
@example("x" * 250, "é" * 120, "file")
@example(NFC, NFD, "set")
@example("~", "$HOME ${X} #'\"", "variable")
def test_any_name_of_a_file_and_of_out_comes_through(tmp_path: Path, file: str, out: str, way: str) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    path, config = folder / "in" / file, folder / "c.yaml"
    path.parent.mkdir()
    path.write_text("Q1\tP1\tQ2\n")
    written = yaml.safe_dump([str(path)], default_flow_style=True, width=10_000).strip()
    config.write_text(
        "graph: {triples: ['${ODD}']}" if way == "variable" else f"graph: {{triples: {written}}}"
    )
    overrides = sets(f"graph.triples={written}") if way == "set" else []
    arguments = ["plan", "triples", "--config", str(config), "--out", str(folder / out), *overrides]
    done = CliRunner().invoke(app, arguments, env={"ODD": str(path)})
    assert done.exit_code == 0, (done.exception, done.output)
    resolved = load(BuildConfig, config, overrides=overrides[1:], variables={"ODD": str(path)})
    assert resolved.graph.triples == (str(path),)
    with replacing(folder / out) as temporary:
        temporary.write_text(to_yaml(resolved))
    assert load(BuildConfig, folder / out) == resolved
