"""Write every result into docs/benchmarks.md: `python benchmarks/tables.py`.

Between its two marks the page has results/*.md, in the order of their names. A result whose JSON
names the hash of a trainer, since it needs a GPU to be measured again, is marked if the trainer changed.
"""

import hashlib
import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def filled(page: str, results: Path) -> str:
    """The page with the results between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    sections = (section(path) for path in sorted(results.glob("*.md")))
    return "".join([before, BEGIN, *sections, "\n", END, after])


def section(path: Path) -> str:
    """A result under a heading of the second level: its own first one, or else its file's name."""
    text = path.read_text(encoding="utf-8").strip()
    if not text.startswith("#"):
        text = f"# {path.stem}\n\n{text}"
    lines = [f"#{line}" if line.startswith("#") else line for line in text.splitlines()]
    found = path.with_suffix(".json")
    measured = json.loads(found.read_text(encoding="utf-8")) if found.exists() else {}
    if measured.get("trainer", trainer_hash()) != trainer_hash():
        lines[1:1] = ["", "**Not measured since the trainer changed.**"]
    return "\n" + "\n".join(lines) + "\n"


def trainer_hash() -> str:
    """Of the trainer's source."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "trainer").rglob("*.py")):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")
