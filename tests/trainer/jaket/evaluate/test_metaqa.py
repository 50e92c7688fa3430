import json
import math

import numpy as np
import pytest

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from tests.trainer.evaluate.files import unpack
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import AdaptationConfig, EvaluationConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.evaluate.arms import open_arm
from trainer.jaket.evaluate.metaqa import describe
from trainer.jaket.evaluate.metaqa_questions import adjacency, reached, read_knowledge, read_questions
from trainer.run import train

FILMS, PEOPLE = 40, 20
NAMES = [f"Film {i}" for i in range(FILMS)] + [f"Person {i}" for i in range(PEOPLE)] + ["1931", "1958"]


def triples():
    draw = Draw(0, "metaqa-toy")
    found = []
    for film in range(FILMS):
        found += [(film, 0, FILMS + draw.below(PEOPLE)), (film, 1, FILMS + PEOPLE + draw.below(2))]
    return found


def write_metaqa(folder):
    """Films, who directed them and when; one-hop questions about either, and two-hop ones."""
    facts, names = triples(), NAMES
    rows = ["\t".join(map(str, fact)) for fact in facts]
    (folder / "train.tsv").write_text("\n".join(rows[: FILMS + 10]) + "\n")
    (folder / "dev.tsv").write_text("\n".join(rows[FILMS:]) + "\n")
    (folder / "test.tsv").write_text(rows[0] + "\n")
    (folder / "entity2text.txt").write_text("".join(f"{i}\t{name}\n" for i, name in enumerate(names)))
    (folder / "relation2text.txt").write_text("0\tdirected by\n1\trelease year\n")
    one = [f"{('who directed', 'when was')[r]} [{names[h]}]\t{names[t]}" for h, r, t in facts]
    two = [
        f"when were films by [{names[p]}]\t"
        + "|".join(sorted({names[y] for h, r, y in facts if r == 1 and (h, 0, p) in facts}))
        for p in sorted({t for _, r, t in facts if r == 0})
    ]
    for hops, lines in ((1, one), (2, two)):
        (folder / f"{hops}-hop").mkdir()
        (folder / f"{hops}-hop" / "dev.txt").write_text("\n".join(lines) + "\n")
        (folder / f"{hops}-hop" / "test.txt").write_text("\n".join(lines[::2]) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_metaqa(tmp_path_factory.mktemp("metaqa"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    corpus = write_corpus(tmp_path_factory.mktemp("corpus"), jaket_rows())
    small = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)
    jaket = JaketConfig(passages=8, roots=16, gat_heads=2)
    config = TrainingConfig(model=small, max_length=80, jaket=jaket)
    return train("jaket", corpus=corpus, out=tmp_path_factory.mktemp("run"), config=config, max_steps=3)


def score(model, data, out, *, epochs=1, lr=0.01, **jaket):
    config = EvaluationConfig(epochs=epochs, lr=lr, max_length=64, jaket=AdaptationConfig(**jaket))
    run_benchmark("metaqa", model=str(model), data=str(data), out=out, config=config)
    return json.loads(out.read_text())


@pytest.mark.parametrize("arm", ["joint", "lm", "gnn", "lm+gnn", "lm+gnn+m"])
def test_every_arm_is_scored_on_the_same_questions(model, data, tmp_path, arm):
    found = score(model, data, tmp_path / "a.json", arm=arm)
    assert found["questions"]["train"] + found["questions"]["validation"] == 2 * FILMS
    assert found["questions"]["test"] == FILMS
    assert found["reachable"]["mean"] == 1
    assert 0 <= found["hits_at_1"]["mean"] <= 1
    assert score(model, data, tmp_path / "b.json", arm=arm) == found


def test_chance_is_that_of_a_candidate_drawn_at_random(model, data, tmp_path):
    facts = triples()
    degree = {h: sum(h in (a, b) for a, _, b in facts) for h in range(FILMS)}
    expected = [1 / degree[h] for h, _, _ in facts[::2]]
    found = score(model, data, tmp_path / "a.json", arm="lm")
    assert found["chance"]["mean"] == pytest.approx(math.fsum(expected) / len(expected))


def test_of_half_the_graph_half_the_answers_are_reached(model, data, tmp_path):
    found = score(model, data, tmp_path / "a.json", graph_share=0.5)
    assert 0.25 < found["reachable"]["mean"] < 0.75
    assert found["hits_at_1"]["mean"] <= found["reachable"]["mean"]


def test_two_hops(model, data, tmp_path):
    found = score(model, data, tmp_path / "a.json", hops=2)
    assert found["hops"] == 2
    assert found["reachable"]["mean"] == 1


@pytest.mark.slow
def test_an_arm_that_reads_the_question_learns_which_answer_is_meant(model, data, tmp_path):
    found = score(model, data, tmp_path / "a.json", arm="lm", epochs=20, lr=5e-3)
    assert found["hits_at_1"]["mean"] > found["chance"]["mean"] + 0.3


def test_the_knowledge_base_is_the_union_of_its_files(data):
    knowledge = read_knowledge(data)
    assert [tuple(row) for row in knowledge.triples.tolist()] == sorted(set(triples()))
    assert knowledge.names == NAMES
    half = knowledge.kept(0.5, seed=0)
    assert {*map(tuple, half.triples.tolist())} < set(triples())
    assert 25 < len(half.triples) < 55
    assert knowledge.kept(0.5, seed=1).triples.tolist() != half.triples.tolist()
    assert knowledge.kept(1.0, seed=0).triples.tolist() == knowledge.triples.tolist()


def test_candidates_equal_a_search_by_matrices(data):
    knowledge = read_knowledge(data)
    edges = np.eye(len(NAMES), dtype=bool)
    for h, _, t in triples():
        edges[h, t] = edges[t, h] = True
    within, neighbours = np.eye(len(NAMES), dtype=bool), adjacency(knowledge)
    for hops in (1, 2, 3):
        within = within @ edges
        for topic in range(0, len(NAMES), 7):
            expected = [i for i in np.flatnonzero(within[topic]) if i != topic]
            assert reached(neighbours, topic, hops).tolist() == expected


def test_a_description_is_a_question_of_training_or_the_name(model, data):
    _, tokenizer = open_arm(model, "lm", JaketConfig(), seed=0)
    knowledge = read_knowledge(data)
    questions = read_questions(data, 1, "dev", knowledge)[:10]
    entities = describe(knowledge, questions, tokenizer, seed=0)
    for i in (0, 3, FILMS):
        ids = entities.tokens[entities.starts[i] : entities.starts[i + 1]]
        text = tokenizer.decode(ids, skip_special_tokens=True)
        about = [question.text for question in questions if question.topic == i]
        assert text in [" ".join(one.split()) for one in about or [NAMES[i]]]
        first, last = entities.spans[i]
        assert tokenizer.decode(ids[first : last + 1]) == NAMES[i]


def test_a_number_with_two_names_and_one_with_none(data, tmp_path):
    write_metaqa(tmp_path)
    lines = [f"{i}\t{name}\n" for i, name in enumerate(NAMES) if i != 5]
    (tmp_path / "entity2text.txt").write_text("".join(lines) + "7\tSeventh\n")
    knowledge = read_knowledge(tmp_path)
    assert knowledge.names == [*NAMES[:5], "", *NAMES[6:]]
    assert knowledge.numbers["Seventh"] == knowledge.numbers["Film 7"] == 7


def test_damaged_files_are_told(data, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    write_metaqa(copy)
    (copy / "dev.tsv").write_text("1\tx\t2\n")
    with pytest.raises(InputError, match="not MetaQA's knowledge base"):
        read_knowledge(copy)
    (copy / "dev.tsv").write_text("1\t0\t999\n")
    with pytest.raises(InputError, match="without a name"):
        read_knowledge(copy)
    (copy / "1-hop" / "dev.txt").write_text("who is it\tFilm 1\n")
    with pytest.raises(InputError, match="no question of MetaQA"):
        read_questions(copy, 1, "dev", read_knowledge(data))


def test_metaqa_as_published(real_data, tmp_path):
    folder = unpack(real_data, "metaqa/metaqa.tar.xz", tmp_path) / "data" / "MetaQA"
    knowledge = read_knowledge(folder)
    assert (len(knowledge.names), len(knowledge.relations), len(knowledge.triples)) == (43_234, 9, 129_235)
    sizes = {(1, "dev"): 9992, (2, "test"): 14_872, (3, "test"): 14_274}
    for (hops, split), n in sizes.items():
        questions = read_questions(folder, hops, split, knowledge)
        assert 0.99 * n < len(questions) <= n
        assert all(knowledge.numbers[q.text[slice(*q.span)]] == q.topic for q in questions)
    neighbours = adjacency(knowledge)
    asked = read_questions(folder, 1, "test", knowledge)[::50]
    # The public copy lacks some of the triples.
    assert sum(bool({*reached(neighbours, q.topic, 1)} & {*q.answers}) for q in asked) > 0.97 * len(asked)
