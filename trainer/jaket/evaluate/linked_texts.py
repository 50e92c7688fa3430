"""Encoding of a task's texts with linked mentions, for JAKET and its baselines: one state for each text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgcorpus.special_tokens import plain_ids
from trainer.jaket.evaluate.arms import Arm, Memories
from trainer.jaket.graph import Graph
from trainer.jaket.model import JaketModel
from trainer.jaket.tasks import hops_of, neighbourhood
from trainer.packing import pack

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Pooling = Literal["opening", "mention"]
ReadOut = Literal["text", "knowledge", "both"]


@dataclass(frozen=True)
class Linked:
    """A text with its mentions of the graph's entities.

    Attributes:
        ids: int32 [tokens], special tokens included.
        spans: [mentions, 2], first and last token of each; a last one before the first: no token.
        entities: [mentions], their ids.
    """

    ids: NDArray[np.int32]
    spans: NDArray[np.int64]
    entities: NDArray[np.int64]

    def cut(self, length: int) -> "Linked":
        """Its first tokens and the closing special token, `length` in all; mentions beyond are left out."""
        if len(self.ids) <= length:
            return self
        kept = self.spans[:, 1] < length - 1
        return Linked(np.append(self.ids[: length - 1], self.ids[-1]), self.spans[kept], self.entities[kept])

    def beside(self, other: "Linked") -> "Linked":
        """Both as one text; of the other one, the opening special token is left out."""
        shifted = other.spans + len(self.ids) - 1
        return Linked(
            np.concatenate([self.ids, other.ids[1:]]),
            np.concatenate([self.spans, shifted]),
            np.concatenate([self.entities, other.entities]),
        )


def link_spans(
    tokenizer: "PreTrainedTokenizerFast",
    texts: Sequence[str],
    spans: Sequence[Sequence[tuple[int, int]]],
    entities: Sequence[Sequence[int]],
) -> list[Linked]:
    """Tokenised texts with their mentions; a mention without a token is left out.

    Args:
        tokenizer: a fast one.
        texts: [n].
        spans: for each text, its mentions [start, end) in characters.
        entities: for each text, their ids.
    """
    encoded: Any = tokenizer(list(texts), add_special_tokens=True, split_special_tokens=True)
    linked = []
    rows = plain_ids(encoded.encodings, tokenizer.backend_tokenizer)
    for encoding, row, of_text, ids in zip(encoded.encodings, rows, spans, entities, strict=True):
        offsets = np.array(encoding.offsets)
        offsets[np.array(encoding.special_tokens_mask, bool)] = 0
        places = [np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start)) for start, end in of_text]
        kept = [(own[0], own[-1], entity) for own, entity in zip(places, ids, strict=True) if len(own)]
        table = np.array(kept, np.int64).reshape(-1, 3)
        linked.append(Linked(np.array(row, np.int32), table[:, :2], table[:, 2]))
    return linked


class Reader(nn.Module):
    """Encodes texts with the model of one arm.

    Args:
        jaket: of `trainer.jaket.evaluate.arms.open_arm`; trained.
        memories: of `trainer.jaket.evaluate.arms.memories_of`; not trained. None for the arm `lm`.
        graph: the new one, likewise.
        arm: which. `gnn` reads no text, whatever `read_out` is; `lm` reads nothing else.
        pooling: which last states are the text's: `opening`, that of its opening token; `mention`, the mean
            of those at both ends of its first mention, or `opening` if no token is in it.
        read_out: a text's vector: these states; the mean E^KM of the entities that it mentions, for which
            no text is read; or both, side by side.

    Attributes:
        read_out: as the arm has it.
        width: size of a text's vector.
    """

    def __init__(
        self,
        jaket: JaketModel,
        memories: Memories | None,
        graph: Graph | None,
        *,
        arm: Arm,
        pooling: Pooling = "opening",
        read_out: ReadOut = "text",
    ) -> None:
        super().__init__()
        self.jaket, self._pooling = jaket, pooling
        self._memories, self._graph = memories, graph
        of_arm: dict[Arm, ReadOut] = {"lm": "text", "gnn": "knowledge"}
        self.read_out = of_arm.get(arm, read_out)
        self.width = jaket.lm.config.hidden_size * (2 if self.read_out == "both" else 1)

    def forward(self, texts: Sequence[Linked], *, seed: int) -> Tensor:
        """[texts, width]; `seed` draws the neighbours."""
        jaket, device = self.jaket, self.jaket.device
        sizes = np.array([len(text.ids) for text in texts])
        packed = pack(
            np.concatenate([text.ids for text in texts]),
            sizes,
            length=int(sizes.max()),
            pad=jaket.lm.config.pad_token_id,
        )
        begins = np.cumsum(sizes) - sizes
        ends = torch.from_numpy(packed.flat[begins[:, None] + self._ends(texts)]).to(device)
        rows = [torch.from_numpy(x).to(device) for x in (packed.ids, packed.segments, packed.positions)]
        if self._memories is None or self._graph is None:
            return jaket.text.states(*rows).flatten(0, 1)[ends].mean(dim=1)
        places, owners = _mentioned(texts, begins)
        arrays = neighbourhood(
            self._graph,
            {"mentioned": np.concatenate([text.entities for text in texts]), "merged": owners},
            layers=jaket.config.gat_layers,
            count=jaket.config.neighbours,
            key=(seed, "jaket-reader"),
        )
        inputs = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        context, relations = self._memories.context[inputs["nodes"]], self._memories.relations
        mentions = [len(text.entities) for text in texts]
        if self.read_out == "knowledge":
            knowledge = jaket.knowledge(context, hops_of(inputs), relations=relations)
            return _means(knowledge[inputs["mentioned"]], mentions)
        states, knowledge = jaket(
            *rows,
            context=context,
            hops=hops_of(inputs),
            places=torch.from_numpy(packed.flat[places]).to(device),
            entities=inputs["merged"],
            relations=relations,
        )
        pooled = states.flatten(0, 1)[ends].mean(dim=1)
        if self.read_out == "text":
            return pooled
        return torch.cat([pooled, _means(knowledge[inputs["mentioned"]], mentions)], dim=1)

    def _ends(self, texts: Sequence[Linked]) -> NDArray[np.int64]:
        """[texts, 2], the tokens of each text whose states represent it."""
        if self._pooling == "opening":
            return np.zeros((len(texts), 2), np.int64)
        first = np.array([text.spans[0] for text in texts])
        return np.where(first[:, 1:] < first[:, :1], 0, first)


def _mentioned(
    texts: Sequence[Linked], begins: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tokens of all mentions among the texts' tokens, each once, and the entity of each."""
    places = [
        (begin + np.arange(first, last + 1), entity)
        for text, begin in zip(texts, begins, strict=True)
        for (first, last), entity in zip(text.spans, text.entities, strict=True)
    ]
    if not places:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    tokens = np.concatenate([of_mention for of_mention, _ in places])
    owners = np.repeat([entity for _, entity in places], [len(of_mention) for of_mention, _ in places])
    # Where mentions overlap, the first one's entity is merged.
    tokens, once = np.unique(tokens, return_index=True)
    return tokens, owners[once]


def _means(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """The mean of each group of rows; zeros for an empty group."""
    groups = rows.split(list(sizes))
    return torch.stack([group.sum(dim=0) / max(1, len(group)) for group in groups])
