"""A seeded graph like Wikidata5M: `python benchmarks/graph_generator.py OUT.{txt,parquet,npz} --scale 1`.

At scale 1: 4.6M entities, 20.6M triples, 822 relations; tails follow Zipf's law, so that some entities have
10^5 to 10^6 neighbours; near entities know each other, which closes triangles; 20 rules r1(x, y) and
r2(y, z) => r3(x, z) are planted, each with three relations of its own, on chains whose y is used once: so
a rule has the standard confidence `holds / bodies` exactly. `OUT.rules.json` tells both numbers.
Every number is a hash of (seed, place): the same file on any machine.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s
from kgcorpus.contracts.draws import hash64, mix64_array

ENTITIES, TRIPLES, RELATIONS, RULES = 4_600_000, 20_600_000, 822, 20
PLANTED = 0.04  # share of the triples that belong to rules
NEAR = 0.42  # share of the others whose tail is near the head
REACH = 12  # how near
CHUNK = 1 << 20


class Chunk(NamedTuple):
    """Heads, relations and tails, numbered from 0."""

    h: Int32s
    r: Int32s
    t: Int32s


class Rule(NamedTuple):
    """r1(x, y) and r2(y, z) => r3(x, z): how often the body is true, and the head with it."""

    r1: str
    r2: str
    r3: str
    bodies: int
    holds: int


class Generator:
    """One graph."""

    def __init__(self, *, scale: float, seed: int) -> None:
        self.entities = max(100, round(ENTITIES * scale))
        self.triples = max(1000, round(TRIPLES * scale))
        self._seed = seed
        self._bodies = max(10, round(self.triples * PLANTED / RULES / 3))

    def rules(self) -> list[Rule]:
        """The planted rules."""
        first = RELATIONS - 3 * RULES
        return [
            Rule(
                r1=f"P{first + 3 * i + 1}",
                r2=f"P{first + 3 * i + 2}",
                r3=f"P{first + 3 * i + 3}",
                bodies=self._bodies,
                holds=int(self._holds(i).sum()),
            )
            for i in range(RULES)
        ]

    def chunks(self) -> Iterator[Chunk]:
        """The triples, about a million at a time."""
        planted = 0
        for i in range(RULES):
            chunk = self._planted(i)
            planted += len(chunk.h)
            yield chunk
        for start in range(0, self.triples - planted, CHUNK):
            yield self._random(start, min(CHUNK, self.triples - planted - start))

    def _random(self, start: int, size: int) -> Chunk:
        places = np.arange(start, start + size, dtype=np.uint64)
        h = (self._uniform("head", places) ** 1.5 * self.entities).astype(np.int64)
        hub = np.exp(self._uniform("tail", places) * math.log(self.entities)).astype(np.int64) - 1
        step = (self._uniform("step", places) * REACH).astype(np.int64) + 1
        near = self._uniform("near", places) < NEAR
        t = np.where(near, (h + step) % self.entities, hub)
        r = np.exp(self._uniform("relation", places) * math.log(RELATIONS - 3 * RULES)).astype(np.int64) - 1
        return Chunk(h.astype(np.int32), r.astype(np.int32), t.astype(np.int32))

    def _planted(self, rule: int) -> Chunk:
        places = np.arange(self._bodies, dtype=np.uint64)
        x, z = ((self._uniform(f"{end}{rule}", places) * self.entities).astype(np.int32) for end in "xz")
        first = int(self._uniform(f"y{rule}", places[:1])[0] * self.entities)
        y = ((first + np.arange(self._bodies)) % self.entities).astype(np.int32)
        holds = self._holds(rule)
        relation = RELATIONS - 3 * RULES + 3 * rule
        sizes = [self._bodies, self._bodies, int(holds.sum())]
        return Chunk(
            np.concatenate([x, y, x[holds]]),
            np.repeat(np.arange(relation, relation + 3, dtype=np.int32), sizes),
            np.concatenate([y, z, z[holds]]),
        )

    def _holds(self, rule: int) -> NDArray[np.bool_]:
        confidence = 0.2 + 0.75 * rule / (RULES - 1)
        return self._uniform(f"holds{rule}", np.arange(self._bodies, dtype=np.uint64)) < confidence

    def _uniform(self, name: str, places: NDArray[np.uint64]) -> NDArray[np.float64]:
        return (mix64_array(places ^ np.uint64(hash64(self._seed, name))) >> np.uint64(11)) / 2.0**53


def write(generator: Generator, out: Path) -> None:
    """Stream the triples to a file of the suffix's format, and the rules beside it."""
    if out.suffix == ".npz":
        h, r, t = (np.concatenate(parts) for parts in zip(*generator.chunks(), strict=True))
        np.savez(out, h=h, r=r, t=t, entities=generator.entities)
    else:
        schema = pa.schema([(name, pa.string()) for name in "hrt"])
        bare = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        writer = (
            pq.ParquetWriter(out, schema, compression="zstd")
            if out.suffix == ".parquet"
            else csv.CSVWriter(out, schema, write_options=bare)
        )
        with writer:
            for chunk in generator.chunks():
                columns = [ids_of(numbers, letter) for numbers, letter in zip(chunk, "QPQ", strict=True)]
                writer.write_table(pa.table(columns, schema=schema))
    rules = [rule._asdict() for rule in generator.rules()]
    out.with_suffix(".rules.json").write_text(json.dumps(rules, indent=1) + "\n", encoding="utf-8")


def ids_of(numbers: NDArray[np.integer[Any]], letter: str) -> pa.Array:
    """[n] ids, Q1 or P1 for 0."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(letter, pa.array(numbers + 1).cast(pa.string()), "")


def main() -> None:
    """Read the command line and write the graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write(Generator(scale=args.scale, seed=args.seed), args.out)


if __name__ == "__main__":
    main()
