"""Semantic importance of every mention of a shard (TRELM, arXiv 2403.11203, eq. 1)."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.rows import ImportanceRow, Mention, SentenceRow
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.encoder import Encoder, Pooling, Tokens
from kgcorpus.importance.formula import semantic_importance

Replacement = Literal["mask", "mask_each", "unk", "delete", "entity"]
EntityNames = Callable[[str, str], Sequence[str]]
# Bounds the states in memory. Not a setting: batches, and so the last bits of a result, depend on it.
TEXTS_PER_WINDOW = 2_048


class _Site(NamedTuple):
    """A span of a text; `name` replaces it if the replacement is `entity`."""

    start: int
    end: int
    name: str | None


_Sites = dict[str, dict[_Site, None]]
# The cosine, or the reason why it could not be computed.
_Cosines = dict[tuple[str, _Site], float | str]


def score_sentences(
    sentences: Sequence[SentenceRow],
    *,
    encoder: Encoder,
    replacement: Replacement,
    seed: int,
    tally: Tally,
    entity_names: EntityNames | None = None,
    pooling: Pooling = "mean",
) -> list[ImportanceRow]:
    """Score the mentions of sentences: SI = 1 / cos(h_o, h_rep), h = mean of the last layer's states.

    The mean covers all tokens except those that the tokenizer adds; the replacement tokens are included.
    Mentions are replaced in the token sequence, not in the string: the tokens that overlap the mention are
    replaced, together with a preceding token that is only a space. All other tokens are unchanged, whereas
    replacing the string would tokenize the neighbouring words differently. The text is truncated to the
    model's maximum length before the replacement, so both passes see the same context. Each distinct text
    and each distinct (text, span) is encoded once.

    Args:
        sentences: rows of `linked_sentences`: all rows of one shard, in key order. Batches are filled in this
            order, so the scores depend only on the shard, to the last bit.
        encoder: from `load_encoder`.
        replacement: what replaces the mention: `mask` one mask token, `mask_each` a mask token for each of
            its tokens, `unk` one unknown token, `delete` nothing, `entity` another entity's name.
        seed: selects the other entity, with qid, text and start.
        entity_names: for `entity`: (qid, lang) -> names of other entities of the same type, in fixed order.
        pooling: `mean`, or `cls` for the state of the first added token.
        tally: counts `importance_mentions`, `importance_texts`, `importance_passes` (forward passes) and
            their `importance_tokens` (without added ones). Drops `truncated_mention` (partly beyond the
            model's maximum length), `mention_without_tokens`, `no_other_entity` (of that type) and
            `nothing_left` (`delete` emptied the text). A dropped mention keeps its row, with null cos and si.

    Returns:
        Rows of `importance`, in the order of the sentences and their mentions.

    Raises:
        UsageError: `entity` without `entity_names`.
    """
    if replacement == "entity" and entity_names is None:
        raise UsageError("no names to choose from", where="importance.replacement", hint="Give entity_names")
    names = entity_names if replacement == "entity" else None
    found = [
        (row, mention, _site(row, mention, names=names, seed=seed))
        for row in sentences
        for mention in row["mentions"]
    ]
    sites: _Sites = {}
    for row, _, site in found:
        sites.setdefault(row["text"], {})[site] = None
    cosines: _Cosines = {}
    for window in _windows(sites):
        cosines |= _cosines(window, encoder=encoder, replacement=replacement, pooling=pooling, tally=tally)
    rows: list[ImportanceRow] = []
    for row, mention, site in found:
        cos = cosines[row["text"], site]
        if isinstance(cos, str):
            tally.drop(cos)
        rows.append(
            {
                "sentence_id": row["sentence_id"],
                "start": mention["start"],
                "end": mention["end"],
                "qid": mention["qid"],
                "confidence": mention["confidence"],
                "cos": None if isinstance(cos, str) else cos,
                "si": None if isinstance(cos, str) else semantic_importance(cos),
                "replacement": replacement,
            }
        )
    tally.count("importance_mentions", len(found))
    return rows


def _site(row: SentenceRow, mention: Mention, *, names: EntityNames | None, seed: int) -> _Site:
    """Keyed by the text rather than the sentence's id, so that equal sentences get the same name."""
    start, end, name = mention["start"], mention["end"], None
    if names is not None:
        others = names(mention["qid"], row["lang"])
        name = Draw(seed, "importance", mention["qid"], row["text"], start).choice(others) if others else ""
    return _Site(start, end, name)


def _windows(sites: _Sites) -> Iterator[_Sites]:
    items = iter(sites.items())
    while window := dict(islice(items, TEXTS_PER_WINDOW)):
        yield window


def _cosines(
    window: _Sites, *, encoder: Encoder, replacement: Replacement, pooling: Pooling, tally: Tally
) -> _Cosines:
    out: _Cosines = {}
    passes: list[list[int]] = []
    pairs: list[tuple[str, _Site, int, int]] = []
    for text, tokens in zip(window, encoder.tokenize(list(window)), strict=True):
        original = -1
        for site in window[text]:
            replaced = _replaced(text, tokens, site, encoder=encoder, replacement=replacement)
            if isinstance(replaced, str):
                out[text, site] = replaced
                continue
            if original < 0:
                original = len(passes)
                passes.append(tokens.ids[: encoder.room])
                tally.count("importance_texts")
            pairs.append((text, site, original, len(passes)))
            passes.append(replaced)
    states = encoder.states(passes, pooling=pooling)
    tally.count("importance_passes", len(passes))
    tally.count("importance_tokens", sum(map(len, passes)))
    for text, site, a, b in pairs:
        out[text, site] = _cosine(states[a], states[b])
    return out


def _replaced(
    text: str, tokens: Tokens, site: _Site, *, encoder: Encoder, replacement: Replacement
) -> list[int] | str:
    """Token ids of the text with the mention replaced, or the reason why that is impossible."""
    inside = [i for i, (start, end) in enumerate(tokens.offsets) if start < site.end and end > site.start]
    if not inside:
        return "mention_without_tokens"
    first, last = inside[0], inside[-1] + 1
    covered = last - first
    while first and not text[slice(*tokens.offsets[first - 1])].strip():
        first -= 1  # some tokenizers have a separate token for the space before the mention
    if last > encoder.room:
        return "truncated_mention"
    if site.name == "":
        return "no_other_entity"
    tokenizer = encoder.tokenizer
    match replacement:
        case "mask":
            middle = [tokenizer.mask_token_id]
        case "mask_each":
            middle = [tokenizer.mask_token_id] * covered
        case "unk":
            middle = [tokenizer.unk_token_id]
        case "delete":
            middle = []
        case "entity":
            # Byte-level vocabularies tokenize a word differently after a space and at the start of a text.
            space = " " if text[: site.start].endswith(" ") else ""
            middle = encoder.tokenize([f"{space}{site.name}"])[0].ids
    ids = tokens.ids[: encoder.room]
    return (ids[:first] + middle + ids[last:])[: encoder.room] or "nothing_left"


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Rounded to float32, the column's type, so that `si` can be recomputed from the stored value."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    return float(np.float32(np.dot(x, y) / np.sqrt(np.dot(x, x) * np.dot(y, y))))
