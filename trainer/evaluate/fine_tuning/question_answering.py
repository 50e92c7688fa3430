"""XQuAD, MLQA and TyDi QA (GoldP): answers are spans of a text; files in SQuAD 1.1's JSON."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from typing_extensions import TypedDict

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, only_file, read_json, read_optional, required
from trainer.evaluate.fine_tuning.answer_spans import Question, Windows, windows
from trainer.evaluate.fine_tuning.finetune import Dev, open_base, scores_by_seed, with_dev
from trainer.evaluate.fine_tuning.heads import SpanHead
from trainer.evaluate.fine_tuning.inputs import Sampler
from trainer.evaluate.metrics import Normalise, best, mlqa_words, squad_words
from trainer.evaluate.statistics import over_seeds

_TYDI = {
    "ar": "arabic",
    "bn": "bengali",
    "en": "english",
    "fi": "finnish",
    "id": "indonesian",
    "ko": "korean",
    "ru": "russian",
    "sw": "swahili",
    "te": "telugu",
}
# SQuAD's language.
_SQUAD = "en"
Tests = Mapping[str, Sequence[Question]]


class _Answer(TypedDict):
    text: str
    answer_start: int


class _Asked(TypedDict):
    id: str | int
    question: str
    answers: list[_Answer]


class _Paragraph(TypedDict):
    context: str
    qas: list[_Asked]


class _Article(TypedDict):
    paragraphs: list[_Paragraph]


class _File(TypedDict):
    data: list[_Article]


def xquad(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on `train-v1.1.json` (SQuAD), score every `xquad.<lang>.json`, anywhere under `data`.

    XQuAD's questions are from SQuAD's development set, so the epoch is selected on training questions.

    Returns what `answer` gives; raises what it raises.
    """
    tests = {path.name.split(".")[1]: read_squad(path) for path in matching_files(data, "xquad.*.json")}
    training = read_squad(only_file(data, "train-v1.1.json"))
    return answer(model, training, None, tests, config, lang=_SQUAD, normalise=_squad)


def mlqa(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on `train-v1.1.json` (SQuAD), score each `test-context-<lang>-question-<lang>.json`.

    The epoch is selected on `dev-context-<lang>-question-<lang>.json` of the training language.

    Returns what `answer` gives; raises what it raises.
    """
    tests = {}
    for path in matching_files(data, "test-context-*-question-*.json"):
        _, _, context, _, question = path.stem.split("-")
        if context == question:
            tests[context] = read_squad(path)
    lang = config.train_language or _SQUAD
    name = f"dev-context-{lang}-question-{lang}.json"
    dev = read_optional(read_squad, data, name)
    training = read_squad(only_file(data, "train-v1.1.json"))
    return answer(model, training, dev, tests, config, lang=lang, dev_source=name, normalise=_mlqa)


def tydiqa(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on one language of `tydiqa-goldp-v1.1-train.json`, score all of `...-dev.json`.

    The test set is not public and `dev` is scored, so the epoch is selected on training questions.

    Returns what `answer` gives; raises what it raises.
    """
    train, dev = (
        read_squad(only_file(data, f"tydiqa-goldp-v1.1-{split}.json")) for split in ("train", "dev")
    )

    def by_language(questions: Sequence[Question]) -> dict[str, list[Question]]:
        parts = ((lang, f"{name}-") for lang, name in _TYDI.items())
        found = {lang: [q for q in questions if q.ident.startswith(opening)] for lang, opening in parts}
        return {lang: asked for lang, asked in found.items() if asked}

    training = by_language(train)
    lang = config.training_language(training, where=data)
    return answer(model, training[lang], None, by_language(dev), config, lang=lang, normalise=_squad)


def _squad(lang: str) -> Normalise:
    return squad_words


def _mlqa(lang: str) -> Normalise:
    return partial(mlqa_words, lang=lang)


def answer(
    model: str | Path,
    training: Sequence[Question],
    dev: Sequence[Question] | None,
    tests: Tests,
    config: EvaluationConfig,
    *,
    lang: str,
    dev_source: str = "dev",
    normalise: Callable[[str], Normalise],
) -> dict[str, Any]:
    """Fine-tune the span head on questions, select the epoch by F1 on `dev`, score each language's questions.

    Args:
        model: a folder or hub id.
        training: what is learnt from; at most `config.limit` of them, drawn.
        dev, dev_source: as `with_dev` takes them; of the training language.
        tests: language -> questions, likewise.
        config: how to fine-tune; texts longer than `max_length` are read in windows.
        lang: the language of `training` and `dev`.
        normalise: language -> the official normalisation.

    Returns:
        `n_train`, `selection` (as `Dev.report` has it), `sampled` (as `Sampler` has it) and `by_language`:
        for each `n`, the `exact_match` and `f1` (0 to 1) of a drawn span as long as a drawn training answer
        (`chance`), of the most frequent training answer (`majority`), and of the model as `over_seeds` gives
        them; `average`, that of the model over languages.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: nothing to learn from or to ask, or a malformed file.
    """
    chosen = {lang: tests[lang] for lang in tests if config.languages is None or lang in config.languages}
    if not training or not any(chosen.values()):
        raise InputError("there are no questions to learn from or to test on")
    sample = Sampler(config.limit)
    training, dev, source = with_dev(training, dev, source=dev_source)
    training, dev = sample("train", training), sample("selection", dev)
    asked = {lang: sample(lang, questions) for lang, questions in chosen.items()}
    base = open_base(model)
    encode = partial(windows, base.tokenizer, max_length=config.max_length)
    sets: dict[str, Windows] = {lang: encode(questions) for lang, questions in asked.items()}
    examples = {lang: windows.examples for lang, windows in sets.items()}
    of_dev = encode(dev)
    score_dev = partial(_score, dev, normalise=normalise(lang))
    chosen_on = Dev("f1", source, of_dev.examples, lambda scores: score_dev(of_dev.answers(scores))["f1"])
    runs = scores_by_seed(base, SpanHead, encode(training).examples, examples, config, chosen_on)
    usual = Counter(question.answers[0][0] for question in training).most_common(1)[0][0]
    found = {}
    for code, questions in asked.items():
        score = partial(_score, questions, normalise=normalise(code))
        found[code] = {
            "n": len(questions),
            "chance": score(_random_spans(questions, training)),
            "majority": score([usual] * len(questions)),
            **over_seeds([score(sets[code].answers(run.scores[code])) for run in runs]),
        }
    return {
        "n_train": len(training),
        "selection": chosen_on.report(runs),
        "sampled": sample.sampled,
        "average": _average(found),
        "by_language": found,
    }


def _score(questions: Sequence[Question], texts: Sequence[str], *, normalise: Normalise) -> dict[str, float]:
    scores = [
        best(text, (answer for answer, _ in question.answers), normalise)
        for text, question in zip(texts, questions, strict=True)
    ]
    return {"exact_match": fmean(exact for exact, _ in scores), "f1": fmean(f1 for _, f1 in scores)}


def _random_spans(questions: Sequence[Question], training: Sequence[Question]) -> list[str]:
    spans = []
    for question in questions:
        draw = Draw("chance", question.ident)
        length = min(len(draw.choice(training).answers[0][0]), len(question.context))
        start = draw.below(len(question.context) - length + 1)
        spans.append(question.context[start : start + length])
    return spans


def _average(found: Mapping[str, Any]) -> dict[str, Any]:
    seeds = range(len(next(iter(found.values()))["f1"]["values"]))
    return over_seeds(
        [
            {name: fmean(by[name]["values"][seed] for by in found.values()) for name in ("exact_match", "f1")}
            for seed in seeds
        ]
    )


def read_squad(path: Path) -> list[Question]:
    """The questions of a file in SQuAD 1.1's format.

    Raises:
        InputError: it is not of this format.
    """
    found: dict[str, Question] = {}
    for article in read_json(path, _File, form="SQuAD")["data"]:
        for paragraph in article["paragraphs"]:
            for item in paragraph["qas"]:
                ident, context = str(item["id"]), paragraph["context"]
                answers = [(answer["text"], answer["answer_start"]) for answer in item["answers"]]
                where = f"{path}, question {ident}"
                if ident in found:
                    raise InputError("the id occurs twice", where=where, hint="Fetch the file again")
                if not answers:
                    raise InputError("has no answer", where=where, hint="Use SQuAD 1.1's format, not 2.0's")
                if any(not 0 <= start <= len(context) - len(text) for text, start in answers):
                    raise InputError("an answer is not within its text", where=where)
                found[ident] = Question(ident, item["question"], context, answers)
    return required(list(found.values()), path)
