import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from types import ModuleType

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.arrays import Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Settings
from kgcorpus.kg.readers import parse_triple

Triple = tuple[str, str, str]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def as_table(triples: Iterable[Triple]) -> pa.Table:
    columns = list(zip(*triples, strict=True)) or [(), (), ()]
    return pa.table(
        {name: pa.array(values, pa.string()) for name, values in zip("hrt", columns, strict=True)}
    )


def as_graph(triples: Iterable[Triple]) -> Graph:
    return Graph.from_arrow(as_table(triples), tally=Tally())


COUNTS = ("length3", "length3_labelled", "length4_diamonds", "length4_cycles", "length4_sets")


def counts_of(graph: Graph, *, parts: int = 1) -> dict[str, int]:
    """The cycles that the miner counts before its caps, which keep as little as they can here."""
    settings = Settings(
        seed=0,
        dedup="diamond",
        parts=parts,
        wings_per_edge=1,
        pairs_per_edge=1,
        per_pair=1,
        per_combination=1,
    )
    tally = Tally()
    for _ in mine_batches(graph, Memory(), settings, tally=tally):
        pass
    return {name: tally.counts[name] for name in COUNTS}


IDS = [*(f"Q{7**i}" for i in range(6)), "my node", "Q-1"]


def _multigraph(seed: int) -> list[Triple]:
    random = Random(seed)
    ids = random.sample(IDS, random.randint(1, 8))
    size = random.randint(0, 45)
    return [(random.choice(ids), random.choice(["P1", "P20", "P3"]), random.choice(ids)) for _ in range(size)]


def multigraphs() -> st.SearchStrategy[list[Triple]]:
    """Lists of triples with self-loops, duplicates and several relations a pair; ids of both forms.

    Drawn by a seed: hypothesis' own lists are too short to hold cycles.
    """
    return st.builds(_multigraph, st.integers(0, 2**32))


@pytest.fixture(scope="session")
def load_triples(real_data: Path) -> Callable[[str], list[Triple]]:
    def load(folder: str) -> list[Triple]:
        path = str(real_data / folder / "triples.txt.gz")
        return [
            (row.h, row.r, row.t) for row in read_records(path, parse_triple, tally=Tally(), on_bad=refuse)
        ]

    return load


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """The module of the generated graphs."""
    return _benchmark("graph_generator")


@pytest.fixture(scope="session")
def graph_checks() -> ModuleType:
    """The module that compares the miners with a generated graph."""
    return _benchmark("graph_checks")


def _benchmark(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)
