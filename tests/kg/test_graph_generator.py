"""The generator of benchmark graphs: seeded, whole, with rules of the confidence it tells."""

import json

import numpy as np
import pyarrow.parquet as pq


def test_the_three_formats_hold_the_same_triples_and_a_seed_gives_them_again(generator, tmp_path):
    for name in ("a.txt", "b.txt", "c.parquet", "d.npz"):
        generator.write(generator.Generator(scale=0.001, seed=4), tmp_path / name)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    lines = [tuple(line.split("\t")) for line in (tmp_path / "a.txt").read_text().splitlines()]
    rows = [tuple(row.values()) for row in pq.read_table(tmp_path / "c.parquet").to_pylist()]
    arrays = np.load(tmp_path / "d.npz")
    numbers = zip(*(arrays[name].tolist() for name in "hrt"), strict=True)
    assert len(lines) == 20_600
    assert lines == rows == [(f"Q{h + 1}", f"P{r + 1}", f"Q{t + 1}") for h, r, t in numbers]
    other = next(iter(generator.Generator(scale=0.001, seed=5).chunks()))
    assert (other.h != arrays["h"][: len(other.h)]).any()


def test_a_planted_rule_has_the_confidence_it_tells(generator, tmp_path):
    generator.write(generator.Generator(scale=0.005, seed=0), tmp_path / "graph.txt")
    facts: dict[str, set[tuple[str, str]]] = {}
    for line in (tmp_path / "graph.txt").read_text().splitlines():
        h, r, t = line.split("\t")
        facts.setdefault(r, set()).add((h, t))
    rules = json.loads((tmp_path / "graph.rules.json").read_text())
    assert len(rules) == 20
    for rule in rules:
        after: dict[str, set[str]] = {}
        for y, z in facts[rule["r2"]]:
            after.setdefault(y, set()).add(z)
        bodies = {(x, z) for x, y in facts[rule["r1"]] for z in after.get(y, ())}
        assert len(bodies) == rule["bodies"]
        assert len(bodies & facts[rule["r3"]]) == rule["holds"]
