"""What a model in training knows: facts by P@1 over the vocabulary, and its loss on real text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.draws import Draw
from trainer.evaluate.probe.probing import BLANK, log_probabilities
from trainer.masked_lm import PackedMaskedLM
from trainer.packing import pack

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# BERT's share, whatever training used.
_SHARE = 0.15
_ROWS = 64


class Questions:
    """Prompts with a blank whose answers are one token each.

    Args:
        tokenizer: of the model.
        prompts: texts with `BLANK`.
        answers: the words that belong there.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerFast", prompts: Sequence[str], answers: Sequence[str]
    ) -> None:
        mask = tokenizer.mask_token_id
        filled = [prompt.replace(BLANK, str(tokenizer.mask_token)) for prompt in prompts]
        self._ids = [np.array(tokenizer(text)["input_ids"], np.int32) for text in filled]
        self._starts = [int(np.flatnonzero(ids == mask)[0]) for ids in self._ids]
        self._answers = [single_token(tokenizer, answer) for answer in answers]
        if None in self._answers:
            raise ValueError(f"an answer is not one token: {answers[self._answers.index(None)]}")
        self._special, self._pad = tokenizer.all_special_ids, tokenizer.pad_token_id

    def right(self, lm: PackedMaskedLM) -> NDArray[np.int8]:
        """[questions] 1 where the answer is the likeliest token of the vocabulary."""
        masks = [1] * len(self._ids)
        found = np.zeros(len(self._ids), np.int8)
        scored = log_probabilities(lm, self._ids, self._starts, masks, pad=int(self._pad))
        for i, (table, answer) in enumerate(zip(scored, self._answers, strict=True)):
            table[0, self._special] = -np.inf
            found[i] = int(table[0].argmax()) == answer
        return found


class HeldOut:
    """Masked real sentences, the same for every model.

    Args:
        tokenizer: of the model.
        texts: the sentences.
        seed: of the masks.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], *, seed: int) -> None:
        self._pad, self._mask = int(tokenizer.pad_token_id), int(tokenizer.mask_token_id)
        self._rows = [np.array(tokenizer(text)["input_ids"], np.int32) for text in texts]
        self._places = [self._predicted(len(row), seed, i) for i, row in enumerate(self._rows)]

    @torch.inference_mode()
    def loss(self, lm: PackedMaskedLM) -> float:
        """Mean cross-entropy of the predicted tokens, in nats."""
        total, count = 0.0, 0
        for first in range(0, len(self._rows), _ROWS):
            rows, places = self._rows[first : first + _ROWS], self._places[first : first + _ROWS]
            ids = [row.copy() for row in rows]
            for row, own in zip(ids, places, strict=True):
                row[own] = self._mask
            sizes = np.array([len(row) for row in rows], np.int64)
            packed = pack(np.concatenate(ids), sizes, length=int(sizes.max()), pad=self._pad)
            offsets = np.cumsum(sizes) - sizes
            where = packed.flat[np.concatenate([o + own for o, own in zip(offsets, places, strict=True)])]
            labels = np.concatenate([row[own] for row, own in zip(rows, places, strict=True)])
            read = (torch.from_numpy(x) for x in (packed.ids, packed.segments, packed.positions))
            states = lm.states(*read).flatten(0, 1)[torch.from_numpy(where)]
            total += float(lm.losses(states, torch.from_numpy(labels.astype(np.int64))).sum())
            count += len(labels)
        return total / max(1, count)

    @staticmethod
    def _predicted(length: int, seed: int, i: int) -> NDArray[np.int64]:
        draw = Draw(seed, "held-out", i)
        inside = range(1, length - 1)
        return np.array(sorted(draw.sample(list(inside), max(1, round(_SHARE * len(inside))))), np.int64)


def single_token(tokenizer: "PreTrainedTokenizerFast", word: str) -> int | None:
    """The id of a word that is one known token; None if it is not."""
    ids: list[int] = tokenizer(word, add_special_tokens=False)["input_ids"]
    return ids[0] if len(ids) == 1 and ids[0] != tokenizer.unk_token_id else None
