"""Graphs with names and mined cycles, and what holds of every list of questions about one."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.rows import CycleRow
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.arrays import Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Settings
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.readers import NameRow, TripleRow
from kgcorpus.records.kmlm import reasoning_batches, with_split
from kgcorpus.xlr import Question, choose_questions, held_out_pairs, is_held_out, render_question

LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
Triple = tuple[str, str, str]
# Entity or relation -> language -> names.
NamesById = dict[str, dict[str, list[str]]]
SIZES = {"train": 30, "validation": 10, "test": 10}


class Knowledge:
    """A graph with its names and mined cycles."""

    def __init__(
        self,
        triples: Iterable[Triple],
        names: LabelIndex,
        relations: LabelIndex,
        *,
        languages: Sequence[str] = LANGUAGES,
        per_combination: int = 1000,
    ) -> None:
        self.triples = sorted({TripleRow(*triple) for triple in triples})
        self.names, self.relations, self.languages = names, relations, languages
        self.graph = graph_of(self.triples)
        settings = Settings(
            seed=3,
            dedup="diamond",
            wings_per_edge=32,
            pairs_per_edge=16,
            per_pair=4,
            per_combination=per_combination,
        )
        batches = mine_batches(self.graph, Memory(), settings, tally=Tally())
        self.cycles = [row for batch in batches for row in batch.to_pylist()]
        self.between: dict[frozenset[str], set[str]] = defaultdict(set)
        for h, r, t in self.triples:
            self.between[frozenset((h, t))].add(r)

    def choose(
        self,
        sizes: dict[str, int] = SIZES,
        *,
        seed: int = 3,
        cycles: list[CycleRow] | None = None,
        graph: Graph | None = None,
        tally: Tally | None = None,
    ) -> list[Question]:
        return choose_questions(
            lambda: self.cycles if cycles is None else cycles,
            graph=graph or self.graph,
            entities=self.names,
            relations=self.relations,
            languages=self.languages,
            sizes=sizes,
            seed=seed,
            tally=Tally() if tally is None else tally,
        )

    def render(self, question: Question, lang: str) -> dict[str, Any] | None:
        return render_question(question, names=self.names, relations=self.relations, lang=lang)

    def training_records(
        self,
        questions: Iterable[Question],
        *,
        triples: Iterable[TripleRow] | None = None,
        languages: Sequence[str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Every record of the triples and cycles that are left."""
        pairs = held_out_pairs(questions)
        columns: dict[str, Any] = {
            "names": self.names,
            "relations": self.relations,
            "seed": 3,
            "tally": Tally(),
        }
        columns["languages"] = languages or self.languages
        kept = [triple._asdict() for triple in (self.triples if triples is None else triples)]
        cycles = [cycle for cycle in self.cycles if not is_held_out(cycle["triples"], pairs)]
        for name, render, rows in (
            ("triples", code_switched_batches, [row for row in kept if not is_held_out([row], pairs)]),
            ("cycles", reasoning_batches, cycles),
        ):
            batch = with_split(pa.RecordBatch.from_pylist(rows, schema=table(name).schema), seed=3)
            for records in render(batch, **columns):
                yield from records.to_pylist()


def graph_of(triples: Iterable[Triple]) -> Graph:
    columns = list(zip(*triples, strict=True)) or [(), (), ()]
    table = {name: pa.array(column, pa.string()) for name, column in zip("hrt", columns, strict=True)}
    return Graph.from_arrow(pa.table(table), tally=Tally())


def label_index(key: str, names: NamesById) -> LabelIndex:
    """From {id: {lang: (label, alias...)}}."""
    return LabelIndex.from_rows(
        (
            {
                key: ident,
                "names": [
                    {"lang": lang, "label": own[0], "aliases": list(own[1:])} for lang, own in of.items()
                ],
            }
            for ident, of in names.items()
        ),
        key,
    )


def unique_names(
    ident: str, random: Random, languages: Sequence[str], *, lacking: float
) -> dict[str, list[str]]:
    named = [lang for lang in languages if random.random() >= lacking] or [languages[0]]
    return {lang: [f"{ident}:{lang}:{i}" for i in range(random.randint(1, 3))] for lang in named}


VARIANTS = (
    str.upper,
    lambda name: f" {name.replace(':', ' : ').replace(' : ', ':', 1)}",
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: name.replace(":", ":\u200b"),
    lambda name: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in name),
)


def with_homonyms(names: NamesById, random: Random) -> tuple[NamesById, dict[str, str]]:
    """A third of the entities get a name of another, in any of the languages, written in another way.

    Returns the names, and from each of these entities to the other.
    """
    ids = sorted(names)
    twins: dict[str, str] = {}
    for ident in ids[::3]:
        twins[ident] = random.choice(ids)
        source = names[twins[ident]]
        name = random.choice(source[random.choice(sorted(source))])
        lang = random.choice(sorted(names[ident]))
        place = random.randrange(len(names[ident][lang]))
        names[ident][lang][place] = random.choice(VARIANTS)(name)
    return names, twins


def facts_of_twins(triples: Sequence[Triple], twins: dict[str, str]) -> Iterator[Triple]:
    """The facts of an entity said of its namesake too, where nothing else joins that pair."""
    joined = {frozenset((h, t)) for h, _, t in triples}
    for ident, twin in twins.items():
        for h, r, t in triples:
            fact = (ident if h == twin else h, r, ident if t == twin else t)
            pair = frozenset((fact[0], fact[2]))
            if twin in (h, t) and len(pair) == 2 and pair not in joined:
                yield fact


@cache
def random_knowledge(seed: int, *, homonyms: bool = False) -> Knowledge:
    """Two dozen entities among which many relations run, half of the pairs with one relation.

    Each entity has names of its own; with `homonyms` some share one.
    """
    random, languages = Random(seed), ("en", "ja", "vi")
    ids = [f"Q{i * i + 1}" for i in range(24)]
    relations = [f"P{i}" for i in range(40)]
    pairs = random.sample(list(combinations(ids, 2)), 110)
    triples = []
    for pair in pairs:
        for relation in random.sample(relations, random.choice((1, 1, 1, 1, 2))):
            ends = random.sample(pair, 2)
            triples.append((ends[0], relation, ends[1]))
            if random.random() < 0.1:
                triples.append((ends[1], relation, ends[0]))
    entity_names = {i: unique_names(f"{i}é", random, languages, lacking=0.1) for i in ids}
    if homonyms:
        entity_names, twins = with_homonyms(entity_names, random)
        triples += list(facts_of_twins(triples, twins))
    return Knowledge(
        triples,
        label_index("qid", entity_names),
        label_index("pid", {i: unique_names(i, random, languages, lacking=0.02) for i in relations}),
        languages=languages,
    )


def read_label_index(key: str, files: Sequence[Path], parser: Callable[[str], NameRow]) -> LabelIndex:
    merged: NamesById = defaultdict(dict)
    for file in files:
        for row in read_records(str(file), parser, tally=Tally(), on_bad=refuse):
            if row.lang in LANGUAGES:
                merged[row.id].setdefault(row.lang, []).extend([*filter(None, [row.label]), *row.aliases])
    return label_index(key, merged)


def star(n_relations: int) -> tuple[list[Triple], list[str], Random, tuple[str, ...]]:
    """Triangles a-b-c with a pool of relations from a, and names for all."""
    random, languages = Random(1), ("en", "fr")
    ids = [f"Q{i}" for i in range(30)]
    triples = [("Q0", f"P{100 + i % n_relations}", ident) for i, ident in enumerate(ids[1:])]
    triples += [(a, f"P{100 + i % n_relations}", b) for i, (a, b) in enumerate(combinations(ids[1:12], 2))]
    return triples, ids, random, languages


def knowledge_of(
    triples: Iterable[Triple], ids: Sequence[str], relation_names: NamesById, languages: Sequence[str]
) -> Knowledge:
    entity_names = {i: {lang: [f"{i} {lang}"] for lang in languages} for i in ids}
    return Knowledge(
        triples, label_index("qid", entity_names), label_index("pid", relation_names), languages=languages
    )


def named(relations: Iterable[str], languages: Sequence[str], **given: dict[str, list[str]]) -> NamesById:
    return {r: given.get(r, {lang: [f"{r} {lang}"] for lang in languages}) for r in relations}


def check_questions(knowledge: Knowledge, questions: Iterable[Question]) -> None:
    """What holds of every list of questions, looked up in the triples one by one."""
    pairs: dict[str, set[frozenset[str]]] = {split: set() for split in SIZES}
    contexts: dict[str, set[frozenset[str]]] = {split: set() for split in SIZES}
    known = {row["cycle_id"]: row for row in knowledge.cycles}
    for question in questions:
        h, r, t = question.left_out
        assert question.choices[question.answer] == r
        assert knowledge.between[frozenset((h, t))] == {r}
        assert knowledge.between[frozenset((h, t))] & set(question.choices) == {r}
        assert len(question.choices) == 6
        cycle = {TripleRow(**fact) for fact in known[question.cycle_id]["triples"]}
        assert {question.left_out, *question.context} == cycle
        assert len(question.context) == len(cycle) - 1
        assert question.languages
        for lang in question.languages:
            labels = [knowledge.relations.label(pid, lang) for pid in question.choices]
            assert len({label.casefold() for label in labels if label}) == 6
            entities = {entity for triple in cycle for entity in (triple.h, triple.t)}
            assert len({knowledge.names.label(entity, lang) for entity in entities}) == len(entities)
        pair = frozenset((h, t))
        assert not any(pair in asked for asked in pairs.values())
        pairs[question.split].add(pair)
        contexts[question.split] |= {frozenset((triple.h, triple.t)) for triple in question.context}
    for one in SIZES:
        for other in SIZES:
            assert one == other or not pairs[one] & contexts[other]
