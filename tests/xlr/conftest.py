from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from kgcorpus.contracts.tally import Tally
from kgcorpus.demo import world
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.readers import parse_names, parse_relation, parse_triple

from .knowledge import Knowledge, read_label_index


@pytest.fixture(scope="session")
def load(real_data: Path) -> Callable[[str], Knowledge]:
    @cache
    def load(name: str) -> Knowledge:
        folder = real_data / name
        relations = [folder / "relations.tsv.gz", real_data / "kg-real" / "relation_labels_10lang.tsv"]
        return Knowledge(
            read_records(str(folder / "triples.txt.gz"), parse_triple, tally=Tally(), on_bad=refuse),
            read_label_index("qid", [folder / "labels_10lang.tsv.gz"], parse_names),
            read_label_index("pid", relations, parse_relation),
            per_combination=100,
        )

    return load


@pytest.fixture(scope="session")
def demo(load: Callable[[str], Knowledge]) -> Knowledge:
    return load("demo-small")


@pytest.fixture(scope="session")
def embedded() -> Knowledge:
    graph = world() / "graph"
    triples = read_records(
        str(graph / "wikidata5m_transductive_train.txt"), parse_triple, tally=Tally(), on_bad=refuse
    )
    labels = read_label_index("qid", [graph / "labels.tsv"], parse_names)
    return Knowledge(triples, labels, read_label_index("pid", [graph / "relations.tsv"], parse_relation))
