"""The documentation is whole: every page is in the navigation, links lead somewhere, pictures are current."""

import importlib.util
import os
import re
import tomllib
import unicodedata
from pathlib import Path

import pytest
import yaml

from kgcorpus.config.reference import fields_table
from trainer.config import TrainingConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "proofs").glob("*.md")])
_GENERATED = {f"reference/{name}.md" for name in ("commands", "tables", "drops", "python")} | {
    f"reference/{name}-configuration.md" for name in ("build", "training")
}


def nav_of(items: list) -> list[str]:
    found = []
    for item in items:
        (value,) = item.values()
        found += nav_of(value) if isinstance(value, list) else [value]
    return found


def anchors_of(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = set()
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = unicodedata.normalize("NFKD", re.sub(r"[`*]|\]\([^)]*\)|\[", "", title))
        found.add(re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


def test_every_page_is_in_the_navigation_once() -> None:
    nav = nav_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(nav) == sorted(written | _GENERATED)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or path.startswith("mailto:"):
            continue
        file = (page.parent / path) if path else page
        is_generated = file.resolve().is_relative_to(DOCS) and (
            file.resolve().relative_to(DOCS).as_posix() in _GENERATED
        )
        assert file.exists() or is_generated, target
        assert not anchor or is_generated or anchor in anchors_of(file), target


def test_the_settings_of_a_training_are_those_of_the_code() -> None:
    page = DOCS / "training.md"
    before, rest = page.read_text(encoding="utf-8").split("<!-- settings: begin -->\n")
    table, after = rest.split("<!-- settings: end -->")
    expected = f"{fields_table(TrainingConfig)}\n"
    if "KGCORPUS_RENEW_DOCS" in os.environ:
        marked = f"<!-- settings: begin -->\n{expected}<!-- settings: end -->"
        page.write_text(f"{before}{marked}{after}", encoding="utf-8")
        table = expected
    assert table == expected, "renew docs/training.md with KGCORPUS_RENEW_DOCS=1"


def test_the_picture_is_the_one_that_its_script_draws() -> None:
    spec = importlib.util.spec_from_file_location("flow", DOCS / "flow.py")
    flow = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(flow)
    assert (DOCS / "assets" / "flow.svg").read_text(encoding="utf-8") == flow.drawing()


def test_readme_and_glossary_stay_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
    terms = re.findall(r"^\| (?!term|---)", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(terms) <= 40


def test_the_repositorys_address_is_that_of_pyproject() -> None:
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert f"git clone {address} " in (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (*PAGES, ROOT / "pyproject.toml", ROOT / "mkdocs.yml", ROOT / "CITATION.cff"):
        found = re.findall(r"https?://[\w.-]+/kgcorpus/kgcorpus", page.read_text(encoding="utf-8"))
        assert set(found) <= {address}, page


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == set(phony.split())
