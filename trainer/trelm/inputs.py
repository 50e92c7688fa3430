"""Arrays that a forward pass of TRELM reads, with their shapes: the packer's output, the model's input."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray
from torch import Tensor

A = TypeVar("A", NDArray[Any], Tensor)


@dataclass(kw_only=True, eq=False)
class Write(Generic[A]):
    """What a forward pass leaves for the memory bank.

    `at` and `first` are numbers of states that `TrelmInputs.states_at` names.

    Attributes:
        at, starts: states around each mention whose mean is written (eq. 4), and where each mention starts.
        first: [mentions] state of the [CLS] token of each mention's text.
        slots: [mentions] slot of the memory.
        new_text: [mentions] whether the mention is its slot's first in the text.
        divisor: [mentions] number of terms of eq. 4 as printed; None: the number of states.
    """

    at: A
    starts: A
    first: A
    slots: A
    new_text: A
    divisor: A | None = None


@dataclass(kw_only=True, eq=False)
class Read(Generic[A]):
    """What was read from the memory bank.

    Attributes:
        at, row: [tokens] places that read, and the row of `rows` of each.
        rows: [mentions, hidden] means of the local and the global memory.
        weight: [mentions] lambda of eq. 7.
    """

    at: A
    row: A
    rows: A
    weight: A


@dataclass(kw_only=True, eq=False)
class TrelmInputs(Generic[A]):
    """One forward pass over packed rows.

    Places are positions in the flattened rows [rows * length]; states are numbered as `states_at` lists them.
    The vectors of F facts are either
    [F, width] (`<name>`), or the labels' tokens (`<name>_ids`) and the position at which each label starts
    (`<name>_starts`, [F]).

    Attributes:
        ids, segments, positions: [rows, length] tokens; texts of a row, 0 for padding; positions in the text.
        states_at: [states] places whose last states are read, ascending; the last layer computes no others.
        where, labels: [predicted] states of the tokens that masked-language modelling predicts; their ids.
        injected_at: [tokens] places at which an injected fact replaces the word embedding.
        injected_row: [tokens] the fact injected at each.
        injected_sign: [facts] 1 if the other end is the fact's head, else -1.
        injected_other, injected_relation: vectors of the injected facts' other ends and relations.
        injected_share: [1] share of the injected embedding; the word's own has the rest. None: 1.
        query_at, query_starts: states of the mentions that are asked about, and where each mention starts.
        asked_sign: [questions] -1 if the fact's head is asked for, else 1.
        asked_relation: vectors of the questions' relations.
        asked_query, asked_place: [tokens asked for] the question of each, and its position in the label.
        asked_at, asked_labels: [tokens asked for] their states (`decode: in_text`), and their ids.
        pool, allowed: [P] negatives of the batch; [tokens asked for, P] which are a token's own.
        log_expected, log_expected_labels: log of how often each is drawn, [tokens, P] and [tokens]; None
            without the correction (`logq`).
        write: what is written to the memory; None without one.
        read: what was read from it; None: nothing.
    """

    ids: A
    segments: A
    positions: A
    states_at: A
    where: A
    labels: A
    injected_at: A
    injected_row: A
    injected_sign: A
    injected_other: A | None = None
    injected_other_ids: A | None = None
    injected_other_starts: A | None = None
    injected_relation: A | None = None
    injected_relation_ids: A | None = None
    injected_relation_starts: A | None = None
    injected_share: A | None = None
    query_at: A
    query_starts: A
    asked_sign: A
    asked_relation: A | None = None
    asked_relation_ids: A | None = None
    asked_relation_starts: A | None = None
    asked_query: A
    asked_place: A
    asked_at: A
    asked_labels: A
    pool: A
    allowed: A
    log_expected: A | None = None
    log_expected_labels: A | None = None
    write: Write[A] | None = None
    read: Read[A] | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, A]) -> "TrelmInputs[A]":
        """From what `as_dict` returned; values may have become tensors."""
        own = {name: array for name, array in arrays.items() if not name.startswith(("write_", "read_"))}
        write, read = (
            {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            for prefix in ("write_", "read_")
        )
        return cls(**own, write=Write(**write) if write else None, read=Read(**read) if read else None)

    def as_dict(self) -> dict[str, A]:
        """The arrays by name, those of `write` and `read` with a prefix: the model's keyword arguments."""
        write, read = (
            _arrays(group, prefix) for group, prefix in ((self.write, "write_"), (self.read, "read_"))
        )
        return {**_arrays(dataclasses.replace(self, write=None, read=None), ""), **write, **read}


def _arrays(group: Any, prefix: str) -> dict[str, Any]:
    if group is None:
        return {}
    named = ((field.name, getattr(group, field.name)) for field in dataclasses.fields(group))
    return {prefix + name: value for name, value in named if value is not None}
