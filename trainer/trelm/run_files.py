"""TRELM's files in a run: frozen vectors of the graph (RUN/kge); heads, memory and options (RUN/model)."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.model_files import verify_model
from trainer.checkpoint import write_model
from trainer.config import TrainingConfig
from trainer.digests import digest_of_file, digest_of_folder
from trainer.pretrained import put_tensors, read_tensors
from trainer.run_identity import ensure_same_content
from trainer.transe.embeddings import open_embeddings, write_embeddings
from trainer.trelm.config import TrelmConfig
from trainer.trelm.graph import Graph
from trainer.trelm.memory import MemoryBank
from trainer.trelm.model import TrelmModel

_log = logging.getLogger(__name__)
TENSORS, OPTIONS = "trelm.safetensors", "trelm.json"
# The memory of a sharded checkpoint.
_MEMORY = "trelm-memory.safetensors"


def embeddings_of(config: TrainingConfig, corpus: Path, out: Path, *, claims: bool) -> Path | None:
    """The folder of frozen vectors, or None where labels serve.

    Vectors of another library are copied to RUN/kge/model once; without `trelm.kge` TransE is trained there.

    Args:
        config: of the run.
        corpus: a finished build.
        out: the run's folder.
        claims: compare the vectors with those that the run was started with.

    Raises:
        UsageError: no vectors in a known layout, or the run was started with others.
        InputError: they are damaged.
    """
    if config.trelm.provider == "shared":
        return None
    if config.trelm.kge is None:
        from trainer.transe.train import train_transe

        folder = train_transe(corpus, out / "kge", config)
    else:
        folder = _named(Path(config.trelm.kge), out, claims=claims)
    if claims:
        name = "kge" if folder.parent == out / "kge" else "trelm.kge"
        ensure_same_content(out, name, digest_of_folder(folder))
    return folder


def report_missing(folder: Path, graph: Graph) -> None:
    """Log how many of the graph's entities have no vector: their facts are neither injected nor asked.

    Raises:
        InputError: none has one.
    """
    entities = graph.facts.entities.to_pylist()
    known = open_embeddings(folder).entity_index
    missing = sum(entity not in known for entity in entities)
    if missing == len(entities):
        raise InputError(
            "no entity of the corpus has a vector",
            where=f"trelm.kge {folder}",
            hint="Train the vectors on the corpus's own ids, or name other vectors",
        )
    if missing:
        _log.warning(
            "trelm.kge: %d of %d entities have no vector; their facts are left out", missing, len(entities)
        )


def _named(source: Path, out: Path, *, claims: bool) -> Path:
    """The folder `model` of a run of transe, or a copy of another library's vectors in that form."""
    for folder in (source / "model", source):
        if (folder / "embeddings.json").exists():
            return folder
    from trainer.transe.foreign import layout_of, read_foreign

    target = out / "kge" / "model"
    layout_of(source)
    # Read before they are claimed, so that damaged ones can be replaced.
    found = None if target.exists() else read_foreign(source)
    if claims:
        ensure_same_content(out, "trelm.kge", _digest_of(source))
    if found is not None:
        write_model(target, lambda folder: write_embeddings(folder, found))
    return target


def _digest_of(source: Path) -> str:
    if source.is_file():
        return digest_of_file(source, where="trelm.kge")
    return digest_of_folder(source, pattern="**/*")


def save_extras(
    folder: Path, model: TrelmModel, memory: Mapping[str, Tensor], *, options: TrelmConfig, kge: Path | None
) -> None:
    """Write trelm.safetensors and trelm.json.

    Args:
        folder: of the checkpoint.
        model: its heads are written.
        memory: of `MemoryBank.collect`; empty without one.
        options: of the objective.
        kge: folder of the frozen vectors. Its path is kept, relative to the checkpoint's, instead of the
            vectors: those of millions of entities would outweigh every checkpoint.
    """
    from safetensors.torch import save_file

    tensors = {**_heads(model), **memory}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    relative = None if kge is None else os.path.relpath(kge, folder)
    text = json.dumps({"options": options.model_dump(mode="json"), "kge": relative}, indent=1)
    (folder / OPTIONS).write_text(text + "\n", encoding="utf-8")


def load_extras(folder: Path, model: TrelmModel, memory: MemoryBank | None = None) -> None:
    """Read into the heads, and into the memory where one is given, what `save_extras` wrote.

    Raises:
        InputError: trelm.safetensors is missing or damaged, or belongs to another model.
    """
    tensors = read_tensors(folder / TENSORS, *_heads(model))
    heads = {name: tensor for name, tensor in tensors.items() if not name.startswith("memory.")}
    put_tensors(model, heads, path=folder / TENSORS)
    if memory is not None:
        memory.load(tensors)


def save_memory(folder: Path, memory: Mapping[str, Tensor]) -> None:
    """Write the memory of `MemoryBank.collect` for a sharded checkpoint; an empty one without a memory."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in memory.items()}, folder / _MEMORY)


def load_memory(folder: Path, memory: MemoryBank) -> None:
    """Read what `save_memory` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    memory.load(read_tensors(folder / _MEMORY))


def read_options(folder: Path) -> tuple[TrelmConfig, Path | None]:
    """The options of a checkpoint, and the folder of its frozen vectors.

    Raises:
        UsageError: the folder holds no TRELM checkpoint.
        InputError: a file of the folder is damaged, or is a pipe or a device.
    """
    verify_model(folder)
    try:
        kept: dict[str, Any] = parse_json((folder / OPTIONS).read_text(encoding="utf-8"))
        kge = None if kept["kge"] is None else (folder / kept["kge"]).resolve()
        return TrelmConfig.model_validate(kept["options"]), kge
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"is no checkpoint of TRELM ({' '.join(str(error).split())[:300]})",
            where=str(folder),
            hint="Name the RUN/model of train trelm",
        ) from None


def _heads(model: TrelmModel) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name.startswith(("injection.", "decoder."))
    }
