"""A world's cycles, records and questions, made by the library and laid out as a build's.

`grouped` holds each cycle as a record. `ungrouped` holds the same sentences, as many to a record, but those
of one cycle in different records: the same triples, the same tokens, nothing to reason from.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.tables import TABLES, table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Settings
from kgcorpus.records.kmlm import Item, reasoning_batches, render_sentences, with_split
from kgcorpus.xlr import choose_questions, held_out_pairs, is_held_out, render_question
from proofs.world import LANGUAGES, World

Row = dict[str, Any]
# The build's defaults: nothing of so small a graph is cut.
CAPS: dict[str, Any] = {
    "dedup": "diamond",
    "wings_per_edge": 32,
    "pairs_per_edge": 16,
    "per_pair": 4,
    "per_combination": 50_000,
}


def write_corpora(world: World, out: Path, *, sizes: dict[str, int], seed: int) -> dict[str, int]:
    """Write OUT/grouped and OUT/ungrouped, with the same questions.

    Args:
        world: whose cycles are mined.
        out: a folder.
        sizes: questions asked for, by split.
        seed: of the mining, the splits, the orders and the questions.

    Returns:
        Counts: `triples`, `cycles`, `records` for training, and those of `choose_questions`.
    """
    entities, relations, triples = world.entities(), world.relations(), world.triples()
    columns = zip("hrt", (pa.array(column) for column in zip(*triples, strict=True)), strict=True)
    graph = Graph.from_arrow(pa.table(dict(columns)), tally=Tally())
    caps = Settings(seed=seed, **CAPS)
    cycles = pa.Table.from_batches(mine_batches(graph, Memory(), caps, tally=Tally())).to_pylist()
    tally = Tally()
    questions = choose_questions(
        lambda: cycles,
        graph=graph,
        entities=entities,
        relations=relations,
        languages=LANGUAGES,
        sizes=sizes,
        seed=seed,
        tally=tally,
    )
    asked = [
        row
        for question in questions
        for lang in LANGUAGES
        if (row := render_question(question, names=entities, relations=relations, lang=lang))
    ]
    pairs = held_out_pairs(questions)
    kept = [cycle for cycle in cycles if not is_held_out(cycle["triples"], pairs)]
    batches = reasoning_batches(
        with_split(pa.RecordBatch.from_pylist(kept, schema=table("cycles").schema), seed=seed),
        names=entities,
        relations=relations,
        languages=LANGUAGES,
        seed=seed,
        tally=Tally(),
    )
    records = [row for batch in batches for row in batch.to_pylist() if row["split"] == "train"]
    write_build(out / "grouped", {"reasoning": records, "xlr": asked}, seed=seed)
    write_build(out / "ungrouped", {"reasoning": ungroup(records, seed=seed), "xlr": asked}, seed=seed)
    counts = {name: n for name, n in sorted(tally.counts.items()) if not name.startswith("answer.")}
    return {"triples": len(triples), "cycles": len(cycles), "records": len(records), **counts}


def ungroup(records: Sequence[Row], *, seed: int) -> list[Row]:
    """Redistribute the sentences among the records of the same language and kind.

    The records form a circle in the order of a hash; each takes its first sentence from itself, its second
    from the next, its third from the one after that. So every sentence stays once, at its place in a record.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for record in records:
        groups[record["lang"], record["kind"]].append(record)
    return [row for group in groups.values() for row in _dealt(group, seed)]


def _dealt(group: Sequence[Row], seed: int) -> Iterable[Row]:
    circle = sorted(group, key=lambda record: hash64(seed, "ungrouped", record["id"]))
    for i, record in enumerate(circle):
        givers = [circle[(i + place) % len(circle)] for place in range(len(record["triples"]))]
        sentences = [_sentence(giver, place) for place, giver in enumerate(givers)]
        text, slots = render_sentences(sentences)
        triples = [giver["triples"][place] for place, giver in enumerate(givers)]
        yield {**record, "text": text, "slots": slots, "triples": triples}


def _sentence(record: Row, place: int) -> tuple[Item, Item, Item]:
    head, relation, tail = (
        Item(record["text"][slot["start"] : slot["end"]], slot["qid"], slot["lang"])
        for slot in record["slots"]
        if slot["sentence"] == place
    )
    return head, relation, tail


def write_build(out: Path, tables: dict[str, list[Row]], *, seed: int) -> None:
    """Rows, each with its `split`, as a finished build's shards, one a split, in the order of a hash."""
    manifest = Manifest()
    for name, rows in tables.items():
        files = []
        for split in sorted({row["split"] for row in rows}):
            own = [row for row in rows if row["split"] == split]
            own.sort(key=lambda row: hash64(seed, "order", *(row[column] for column in TABLES[name].key)))
            path = f"data/{name}/{split}-00000-of-00001.parquet"
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(own, schema=TABLES[name].schema), out / path)
            data = (out / path).read_bytes()
            files.append(File(path, len(own), len(data), hashlib.sha256(data).hexdigest()))
        digest = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
        manifest.tables[name] = TableEntry(name, digest[:12], digest, len(rows), {}, {}, tuple(files))
    (out / "config.yaml").write_text(yaml.safe_dump({"seed": seed}), encoding="utf-8")
    manifest.save(out)
