"""The contenders of `cycles.py`: `python contenders.py NAME FOLDER` prints one run as JSON."""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from processes import tree, tree_seconds

from kgcorpus.contracts.arrays import Int32s

HERE = Path(__file__).parent
_LIBRARY = "compact_forward.so"

# Edges point from the end of lower (degree, id) to the other, as they do for the others.
_SQL = """
with edges as (select distinct least(h, t) as u, greatest(h, t) as v from triples where h <> t),
     ends as (select u as x from edges union all select v from edges),
     degrees as (select x, count(*) as d from ends group by x),
     oriented as (
        select case when a.d < b.d or (a.d = b.d and u < v) then u else v end as a,
               case when a.d < b.d or (a.d = b.d and u < v) then v else u end as b
        from edges join degrees a on u = a.x join degrees b on v = b.x)
select count(*) from oriented x join oriented y on x.b = y.a join oriented z on z.a = x.a and z.b = y.b
"""


def compile_yardstick(folder: Path) -> None:
    """Compile the C kernel for this machine."""
    source = str(HERE / "compact_forward.c")
    subprocess.run(
        ["cc", "-O3", "-march=native", "-shared", "-fPIC", "-o", str(folder / _LIBRARY), source], check=True
    )


def c_kernel(folder: Path) -> Callable[[Int32s, Int32s, int], int]:
    """Plain C."""
    library = ctypes.CDLL(str(folder / _LIBRARY))
    library.count_triangles.restype = ctypes.c_int64

    def count(h: Int32s, t: Int32s, n: int) -> int:
        ends = (ctypes.c_void_p(array.ctypes.data) for array in (h, t))
        return library.count_triangles(*ends, ctypes.c_int64(len(h)), ctypes.c_int64(n))

    return count


def kgcorpus_kernel(colours: int) -> Callable[[Int32s, Int32s, int], int]:
    """Ours, in this process."""
    from kgcorpus.kg.partition import count_triangles

    return lambda h, t, n: count_triangles(h, t, entities=n, parts=colours)


def mining(folder: Path) -> Callable[[Int32s, Int32s, int], int]:
    """Ours, whole: pairs, triangles, capped diamonds, combinations and rows, with the default caps."""
    import pyarrow as pa

    from kgcorpus.config import CyclesConfig
    from kgcorpus.contracts.tally import Tally
    from kgcorpus.kg.arrays import Memory
    from kgcorpus.kg.cycles import mine_batches
    from kgcorpus.kg.graph import Graph
    from kgcorpus.kg.mining import Settings

    def count(h: Int32s, t: Int32s, n: int) -> int:
        r = np.load(folder / "r.npy")[: len(h)]
        ids = [f"Q{i}" for i in range(n)], [f"P{i}" for i in range(1000)]
        graph = Graph.from_indices(
            h, r, t, *(pa.array(names, pa.large_string()) for names in ids), tally=Tally()
        )
        tally = Tally()
        rows = 0
        settings = Settings(seed=0, **CyclesConfig().model_dump())
        for batch in mine_batches(graph, Memory(), settings, tally=tally):
            rows += batch.num_rows
        print(rows, dict(tally.drops), tally.counts["largest_combination"], file=sys.stderr)
        return tally.counts["length3"]

    return count


def duckdb(h: Int32s, t: Int32s, n: int) -> int:
    """SQL joins."""
    import duckdb as engine
    import pyarrow as pa

    connection = engine.connect(config={"threads": 2})
    # Left to itself it first joins the two edges that end in one entity, which explodes at the hubs.
    connection.execute("set disabled_optimizers = 'join_order'")
    connection.register("triples", pa.table({"h": h, "t": t}))
    return connection.execute(_SQL).fetchall()[0][0]


def polars(h: Int32s, t: Int32s, n: int) -> int:
    """Lazy joins."""
    import polars as pl

    edges = pl.LazyFrame({"h": h, "t": t}).filter(pl.col("h") != pl.col("t"))
    edges = edges.select(u=pl.min_horizontal("h", "t"), v=pl.max_horizontal("h", "t")).unique()
    ends = pl.concat([edges.select(x="u"), edges.select(x="v")])
    place = pl.col("rank").cast(pl.Int32)
    rank = ends.group_by("x").len().sort("len", "x").with_row_index("rank").select("x", place)
    ranked = edges.join(rank, left_on="u", right_on="x").join(rank, left_on="v", right_on="x", suffix="_v")
    oriented = (
        ranked.select(a=pl.min_horizontal("rank", "rank_v"), b=pl.max_horizontal("rank", "rank_v"))
        .collect(engine="streaming")
        .lazy()
    )
    wedges = oriented.join(oriented.rename({"a": "b", "b": "c"}), on="b")
    closed = wedges.join(oriented.rename({"b": "c"}), on=["a", "c"])
    return closed.select(pl.len()).collect(engine="streaming").item()


def igraph(h: Int32s, t: Int32s, n: int) -> int:
    """C core; its triangles are listed, since its Python interface counts them by entity only in part."""
    import igraph as engine

    graph = engine.Graph(n=n, edges=np.column_stack([h, t]))
    return len(graph.simplify().list_triangles())


def networkx(h: Int32s, t: Int32s, n: int) -> int:
    """Pure Python."""
    import networkx as engine

    graph = engine.Graph()
    graph.add_edges_from(pair for pair in zip(h.tolist(), t.tolist(), strict=True) if pair[0] != pair[1])
    return sum(engine.triangles(graph).values()) // 3


def through_spark(folder: Path, h: Int32s, t: Int32s, n: int) -> dict[str, Any]:
    """Ours in a task of Spark that reads the arrays; CPU time of the JVM and its workers."""
    import pyarrow as pa

    from kgcorpus.config import SparkConfig
    from pipelines.session import create_session

    session = create_session(SparkConfig(master="local[2]", memory="1g"), log=folder / "spark.log")

    def count(size: int) -> int:
        def work(batches: Any) -> Any:
            from kgcorpus.kg.partition import count_triangles

            for _ in batches:
                heads, tails = (np.load(folder / f"{name}.npy", mmap_mode="c")[:size] for name in "ht")
                ends = np.asarray(heads), np.asarray(tails)
                yield pa.RecordBatch.from_pydict({"n": [count_triangles(*ends, entities=n)]})

        rows = session.range(0, 1, 1, numPartitions=1).mapInArrow(work, "n long").collect()
        return sum(row.n for row in rows)

    count(10)
    before, started = tree_seconds(), time.perf_counter()
    found = count(len(h))
    run = {"cpu": tree_seconds() - before, "wall": time.perf_counter() - started, "triangles": found}
    peaks = [_peak_mib(pid) for pid in tree()[1:]]
    session.stop()
    return run | {"peak_mib": sum(sorted(peaks)[-2:]), "peaks_mib": peaks}


def main() -> None:
    """Run one contender once; Python's own work before the first triangle is not counted."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    h, t = (np.load(folder / f"{end}.npy") for end in "ht")
    n = int(np.load(folder / "entities.npy"))
    if name == "kgcorpus through Spark":
        print(json.dumps(through_spark(folder, h, t, n)))
        return
    count = {
        "compact forward in C": lambda: c_kernel(folder),
        "kgcorpus": lambda: kgcorpus_kernel(1),
        "kgcorpus, 3 colours": lambda: kgcorpus_kernel(3),
        "kgcorpus, mining": lambda: mining(folder),
        "duckdb": lambda: duckdb,
        "polars": lambda: polars,
        "igraph": lambda: igraph,
        "networkx": lambda: networkx,
    }[name]()
    count(h[:1000], t[:1000], n if name != "kgcorpus, mining" else int(max(h.max(), t.max())) + 1)
    started, cpu = time.perf_counter(), time.process_time()
    found = count(h, t, n)
    run = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started, "triangles": found}
    print(json.dumps(run | {"peak_mib": _peak_mib(os.getpid())}))


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    _, known, peak = status.partition("VmHWM:")
    return int(peak.split()[0]) / 1024 if known else 0.0  # a process that has ended has none


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
