"""Whether the miners find in a generated graph what is there: `python benchmarks/graph_checks.py CHECK`.

    triangles  every triangle, and the number of triangles on each edge, are those that igraph lists
    rules      the planted rules have the support and the standard confidence they were planted with

igraph runs in benchmarks/.venv-peers, made by `python -m venv` with igraph and numpy in it. The result is
written to `results/graph-checks-CHECK.json`; the exit status is 1 where anything differs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from graph_generator import Chunk, Generator, ids_of

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.tally import Tally

HERE = Path(__file__).parent
PEERS = HERE / ".venv-peers" / "bin" / "python"


def whole(generator: Generator) -> Chunk:
    """All triples in one."""
    return Chunk(*(np.concatenate(parts) for parts in zip(*generator.chunks(), strict=True)))


def mined_triangles(triples: Chunk, *, parts: int) -> tuple[Int64s, Tally]:
    """[D, 3] the corners of the triangles in the miner's rows, each once, ascending; and its tally."""
    from kgcorpus.kg.arrays import Memory
    from kgcorpus.kg.cycles import mine_batches
    from kgcorpus.kg.graph import Graph
    from kgcorpus.kg.mining import Settings

    h, r, t = triples
    entities, relations = (
        ids_of(np.arange(last + 1), letter).cast(pa.large_string())
        for last, letter in ((max(h.max(), t.max()), "Q"), (r.max(), "P"))
    )
    graph = Graph.from_indices(h, r, t, entities, relations, tally=Tally())
    # One wing an edge makes no diamond, and one version a cycle makes one row of each triangle.
    caps = {"wings_per_edge": 1, "pairs_per_edge": 1, "per_pair": 1, "per_combination": 1 << 60}
    settings, tally = Settings(seed=0, dedup="diamond", parts=parts, **caps), Tally()
    batches = mine_batches(graph, Memory(), settings, tally=tally)
    corners = [pc.list_flatten(batch["entities"]) for batch in batches]
    numbers = [pc.utf8_slice_codeunits(part, 1).cast(pa.int64()).to_numpy() - 1 for part in corners]
    return in_order(np.concatenate([np.empty(0, np.int64), *numbers]).reshape(-1, 3)), tally


def in_order(triangles: Int64s) -> Int64s:
    """[D, 3] with sorted corners and rows."""
    triangles = np.sort(triangles, axis=1)
    return triangles[np.lexsort(triangles.T[::-1])]


def on_edges(triangles: Int64s) -> tuple[Int64s, Int64s]:
    """The edges [E, 2] of the triangles [D, 3], ascending, and the number of triangles [E] of each."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    return np.unique(edges, axis=0, return_counts=True)


def check_triangles(generator: Generator) -> dict[str, Any]:
    """Set ours beside igraph's."""
    triples = whole(generator)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.save(folder / "edges.npy", np.column_stack([triples.h, triples.t]))
        command = [str(PEERS), str(HERE / "igraph_triangles.py"), str(folder)]
        version = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        expected = in_order(np.load(folder / "triangles.npy").astype(np.int64))
    edges, sizes = on_edges(expected)
    result = {
        "igraph": version,
        "triangles": len(expected),
        "edges_in_triangles": len(edges),
        "most_on_an_edge": int(sizes.max(initial=0)),
        "diamonds": int((sizes * (sizes - 1) // 2).sum()),
    }
    same = {}
    for parts in (1, 3):
        found, tally = mined_triangles(triples, parts=parts)
        same[str(parts)] = {
            "count": tally.counts["length3"] == len(expected),
            "diamonds": tally.counts["length4_diamonds"] == result["diamonds"],
            "on_each_edge": all(map(np.array_equal, on_edges(found), (edges, sizes))),
            "triangles": np.array_equal(found, expected),
        }
    holds = all(value for checks in same.values() for value in checks.values())
    return {**result, "equal_by_colours": same, "holds": holds}


def check_rules(generator: Generator) -> dict[str, Any]:
    """Look the planted rules up among all that the stage would keep by its default."""
    from kgcorpus.config import RulesConfig
    from kgcorpus.kg.rules import mine_rules

    planted = {f"{rule.r1}(x,z) {rule.r2}(z,y) => {rule.r3}(x,y)": rule for rule in generator.rules()}
    min_support = RulesConfig().min_support
    columns = zip(whole(generator), "QPQ", strict=True)
    triples = pa.table([ids_of(numbers, letter) for numbers, letter in columns], names=list("hrt"))
    started, cpu, tally = time.perf_counter(), time.process_time(), Tally()
    mined = {
        row["rule"]: row
        for batch in mine_rules(triples, min_support=min_support, tally=tally)
        for row in batch
        if row["rule"] in planted
    }
    seconds = {"wall_seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    measures = ("support", "standard_confidence")
    rules = [
        {**rule._asdict(), **{measure: mined.get(name, {}).get(measure) for measure in measures}}
        for name, rule in planted.items()
    ]
    return {
        **{name: round(value, 1) for name, value in seconds.items()},
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "min_support": min_support,
        "mined": tally.counts["rules"],
        "low_support": tally.drops["low_support"],
        "rules": rules,
        "holds": all(
            (rule["support"], rule["standard_confidence"]) == (rule["holds"], rule["holds"] / rule["bodies"])
            for rule in rules
        ),
    }


CHECKS: dict[str, Callable[[Generator], dict[str, Any]]] = {
    "triangles": check_triangles,
    "rules": check_rules,
}


def main() -> int:
    """Read the command line, check, write and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--scale", type=float, default=0.05, help="1 is 20.6M triples")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    generator = Generator(scale=args.scale, seed=args.seed)
    graph = {"triples": generator.triples, "entities": generator.entities, "seed": args.seed}
    result = graph | CHECKS[args.check](generator)
    text = json.dumps(result, indent=1) + "\n"
    out = HERE / "results" / f"graph-checks-{args.check}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
