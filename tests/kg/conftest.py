import pyarrow as pa
import pytest
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.readers import parse_triple, read, refuse


def as_table(triples) -> pa.Table:
    columns = list(zip(*triples, strict=True)) or [(), (), ()]
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip("hrt", columns, strict=True)})


def as_graph(triples) -> Graph:
    return Graph.from_arrow(as_table(triples), tally=Tally())


def multigraphs(entities: int, size: int):
    """Lists of triples with self-loops, duplicates and several relations a pair; ids of both forms."""
    ids = [f"Q{7**i}" for i in range(entities - 2)] + ["my node", "Q-1"]
    triple = st.tuples(st.sampled_from(ids), st.sampled_from(["P1", "P20", "P3"]), st.sampled_from(ids))
    return st.lists(triple, max_size=size)


@pytest.fixture(scope="session")
def load_triples(real_data):
    def load(folder: str):
        path = str(real_data / folder / "triples.txt.gz")
        return [tuple(row) for row in read(path, parse_triple, tally=Tally(), on_bad=refuse)]

    return load
