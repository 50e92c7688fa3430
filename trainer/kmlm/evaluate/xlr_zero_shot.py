"""XLR without training: the choice whose tokens the masked language model finds likeliest."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.tokens import tokenize_rows
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.probe.probing import log_probabilities
from trainer.evaluate.prompt_counter import prompt_counter
from trainer.evaluate.statistics import compare
from trainer.kmlm.evaluate.xlr_questions import (
    Question,
    filled_rows,
    languages_of,
    majority,
    parts_of,
    question_only,
    read_questions,
    shuffled_context,
)
from trainer.kmlm.masking import RELATION
from trainer.masked_lm import PackedMaskedLM, open_lm

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


_BOOTSTRAP_SEED = 0


def evaluate_zero_shot(
    model: str | Path, corpus: str | Path, config: EvaluationConfig, *, split: str = "test"
) -> dict[str, Any]:
    """Score a masked language model as it is.

    Args:
        model: a folder or hub id.
        corpus: a build with the table `xlr`.
        config: `limit` and `languages` are read.
        split: train, validation or test.

    Returns:
        `split`, `n`, `questions` (of which n counts every language), `chance` and what `breakdown` gives; its
        baseline is the choice that is most often the answer in the training split.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no finished build, or no questions.
    """
    questions = read_questions(corpus, split, languages=config.languages, limit=config.limit)
    training = read_questions(corpus, "train", languages=config.languages, limit=config.limit, required=False)
    lm, tokenizer = open_lm(model)
    return {
        "split": split,
        "n": len(questions),
        "questions": len({question.asked for question in questions}),
        "chance": fmean(1 / len(question.choices) for question in questions),
        **breakdown(questions, partial(answers, lm, tokenizer), majority(questions, training)),
    }


def breakdown(
    questions: Sequence[Question],
    answer: Callable[[Sequence[Question]], list[bool]],
    baseline: Sequence[bool],
) -> dict[str, Any]:
    """Accuracy against the baseline, in parts, and against the model without or with a wrong context.

    Args:
        questions: as they are.
        answer: questions, as they are or changed by a control -> whether each is answered rightly.
        baseline: whether the baseline answers each rightly.

    Returns:
        `against_question_only`, `against_shuffled_context` (the baseline is the model so controlled), the
        parts of `parts_of` and, in `by_language`, each language: what `trainer.evaluate.statistics.compare`
        gives, a question in all its languages being one sample.
    """
    right = answer(questions)

    def part(chosen: Sequence[int], against: Sequence[bool]) -> dict[str, Any]:
        return compare(
            [right[i] for i in chosen],
            [against[i] for i in chosen],
            [questions[i].asked for i in chosen],
            seed=_BOOTSTRAP_SEED,
        )

    everything = range(len(questions))
    return {
        "against_question_only": part(everything, answer(question_only(questions))),
        "against_shuffled_context": part(everything, answer(shuffled_context(questions))),
        **{name: part(chosen, baseline) for name, chosen in parts_of(questions).items()},
        "by_language": {lang: part(chosen, baseline) for lang, chosen in languages_of(questions).items()},
    }


def scores(
    lm: PackedMaskedLM, tokenizer: "PreTrainedTokenizerFast", questions: Sequence[Question]
) -> list[NDArray[np.float64]]:
    """Each question's [choices] mean log-probability a token (KMLM, arXiv 2111.10962, section 4.5).

    A choice becomes as many masks as it has tokens, so that long labels are neither favoured nor punished.
    A choice that the model's positions do not reach is scored -inf.
    """
    rows = filled_rows(questions)
    tokens = tokenize_rows(rows, tokenizer.backend_tokenizer, mask_token=str(tokenizer.mask_token))
    found = np.full(rows.num_rows, -np.inf)
    # Choices of equally many tokens give the same sequence: (sequence, its first mask) -> their rows.
    asked: dict[tuple[bytes, int], list[tuple[int, NDArray[np.int32]]]] = defaultdict(list)
    for row, (ids, slots) in enumerate(
        zip(*(tokens.column(n).to_pylist() for n in ("ids", "slot")), strict=True)
    ):
        sequence = np.array(ids, np.int32)
        (places,) = np.nonzero(np.array(slots) == RELATION)
        labels = sequence[places]
        sequence[places] = tokenizer.mask_token_id
        if len(sequence) <= lm.longest:
            asked[sequence.tobytes(), int(places[0])].append((row, labels))
    prompt_counter.announce(len(asked))
    tables = log_probabilities(
        lm,
        [np.frombuffer(sequence, np.int32) for sequence, _ in asked],
        [start for _, start in asked],
        [len(members[0][1]) for members in asked.values()],
        pad=tokenizer.pad_token_id,
    )
    for members, table in zip(asked.values(), tables, strict=True):
        for row, labels in members:
            found[row] = table[np.arange(len(labels)), labels].mean(dtype=np.float64)
    return np.split(found, np.cumsum([len(question.choices) for question in questions])[:-1])


def answers(
    lm: PackedMaskedLM, tokenizer: "PreTrainedTokenizerFast", questions: Sequence[Question]
) -> list[bool]:
    """Whether each question's best-scored choice is right; of equals, the first counts."""
    found = scores(lm, tokenizer, questions)
    return [int(s.argmax()) == question.answer for s, question in zip(found, questions, strict=True)]
