"""Facts of kg-real, told in English sentences; LAMA's own facts are left out."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.store import write_text
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.readers import TripleRow, parse_names, parse_triple
from proofs.grid import PROOFS
from trainer.evaluate.probe.lama import read_trex

_TEMPLATES = PROOFS / "told_facts.yaml"


def write_told_facts(
    graph: Path, lama: Path, out: Path, *, per_relation: int, times: int = 1, seed: int
) -> int:
    """Write a sentence a line and return their number.

    Args:
        graph: folder with `triples.txt.gz` and `labels_10lang.tsv.gz`.
        lama: LAMA's folder `data`; a triple that T-REx asks for is not told.
        out: the file.
        per_relation: most facts of a relation, chosen by hash.
        times: how often a fact is told, each time in another sentence.
        seed: of the choice and the order.

    Raises:
        InputError: a file is missing or malformed.
        ValueError: a relation has fewer sentences than `times`.
    """
    sentences: dict[str, list[str]] = yaml.safe_load(_TEMPLATES.read_text(encoding="utf-8"))
    if few := [relation for relation, forms in sentences.items() if len(forms) < times]:
        raise ValueError(f"fewer than {times} sentences: {', '.join(few)}")
    names = dict(_english_labels(graph / "labels_10lang.tsv.gz"))
    asked = {query.fact for query in read_trex(lama, Counter())}
    facts = defaultdict(list)
    for fact in _triples(graph / "triples.txt.gz", sentences):
        if fact not in asked and fact.h in names and fact.t in names:
            facts[fact.r].append((hash64(seed, "told", *fact), fact))
    told = []
    for relation, candidates in facts.items():
        for i, (rank, fact) in enumerate(sorted(candidates)[:per_relation]):
            forms = sentences[relation]
            for j in range(times):
                sentence = forms[(i + j) % len(forms)].format(x=names[fact.h], y=names[fact.t])
                # A second hash: by the first, the relations' smallest would stand together.
                told.append((hash64(seed, "order", rank, j), sentence[0].upper() + sentence[1:]))
    write_text(out, "".join(f"{sentence}\n" for _, sentence in sorted(told)))
    return len(told)


def _triples(path: Path, relations: Collection[str]) -> Iterator[TripleRow]:
    for row in read_records(str(path), parse_triple, tally=Tally(), on_bad=refuse):
        if row.r in relations:
            yield row


def _english_labels(path: Path) -> Iterator[tuple[str, str]]:
    for row in read_records(str(path), parse_names, tally=Tally(), on_bad=refuse):
        if row.lang == "en":
            yield row.id, row.label or row.aliases[0]
