"""XLR as multiple choice, fine-tuned: the training questions of one language, the test questions of all."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.languages import base_language_of
from kgcorpus.tokens import LINK
from kgcorpus.xlr.choices import CHOICES
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning.finetune import Dev, open_base, scores_by_seed, with_dev
from trainer.evaluate.fine_tuning.heads import SequenceHead
from trainer.evaluate.fine_tuning.inputs import Example, rows_of_texts
from trainer.evaluate.statistics import over_seeds
from trainer.kmlm.evaluate.xlr_questions import (
    Question,
    filled_rows,
    languages_of,
    parts_of,
    question_only,
    read_questions,
    shuffled_context,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def evaluate_fine_tuned(model: str | Path, corpus: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune and score a model.

    Each choice is filled into its question, whose links are mask tokens, as in KMLM's pretraining; the head
    scores each from the first token.

    Returns:
        `train_language`, `n_train`, `selection` and `question_only_selection` (as `Dev.report` has them; by
        accuracy on the validation questions of the training language), `n`, `cut` (texts beyond
        `max_length`), and accuracies as `over_seeds` gives them: of the parts of `parts_of` and each
        language, of the model shown another question's context (`shuffled_context`), and of one fine-tuned
        and asked without contexts (`question_only`).

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no finished build, or no questions.
    """
    questions = read_questions(corpus, "test", languages=config.languages, limit=config.limit)
    lang = config.train_language or base_language_of(Path(corpus))
    training, dev = (
        read_questions(corpus, split, languages=[lang], limit=config.limit, required=split == "train")
        for split in ("train", "validation")
    )
    training, dev, source = with_dev(training, dev, source=f"validation, {lang}")
    base = open_base(model)
    cut: Counter[str] = Counter()

    def runs(
        change: Callable[[Sequence[Question]], Sequence[Question]], **asked: Sequence[Question]
    ) -> tuple[dict[str, Any], list[dict[str, list[bool]]]]:
        """The selection, and for each seed whether the model is right on the questions asked."""
        sets = {
            name: _examples(shown, base.tokenizer, max_length=config.max_length, cut=cut)
            for name, shown in {"taught": change(training), "dev": change(dev), **asked}.items()
        }
        chosen_on = Dev("accuracy", source, sets.pop("dev"), lambda scores: fmean(_right(scores, dev)))
        found = scores_by_seed(base, _head, sets.pop("taught"), sets, config, chosen_on)
        right = [{name: _right(s, questions) for name, s in run.scores.items()} for run in found]
        return chosen_on.report(found), right

    selected, whole = runs(list, whole=questions, shuffled_context=shuffled_context(questions))
    selected_blind, blind = runs(question_only, question_only=question_only(questions))

    def accuracies(parts: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        chosen = {name: places for name, places in parts.items() if places}
        return over_seeds(
            [
                {name: fmean(run["whole"][i] for i in places) for name, places in chosen.items()}
                for run in whole
            ]
        )

    return {
        "train_language": lang,
        "n_train": len(training),
        "selection": selected,
        "question_only_selection": selected_blind,
        "n": len(questions),
        "cut": cut["texts"],
        **accuracies(parts_of(questions)),
        "by_language": accuracies(languages_of(questions)),
        **over_seeds([{"shuffled_context": fmean(run["shuffled_context"])} for run in whole]),
        **over_seeds([{"question_only": fmean(run["question_only"])} for run in blind]),
    }


def _head(hidden: int) -> SequenceHead:
    return SequenceHead(hidden, CHOICES, "choices")


def _examples(
    questions: Sequence[Question], tokenizer: "PreTrainedTokenizerFast", *, max_length: int, cut: Counter[str]
) -> list[Example]:
    texts = filled_rows(questions).column("text").to_pylist()
    linked = [text.replace(LINK, str(tokenizer.mask_token)) for text in texts]
    rows = rows_of_texts(tokenizer, linked, max_length=max_length, cut=cut)
    groups = (tuple(rows[i : i + CHOICES]) for i in range(0, len(rows), CHOICES))
    return [Example(group, q.answer) for group, q in zip(groups, questions, strict=True)]


def _right(scores: Sequence[NDArray[np.float32]], questions: Sequence[Question]) -> list[bool]:
    return [int(s.argmax()) == question.answer for s, question in zip(scores, questions, strict=True)]
