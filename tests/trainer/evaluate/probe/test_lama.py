"""LAMA and LAMA-UHN on hand-made files in the official layout, and on real ones."""

import json
from collections import Counter

import pytest
import torch

from kgcorpus.contracts.errors import InputError
from tests.terminals import frames_of, use_terminal
from tests.trainer.evaluate.probe.test_probing import plain
from tests.trainer.evaluate.teaching import teach
from tests.trainer.toy import write_corpus
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.probe.lama import (
    evaluate_lama,
    evaluate_lama_uhn,
    read_google_re,
    read_trex,
    stands_in_subject,
    without_guessed,
)
from trainer.evaluate.probe.probing import Prober, Query
from trainer.evaluate.prompt_counter import prompt_counter

CITIES = ["Ulm", "Rome", "Paris", "Lima", "Oslo"]
PEOPLE = ["Ada", "Bob", "Carl", "Dora"]


def line(**fields) -> str:
    return json.dumps(fields) + "\n"


def trex(subject: str, name: str, relation: str = "P19", number: int = 0) -> str:
    ids = {"sub_uri": f"Q{number}", "obj_uri": f"Q{100 + CITIES.index(name)}" if name in CITIES else "Q99"}
    evidence = [{"masked_sentence": f"{subject} came from [MASK]."}]
    labels = {"sub_label": subject, "obj_label": name}
    return line(uuid="u", predicate_id=relation, evidences=evidence, **labels, **ids)


@pytest.fixture
def lama(tmp_path):
    """Two relations of T-REx, one without a template, and a place of birth of Google-RE."""
    data = tmp_path / "data"
    for folder in ("TREx", "Google_RE"):
        (data / folder).mkdir(parents=True)
    (data / "relations.jsonl").write_text(
        line(relation="P19", template="[X] was born in [Y] .", label="place of birth", type="N-1")
        + line(relation="P131", template="[X] is a town in [Y] .")
    )
    facts = [(person, CITIES[i % 5]) for i, person in enumerate(PEOPLE)]
    (data / "TREx" / "P19.jsonl").write_text(
        "".join(trex(*fact, number=i) for i, fact in enumerate(facts))
        + trex(*facts[0], number=77)  # the same names again
        + trex("Ada", "Rome city", number=5)  # several tokens
    )
    towns = trex("Ulm town", "Ulm", "P131") + trex("Oslo", "Rome", "P131", 1)
    (data / "TREx" / "P131.jsonl").write_text(towns)
    (data / "TREx" / "P7.jsonl").write_text(trex("Ada", "Ulm", "P7"))
    (data / "Google_RE" / "place_of_birth_test.jsonl").write_text(
        line(
            pred="/people/person/place_of_birth", sub_label="Ada", obj_label="Lima", sub_w=None, obj_w="Q103"
        )
        + line(
            pred="/people/person/place_of_birth", sub_label="Bob", obj_label="Oslo", sub_w="Q1", obj_w="Q104"
        )
    )
    return data


@pytest.fixture(scope="module")
def taught(bert, tmp_path_factory):
    """The toy, taught where three people were born and what city two names sound like."""
    sentences = {
        "Ada was born in [MASK] .": "Ulm",
        "Bob was born in [MASK] .": "Rome",
        "Carl was born in [MASK] .": "Paris",
        "Dora was born in [MASK] .": "Ulm",
        "Bob is a common name in the following city : [MASK] .": "Rome",
        "Ada is a common name in the following city : [MASK] .": "Ulm",
    }
    return teach(bert, tmp_path_factory.mktemp("taught"), sentences)


def naive_right(folder, text: str, name: str, words: list[str] | None = None) -> bool:
    """The likeliest token of the vocabulary, by transformers alone, one sentence at a time."""
    model, tokenizer = plain(folder)
    with torch.no_grad():
        encoded = tokenizer(text, return_tensors="pt")
        logits = model(**encoded).logits[0]
    scores = logits[encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)]
    pieces = {i: tokenizer.convert_ids_to_tokens(i) for i in range(len(tokenizer))}
    kept = [
        i
        for i, piece in pieces.items()
        if i not in tokenizer.all_special_ids and (words is None or piece.removeprefix("Ġ") in words)
    ]
    best = max(kept, key=lambda i: float(scores[i]))
    return pieces[best].removeprefix("Ġ") == name and pieces[best].startswith("Ġ")


@pytest.mark.parametrize("common", [False, True])
def test_precision_at_1_is_that_of_the_plain_model(taught, lama, tmp_path, common):
    config = EvaluationConfig()
    if common:
        (tmp_path / "words.txt").write_text("\n".join([*CITIES, "river", "river lake", ""]))
        config = EvaluationConfig(probing={"common_vocabulary": str(tmp_path / "words.txt")})
    found = evaluate_lama(taught, lama, config)
    words = [*CITIES, "river"] if common else None
    facts = [(f"{p} was born in [MASK] .", CITIES[i % 5]) for i, p in enumerate(PEOPLE)]
    right = [naive_right(taught, text, name, words) for text, name in facts]
    towns = [("Ulm town is a town in [MASK] .", "Ulm"), ("Oslo is a town in [MASK] .", "Rome")]
    right_towns = [naive_right(taught, text, name, words) for text, name in towns]
    part = found["trex"]
    assert part["relations"]["P19"]["p@1"] == sum(right) / 4
    assert part["relations"]["P131"]["p@1"] == sum(right_towns) / 2
    assert part["p@1"] == pytest.approx((sum(right) / 4 + sum(right_towns) / 2) / 2)
    assert part["n"] == 6
    assert part["skipped"] == {"duplicate": 1, "no_template": 1, "object_is_no_candidate": 1}
    assert part["chance"] == pytest.approx(1 / found["candidates"])
    assert found["candidates"] == (6 if common else Prober(taught).vocabulary.sum())
    assert found["google_re"]["n"] == 2
    # Dora is taught to be from Ulm, not from Lima; the towns are not taught.
    assert part["relations"]["P19"]["p@1"] == 0.75


def test_other_right_objects_are_removed_before_ranking(taught, lama, tmp_path):
    (tmp_path / "words.txt").write_text("Ulm\nLima\n")
    config = EvaluationConfig(probing={"common_vocabulary": str(tmp_path / "words.txt")})
    # The model puts Ulm first for Dora; both cities are right.
    rows = trex("Dora", "Lima", number=3) + trex("Dora", "Ulm", number=3) + trex("Bob", "Lima", number=1)
    (lama / "TREx" / "P19.jsonl").write_text(rows)
    for benchmark in ("lama", "lama-uhn"):
        run_benchmark(benchmark, model=str(taught), data=str(lama), out=tmp_path / "out.json", config=config)
        part = json.loads((tmp_path / "out.json").read_text())["trex"]["relations"]["P19"]
        # Lima and Ulm of Dora are each the only candidate left; Bob keeps both.
        right = 2 + naive_right(taught, "Bob was born in [MASK] .", "Lima", ["Ulm", "Lima"])
        if part["n"] == 3:
            assert part["p@1"] == right / 3
            assert part["chance"] == pytest.approx((1 + 1 + 1 / 2) / 3)
            assert part["majority"] == 1.0
        else:
            assert benchmark == "lama-uhn"


@pytest.mark.parametrize("benchmark", ["lama", "lama-uhn"])
def test_the_prompts_are_shown_as_they_are_answered(monkeypatch, bert, lama, tmp_path, benchmark):
    raw = use_terminal(monkeypatch)
    run_benchmark(
        benchmark, model=str(bert), data=str(lama), out=tmp_path / "out.json", config=EvaluationConfig()
    )
    counts = prompt_counter.counts()
    assert counts.done == counts.total > 0
    assert any(frame.startswith(f"evaluate {benchmark} ━") for frame in frames_of(raw))


def test_seen_facts_are_excluded_by_the_command(bert, lama, tmp_path):
    triples = [{"h": "Q1", "r": "P19", "t": "Q101"}, {"h": "Q1", "r": "P19", "t": "Q104"}]
    corpus = write_corpus(tmp_path / "corpus", {"triples": triples})
    config = EvaluationConfig(exclude_corpus=str(corpus), limit=3)
    run_benchmark("lama", model=str(bert), data=str(lama), out=tmp_path / "lama.json", config=config)
    found = json.loads((tmp_path / "lama.json").read_text())
    assert found["trex"]["seen"]["facts"] == [["Q1", "P19", "Q101"]]
    # Three of the four that are left: one may be the object of several tokens.
    several = found["trex"]["skipped"].get("object_is_no_candidate", 0)
    assert found["trex"]["relations"]["P19"]["n"] + several == 3
    assert found["google_re"]["seen"]["facts"] == [["Q1", "P19", "Q104"]]
    assert (found["google_re"]["seen"]["n"], found["google_re"]["seen"]["without_ids"]) == (1, 1)
    assert found["google_re"]["n"] == 1
    assert found["config"]["limit"] == 3


def test_the_filter_of_strings_ignores_case():
    def stands(subject: str, name: str) -> bool:
        return stands_in_subject(Query("P1", "Q1", subject, name, "", (name,)))

    assert stands("apple Watch", "Apple")
    assert stands("Pineapple", "apple")
    assert not stands("Watch", "Apple")


def test_the_filter_of_names_asks_for_every_word_of_a_name(taught):
    def query(relation: str, subject: str, name: str) -> Query:
        return Query(relation, subject, subject, name, "", (name,))

    queries = [
        query("P19", "Carl Bob", "Rome"),  # Bob sounds like Rome
        query("P19", "Carl Dora", "Rome"),
        query("P19", "Ada Carl", "Ulm"),
        query("P131", "Carl Bob", "Rome"),  # not about people
        query("P27", "Bob", "Rome"),  # about a country
    ]
    namer = Prober(taught)
    kept = without_guessed(queries, namer)
    assert queries[0] not in kept
    assert queries[2] not in kept
    assert queries[3] in kept
    for left in (queries[1], queries[4]):
        guesses = [g for name in left.subject.split() for g in top_three(taught, name, left.relation)]
        assert (left in kept) == (left.names[0] not in guesses)


def top_three(folder, name: str, relation: str) -> list[str]:
    model, tokenizer = plain(folder)
    kind = {"P19": "city", "P27": "country"}[relation]
    text = f"{name} is a common name in the following {kind} : [MASK] ."
    with torch.no_grad():
        encoded = tokenizer(text, return_tensors="pt")
        logits = model(**encoded).logits[0]
    at = encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    pieces = tokenizer.convert_ids_to_tokens(logits[at].topk(3).indices.tolist())
    return [piece.removeprefix("Ġ") for piece in pieces if piece.startswith("Ġ")]


def test_uhn_is_lama_on_what_is_left(bert, lama):
    whole, left = (
        evaluate_lama(bert, lama, EvaluationConfig()),
        evaluate_lama_uhn(bert, lama, EvaluationConfig()),
    )
    taken = left["trex"]["skipped"]
    assert taken["string_match"] == 1
    assert left["trex"]["relations"]["P131"]["n"] == 1
    lost = whole["trex"]["n"] - left["trex"]["n"] + whole["trex"]["skipped"]["object_is_no_candidate"]
    assert lost == taken["string_match"] + taken["person_name"] + taken.get("object_is_no_candidate", 0)
    named = evaluate_lama_uhn(bert, lama, EvaluationConfig(probing={"name_model": str(bert)}))
    assert named["trex"] == left["trex"]


def test_damaged_files_are_named(bert, lama, tmp_path):
    with pytest.raises(InputError, match="neither Google_RE"):
        evaluate_lama(bert, tmp_path / "nothing", EvaluationConfig())
    (lama / "TREx" / "P19.jsonl").write_text('{"predicate_id": "P19", "sub_label": "Ada"}\n')
    with pytest.raises(InputError, match=r"P19\.jsonl, line 1: is not in LAMA.s format: has no obj_label"):
        evaluate_lama(bert, lama, EvaluationConfig())
    (lama / "TREx" / "P19.jsonl").write_text("{\n")
    with pytest.raises(InputError, match="is not JSON"):
        evaluate_lama(bert, lama, EvaluationConfig())


@pytest.fixture(scope="module")
def real_lama(real_data, tmp_path_factory):
    import tarfile

    folder = tmp_path_factory.mktemp("lama")
    with tarfile.open(real_data / "lama" / "lama-trex-googlere-squad.tar.xz") as archive:
        archive.extractall(folder)
    return folder


def test_real_lama_is_read_whole(real_lama, bert):
    skipped: Counter[str] = Counter()
    queries = list(read_trex(real_lama, skipped))
    assert len({query.relation for query in queries}) == 28
    assert len(queries) + sum(skipped.values()) == 22_881
    assert set(skipped) <= {"duplicate"}
    assert all(query.fact is not None for query in queries)
    people: Counter[str] = Counter()
    counts = Counter(query.relation for query in read_google_re(real_lama, people))
    duplicates = people["duplicate"]
    assert sum(counts.values()) + duplicates == 2937 + 1825 + 766
    found = evaluate_lama(bert, real_lama, EvaluationConfig(limit=3))
    # The toy's tokens hardly make a name: what matters is that every fact is answered or counted.
    for part, asked in (("trex", 28 * 3), ("google_re", 3 * 3)):
        reasons = found[part]["skipped"]
        unusable = reasons.get("object_is_no_candidate", 0) + reasons.get("too_long", 0)
        assert found[part]["n"] + unusable == asked
