"""Folder of the embeddings that a TransE run writes: writing and opening."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.model_files import verify_model
from trainer.arrays import open_array


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of a graph's entities and relations; h + r is near t where (h, r, t) holds.

    Attributes:
        entities: [E, dim] float32, mapped from the file.
        relations: [R, dim] float32.
        entity_ids: the E ids, by Q number.
        relation_ids: the R ids, by P number.
        norm: of the distance that they were trained for, 1 or 2.
        steps: of the training.
    """

    entities: NDArray[np.float32]
    relations: NDArray[np.float32]
    entity_ids: Sequence[str]
    relation_ids: Sequence[str]
    norm: int
    steps: int

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return int(self.entities.shape[1])

    @cached_property
    def entity_index(self) -> dict[str, int]:
        """Id -> row of `entities`. An entity without a training fact is not in it."""
        return {ident: row for row, ident in enumerate(self.entity_ids)}

    @cached_property
    def relation_index(self) -> dict[str, int]:
        """Id -> row of `relations`."""
        return {ident: row for row, ident in enumerate(self.relation_ids)}


def write_embeddings(folder: Path, embeddings: Embeddings) -> None:
    """Write entities.npy and relations.npy, the ids beside them, one a line, and embeddings.json."""
    np.save(folder / "entities.npy", embeddings.entities)
    np.save(folder / "relations.npy", embeddings.relations)
    write_ids(folder / "entities.txt", embeddings.entity_ids)
    write_ids(folder / "relations.txt", embeddings.relation_ids)
    about = {"norm": embeddings.norm, "steps": embeddings.steps}
    (folder / "embeddings.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def open_embeddings(folder: str | Path) -> Embeddings:
    """Open what `kgcorpus train transe` left in RUN/model.

    Raises:
        InputError: the folder holds no embeddings, or damaged ones.
    """
    folder = Path(folder)
    verify_model(folder)
    try:
        entities = open_array(folder / "entities.npy", kind="f", shape=(None, None))
        relations = open_array(folder / "relations.npy", kind="f", shape=(None, entities.shape[1]))
        ids = read_ids(folder / "entities.txt"), read_ids(folder / "relations.txt")
        about = parse_json((folder / "embeddings.json").read_text(encoding="utf-8"))
        found = Embeddings(entities, relations, *ids, norm=about["norm"], steps=about["steps"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputError(
            f"holds no embeddings ({error})", where=str(folder), hint="Run kgcorpus train transe"
        ) from None
    if (len(entities), len(relations)) != (len(ids[0]), len(ids[1])):
        raise InputError("has not as many vectors as ids", where=str(folder))
    return found


def write_ids(path: Path, ids: Sequence[str]) -> None:
    """Write ids, one a line."""
    path.write_text("".join(f"{ident}\n" for ident in ids), encoding="utf-8")


def read_ids(path: Path) -> list[str]:
    """Read what `write_ids` wrote."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]
