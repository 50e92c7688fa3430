"""By brute force: no fact asked for is stated in training, and no wrong choice is true of its pair."""

from collections import Counter, defaultdict
from functools import cache
from itertools import combinations
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.demo import world
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.cycles import mine
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.names import Names
from kgcorpus.kg.readers import TripleRow, parse_names, parse_relation, parse_triple
from kgcorpus.records.kmlm import reasoning_batches
from kgcorpus.xlr import choose_questions, held_out_pairs, is_held_out, render_question
from kgcorpus.xlr.candidates import shortlist
from kgcorpus.xlr.relations import RelationFacts

LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
CAPS = {"dedup": "diamond", "wings_per_edge": 32, "pairs_per_edge": 16, "per_pair": 4}
SIZES = {"train": 30, "validation": 10, "test": 10}


class Knowledge:
    """A graph with its names and mined cycles."""

    def __init__(self, triples, names, relations, *, languages=LANGUAGES, per_combination=1000):
        self.triples = sorted({TripleRow(*triple) for triple in triples})
        self.names, self.relations, self.languages = names, relations, languages
        self.graph = graph_of(self.triples)
        batches = mine(self.graph, seed=3, per_combination=per_combination, tally=Tally(), **CAPS)
        self.cycles = [row for batch in batches for row in batch]
        self.between = defaultdict(set)
        for h, r, t in self.triples:
            self.between[frozenset((h, t))].add(r)

    def choose(self, sizes=SIZES, *, seed=3, cycles=None, graph=None, tally=None):
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

    def render(self, question, lang):
        return render_question(question, names=self.names, relations=self.relations, lang=lang)

    def training_records(self, questions, *, triples=None, languages=None):
        """Every record of the triples and cycles that are left."""
        pairs = held_out_pairs(questions)
        books = {"names": self.names, "relations": self.relations, "seed": 3, "tally": Tally()}
        books["languages"] = languages or self.languages
        kept = [triple._asdict() for triple in (self.triples if triples is None else triples)]
        cycles = [cycle for cycle in self.cycles if not is_held_out(cycle["triples"], pairs)]
        for name, render, rows in (
            ("triples", code_switched_batches, [row for row in kept if not is_held_out([row], pairs)]),
            ("cycles", reasoning_batches, cycles),
        ):
            for records in render(pa.RecordBatch.from_pylist(rows, schema=table(name).schema), **books):
                yield from records.to_pylist()


def graph_of(triples):
    columns = list(zip(*triples, strict=True)) or [(), (), ()]
    table = {name: pa.array(column, pa.string()) for name, column in zip("hrt", columns, strict=True)}
    return Graph.from_arrow(pa.table(table), tally=Tally())


def book(key, names):
    """From {id: {lang: (label, alias...)}}."""
    return Names.from_rows(
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


def unique_names(ident, random, languages, *, lacking):
    named = [lang for lang in languages if random.random() >= lacking] or [languages[0]]
    return {lang: [f"{ident}:{lang}:{i}" for i in range(random.randint(1, 3))] for lang in named}


@cache
def random_knowledge(seed):
    """Two dozen entities among which many relations run, each named apart, and half of the pairs with one."""
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
    return Knowledge(
        triples,
        book("qid", {i: unique_names(i, random, languages, lacking=0.1) for i in ids}),
        book("pid", {i: unique_names(i, random, languages, lacking=0.02) for i in relations}),
        languages=languages,
    )


def read_book(key, files, parser):
    merged = defaultdict(dict)
    for file in files:
        for row in read_records(str(file), parser, tally=Tally(), on_bad=refuse):
            if row.lang in LANGUAGES:
                merged[row.id].setdefault(row.lang, []).extend([*filter(None, [row.label]), *row.aliases])
    return book(key, merged)


@pytest.fixture(scope="module")
def load(real_data):
    @cache
    def load(name):
        folder = real_data / name
        relations = [folder / "relations.tsv.gz", real_data / "kg-real" / "relation_labels_10lang.tsv"]
        return Knowledge(
            read_records(str(folder / "triples.txt.gz"), parse_triple, tally=Tally(), on_bad=refuse),
            read_book("qid", [folder / "labels_10lang.tsv.gz"], parse_names),
            read_book("pid", relations, parse_relation),
            per_combination=100,
        )

    return load


@pytest.fixture(scope="module")
def demo(load):
    return load("demo-small")


@pytest.fixture(scope="module")
def embedded():
    graph = world() / "graph"
    triples = read_records(
        str(graph / "wikidata5m_transductive_train.txt"), parse_triple, tally=Tally(), on_bad=refuse
    )
    labels = read_book("qid", [graph / "labels.tsv"], parse_names)
    return Knowledge(triples, labels, read_book("pid", [graph / "relations.tsv"], parse_relation))


def check_questions(knowledge, questions):
    """What holds of every list of questions, looked up in the triples one by one."""
    pairs = {split: set() for split in SIZES}
    contexts = {split: set() for split in SIZES}
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
            assert len({label.casefold() for label in labels}) == 6
            entities = {entity for triple in cycle for entity in (triple.h, triple.t)}
            assert len({knowledge.names.label(entity, lang) for entity in entities}) == len(entities)
        pair = frozenset((h, t))
        assert not any(pair in asked for asked in pairs.values())
        pairs[question.split].add(pair)
        contexts[question.split] |= {frozenset((triple.h, triple.t)) for triple in question.context}
    for one in SIZES:
        for other in SIZES:
            assert one == other or not pairs[one] & contexts[other]


@given(st.integers(0, 40))
@settings(deadline=None, max_examples=15)
def test_no_name_in_any_language_states_a_question_pair_in_training(seed):
    knowledge = random_knowledge(seed)
    questions = knowledge.choose()
    assert len(questions) >= 20
    check_questions(knowledge, questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    sentences = defaultdict(dict)
    for record in knowledge.training_records(questions):
        for slot in record["slots"]:
            # By the written name and not the id: names are unique here, and an alias tells its entity.
            name = record["text"][slot["start"] : slot["end"]]
            sentences[record["id"], slot["sentence"]][slot["slot"]] = name.split(":")[0]
    assert sentences
    stated = {frozenset((sentence[1], sentence[3])) for sentence in sentences.values()}
    assert not stated & asked
    everything = {frozenset((triple.h, triple.t)) for triple in knowledge.triples}
    assert len(stated) > len(everything) / 3


def test_nothing_but_what_touches_a_question_pair_is_removed():
    knowledge = random_knowledge(0)
    questions = knowledge.choose()
    pairs = held_out_pairs(questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    assert {frozenset(pair) for pair in pairs} == asked
    for triple in knowledge.triples:
        assert is_held_out([triple._asdict()], pairs) == (frozenset((triple.h, triple.t)) in asked)
        assert is_held_out([{"h": triple.t, "r": "P0", "t": triple.h}], pairs) == (
            frozenset((triple.h, triple.t)) in asked
        )
    removed = [cycle for cycle in knowledge.cycles if is_held_out(cycle["triples"], pairs)]
    assert 0 < len(removed) < len(knowledge.cycles)
    assert not is_held_out([], pairs)


@pytest.mark.parametrize("name", ["demo-small", pytest.param("kg-real", marks=pytest.mark.slow)])
def test_no_leak_on_real_graphs(load, name):
    knowledge = load(name)
    questions = knowledge.choose({"train": 300, "validation": 100, "test": 105})
    assert Counter(question.split for question in questions) == {"train": 300, "validation": 100, "test": 105}
    check_questions(knowledge, questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    entities = set().union(*asked)
    # A record without two entities of questions cannot leak; writing the others would take minutes.
    near = [triple for triple in knowledge.triples if {triple.h, triple.t} <= entities]
    records = 0
    for record in knowledge.training_records(questions, triples=near, languages=("en", "ja")):
        records += 1
        assert not any(frozenset((triple["h"], triple["t"])) in asked for triple in record["triples"])
    assert records > 1000


def test_the_embedded_world(embedded):
    questions = embedded.choose({"train": 60, "validation": 20, "test": 20})
    assert len(questions) == 100
    check_questions(embedded, questions)
    everywhere = sum(set(question.languages) == set(LANGUAGES) for question in questions)
    assert everywhere > 90


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_cycles_and_triples_changes_nothing(seed):
    random, knowledge = Random(seed), random_knowledge(seed)
    cycles, triples = list(knowledge.cycles), list(knowledge.triples)
    random.shuffle(cycles)
    random.shuffle(triples)
    one, other = Tally(), Tally()
    # Small sizes, so that the shortlist is pruned on the way.
    sizes = {"train": 2, "validation": 1, "test": 1}
    expected = knowledge.choose(sizes, tally=one)
    assert knowledge.choose(sizes, cycles=cycles, graph=graph_of(triples), tally=other) == expected
    assert list(one.rows()) == list(other.rows())
    assert knowledge.choose(sizes, seed=4) != expected


def test_the_shortlist_is_the_head_of_all_candidates(demo):
    def listed(per_relation, cycles):
        return shortlist(
            cycles,
            facts=RelationFacts(demo.graph),
            names=demo.names,
            relations=demo.relations,
            languages=LANGUAGES,
            per_relation=per_relation,
            seed=3,
            tally=Tally(),
        )

    everything = listed(10**6, demo.cycles)
    assert max(map(len, everything.values())) > 100
    head = {relation: pairs[:10] for relation, pairs in everything.items()}
    assert listed(10, demo.cycles) == listed(10, demo.cycles[::-1]) == head


def test_a_relation_is_asked_for_no_more_than_its_share(demo):
    sizes = {"train": 300, "validation": 100, "test": 105}
    tally = Tally()
    questions = demo.choose(sizes, tally=tally)
    few_choices = tally.drops["too_few_choices"]
    pairs = defaultdict(set)
    for cycle in demo.cycles:
        for h, r, t in (triple.values() for triple in cycle["triples"]):
            if len(demo.between[frozenset((h, t))]) == 1:
                pairs[r].add(frozenset((h, t)))
    asked = {frozenset(question.pair) for question in questions}
    shown = {frozenset((triple.h, triple.t)) for question in questions for triple in question.context}
    for split, size in sizes.items():
        answers = Counter(question.left_out.r for question in questions if question.split == split)
        most = max(answers.values())
        for relation, n in answers.items():
            # Below the share of the largest stays only a relation of which every pair is asked or in the way.
            assert n >= most - 1 or len(pairs[relation] - asked - shown) <= few_choices
        assert len(answers) > 25
        assert most < size / 12
        assert tally.counts[f"majority.{split}"] == most
        assert tally.counts[f"questions.{split}"] == size
        assert {r: tally.counts[f"answer.{split}.{r}"] for r in answers} == answers


def test_every_place_is_as_likely_the_answers(demo):
    questions = demo.choose({"train": 900, "validation": 150, "test": 150})
    places = Counter(question.answer for question in questions)
    expected = len(questions) / 6
    assert sum((places[i] - expected) ** 2 / expected for i in range(6)) < 20.5  # p = .001, 5 degrees


def test_choices_come_first_from_the_cycle_and_its_entities(demo):
    facts = RelationFacts(demo.graph)
    incident = defaultdict(set)
    for h, r, t in demo.triples:
        incident[h].add(r)
        incident[t].add(r)
    from_context = 0
    for question in demo.choose():
        h, r, t = question.left_out
        near = {triple.r for triple in question.context} | incident[h] | incident[t]
        fillers = set(question.choices) - near - {r}
        assert fillers <= set(facts.of_like_range(r))
        if fillers:
            assert len(near - {r}) - len(near & {p for p in near if facts.go_together(r, p)}) <= 5
        from_context += any(triple.r in question.choices for triple in question.context)
    assert from_context > 40


def star(n_relations):
    """Triangles a-b-c with a pool of relations from a, and names for all."""
    random, languages = Random(1), ("en", "fr")
    ids = [f"Q{i}" for i in range(30)]
    triples = [("Q0", f"P{100 + i % n_relations}", ident) for i, ident in enumerate(ids[1:])]
    triples += [(a, f"P{100 + i % n_relations}", b) for i, (a, b) in enumerate(combinations(ids[1:12], 2))]
    return triples, ids, random, languages


def knowledge_of(triples, ids, relation_names, languages):
    entity_names = {i: {lang: [f"{i} {lang}"] for lang in languages} for i in ids}
    return Knowledge(triples, book("qid", entity_names), book("pid", relation_names), languages=languages)


def named(relations, languages, **given):
    return {r: given.get(r, {lang: [f"{r} {lang}"] for lang in languages}) for r in relations}


def test_an_inverse_is_no_wrong_choice():
    triples, ids, _, languages = star(12)
    relations = sorted({r for _, r, _ in triples})
    one, inverse = "P100", "P101"
    a, b = next((h, t) for h, r, t in triples if r == one)
    before = knowledge_of(triples, ids, named(relations, languages), languages)
    after = knowledge_of([*triples, (b, inverse, a)], ids, named(relations, languages), languages)

    def together(knowledge):
        questions = knowledge.choose({"train": 60, "validation": 0, "test": 0})
        asked = [question for question in questions if question.left_out.r in (one, inverse)]
        assert asked
        return sum({one, inverse} <= set(question.choices) for question in asked)

    assert together(before) > 0
    assert together(after) == 0


@pytest.mark.parametrize(
    "names",
    [
        {"en": ["is in"], "fr": ["IS IN", "x"]},
        {"en": ["other", "Is In"], "fr": ["autre"]},
        {"en": ["other"], "fr": ["dans"]},
        {"en": ["other"]},
    ],
)
def test_a_relation_of_the_same_name_or_without_one_is_no_wrong_choice(names):
    triples, ids, _, languages = star(12)
    relations = sorted({r for _, r, _ in triples})
    given = {"P100": {"en": ["is in"], "fr": ["dans"]}, "P101": names}
    knowledge = knowledge_of(triples, ids, named(relations, languages, **given), languages)
    asked = [q for q in knowledge.choose({"train": 60, "validation": 0, "test": 0}) if q.left_out.r == "P100"]
    assert asked
    for question in asked:
        if {triple.r for triple in question.context} & {"P101"} and "fr" not in question.languages:
            continue
        assert "P101" not in question.choices


def test_too_few_relations_give_no_question():
    triples, ids, _, languages = star(5)
    relations = sorted({r for _, r, _ in triples})
    tally = Tally()
    knowledge = knowledge_of(triples, ids, named(relations, languages), languages)
    assert knowledge.choose(tally=tally) == []
    assert tally.drops["too_few_choices"] > 0
    assert (tally.counts["asked.test"], tally.counts["questions.test"]) == (10, 0)


def test_entities_of_one_name_are_not_asked_about():
    triples, ids, _, languages = star(12)
    relations = named({r for _, r, _ in triples}, languages)
    same = {i: {"en": ["Georgia"], "fr": [f"{i} fr"]} for i in ids}
    knowledge = Knowledge(triples, book("qid", same), book("pid", relations), languages=languages)
    questions = knowledge.choose()
    assert questions
    assert {question.languages for question in questions} == {("fr",)}
    tally = Tally()
    knowledge = Knowledge(
        triples, book("qid", {i: {"en": ["Georgia"]} for i in ids}), knowledge.relations, languages=("en",)
    )
    assert knowledge.choose(tally=tally) == []
    assert tally.drops["same_names"] > 0


def test_a_graph_that_gives_too_little_fills_its_splits_in_proportion(embedded):
    sizes, tally = {"train": 3000, "validation": 1000, "test": 1050}, Tally()
    questions = embedded.choose(sizes, tally=tally)
    check_questions(embedded, questions)
    given = Counter(question.split for question in questions)
    assert given.total() > 400
    assert 2 < given["train"] / given["test"] < 4
    assert tally.drops["in_another_split"] > 0
    for split, size in sizes.items():
        assert (tally.counts[f"asked.{split}"], tally.counts[f"questions.{split}"]) == (size, given[split])


def test_no_cycles_no_questions():
    languages = ("en",)
    for triples in ([], [("Q1", "P1", "Q2")]):
        knowledge = knowledge_of(triples, ["Q1", "Q2"], named(["P1"], languages), languages)
        assert knowledge.choose() == []
    assert random_knowledge(0).choose(dict.fromkeys(SIZES, 0)) == []


def test_a_combination_is_unseen_if_no_training_cycle_has_it(demo):
    questions = demo.choose({"train": 300, "validation": 100, "test": 105})
    pairs = held_out_pairs(questions)
    seen = {
        tuple(sorted(triple["r"] for triple in cycle["triples"]))
        for cycle in demo.cycles
        if not is_held_out(cycle["triples"], pairs)
        and split_of_pairs(3, [(triple["h"], triple["t"]) for triple in cycle["triples"]]) == "train"
    }
    asked = {question.combination for question in questions if question.split == "train"}
    for question in questions:
        known = seen if question.split == "train" else seen | asked
        assert question.unseen_combination == (question.combination not in known)
    assert 0 < sum(question.unseen_combination for question in questions) < len(questions)


def test_a_row_in_each_language_that_names_all():
    knowledge = random_knowledge(1)
    for question in knowledge.choose():
        rows = {lang: knowledge.render(question, lang) for lang in knowledge.languages}
        assert tuple(lang for lang, row in rows.items() if row) == question.languages
        for lang, row in rows.items():
            if row is None:
                everything = {question.left_out, *question.context}
                assert not all(
                    knowledge.relations.label(triple.r, lang)
                    and knowledge.names.label(triple.h, lang)
                    and knowledge.names.label(triple.t, lang)
                    for triple in everything
                )
                continue
            *context, left_out = (TripleRow(**triple) for triple in row["triples"])
            label, name = knowledge.relations.label, knowledge.names.label
            assert row["context"] == " ".join(
                f"{name(h, lang)} [mask] {label(r, lang)} [mask] {name(t, lang)}." for h, r, t in context
            )
            assert row["question"] == {
                "h": left_out.h,
                "t": left_out.t,
                "h_label": name(left_out.h, lang),
                "t_label": name(left_out.t, lang),
            }
            assert row["choices"][row["answer"]] == {"pid": left_out.r, "label": label(left_out.r, lang)}
            assert row["lang"] == lang
            assert row["split"] == question.split
        assert len({row["id"] for row in rows.values() if row}) == len(question.languages)


def _multigraph(seed):
    random = Random(seed)
    return [
        (f"Q{random.randint(1, 9)}", f"P{random.randint(1, 7)}", f"Q{random.randint(10, 18)}")
        for _ in range(random.randint(1, 60))
    ]


@given(st.builds(_multigraph, st.integers(0, 2**32)))
@settings(deadline=None)
def test_facts_of_relations_equal_brute_force(triples):
    graph = graph_of(triples)
    facts = RelationFacts(graph)
    pairs, tails, incident, between = (defaultdict(set) for _ in range(4))
    for h, r, t in triples:
        pairs[r].add((h, t))
        between[h, t].add(r)
        tails[r].add(t)
        incident[h].add(r)
        incident[t].add(r)
    for (h, t), relations in between.items():
        assert facts.only_relation(t, h) == (next(iter(relations)) if len(relations) == 1 else None)
    for entity, relations in incident.items():
        assert set(facts.of_entity(entity)) == relations
    for one in pairs:
        like = {other for other in pairs if other != one and tails[one] & tails[other]}
        assert set(facts.of_like_range(one)) == like
        shares = [len(tails[one] & tails[p]) / len(tails[one] | tails[p]) for p in facts.of_like_range(one)]
        assert shares == sorted(shares, reverse=True)
        for other in pairs:
            share = len(pairs[one] & pairs[other]) / min(len(pairs[one]), len(pairs[other]))
            assert facts.go_together(one, other) == (share >= 0.02)
