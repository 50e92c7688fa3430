"""X-FACTR on hand-made files in the official layout, against guesses made one at a time, and on real ones."""

import json
import tarfile

import pytest

from kgcorpus.contracts.errors import InputError
from tests.trainer.evaluate.probe.test_probing import naive_decode
from tests.trainer.evaluate.teaching import teach
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.probe.probing import Guess, Prober
from trainer.evaluate.probe.xfactr import best, evaluate_xfactr, written
from trainer.evaluate.prompt_counter import prompt_counter

MASKS = 3


def row(relation: str, head: str, tail: str, head_name: str, tail_name: str) -> str:
    ids = {"uuid": "u", "predicate_id": relation, "sub_uri": head, "obj_uri": tail}
    return json.dumps({**ids, "sub_label": head_name, "obj_label": tail_name}) + "\n"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "mTRExf" / "sub").mkdir(parents=True)
    (folder / "alias" / "mTRExf").mkdir(parents=True)
    (folder / "TREx_prompts.csv").write_text(
        "pid,relation,en,fr\n"
        "P19,birth,[X] was born in [Y] .,[X] est [né;X-Gender=MASC|née;X-Gender=FEM] [PREPLOC;Y] [Y] .\n"
        'P206,lake,"[X] lake of [Y.Gen] .",\n'
    )
    (folder / "mTRExf" / "sub" / "P19.jsonl").write_text(
        row("P19", "Q1", "Q11", "Ada", "Ulm") + row("P19", "Q2", "Q12", "Bob", "Rome city")
    )
    (folder / "mTRExf" / "sub" / "P206.jsonl").write_text(row("P206", "Q3", "Q13", "the", "Oslo"))
    (folder / "mTRExf_multi_rel.txt").write_text("Q1\tP19\tQ11 Q13\n")
    (folder / "mTRExf_gender.txt").write_text("Q1\tfemale\nQ2\tmale\nQ3\tnone\n")
    (folder / "alias" / "mTRExf" / "en.txt").write_text("Q11\tUlm\tUlm town\nQ13\t⊕\n")
    (folder / "alias" / "mTRExf" / "fr.txt").write_text("Q1\t⊕\tAda\tBdb\nQ11\tUlm\n")
    return folder


def naive_answer(folder, text: str, how: str) -> list[int]:
    guesses = [naive_decode(folder, text, n, how) for n in range(1, MASKS + 1)]
    return max(guesses, key=lambda guess: guess[1])[0]


@pytest.fixture(scope="module")
def taught(bert, tmp_path_factory):
    """The toy, taught an answer of one token and one of two."""
    sentences = {"Ada was born in [MASK] .": "Lima", "Bob was born in [MASK] [MASK] .": "Rome city"}
    return teach(bert, tmp_path_factory.mktemp("taught"), sentences)


@pytest.mark.parametrize("how", ["independent", "confidence"])
def test_the_best_guess_of_one_to_m_tokens_is_judged_by_every_true_name(taught, data, how):
    texts = ["Ada was born in [Y] .", "Bob was born in [Y] .", "the lake of [Y] ."]
    prober = Prober(taught)
    said = [naive_answer(taught, text, how) for text in texts]
    for text, name, answer in zip(texts, ("Lima", "Rome city"), said, strict=False):
        assert list(prober.tokens(text, name)) == answer
    assert list(prober.tokens(texts[2], "Oslo")) != said[2]

    config = EvaluationConfig(probing={"masks": MASKS, "decoding": [how]}, languages=["en"])
    before = evaluate_xfactr(taught, data, config)["languages"]["en"][how]
    assert {r: part["p@1"] for r, part in before["relations"].items()} == {"P19": 0.5, "P206": 0}
    # A name of the other town that is true for Ada is right, too.
    with (data / "alias" / "mTRExf" / "en.txt").open("a") as stream:
        stream.write("Q13\tLima\n")
    after = evaluate_xfactr(taught, data, config)["languages"]["en"][how]
    assert {r: part["p@1"] for r, part in after["relations"].items()} == {"P19": 1, "P206": 0}


def test_every_object_of_the_facts_counts_as_right(taught, data):
    (data / "mTRExf_multi_rel.txt").unlink()
    facts = data / "mTRExf" / "sub" / "P19.jsonl"
    facts.write_text(facts.read_text() + row("P19", "Q1", "Q14", "Ada", "Lima"))
    config = EvaluationConfig(probing={"masks": 1, "decoding": ["independent"]}, languages=["en"])
    part = evaluate_xfactr(taught, data, config)["languages"]["en"]["independent"]["relations"]["P19"]
    # The model says Lima for Ada, which is right for both of her facts; Bob's city has two tokens.
    assert (part["n"], part["p@1"]) == (3, pytest.approx(2 / 3))
    assert part["majority"] == pytest.approx(2 / 3)


def test_languages_are_apart_and_what_is_missing_is_counted(bert, data):
    prompt_counter.restart()
    found = evaluate_xfactr(bert, data, EvaluationConfig(probing={"masks": 2}))
    counts = prompt_counter.counts()
    assert counts.done == counts.total > 0
    assert (found["set"], found["masks"]) == ("mTRExf", 2)
    french = found["languages"]["fr"]
    # Bob and the lake have no French name.
    assert french["independent"]["n"] == french["confidence"]["n"] == 1
    assert french["skipped"] == {"no_name": 2}
    assert set(found["languages"]) == {"en", "fr"}


def test_prompts_lose_inflection_and_articles_and_agree_with_the_gender():
    french = "[ARTDEF;X] [X] est [né;X-Gender=MASC|née;X-Gender=FEM] [PREPLOC;Y] [Y] ."
    assert written(french, "FEM") == "[X] est née [Y] ."
    assert written(french, "NEUT") == "[X] est né [Y] ."
    assert written("[DEF;X] [X.Nom] είναι [DEF;Y] [Y.Gen] .", "MASC") == "[X] είναι [Y] ."
    assert written("[X] [toca;X-Number=SG|tocan;X-Number=PL] en [Y]", "MASC") == "[X] toca en [Y]"
    assert written("[Y] fue [dueño;Y-Gender=MASC|dueña;Y-Gender=FEM] de [X]", "FEM") == "[Y] fue dueño de [X]"
    assert written("[X.IN+ESS] de [PREPDEF-à;X] [Y]", "MASC") == "[X] de [Y]"


def test_of_equal_guesses_the_shorter_is_chosen():
    assert best([Guess((1,), -2.0), Guess((2, 3), -1.0), Guess((4, 5, 6), -1.0)]).tokens == (2, 3)


def test_a_folder_without_facts_is_an_error(bert, tmp_path):
    (tmp_path / "TREx_prompts.csv").write_text("pid,relation,en\nP19,x,[X] [Y]\n")
    with pytest.raises(InputError, match="holds no facts"):
        evaluate_xfactr(bert, tmp_path, EvaluationConfig())


@pytest.mark.slow
def test_real_prompts_and_facts_are_read_whole(bert, real_data, tmp_path):
    with tarfile.open(real_data / "xfactr" / "xfactr-facts-aliases.tar.xz") as archive:
        archive.extractall(tmp_path)
    config = EvaluationConfig(
        limit=1, languages=["en", "fr", "ja"], probing={"masks": 2, "decoding": ["independent"]}
    )
    found = evaluate_xfactr(bert, tmp_path, config)
    assert found["set"] == "mTRExf"
    for lang, part in found["languages"].items():
        reasons = part["skipped"]
        asked = part["independent"]["n"] + reasons.get("too_long", 0) + reasons.get("unknown_token", 0)
        assert asked == 46, lang
    assert found["languages"]["en"]["skipped"].get("no_name", 0) == 0
