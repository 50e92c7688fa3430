"""Fine-tuning on sentences with a tag for each word, in one language; scored in many; span F1."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning.finetune import Base, Dev, Scores, open_base, scores_by_seed, with_dev
from trainer.evaluate.fine_tuning.heads import TokenHead
from trainer.evaluate.fine_tuning.inputs import Example, Sampler, examples_of_words
from trainer.evaluate.metrics import precision_recall_f1
from trainer.evaluate.statistics import over_seeds

Tags = Sequence[Sequence[str]]


def entities(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """(type, first word, word after the last) of each entity; IOB1, IOB2, IOE and IOBES are read alike.

    An entity ends before O, B, S, or another type, and after E or S; an I or E that nothing precedes begins
    one, as a model's tags do not keep to any scheme.
    """
    start, kind, ended = 0, "", True
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        goes_on = prefix in ("I", "E") and not ended and name == kind
        if not goes_on:
            if kind:
                yield kind, start, i
            start, kind = i, name
        ended = prefix in ("E", "S", "O")


def entity_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Micro `precision`, `recall` and `f1` of entities whose type and borders are right.

    Args:
        gold, predicted: the tags of each sentence's words.
    """
    counts: Counter[str] = Counter()
    for expected, found in zip(gold, predicted, strict=True):
        one, other = set(entities(expected)), set(entities(found))
        counts.update(right=len(one & other), gold=len(one), predicted=len(other))
    return precision_recall_f1(counts["right"], counts["predicted"], counts["gold"])


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
    metrics: Callable[[Tags, Tags], dict[str, float]],
    select: str,
    dev: Sequence[Tagged] | None,
    dev_source: str,
    fallback: str,
) -> dict[str, Any]:
    """Fine-tune a tagger, select the epoch on `dev`, score the test sets.

    Args:
        model: a folder or hub id.
        training: what is learnt from; at most `config.limit` of them, drawn.
        tests: language -> sentences, likewise.
        config: how to fine-tune.
        metrics: of gold and predicted tags.
        select: the metric that selects the epoch.
        dev, dev_source: as `with_dev` takes them.
        fallback: the tag of words that are cut off.

    Returns:
        `n_train`, `selection` (as `Dev.report` has it), `sampled` (as `Sampler` has it), `tags`, `cut` (words
        beyond `max_length`) and `by_language`: for each `n`, what uniformly drawn tags score (`chance`), what
        each word's most frequent training tag scores (`majority`; a word never seen has the most frequent tag
        of all), and the model's scores as `over_seeds` gives them.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: nothing to learn from or to ask.
    """
    if not training or not any(tests.values()):
        raise InputError("there are no tagged sentences to learn from or to test on")
    sample = Sampler(config.limit)
    training, dev, source = with_dev(training, dev, source=dev_source)
    training, dev = sample("train", training), sample("selection", dev)
    asked = {lang: sample(lang, items) for lang, items in tests.items()}
    base = open_base(model)
    known = sorted({tag for sentence in training for tag in sentence.tags})
    cut: Counter[str] = Counter()
    encode = partial(_encode, base, known=known, max_length=config.max_length, cut=cut)
    encoded = {lang: encode(items) for lang, items in asked.items()}
    (examples, _), (dev_examples, dev_places) = encode(training), encode(dev)
    sets = {lang: made for lang, (made, _) in encoded.items()}

    def predicted(scores: Scores, places: Sequence[Sequence[int | None]]) -> list[list[str]]:
        return [
            [fallback if place is None else known[int(s[place].argmax())] for place in of_words]
            for s, of_words in zip(scores, places, strict=True)
        ]

    dev_gold = [item.tags for item in dev]
    chosen_on = Dev(
        select, source, dev_examples, lambda s: metrics(dev_gold, predicted(s, dev_places))[select]
    )
    runs = scores_by_seed(base, partial(TokenHead, classes=len(known)), examples, sets, config, chosen_on)
    usual = _usual_tags(training)
    found = {}
    for lang, items in asked.items():
        gold = [item.tags for item in items]
        draw = Draw("chance", lang)
        found[lang] = {
            "n": len(items),
            "chance": metrics(gold, [[draw.choice(known) for _ in item.tags] for item in items]),
            "majority": metrics(
                gold, [[usual.get(word, usual[""]) for word in item.words] for item in items]
            ),
            **over_seeds([metrics(gold, predicted(run.scores[lang], encoded[lang][1])) for run in runs]),
        }
    return {
        "n_train": len(training),
        "selection": chosen_on.report(runs),
        "sampled": sample.sampled,
        "tags": len(known),
        "cut": cut["words"],
        "by_language": found,
    }


def averages(result: dict[str, Any], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """The mean over languages of each seed's scores, over the seeds; `languages` it is made of."""
    langs = [lang for lang in result["by_language"] if lang not in without]
    found: dict[str, Any] = {"languages": langs}
    for metric in result["by_language"][langs[0]]["chance"] if langs else ():
        by_seed = zip(*(result["by_language"][lang][metric]["values"] for lang in langs), strict=True)
        found |= over_seeds([{metric: sum(run) / len(run)} for run in by_seed])
    return found


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
