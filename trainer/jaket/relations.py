"""Vectors of a graph's relations, made by LM1 from their labels (arXiv 2010.00796, section 3.7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.special_tokens import plain_ids
from trainer.jaket.entities import Entities
from trainer.jaket.model import JaketModel
from trainer.packing import pack

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Vectors that differ by less than this share of their root mean square are taken as equal: it is rounding.
_ROUNDING = 1e-5


def relation_labels(corpus: Path) -> dict[str, str]:
    """PID -> label in the base language, of a build's table `relations`; empty where it was not built."""
    lang = base_language_of(corpus)
    entry = load_manifest(corpus, required=True).tables.get("relations")
    rows = [
        row for file in (entry.files if entry else ()) for row in read_shard(corpus / file.path).to_pylist()
    ]
    return {
        row["pid"]: name["label"]
        for row in rows
        for name in row["names"]
        if name["lang"] == lang and name["label"]
    }


def edge_texts(names: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """A text for each kind of edge: the relations, then the same read from the tail.

    Args:
        names: of the relations, by id.
        labels: name -> label; a relation without one is described by its name.
    """
    texts = [labels.get(name, name) for name in names]
    return texts + [f"inverse: {text}" for text in texts]


@torch.no_grad()
def encode_relations(jaket: JaketModel, tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> Tensor:
    """The mean of LM1's states over each text's own tokens [texts, d], in float32.

    A text without a token is represented by its special tokens. The model must be in evaluation mode.
    """
    encoded: Any = tokenizer(texts, add_special_tokens=True, split_special_tokens=True)
    rows = plain_ids(encoded.encodings, tokenizer.backend_tokenizer)
    sizes = np.array([len(row) for row in rows], np.int64)
    ids = np.concatenate([np.array(row, np.int32) for row in rows])
    packed = pack(ids, sizes, length=int(sizes.max()), pad=tokenizer.pad_token_id)
    inputs = (torch.from_numpy(x).to(jaket.device) for x in (packed.ids, packed.segments, packed.positions))
    states = jaket.lower(*inputs).flatten(0, 1)[torch.from_numpy(packed.flat).to(jaket.device)].float()
    # Without the special tokens at both ends.
    own = [part[1:-1] if len(part) > 2 else part for part in states.split(sizes.tolist())]
    return torch.stack([part.mean(dim=0) for part in own])


def centred(vectors: Tensor) -> Tensor:
    """The vectors [n, d] minus their mean, all divided by one number: their root mean square becomes 1.

    A language model's states of short texts share a large component (their cosines are near 1), so an edge's
    relation hardly changes the sum f(E_u, R_r) = E_u + R_r. Equal vectors become zeros.
    """
    apart = vectors - vectors.mean(dim=0)
    size = apart.square().mean().sqrt()
    if size <= _ROUNDING * vectors.square().mean().sqrt():
        return torch.zeros_like(vectors)
    return apart / size


class RelationMemory:
    """Relation vectors of pretraining, made of labels by LM1 (`jaket.relation_embeddings: texts`).

    They are filled and updated together with the entity memory (section 3.5) and by its rule: no gradient, a
    fill without momentum, later updates keep `momentum` of the old states. Each rank has all of them.

    Args:
        corpus: a build with the table `relations`.
        names: of the relations, by id.
        tokenizer: of the labels.
        momentum: share of the old states that an update keeps.

    Attributes:
        states: [edge kinds, d], the mean states of the texts before they are centred; None before the fill.

    Raises:
        InputError: none of the relations has a label.
    """

    def __init__(
        self, corpus: Path, names: Sequence[str], tokenizer: "PreTrainedTokenizerFast", *, momentum: float
    ) -> None:
        labels = relation_labels(corpus)
        if not labels.keys() & set(names):
            raise InputError(
                "has no label of its relations in the base language",
                where=str(corpus),
                hint="Build the table relations with graph.relations, or set jaket.relation_embeddings: zero",
            )
        self._texts, self._tokenizer, self._momentum = edge_texts(names, labels), tokenizer, momentum
        self.states: Tensor | None = None

    def update(self, model: JaketModel) -> None:
        """Read the labels with LM1 as it is now, in evaluation mode."""
        training = model.training
        fresh = encode_relations(model.eval(), self._tokenizer, self._texts)
        model.train(training)
        old = self.states
        self.states = fresh if old is None else self._momentum * old + (1 - self._momentum) * fresh

    @property
    def vectors(self) -> Tensor:
        """What the knowledge module reads [edge kinds, d].

        Raises:
            ValueError: nothing was filled or loaded.
        """
        if self.states is None:
            raise ValueError("the relation memory is empty")
        return centred(self.states)


def relations_on(
    jaket: JaketModel, tokenizer: "PreTrainedTokenizerFast", entities: Entities, corpus: Path
) -> Tensor | None:
    """Relation vectors [edge kinds, d] with which a trained model reads a build; None: its own are right.

    Vectors made of labels are made of the build's. Of a trained table, each relation has the row that
    training gave it, and zeros where training did not have it.
    """
    if jaket.config.text_relations:
        texts = edge_texts(entities.relation_names, relation_labels(corpus))
        return centred(encode_relations(jaket, tokenizer, texts))
    table = jaket.knowledge.relations
    if table is None or entities.relation_names == jaket.config.relations:
        return None
    place = {name: i for i, name in enumerate(jaket.config.relations)}
    own = torch.tensor([place.get(name, -1) for name in entities.relation_names], dtype=torch.long)
    sides = table.weight.detach().unflatten(0, (-1, len(place)))
    rows = sides[:, own] * (own >= 0).to(sides)[None, :, None]
    return rows.flatten(0, 1)
