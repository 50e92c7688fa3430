"""A small corpus in the layout of a build, written without one."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.manifest import File, Manifest, TableEntry, load_manifest
from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tables import TABLES

# Labels with the full stops and bars that a sentence's own marks look like.
ENTITIES = [f"{a} {b}" for a in ("St. Ann", "New|port", "Ulm", "R. K.", "Bo") for b in "abcdefghijklmnopqrst"]
Row = dict[str, Any]
RELATIONS = ["part of", "U.S. state", "lies in", "born | died", "twin", "owner of"]


def sentence_rows(kind: str, sentences: list[list[tuple[str, str, str]]], *, prefix: str) -> list[Row]:
    """Rows of `code_switched` or `reasoning`: each a list of (h, r, t) labels."""
    rows = []
    for i, triples in enumerate(sentences):
        text, slots = "", []
        for s, triple in enumerate(triples):
            text += " " if text else ""
            for slot, label in enumerate(triple, start=1):
                qid = f"P{RELATIONS.index(label)}" if slot == 2 else f"Q{ENTITIES.index(label)}"
                span = {"start": len(text), "end": len(text) + len(label)}
                slots.append({**span, "sentence": s, "slot": slot, "qid": qid, "lang": "en"})
                text += label + (" [mask] " if slot < 3 else ".")
        ids = [(slots[j]["qid"], slots[j + 1]["qid"], slots[j + 2]["qid"]) for j in range(0, len(slots), 3)]
        rows.append(
            {
                "id": f"{prefix}{i}",
                "lang": "en",
                "kind": kind,
                "text": text,
                "triples": [{"h": h, "r": r, "t": t} for h, r, t in ids],
                "slots": slots,
            }
        )
    return rows


def cycle(draw: Draw, n: int) -> list[tuple[str, str, str]]:
    """n = 3: a triangle; n = 4: two that share an edge. The relation follows from its ends."""
    entities = draw.sample(range(len(ENTITIES)), n)
    pairs = [(0, 1), (1, 2), (2, 0)] + ([(0, 3), (3, 1)] if n == 4 else [])
    found = [(entities[a], entities[b]) for a, b in pairs]
    draw.shuffle(found)
    return [(ENTITIES[a], RELATIONS[(a // 20 + b // 20) % len(RELATIONS)], ENTITIES[b]) for a, b in found]


def rows_of(n: int, *, seed: int = 0) -> dict[str, list[Row]]:
    """n records of each stream."""
    draw = Draw(seed, "toy")
    plain = []
    for i in range(n):
        words = [draw.choice(["the", "a river", "flows", "through", *ENTITIES[:20]]) for _ in range(20)]
        plain.append({"id": f"p{i}", "lang": "en", "text": " ".join(words) + ".", "length": 128})
    triples = [cycle(draw, 3)[:1] for _ in range(n)]
    threes = [cycle(draw, 3) for _ in range(n - n // 2)]
    fours = [cycle(draw, 4) for _ in range(n // 2)]
    return {
        "plain_text": plain,
        "code_switched": sentence_rows("code_switched", triples, prefix="cs"),
        "reasoning": sentence_rows("cycle3", threes, prefix="c3-")
        + sentence_rows("cycle4", fours, prefix="c4-"),
    }


def damage_pages(path: Path) -> None:
    """Overwrite what a Parquet file holds; its length and its footer stay."""
    data = bytearray(path.read_bytes())
    footer = 8 + int.from_bytes(data[-8:-4], "little")
    data[4:-footer] = bytes(len(data) - 4 - footer)
    path.write_bytes(data)


def write_corpus(
    out: Path, rows: dict[str, list[Row]], *, shards: int = 2, row_group: int = 1000, seed: int = 0
) -> Path:
    """Write rows as a finished build; those with triples are split by entity pair, the others are `train`."""
    manifest = Manifest()
    for name, records in rows.items():
        by_split: dict[str, list[Row]] = {}
        for row in records:
            pairs = [(x["h"], x["t"]) for x in row.get("triples", [])]
            by_split.setdefault(split_of_pairs(seed, pairs) if pairs else "train", []).append(row)
        files = []
        for split, members in sorted(by_split.items()):
            for i in range(shards):
                path = f"data/{name}/{split}-{i:05d}-of-{shards:05d}.parquet"
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                table = pa.Table.from_pylist(members[i::shards], schema=TABLES[name].schema)
                pq.write_table(table, out / path, row_group_size=row_group)
                data = (out / path).read_bytes()
                files.append(File(path, len(members[i::shards]), len(data), hashlib.sha256(data).hexdigest()))
        digest = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
        manifest.tables[name] = TableEntry(name, digest[:12], digest, len(records), {}, {}, tuple(files))
    manifest.save(out)
    (out / "config.yaml").write_text(yaml.safe_dump({"seed": seed, "languages": ["en"]}))
    return out


def with_validation(corpus: Path) -> Path:
    """A corpus whose training shards are its validation shards too."""
    manifest = load_manifest(corpus)
    for name, entry in manifest.tables.items():
        files = [file for file in entry.files if file.split != "validation"]
        for file in [file for file in files if file.split == "train"]:
            copied = replace(file, path=file.path.replace("/train-", "/validation-"))
            shutil.copy(corpus / file.path, corpus / copied.path)
            files.append(copied)
        manifest.tables[name] = replace(entry, files=tuple(files))
    manifest.save(corpus)
    return corpus
