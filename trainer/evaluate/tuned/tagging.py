"""Sentences with a tag on each word, learnt in one language and scored in many."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.summary import over_seeds
from trainer.evaluate.tuned.examples import Example
from trainer.evaluate.tuned.finetune import Base, open_base, scores_by_seed
from trainer.evaluate.tuned.heads import TokenHead
from trainer.evaluate.tuned.inputs import Sampler, examples_of_words

Tags = Sequence[Sequence[str]]


class Tagged(NamedTuple):
    """A sentence's words and their tags."""

    words: Sequence[str]
    tags: Sequence[str]


def tag(
    model: str | Path,
    training: Sequence[Tagged],
    tests: Mapping[str, Sequence[Tagged]],
    config: EvaluationConfig,
    *,
    metric: tuple[str, Callable[[Tags, Tags], float]],
    fallback: str,
) -> dict[str, Any]:
    """Fine-tune a tagger and score it on the test sets.

    Args:
        model: a folder or hub id.
        training: what is learnt from; at most `config.limit` of them, drawn.
        tests: language -> sentences, likewise.
        config: how to fine-tune.
        metric: its name, and the function of gold and predicted tags.
        fallback: the tag of words that are cut off.

    Returns:
        `n_train`, `sampled` (as `Sampler` has it), `tags`, `cut` (words beyond `max_length`) and
        `by_language`: for each `n`, what uniformly drawn tags score (`chance`), what each word's most
        frequent training tag scores (`majority`; a word never seen has the most frequent tag of all), and the
        model's score as `over_seeds` gives it.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: nothing to learn from or to ask.
    """
    if not training or not any(tests.values()):
        raise InputError("there are no tagged sentences to learn from or to test on")
    name, score = metric
    sample = Sampler(config.limit)
    training = sample("train", training)
    asked = {lang: sample(lang, items) for lang, items in tests.items()}
    base = open_base(model)
    known = sorted({tag for sentence in training for tag in sentence.tags})
    cut: Counter[str] = Counter()
    encode = partial(_encode, base, known=known, max_length=config.max_length, cut=cut)
    encoded = {lang: encode(items) for lang, items in asked.items()}
    examples, _ = encode(training)
    sets = {lang: made for lang, (made, _) in encoded.items()}
    runs = scores_by_seed(base, partial(TokenHead, classes=len(known)), examples, sets, config)
    usual = _usual_tags(training)
    found = {}
    for lang, items in asked.items():
        gold = [item.tags for item in items]
        draw = Draw("chance", lang)
        predictions = [
            [
                [fallback if place is None else known[int(s[place].argmax())] for place in places]
                for s, places in zip(run[lang], encoded[lang][1], strict=True)
            ]
            for run in runs
        ]
        found[lang] = {
            "n": len(items),
            "chance": score(gold, [[draw.choice(known) for _ in item.tags] for item in items]),
            "majority": score(gold, [[usual.get(word, usual[""]) for word in item.words] for item in items]),
            **over_seeds([{name: score(gold, predicted)} for predicted in predictions]),
        }
    return {
        "n_train": len(training),
        "sampled": sample.sampled,
        "tags": len(known),
        "cut": cut["words"],
        "by_language": found,
    }


def averages(result: dict[str, Any], metric: str, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """The mean over languages of each seed's score, over the seeds; `languages` it is made of."""
    langs = [lang for lang in result["by_language"] if lang not in without]
    by_seed = zip(*(result["by_language"][lang][metric]["values"] for lang in langs), strict=True)
    return {"languages": langs, **over_seeds([{metric: sum(run) / len(run)} for run in by_seed])}


def _encode(
    base: Base, sentences: Sequence[Tagged], *, known: Sequence[str], max_length: int, cut: Counter[str]
) -> tuple[list[Example], list[list[int | None]]]:
    number = {tag: i for i, tag in enumerate(known)}
    words = [(s.words, [number.get(tag, 0) for tag in s.tags]) for s in sentences]
    return examples_of_words(base.tokenizer, words, max_length=max_length, cut=cut)


def _usual_tags(training: Sequence[Tagged]) -> dict[str, str]:
    """Word -> its most frequent tag; the empty word -> that of all."""
    counts: dict[str, Counter[str]] = {"": Counter()}
    for sentence in training:
        for word, given in zip(sentence.words, sentence.tags, strict=True):
            counts.setdefault(word, Counter())[given] += 1
            counts[""][given] += 1
    return {word: min(seen, key=lambda given: (-seen[given], given)) for word, seen in counts.items()}
