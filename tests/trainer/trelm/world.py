"""A small graph, passages about it and vectors of it, in the layout of a build and of a run of TransE."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.trelm import facts_of
from trainer.transe.embeddings import Embeddings, write_embeddings

PEOPLE = {
    f"Q{i}": f"{a} {b}"
    for i, (a, b) in enumerate(
        ((a, b) for a in ("Ann", "Bo", "Cid", "Dora") for b in ("Ulm", "Xi", "Prag", "Elb", "Orb")), start=100
    )
}
CITIES = {
    f"Q{i}": name
    for i, name in enumerate(
        ("St. Ann", "Newport", "Ulm", "Great Rik", "Little Rik", "Oslo Bay", "Tal", "Velm"), start=200
    )
}
COUNTRIES = {f"Q{i}": name for i, name in enumerate(("Arland", "West Borland", "Curia"), start=300)}
LABELS = {**PEOPLE, **CITIES, **COUNTRIES}
RELATIONS = {"P19": "born in", "P551": "lived in", "P17": "country"}


def triples_of(seed: int = 0) -> list[tuple[str, str, str]]:
    """People are born in one city and have lived in up to three; each city lies in a country."""
    draw = Draw(seed, "world")
    cities, found = list(CITIES), set()
    for person in PEOPLE:
        found.add((person, "P19", draw.choice(cities)))
        found |= {(person, "P551", city) for city in draw.sample(cities, 1 + draw.below(3))}
    found |= {(city, "P17", draw.choice(list(COUNTRIES))) for city in cities}
    return sorted(found)


def passages_of(n: int, *, prefix: str = "t", seed: int = 0, mentions: int = 4) -> list[dict[str, Any]]:
    """Rows of `trelm`; every third entity is frequent, the others are long-tail."""
    triples = triples_of(seed)
    facts = {
        qid: facts_of(
            qid,
            [x for x in triples if qid in (x[0], x[2])],
            label_of=LABELS.get,
            seed=seed,
            limit=16,
            tally=Tally(),
        )
        for qid in LABELS
    }
    rows = []
    for i in range(n):
        draw = Draw(seed, "passage", prefix, i)
        text, found = "", []
        for qid in draw.sample(list(LABELS), mentions):
            text += (
                " ".join(draw.sample(["the", "river", "of", "old", "salt", "walls", "sang", "again"], 4))
                + " "
            )
            cos = 0.5 + draw.uniform() / 2
            found.append(
                {
                    "start": len(text),
                    "end": len(text) + len(LABELS[qid]),
                    "qid": qid,
                    "cos": cos,
                    "si": 1 / cos,
                    "long_tail": int(qid[1:]) % 3 > 0,
                    "frequency": 2,
                    "triples": facts[qid],
                }
            )
            text += LABELS[qid] + (" " if draw.below(2) else ". ")
        text += f"word{i % 7}."
        rows.append(
            {
                "id": f"{prefix}{i}",
                "lang": "en",
                "text": text,
                "mentions": found,
                "sentences": [{"start": 0, "end": len(text)}],
            }
        )
    return rows


def write_world(out: Path, *, train: int = 60, held_out: int = 12) -> Path:
    """A finished build with the tables that TRELM reads."""
    names: dict[str, list[dict[str, Any]]] = {
        "entities": [
            {"qid": qid, "names": [_name(label)], "description": None, "types": []}
            for qid, label in LABELS.items()
        ],
        "relations": [{"pid": pid, "names": [_name(label)]} for pid, label in RELATIONS.items()],
        "triples": [dict(zip("hrt", triple, strict=True)) for triple in triples_of()],
    }
    tables = {name: {f"tables/{name}/part": rows} for name, rows in names.items()}
    tables["trelm"] = {
        "data/trelm/train": passages_of(train),
        "data/trelm/test": passages_of(held_out, prefix="h"),
    }
    manifest = Manifest()
    for name, parts in tables.items():
        files = []
        for stem, rows in parts.items():
            path = out / f"{stem}-00000-of-00001.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name].schema), path, row_group_size=25)
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            files.append(File(str(path.relative_to(out)), len(rows), len(data), digest))
        manifest.tables[name] = TableEntry(
            name, files[0].sha256[:12], files[0].sha256, 0, {}, {}, tuple(files)
        )
    manifest.save(out)
    (out / "config.yaml").write_text(yaml.safe_dump({"seed": 0, "languages": ["en"]}))
    return out


def write_vectors(run: Path, *, dim: int = 8, seed: int = 0) -> Path:
    """Drawn vectors where a run of TransE leaves its own."""
    generator = np.random.default_rng(seed)
    entities = generator.normal(size=(len(LABELS), dim)).astype(np.float32)
    relations = (0.2 * generator.normal(size=(len(RELATIONS), dim))).astype(np.float32)
    (run / "model").mkdir(parents=True)
    write_embeddings(
        run / "model", Embeddings(entities, relations, list(LABELS), list(RELATIONS), norm=2, steps=0)
    )
    return run


def _name(label: str) -> dict[str, Any]:
    return {"lang": "en", "label": label, "aliases": []}
