"""A build whose labels, ids and texts try to be markup and scripts."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.tables import TABLES

HOSTILE = (
    "<script>document.title='ran'</script>",
    '"><img src=x onerror="document.title=\'ran\'">',
    "</style></title></svg><svg onload=document.title='ran'>",
)
E1, E2, E3 = HOSTILE
R = "'onmouseover=document.title='ran' x='"
# None of these may be an element of the page.
ELEMENTS = ("script", "img", "iframe", "object", "embed", "link", "form", "base")


def hostile_build(out: Path) -> Path:
    """Write tables that `kgcorpus report` shows; returns OUT."""
    names = [{"lang": "en", "label": text, "aliases": [text]} for text in HOSTILE]
    triples = [{"h": E1, "r": R, "t": E2}, {"h": E2, "r": R, "t": E3}, {"h": E3, "r": R, "t": E1}]
    fact = {"r": R, "other": E3, "direction": "head", "label": E3}
    mention = {"start": 0, "end": len(E1), "qid": E1, "confidence": 1.0, "cos": 0.5, "si": 2.0}
    mentions = [{**mention, "long_tail": True, "frequency": 3, "triples": [fact]}]
    importance = {"sentence_id": "x", "start": 0, "end": 9, "qid": E1, "confidence": 1.0, "cos": 0.5}
    importance |= {"si": 2.0, "replacement": "mask"}
    text = f"{E1} & {E2} are here."
    tables: dict[str, list[dict[str, Any]]] = {
        "entities": [{"qid": qid, "names": [name]} for qid, name in zip(sorted(HOSTILE), names, strict=True)],
        "relations": [{"pid": R, "names": [names[0]]}],
        "triples": triples,
        "cycles": [{"cycle_id": "c", "length": 3, "entities": [*HOSTILE], "triples": triples}],
        "importance": [importance],
        "trelm": [
            {
                "id": E2,
                "lang": E3,
                "text": text,
                "sentences": [{"start": 0, "end": len(text)}],
                "mentions": mentions,
            }
        ],
    }
    entries = {name: _write(out, name, rows) for name, rows in tables.items()}
    drops = {f"reason {E1}": 3}
    counts = {f"dropped_template.en.{E2}": 5, "good_input": 2}
    entries["triples"] = TableEntry("triples", "print", "digest", 3, drops, counts, entries["triples"].files)
    pages = _write(out, "pages", [])
    entries["pages"] = TableEntry("pages", "print", "digest", 0, {}, counts, pages.files)
    sources = [{"role": E1, "file": E2, "bytes": 1, "sha256": "0" * 64}]
    Manifest(entries, sources, {"pyarrow": E3}).save(out)
    (out / "config.yaml").write_text("languages: [en]\n", encoding="utf-8")
    return out


def _write(out: Path, name: str, rows: list[dict[str, Any]]) -> TableEntry:
    folder = f"data/{name}/train" if TABLES[name].published else f"tables/{name}/print/part"
    path = f"{folder}-00000-of-00001.parquet"
    (out / path).parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name].schema), out / path)
    data = (out / path).read_bytes()
    file = File(path, len(rows), len(data), hashlib.sha256(data).hexdigest())
    return TableEntry(name, "print", "digest", len(rows), {}, {}, (file,))
