"""Relations of held-out cycles: hide the relation of a test pair, choose among all the relations seen.

The score is KMLM's zero-shot score (arXiv 2111.10962, section 4.5): the mean log-probability a token, each
choice with its own number of masks.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.yaml_reader import read_yaml
from kgcorpus.tokens import tokenize_rows
from trainer.evaluate.bootstrap import compare
from trainer.evaluate.builds.cycle_questions import Choices, Question, read_choices, read_questions
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.probe.masked import log_probabilities
from trainer.models import PackedMaskedLM, open_lm


def benchmark(model: str, data: str, config: EvaluationConfig) -> dict[str, Any]:
    """`evaluate` as a benchmark: its limit, its first seed and `exclude_relations` are read."""
    exclude = None if config.exclude_relations is None else frozenset(config.exclude_relations)
    return evaluate(model, data, limit=config.limit, seed=config.seeds[0], exclude=exclude)


def evaluate(
    model: str | Path,
    corpus: str | Path,
    *,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    exclude: frozenset[str] | None = None,
) -> dict[str, Any]:
    """Compare a model with the most frequent relation on the length-3 records of a split.

    Args:
        model: RUN/model.
        corpus: the build whose shards are read; the pairs' split is drawn with its seed.
        split: validation or test.
        limit: records at most, the first ones; their order is random.
        seed: of the bootstrap, and of the choices among equals.
        exclude: relations whose questions are left out in `without`; None: the most frequent relation of the
            training split's length-3 records.

    Returns:
        `overall`, `by_language`, `without` (the excluded relations) and `one_language_a_cycle` (one record of
        each cycle, with the same parts): what `trainer.evaluate.bootstrap.compare` gives. `skipped`:
        reason -> records.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no finished build, or one without cycles.
    """
    lm, tokenizer = open_lm(model)
    corpus = Path(corpus)
    corpus_seed = _corpus_seed(corpus)

    def tokenize(rows: pa.RecordBatch) -> list[dict[str, Any]]:
        table = tokenize_rows(rows, tokenizer.backend_tokenizer, mask_token=str(tokenizer.mask_token))
        return table.to_pylist()

    choices = read_choices(corpus, tokenize)
    read = islice(read_questions(corpus, split, tokenize, choices, corpus_seed=corpus_seed, seed=seed), limit)
    skipped: Counter[str] = Counter()
    questions: list[Question] = []
    for question in read:
        if question is None:
            skipped["answer_is_no_choice"] += 1
        elif len(question.ids) + choices.longest(question.lang) > lm.longest:
            skipped["too_long"] += 1
        else:
            questions.append(question)
    if not questions:
        raise InputError(f"the {split} split has no cycle to ask about", where=str(corpus))
    excluded = choices.dominant() if exclude is None else exclude
    right = _answer(lm, questions, choices, mask=tokenizer.mask_token_id, pad=tokenizer.pad_token_id)

    def part(chosen: Sequence[int], without: frozenset[str] = frozenset()) -> dict[str, Any]:
        chosen = [i for i in chosen if questions[i].answer not in without]
        langs = sorted({questions[i].lang for i in chosen})
        constant = choices.most_frequent(langs, without)
        return {
            "baseline_relation": constant,
            **compare(
                [right[i] for i in chosen],
                [questions[i].answer == constant for i in chosen],
                [questions[i].cycle for i in chosen],
                seed=seed,
            ),
        }

    def parts(chosen: Sequence[int]) -> dict[str, Any]:
        by_lang = defaultdict(list)
        for i in chosen:
            by_lang[questions[i].lang].append(i)
        return {
            "overall": part(chosen),
            "without": part(chosen, excluded),
            "by_language": {lang: part(by_lang[lang]) for lang in sorted(by_lang)},
        }

    everything = range(len(questions))
    return {
        "benchmark": "cycles",
        "split": split,
        "excluded": sorted(excluded),
        "candidates": {lang: len(labels) for lang, labels in sorted(choices.labels.items())},
        "skipped": dict(sorted(skipped.items())),
        **parts(everything),
        "one_language_a_cycle": parts(_one_a_cycle(questions, seed)),
    }


def _corpus_seed(corpus: Path) -> int:
    path = corpus / "config.yaml"
    try:
        return int(read_yaml(path)["seed"])
    except UsageError as error:
        raise InputError(error.what, where=error.where, mend="Build the corpus") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"gives no seed ({error!r})", where=str(path), mend="Build the corpus") from None


def _answer(
    lm: PackedMaskedLM, questions: Sequence[Question], choices: Choices, *, mask: int, pad: int
) -> list[bool]:
    """Whether the best-scored choice is the answer; among equal scores the first by id is chosen."""
    asked: list[tuple[int, int]] = []
    sequences: list[NDArray[np.int32]] = []
    for i, question in enumerate(questions):
        for masks in sorted({len(label) for label in choices.labels[question.lang].values()}):
            asked.append((i, masks))
            ids = question.ids
            hidden = np.full(masks, mask, np.int32)
            sequences.append(np.concatenate([ids[: question.start], hidden, ids[question.end :]]))
    best: dict[int, tuple[float, str]] = {}
    starts = [questions[i].start for i, _ in asked]
    found = log_probabilities(lm, sequences, starts, [masks for _, masks in asked], pad=pad)
    for (i, masks), table in zip(asked, found, strict=True):
        for pid, label in choices.labels[questions[i].lang].items():
            if len(label) == masks:
                score = float(table[np.arange(masks), list(label)].mean())
                best[i] = min(best.get(i, (np.inf, "")), (-score, pid))
    return [best[i][1] == question.answer for i, question in enumerate(questions)]


def _one_a_cycle(questions: Sequence[Question], seed: int) -> list[int]:
    """One question of each cycle, its language drawn: its translations are no independent samples."""
    by_cycle: dict[str, list[int]] = defaultdict(list)
    for i, question in enumerate(questions):
        by_cycle[question.cycle].append(i)
    chosen = [
        Draw(seed, "cycles-language", cycle).choice(sorted(members, key=lambda i: questions[i].lang))
        for cycle, members in by_cycle.items()
    ]
    return sorted(chosen)
