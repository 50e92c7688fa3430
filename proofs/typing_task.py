"""Writes an entity typing task: `python -m proofs.typing_task SUMMARIES.jsonl.xz TYPES.tsv OUT`.

A stand-in for Open Entity, in its format: an article's first sentence with the title marked, and those of
the entity's classes that are among the most frequent. SUMMARIES has lines with `title`, `text` and `qid`;
TYPES has lines `QID typeQID ...`, of `benchmarks/codex_types.py`.
"""

import argparse
import json
import lzma
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.store import write_text
from kgcorpus.wiki.sentences import split_sentences

CLASSES = 20
_PARTS = ("train", "dev", "test")


def write_task(summaries: Path, types: Path, out: Path, *, classes: int = CLASSES) -> dict[str, int]:
    """Write OUT/train.json, dev.json and test.json; return how many mentions each has.

    Args:
        summaries: JSON lines, compressed with xz.
        types: entity and its classes, tab-separated.
        out: a folder.
        classes: the most frequent ones; an entity without any is left out.
    """
    known = {qid: own for qid, *own in (line.split("\t") for line in types.read_text().splitlines())}
    items = list(_mentions(summaries, known))
    frequent = Counter(name for _, item in items for name in item["labels"])
    kept = {name for name, _ in sorted(frequent.items(), key=lambda pair: (-pair[1], pair[0]))[:classes]}
    parts: dict[str, list[dict[str, Any]]] = {part: [] for part in _PARTS}
    for qid, item in items:
        labels = [name for name in item["labels"] if name in kept]
        if labels:
            # Eight in ten to train on; by entity, so no entity is in two parts.
            place = hash64(0, "typing", qid) % 10
            parts["train" if place < 8 else _PARTS[place - 7]].append({**item, "labels": labels})
    for part, own in parts.items():
        write_text(out / f"{part}.json", json.dumps(own, ensure_ascii=False) + "\n")
    return {part: len(own) for part, own in parts.items()}


def _mentions(summaries: Path, types: dict[str, list[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    with lzma.open(summaries, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            spans = split_sentences(row["text"], "en")
            if row["qid"] in types and spans:
                sentence = row["text"][spans[0][0] : spans[0][1]]
                start = sentence.find(row["title"])
                if start >= 0:
                    end = start + len(row["title"])
                    labels = types[row["qid"]]
                    yield row["qid"], {"sent": sentence, "start": start, "end": end, "labels": labels}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the task and print its sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("summaries", "types", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    print(write_task(options.summaries, options.types, options.out))


if __name__ == "__main__":
    main()
