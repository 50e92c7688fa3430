"""Opens JAKET or a baseline for a graph unseen in pretraining, with its memories (JAKET, section 3.7)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.draws import hash64
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities, GraphStore
from trainer.jaket.memory import encode
from trainer.jaket.model import JaketModel, Merge, jaket_config, open_jaket
from trainer.jaket.relations import centred, edge_texts, encode_relations
from trainer.masked_lm import open_lm
from trainer.pretrained import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Arm = Literal["joint", "lm", "gnn", "lm+gnn", "lm+gnn+m"]
RelationMemory = Literal["centred", "raw"]
# Settings of a JAKET model that a baseline's knowledge module shares.
_SHAPE = ("gat_layers", "gat_heads", "neighbours", "directions", "merge")


@dataclass(frozen=True)
class Memories:
    """What the knowledge module reads of a graph; fine-tuning does not change it.

    Attributes:
        context: [entities, d].
        relations: [edge kinds, d]; None means zeros.
    """

    context: Tensor
    relations: Tensor | None


def open_arm(
    model: str | Path,
    arm: Arm,
    options: JaketConfig,
    *,
    seed: int,
    merge: Merge | None = None,
    language_model: str | Path | None = None,
) -> tuple[JaketModel, "PreTrainedTokenizerFast"]:
    """The model that an arm starts from, in evaluation mode.

    Args:
        model: RUN/model of `train jaket`; for the baselines also a plain masked language model. Of a JAKET
            model they take the language model, and a knowledge module of the same shape.
        arm: `joint` takes the whole; the others have a new knowledge module.
        options: of the new knowledge module if `model` is a plain language model.
        seed: draws it.
        merge: how a baseline merges text and graph; None: as the JAKET model, or as `options` say.
        language_model: the baselines take the language model of this one, of either kind; None: of `model`.

    Raises:
        UsageError: it cannot be loaded, or is no JAKET model for the arm `joint`.
    """
    if arm == "joint":
        return open_jaket(model)
    source = model if language_model is None else language_model
    if jaket_config(source) is not None:
        jaket, tokenizer = open_jaket(source)
        text = jaket.text
    else:
        text, tokenizer = open_lm(source)
    if (made := jaket_config(model)) is not None:
        options = options.model_copy(update={name: getattr(made, name) for name in _SHAPE})
    if merge is not None:
        options = options.model_copy(update={"merge": merge})
    torch.manual_seed(hash64(seed, "jaket-arm"))
    fresh = JaketModel.around(text, options, relations=(), categories=(), seed=seed)
    return fresh.eval().to(text.lm.device), tokenizer


def unread(model: str | Path, store: GraphStore, entities: Entities) -> NDArray[np.bool_]:
    """[entities], those of which the model's training read neither edge nor category.

    Of another build than the run's own, all; of the run's own, those that `jaket.unseen_share` left aside.

    Args:
        model: as for `open_arm`.
        store, entities: of the build.
    """
    config = jaket_config(model)
    if config is None:
        return np.ones(len(entities), bool)
    # Its descriptions may have been cut elsewhere, and a baseline may have the tokenizer of another model.
    own = replace(
        store,
        tokenizer=load_tokenizer(model, where=f"model {model}"),
        length=config.description_length,
    )
    if own.entities_key != config.entities_key:
        return np.ones(len(entities), bool)
    return entities.unseen(config.unseen_share, config.unseen_seed)


def memories_of(
    jaket: JaketModel,
    tokenizer: "PreTrainedTokenizerFast",
    entities: Entities,
    *,
    arm: Arm,
    relation_texts: Mapping[str, str] | None,
    relation_memory: RelationMemory = "centred",
    seed: int,
) -> Memories:
    """Entity and relation memory: made by LM1 from texts, or drawn, for the arms `gnn` and `lm+gnn`.

    Args:
        jaket: in evaluation mode.
        tokenizer: its own.
        entities: of the new graph.
        arm: which.
        relation_texts: PID -> text, as far as known: the others are read by their names. None: the relation
            embeddings are zeros.
        relation_memory: how relation vectors made of texts are read: as `centred` scales them, which gives
            them the size of drawn ones, or as LM1 makes them. Drawn ones are never changed.
        seed: of the drawn ones.
    """
    hidden = jaket.lm.config.hidden_size
    kinds = 2 * len(entities.relation_names)
    if arm in ("gnn", "lm+gnn"):
        generator = torch.Generator().manual_seed(hash64(seed, "jaket-memories") >> 1)
        context, relations = (
            torch.randn(rows, hidden, generator=generator).to(jaket.device) for rows in (len(entities), kinds)
        )
        return Memories(context, None if relation_texts is None else relations)
    context = encode(jaket, entities, np.arange(len(entities)), pad=tokenizer.pad_token_id)
    if relation_texts is None:
        # A trained table belongs to the relations of another graph: None would read it.
        trained = jaket.knowledge.relations is not None
        return Memories(context, context.new_zeros(kinds, hidden) if trained else None)
    relations = encode_relations(jaket, tokenizer, edge_texts(entities.relation_names, relation_texts))
    return Memories(context, centred(relations) if relation_memory == "centred" else relations)
