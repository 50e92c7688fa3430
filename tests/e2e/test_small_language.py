"""docs/small-languages.md as a reader runs it, on a world in Latgalian with ids that are words."""

import bz2
import json
import re
import shlex
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.commands import ONE_CORE, sets
from tests.made import command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PAGE = (Path(__file__).parents[2] / "docs" / "small-languages.md").read_text(encoding="utf-8")
# What the page leaves to a machine that has more time.
SMALL = [
    *("model.hidden=32", "model.layers=2", "model.heads=2", "model.vocab_size=600", "records_per_step=8"),
    *("jaket.gat_heads=2", "transe.dim=8", "transe.steps=10", "transe.facts_per_step=64"),
]
HEAD = (
    '<mediawiki xml:lang="ltg"><siteinfo><sitename>Vikipedeja</sitename><dbname>ltgwiki</dbname>'
    '<case>first-letter</case><namespaces><namespace key="0" case="first-letter" /></namespaces></siteinfo>'
)
BODY = (
    "<page><title>{title}</title><ns>0</ns><id>{n}</id><revision><id>{n}</id>"
    "<timestamp>2026-01-01T00:00:00Z</timestamp><text>{text}</text></revision></page>"
)


def blocks(language: str) -> list[str]:
    """The page's blocks of code."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def write_world(folder: Path) -> None:
    """48 towns on 6 rivers in 4 districts; each town has two neighbours, a river and a district."""
    towns = [f"Pylsāta {name}{n}" for n, name in enumerate(["Rēzekne", "Kruoslova", "Ludza", "Preili"] * 12)]
    rivers = ["Daugova", "Dubna", "Osyna", "Malta", "Indrica", "Rudņa"]
    districts = ["Latgola", "Vydzeme", "Kurzeme", "Zemgola"]
    triples, pages = [], []
    for n, town in enumerate(towns):
        river, district = rivers[n % 6], districts[n % 4]
        one, other = (towns[(n + step) % 48] for step in (1, 2))
        triples += [(town, "pi_upis", river), (town, "nūvods", district), (river, "tak_caur", district)]
        triples += [(town, "kaimiņs", one), (town, "kaimiņs", other), (town, "category", "pylsāta")]
        text = (
            f"'''{town}''' ir pylsāta [[{district}|{district}s]] nūvodā. Jei ir pi upis [[{river}]], "
            f"{{{{Upe|{river}}}}} ir garā. Kaimiņu pylsātys ir [[{one}]] i [[{other}]]. {{{{Navbox|x}}}} "
        )
        pages.append((town, text * 2))
    triples += [(river, "category", "upe") for river in rivers]
    pages += [(name, f"'''{name}''' ir upe. [[{towns[n]}]] ir pi jos.") for n, name in enumerate(rivers)]
    names = sorted({end for h, _, t in triples for end in (h, t)})
    files = {
        "triples.tsv": sorted(set(triples)),
        "labels.tsv": [
            row for name in names for row in ((name, "ltg", name), (name, "lv", name.replace("uo", "ā")))
        ],
        "relations.tsv": [
            (r, lang, label)
            for r, label in (("pi_upis", "pi upis"), ("nūvods", "nūvodā"), ("tak_caur", "tak caur"))
            for lang in ("ltg", "lv")
        ]
        + [("kaimiņs", "mul", "kaimiņs"), ("category", "ltg", "ir")],
        "titles.tsv": [(title, title) for title, _ in pages],
        "templates.tsv": [("Upe", "upe {1}")],
    }
    for name, rows in files.items():
        (folder / name).write_text("".join("\t".join(row) + "\n" for row in rows))
    body = "".join(BODY.format(n=n, title=title, text=text) for n, (title, text) in enumerate(pages, 1))
    dump = f"{HEAD}{body}</mediawiki>".encode()
    (folder / "ltgwiki-pages-articles.xml.bz2").write_bytes(bz2.compress(dump))
    (config,) = blocks("yaml")
    (folder / "my.yaml").write_text(config)


def rows_of(name: str) -> list[dict]:
    files = json.loads(Path("OUT/manifest.json").read_text())["tables"][name]["files"]
    return [row for file in files for row in pq.read_table(Path("OUT") / file["path"]).to_pylist()]


def run(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a line of the page; what it prints on both streams."""
    name, *words = shlex.split(line)
    if name != "kgcorpus":
        return subprocess.run(["bash", "-ec", line], capture_output=True, text=True, check=True).stdout
    if words[0] == "build-corpus":
        words += sets(*ONE_CORE)
    if words[0] == "train":
        words += ["--max-steps", "3", *sets(*SMALL)]
    capsys.readouterr()
    code = command(*words)
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out + printed.err


def test_the_page_on_small_languages_runs(tmp_path, monkeypatch, capsys):
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    said = {line: run(line, capsys) for line in lines}
    _, checked, first, _, second, *_, linked = said.values()
    own = [line.split("\t") for line in Path("labels.tsv").read_text().splitlines()]
    made = [line.split("\t") for line in Path("names.tsv").read_text().splitlines()]
    assert sorted(made) == sorted(row for row in own if row[1] == "ltg")
    assert "n/a      trelm: not configured: importance.encoder" in checked
    assert "passages: their lengths are counted in words" in first
    assert "code_switched" in first
    assert "counted in words" not in second
    assert "importance" in second
    text = " ".join(row["text"] for row in rows_of("pages"))
    assert "upe Daugova ir garā" in text
    assert "Navbox" not in text
    assert "uses in ltg beside other text were dropped, most often navbox" in second
    assert "Daugova" in linked
    assert {row["category"] for row in rows_of("jaket_entities")} == {"pylsāta", "upe"}
    assert {row["lang"] for row in rows_of("reasoning")} == {"ltg", "lv"}
    assert rows_of("trelm")
    assert json.loads(Path("cycles.json").read_text())["excluded"] == ["kaimiņs"]
    for name in ("KMLM", "TRELM", "JAKET"):
        assert Path(name, "model", "model.safetensors").is_file()
    (code,) = blocks("python")
    capsys.readouterr()
    exec(compile(code, "docs/small-languages.md", "exec"), {})
    assert "('Daugova', 'Daugova')" in capsys.readouterr().out
