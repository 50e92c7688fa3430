"""Which of the facts asked for training could draw, so that recall and generalisation are told apart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.shards import MentionRecord, ShardStream
from trainer.trelm.negatives import Asked
from trainer.trelm.parts import Parts
from trainer.trelm.targets import Fact

_PASSAGES_AT_ONCE = 1024


def drawn_in_training(
    tokens: Sequence[Asked], parts: Parts, files: Sequence[Path], *, length: int, min_si: float
) -> NDArray[np.bool_]:
    """[tokens] whether some training passage has a target that the same fact could be drawn for.

    Args:
        tokens: asked for.
        parts: of the model, with its own options; of random mentions every mention counts as a target.
        files: of the training split.
        length: tokens that are read of a passage.
        min_si: the least importance of a target.

    Raises:
        InputError: a file is damaged.
    """
    options = parts.options
    if options.mentions == "random":
        options = options.model_copy(update={"mentions": "all"})
    chooser = replace(parts, options=options).chooser(min_si=min_si)
    asked = {_key(token.qid, token.fact) for token in tokens}
    drawable: set[Any] = set()
    stream: ShardStream[MentionRecord] = ShardStream(files, name="cka", seed=0, max_length=length)
    for first in range(0, stream.rows, _PASSAGES_AT_ONCE):
        for record in stream.take(min(_PASSAGES_AT_ONCE, stream.rows - first)):
            drawable.update(asked.intersection(_key(*found) for found in chooser.drawable(record)))
    return np.array([_key(token.qid, token.fact) in drawable for token in tokens], bool)


def _key(qid: str, fact: Fact) -> tuple[str, ...]:
    return qid, fact["r"], fact["direction"], fact["other"]
