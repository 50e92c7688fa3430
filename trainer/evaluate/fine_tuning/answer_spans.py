"""Questions about a text as overlapping windows, and the best span over a text's windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.evaluate.fine_tuning.inputs import Example, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# As BERT's script for SQuAD: tokens of an answer.
_LONGEST_ANSWER = 30


class Question(NamedTuple):
    """A question, its text, and (answer, where it starts in the text), the first of which is learnt."""

    ident: str
    question: str
    context: str
    answers: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Windows:
    """Windows over questions' texts.

    Attributes:
        questions: what is asked.
        examples: the windows; a target is (first, last) token of the answer, the first token (0, 0) where the
            answer is not whole in the window.
        owners: whose each is.
        offsets: each one's [tokens, 2] start and end in the text; (0, 0) outside the text.
    """

    questions: Sequence[Question]
    examples: list[Example]
    owners: list[int]
    offsets: list[NDArray[np.int64]]

    def answers(self, scores: Sequence[NDArray[np.float32]]) -> list[str]:
        """The text of the best span of each question.

        Args:
            scores: of each window [tokens, 2].
        """
        best = [(-np.inf, "")] * len(self.questions)
        for owner, offsets, score in zip(self.owners, self.offsets, scores, strict=True):
            found, first, last = best_span(score, offsets[:, 1] > 0)
            if found > best[owner][0]:
                text = self.questions[owner].context[offsets[first, 0] : offsets[last, 1]]
                best[owner] = (found, text)
        return [text for _, text in best]


def best_span(scores: NDArray[np.float32], allowed: NDArray[np.bool_]) -> tuple[float, int, int]:
    """The largest start + end score, its first and its last token; at most 30 tokens, all allowed ends.

    Args:
        scores: [tokens, 2].
        allowed: [tokens].
    """
    ends = np.where(allowed[:, None], scores, -np.inf)
    pairs = ends[:, :1] + ends[:, 1]
    # Up to 30 tokens: on and above the diagonal, but not far above.
    pairs[np.tril(np.ones(pairs.shape, np.bool_), -1)] = -np.inf
    pairs[np.triu(np.ones(pairs.shape, np.bool_), _LONGEST_ANSWER)] = -np.inf
    first, last = np.unravel_index(pairs.argmax(), pairs.shape)
    return float(pairs[first, last]), int(first), int(last)


def windows(
    tokenizer: "PreTrainedTokenizerFast", questions: Sequence[Question], *, max_length: int
) -> Windows:
    """Cut each question's text into windows that share a third of `max_length`, the question before each.

    A question is cut to a quarter of `max_length`.
    """
    if not questions:
        return Windows(questions, [], [], [])
    encoded: Any = tokenizer(
        [_cut(tokenizer, question.question, max_length // 4) for question in questions],
        [question.context for question in questions],
        truncation="only_second",
        max_length=max_length,
        stride=max_length // 3,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    owners: list[int] = list(encoded["overflow_to_sample_mapping"])
    examples, offsets = [], []
    for i, owner in enumerate(owners):
        inside = np.array([part == 1 for part in encoded.sequence_ids(i)])
        where = np.array(encoded["offset_mapping"][i], np.int64) * inside[:, None]
        row = Row(encoded["input_ids"][i], encoded["token_type_ids"][i])
        examples.append(Example((row,), _target(questions[owner], where)))
        offsets.append(where)
    return Windows(questions, examples, owners, offsets)


def _cut(tokenizer: "PreTrainedTokenizerFast", text: str, tokens: int) -> str:
    encoded: Any = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    return text if len(offsets) <= tokens else text[: offsets[tokens - 1][1]]


def _target(question: Question, offsets: NDArray[np.int64]) -> tuple[int, int]:
    """The answer's first and last token in a window."""
    text, start = question.answers[0]
    (inside,) = np.nonzero(
        (offsets[:, 1] > offsets[:, 0]) & (offsets[:, 0] < start + len(text)) & (offsets[:, 1] > start)
    )
    whole = len(inside) and offsets[inside[0], 0] <= start and offsets[inside[-1], 1] >= start + len(text)
    return (int(inside[0]), int(inside[-1])) if whole else (0, 0)
