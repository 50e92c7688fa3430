"""Probing for facts: prompts with a blank, log-probabilities at its masks, and the score of the answers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64
from trainer.evaluate.prompt_counter import prompt_counter
from trainer.evaluate.statistics import compare
from trainer.masked_lm import PackedMaskedLM, open_lm
from trainer.packing import pack

_SEQUENCES_PER_FORWARD = 64
SUBJECT, BLANK = "[X]", "[Y]"
Decoding = Literal["independent", "confidence"]
Tokens = tuple[int, ...]
_SEED = 0


@torch.inference_mode()
def log_probabilities(
    lm: PackedMaskedLM,
    sequences: Sequence[NDArray[np.int32]],
    starts: Sequence[int],
    masks: Sequence[int],
    *,
    pad: int,
) -> Iterator[NDArray[np.float32]]:
    """For each sequence, the log-probabilities [masks, vocabulary] at its masks.

    Args:
        sequences: token ids, special tokens included.
        starts: where the masks of each begin; a prompt's masks are adjacent.
        masks: how many they are.
        pad: id of the padding token.
    """
    device = next(lm.parameters()).device
    for first in range(0, len(sequences), _SEQUENCES_PER_FORWARD):
        part = slice(first, first + _SEQUENCES_PER_FORWARD)
        sizes = np.array([len(x) for x in sequences[part]], np.int64)
        packed = pack(np.concatenate(sequences[part]), sizes, length=int(sizes.max()), pad=pad)
        places = [
            packed.flat[o + s : o + s + m]
            for o, s, m in zip(np.cumsum(sizes) - sizes, starts[part], masks[part], strict=True)
        ]
        rows = (torch.from_numpy(x).to(device) for x in (packed.ids, packed.segments, packed.positions))
        where = torch.from_numpy(np.concatenate(places)).to(device)
        logits = lm.logits(lm.states(*rows, at=where)).float()
        yield from np.split(logits.log_softmax(dim=-1).cpu().numpy(), np.cumsum(masks[part])[:-1])
        prompt_counter.answer(len(sizes))


@dataclass(frozen=True)
class Query:
    """A fact whose object is asked for.

    Attributes:
        relation: its id.
        subject: its id, or its name where no id is known.
        subject_name: as the prompt has it.
        object: its id or name: equal for equal objects.
        text: the prompt with the subject filled in and `BLANK` in the object's place.
        names: what counts as right, the object's own name first.
        fact: h, r and t as Wikidata ids; None where they are not known.
        others: further right objects of the same subject and relation, written as `object` is.
    """

    relation: str
    subject: str
    subject_name: str
    object: str
    text: str
    names: tuple[str, ...]
    fact: tuple[str, str, str] | None = None
    others: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answer:
    """Whether a query was answered right, and how likely a guess was to be."""

    query: Query
    right: bool
    chance: float


@dataclass(frozen=True)
class Guess:
    """What a model puts into a blank, and the mean log-probability of its tokens."""

    tokens: Tokens
    score: float


class Prober:
    """A masked language model with its tokenizer, asked for what belongs into blanks.

    Args:
        model: a folder or hub id.

    Attributes:
        vocabulary: bool [vocabulary], the tokens that may be answers: all but the special ones.

    Raises:
        UsageError: the model cannot be loaded.
    """

    def __init__(self, model: str | Path) -> None:
        self._lm, self._tokenizer = open_lm(model)
        self.vocabulary = np.zeros(self._lm.lm.config.vocab_size, bool)
        self.vocabulary[: len(self._tokenizer)] = True
        self.vocabulary[self._tokenizer.all_special_ids] = False

    def fits(self, text: str, masks: int) -> bool:
        """Whether the model's positions reach the prompt's end."""
        ids, _ = self._encode(text)
        return len(ids) - 1 + masks <= self._lm.longest

    def tokens(self, text: str, name: str) -> Tokens:
        """A name's tokens inside the blank; none if one of them is unknown.

        Where the name would melt into the words beside it (a script without spaces), its tokens by itself.
        """
        framed, start = self._encode(text)
        before, after = framed[:start], framed[start + 1 :]
        whole: list[int] = self._ids(text.replace(BLANK, name))
        end = len(whole) - len(after)
        if start < end and whole[:start] == before and whole[end:] == after:
            found = whole[start:end]
        else:
            found = self._ids(name, add_special_tokens=False)
        return () if self._tokenizer.unk_token_id in found else tuple(found)

    def log_probabilities(self, texts: Sequence[str], masks: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """For each text, [masks, vocabulary] with as many masks in its blank."""
        return self._at([self._widened(text, n) for text, n in zip(texts, masks, strict=True)], masks)

    def decode(self, texts: Sequence[str], masks: int, how: Decoding) -> list[Guess]:
        """Fill the blanks with `masks` tokens each (X-FACTR, Jiang et al. 2020, section 4.1).

        Args:
            texts: prompts.
            masks: tokens of an answer.
            how: `independent`: every mask by its likeliest token, at once; `confidence`: the mask and token
                of the highest probability first, the others given it.
        """
        rows = [self._widened(text, masks) for text in texts]
        scores = np.full((len(texts), masks), np.nan)
        for _ in range(passes(masks, how)):
            for i, table in enumerate(self._at(rows, [masks] * len(texts))):
                ids, start = rows[i]
                table[:, ~self.vocabulary] = -np.inf
                best, chosen = table.max(axis=1), table.argmax(axis=1)
                open_ = np.flatnonzero(np.isnan(scores[i]))
                filled = open_ if how == "independent" else open_[[best[open_].argmax()]]
                scores[i, filled] = best[filled]
                ids[start + filled] = chosen[filled]
        spans = [ids[start : start + masks].tolist() for ids, start in rows]
        return [
            Guess(tuple(span), float(score)) for span, score in zip(spans, scores.mean(axis=1), strict=True)
        ]

    def _at(
        self, rows: Sequence[tuple[NDArray[np.int32], int]], masks: Sequence[int]
    ) -> Iterator[NDArray[np.float32]]:
        sequences, starts = [ids for ids, _ in rows], [start for _, start in rows]
        return log_probabilities(self._lm, sequences, starts, masks, pad=self._tokenizer.pad_token_id)

    def _widened(self, text: str, masks: int) -> tuple[NDArray[np.int32], int]:
        """The ids with several masks in the blank, and where they start."""
        ids, start = self._encode(text)
        mask = self._tokenizer.mask_token_id
        return np.array([*ids[:start], *[mask] * masks, *ids[start + 1 :]], np.int32), start

    def _encode(self, text: str) -> tuple[list[int], int]:
        ids = self._ids(text.replace(BLANK, str(self._tokenizer.mask_token)))
        start = ids.index(self._tokenizer.mask_token_id)
        if start and self._is_space(ids[start - 1]):
            # A word of a byte-level vocabulary carries the space before it; so does the mask in its place.
            # A mask token without `lstrip` leaves the space as a token of its own.
            del ids[start - 1]
            start -= 1
        return ids, start

    def _is_space(self, token: int) -> bool:
        return (
            token not in self._tokenizer.all_special_ids and not str(self._tokenizer.decode([token])).strip()
        )

    def _ids(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        encoded: Any = self._tokenizer(text, add_special_tokens=add_special_tokens)
        ids: list[int] = encoded["input_ids"]
        return ids


def passes(masks: int, how: Decoding) -> int:
    """How often a model is run to fill a blank of several masks."""
    return 1 if how == "independent" else masks


def prompt(template: str, subject: str) -> str | None:
    """A template with its subject; None if it has not one blank."""
    return template.replace(SUBJECT, subject) if template.count(BLANK) == 1 and BLANK not in subject else None


def with_others(queries: Iterable[Query], rows: Iterable[tuple[str, str, str]]) -> list[Query]:
    """The queries with their `others`, for the filtered ranking of Bordes et al. 2013 (section 4.1).

    Args:
        queries: what is asked.
        rows: (relation, subject, object) of every fact of the data set, asked or not.
    """
    right: dict[tuple[str, str], set[str]] = defaultdict(set)
    for relation, subject, name in rows:
        right[relation, subject].add(name)
    return [
        replace(query, others=frozenset(right[query.relation, query.subject] - {query.object}))
        for query in queries
    ]


def drawn(queries: Iterable[Query], limit: int | None) -> list[Query]:
    """At most `limit` queries of each relation, the same ones for every model; in their own order."""
    by_relation: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        by_relation[query.relation].append(query)
    kept = []
    for members in by_relation.values():
        keys = [hash64(_SEED, "probe", query.relation, query.subject, query.object) for query in members]
        kept += [members[i] for i in sorted(sorted(range(len(members)), key=keys.__getitem__)[:limit])]
    return kept


def report(answers: Sequence[Answer], *, others: Literal["removed", "right"] = "removed") -> dict[str, Any]:
    """Precision at 1, a mean over relations as in LAMA (Petroni et al. 2019), with its baselines.

    Args:
        answers: the model's answers.
        others: how a query's `others` counted: removed from the candidates, or as right as its object. The
            majority baseline is scored by the same rule.

    Returns:
        n; p@1, majority (the relation's most frequent object, given every time) and chance, each a mean over
        relations; `all_facts`: the model and the majority over all facts with the interval of their
        difference, facts of one subject drawn together; `relations`: the same figures for each; seed.
    """
    by_relation: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_relation[answer.query.relation].append(answer)
    frequent = {
        relation: _by_frequency(answer.query.object for answer in members)
        for relation, members in by_relation.items()
    }

    def usual(query: Query) -> bool:
        """Whether the majority baseline answers right."""
        ranked = frequent[query.relation]
        if others == "right":
            return ranked[0] == query.object or ranked[0] in query.others
        return next(name for name in ranked if name not in query.others) == query.object

    relations = {
        relation: {
            "n": len(members),
            "p@1": fmean(answer.right for answer in members),
            "majority": fmean(usual(answer.query) for answer in members),
            "chance": fmean(answer.chance for answer in members),
        }
        for relation, members in sorted(by_relation.items())
    }
    means = {
        name: fmean(row[name] for row in relations.values()) if relations else None
        for name in ("p@1", "majority", "chance")
    }
    whole = compare(
        [answer.right for answer in answers],
        [usual(answer.query) for answer in answers],
        [answer.query.subject for answer in answers],
        seed=_SEED,
    )
    return {"n": len(answers), **means, "all_facts": whole, "relations": relations, "seed": _SEED}


def _by_frequency(objects: Iterable[str]) -> list[str]:
    counts = Counter(objects)
    return sorted(counts, key=lambda name: (-counts[name], name))
