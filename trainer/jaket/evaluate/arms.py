"""Opens JAKET or a baseline for a graph unseen in pretraining, with its memories (JAKET, section 3.7)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.special_tokens import plain_ids
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities, GraphStore
from trainer.jaket.memory import encode
from trainer.jaket.model import JaketModel, jaket_config, open_jaket
from trainer.masked_lm import open_lm
from trainer.packing import pack

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Arm = Literal["joint", "lm", "gnn", "lm+gnn", "lm+gnn+m"]


@dataclass(frozen=True)
class Memories:
    """What the knowledge module reads of a graph; fine-tuning does not change it.

    Attributes:
        context: [entities, d].
        relations: [edge kinds, d]; None stands for zeros.
    """

    context: Tensor
    relations: Tensor | None


def open_arm(
    model: str | Path, arm: Arm, options: JaketConfig, *, seed: int
) -> tuple[JaketModel, "PreTrainedTokenizerFast"]:
    """The model that an arm starts from, in evaluation mode.

    Args:
        model: RUN/model of `train jaket`; for the baselines also a plain masked language model. Of a JAKET
            model they take the language model alone.
        arm: `joint` takes the whole; the others have a new knowledge module.
        options: of the new knowledge module.
        seed: draws it.

    Raises:
        UsageError: it cannot be loaded, or is no JAKET model for the arm `joint`.
    """
    if arm == "joint" or jaket_config(model) is not None:
        jaket, tokenizer = open_jaket(model)
        if arm == "joint":
            return jaket, tokenizer
        text, options = jaket.text, options.model_copy(update={"gat_heads": jaket.config.gat_heads})
    else:
        text, tokenizer = open_lm(model)
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
    # Its descriptions may have been cut elsewhere.
    if replace(store, length=config.description_length).entities_key != config.entities_key:
        return np.ones(len(entities), bool)
    return entities.unseen(config.unseen_share, config.unseen_seed)


def memories_of(
    jaket: JaketModel,
    tokenizer: "PreTrainedTokenizerFast",
    entities: Entities,
    *,
    arm: Arm,
    relation_texts: Mapping[str, str] | None,
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
        return Memories(context, None)
    texts = [relation_texts.get(name, name) for name in entities.relation_names]
    # An edge read from its tail is another kind of edge.
    return Memories(context, _mean_states(jaket, tokenizer, texts + [f"inverse: {text}" for text in texts]))


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


@torch.no_grad()
def _mean_states(jaket: JaketModel, tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> Tensor:
    """The mean of LM1's states [texts, d] over each text's own tokens."""
    encoded: Any = tokenizer(texts, add_special_tokens=True, split_special_tokens=True)
    rows = plain_ids(encoded.encodings, tokenizer.backend_tokenizer)
    sizes = np.array([len(row) for row in rows], np.int64)
    ids = np.concatenate([np.array(row, np.int32) for row in rows])
    packed = pack(ids, sizes, length=int(sizes.max()), pad=tokenizer.pad_token_id)
    inputs = (torch.from_numpy(x).to(jaket.device) for x in (packed.ids, packed.segments, packed.positions))
    states = jaket.lower(*inputs).flatten(0, 1)[torch.from_numpy(packed.flat).to(jaket.device)]
    # Without the special tokens at both ends.
    return torch.stack([part[1:-1].mean(dim=0) for part in states.split(sizes.tolist())])
