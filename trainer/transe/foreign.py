"""Import of graph embeddings that another library trained, as a run of `train transe`.

PyKEEN, OpenKE and GraphVite are read as they save; the first file of a layout that is found names it. Nothing
is unpickled: state dicts go through `torch.load(weights_only=True)`, GraphVite's pickle through a reader that
knows only arrays and dictionaries (`trainer.transe.graphvite`).
"""

import gzip
import logging
import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from trainer.arrays import open_array
from trainer.transe.embeddings import Embeddings
from trainer.transe.graphvite import read_graphvite

_HINT = "See the layouts of PyKEEN, OpenKE and GraphVite in docs/training.md"
# Where PyKEEN's models keep their tables, in its newer and older versions.
_PYKEEN = (
    ("entity_representations.0._embeddings.weight", "relation_representations.0._embeddings.weight"),
    ("entity_embeddings._embeddings.weight", "relation_embeddings._embeddings.weight"),
    ("entity_embeddings.weight", "relation_embeddings.weight"),
)
_OPENKE = (("ent_embeddings.weight", "rel_embeddings.weight"),)
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, EOFError, RuntimeError, RecursionError),
    *(zlib.error, pickle.UnpicklingError),
)
_log = logging.getLogger(__name__)


class _Found(NamedTuple):
    """Ids by row, and the rows: of entities, then of relations."""

    entity_ids: list[str]
    relation_ids: list[str]
    entities: NDArray[np.floating]
    relations: NDArray[np.floating]


def _found(ids: list[list[str]], tables: Iterable[NDArray[np.floating]]) -> _Found:
    entities, relations = tables
    return _Found(ids[0], ids[1], entities, relations)


def read_foreign(source: Path) -> Embeddings:
    """The vectors of PyKEEN, OpenKE or GraphVite.

    Args:
        source: the folder that the library left, or GraphVite's file.

    Raises:
        InputError: no known layout there, a file is missing or damaged, the numbers of ids and vectors
            differ, or the vectors are complex, not finite or of different lengths.
    """
    name, read = layout_of(source)
    try:
        found = read(source)
    except _DAMAGED as error:
        raise InputError(
            f"its vectors cannot be read ({' '.join(str(error).split())[:300]})",
            where=f"trelm.kge {source}",
            hint=_HINT,
        ) from None
    _check(found, where=f"trelm.kge {source}")
    _log.info(
        "trelm.kge: %s, %d entities and %d relations of %d numbers",
        name, len(found.entity_ids), len(found.relation_ids), found.entities.shape[1],
    )  # fmt: skip
    return Embeddings(
        np.ascontiguousarray(found.entities, np.float32),
        np.ascontiguousarray(found.relations, np.float32),
        found.entity_ids,
        found.relation_ids,
        norm=2,
        steps=0,
    )


def layout_of(source: Path) -> tuple[str, Callable[[Path], _Found]]:
    """The library whose layout a path has, and what reads it.

    Raises:
        InputError: none.
    """
    if source.is_file() and source.suffix == ".pkl":
        return "GraphVite", _graphvite
    if _first(source, "entity2id.txt", "knowledge graphs/entity2id.txt"):
        return "OpenKE", _openke
    if _first(
        source,
        *(f"{folder}entity_to_id.tsv{end}" for folder in ("training_triples/", "") for end in ("", ".gz")),
    ):
        return "PyKEEN", _pykeen
    pickles = sorted(source.glob("*.pkl")) if source.is_dir() else []
    if len(pickles) == 1:
        return "GraphVite", lambda folder: _graphvite(pickles[0])
    raise InputError("holds no embeddings in a known layout", where=f"trelm.kge {source}", hint=_HINT)


def _pykeen(folder: Path) -> _Found:
    triples = folder / "training_triples" if (folder / "training_triples").is_dir() else folder
    ids = [_pykeen_ids(triples, name) for name in ("entity_to_id", "relation_to_id")]
    states = [path for end in ("pt", "pth") for path in sorted(folder.glob(f"*.{end}"))]
    if len(states) == 1:
        return _found(ids, _tables(_state(states[0]), _PYKEEN, states[0].name))
    if states:
        raise ValueError(f"several state dicts: {', '.join(path.name for path in states)}")
    if (folder / "entity_embeddings.npy").exists():
        tables = [
            open_array(folder / f"{kind}_embeddings.npy", kind="fc", shape=(None, None))
            for kind in ("entity", "relation")
        ]
        return _found(ids, tables)
    raise ValueError(
        "no model.pt or entity_embeddings.npy: trained_model.pkl is a pickle that runs code, so save its "
        "numbers with torch.save(model.state_dict(), 'model.pt')"
    )


def _pykeen_ids(folder: Path, name: str) -> list[str]:
    """Of a file with the header `id label`; the columns may change places."""
    path = _first(folder, f"{name}.tsv", f"{name}.tsv.gz")
    if path is None:
        raise ValueError(f"{name}.tsv.gz is missing")
    lines = _lines(path)
    header = next(lines, "").split("\t")
    rows = [line.split("\t") for line in lines]
    at, of = header.index("id"), header.index("label")
    return _ordered({row[of]: int(row[at]) for row in rows}, len(rows), path)


def _openke(folder: Path) -> _Found:
    ids = [_openke_ids(folder, f"{name}2id.txt") for name in ("entity", "relation")]
    states = [path for end in ("ckpt", "pt", "json") for path in sorted(folder.glob(f"*.{end}"))]
    if len(states) > 1:
        raise ValueError(f"several checkpoints: {', '.join(path.name for path in states)}")
    if states:
        return _found(ids, _tables(_state(states[0]), _OPENKE, states[0].name))
    if path := _first(folder, "ent_embeddings.npy"):
        return _found(
            ids,
            (
                open_array(path.with_name(f"{kind}_embeddings.npy"), kind="fc", shape=(None, None))
                for kind in ("ent", "rel")
            ),
        )
    path = _only(folder, "entity2vec.bin")
    return _found(
        ids,
        (
            _raw(path.with_name(f"{kind}2vec.bin"), len(own))
            for kind, own in zip(("entity", "relation"), ids, strict=True)
        ),
    )


def _openke_ids(folder: Path, name: str) -> list[str]:
    """Of a file whose first line is the number of its lines, each `name id`."""
    path = _only(folder, name)
    lines = _lines(path)
    count = int(next(lines, "").strip())
    rows = [line.rsplit(maxsplit=1) for line in lines]
    return _ordered({name: int(row) for name, row in rows}, count, path)


def _graphvite(path: Path) -> _Found:
    model = read_graphvite(path)
    graph, solver = model["graph"], model["solver"]
    ids = [_ordered(graph[f"{name}2id"], len(graph[f"{name}2id"]), path) for name in ("entity", "relation")]
    return _found(ids, (np.asarray(solver[f"{name}_embeddings"]) for name in ("entity", "relation")))


def _state(path: Path) -> Mapping[str, object]:
    if path.suffix == ".json":
        found = parse_json(path.read_bytes())
    else:
        found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name} is no state dict")
    return found


def _tables(
    state: Mapping[str, object], known: tuple[tuple[str, str], ...], name: str
) -> Iterator[NDArray[np.floating]]:
    """The first pair of known tables, under any prefix that a wrapper adds, e.g. `model.`."""
    for pair in known:
        found = [[key for key in state if key == part or key.endswith(f".{part}")] for part in pair]
        if all(len(keys) == 1 for keys in found):
            for (key,) in found:
                yield np.asarray(state[key])
            return
    raise ValueError(f"{name} holds neither {' nor '.join(' and '.join(pair) for pair in known)}")


def _raw(path: Path, rows: int) -> NDArray[np.float32]:
    """float32 numbers without a header, as OpenKE publishes them."""
    numbers = np.memmap(path, np.float32, mode="r")
    if not rows or len(numbers) % rows:
        raise ValueError(f"{path.name} holds {len(numbers)} numbers, no multiple of {rows} ids")
    return numbers.reshape(rows, -1)


def _ordered(row_of: Mapping[str, int], count: int, path: Path) -> list[str]:
    """The ids by row; every row from 0 on has one."""
    ids = sorted(row_of, key=row_of.__getitem__)
    if [row_of[ident] for ident in ids] != list(range(count)):
        raise ValueError(f"{path.name}: its ids are not the numbers from 0 to {count - 1}, each once")
    return [str(ident) for ident in ids]


def _lines(path: Path) -> Iterator[str]:
    """The lines of a plain or gzipped file, empty ones left out."""
    with path.open("rb") as raw:
        packed = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        for line in packed:
            if text := line.decode("utf-8").rstrip("\r\n"):
                yield text


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _only(folder: Path, name: str) -> Path:
    found = sorted(folder.rglob(name))
    if len(found) != 1:
        raise ValueError(f"{len(found)} files {name}, expected one: name a folder with one set of vectors")
    return found[0]


def _check(found: _Found, *, where: str) -> None:
    problem = ""
    for kind, ids, table in (
        ("entities", found.entity_ids, found.entities),
        ("relations", found.relation_ids, found.relations),
    ):
        if table.dtype.kind == "c":
            problem = f"the vectors of {kind} are complex; a translation needs real ones (TransE)"
        elif table.ndim != 2 or table.dtype.kind != "f":
            problem = f"the vectors of {kind} are {table.dtype} of the shape {table.shape}"
        elif len(table) != len(ids):
            problem = f"{len(ids)} ids of {kind}, but {len(table)} vectors"
            if len(table) == 2 * len(ids):
                problem += ": were inverse triples trained on?"
        elif not all(np.isfinite(table[i : i + 65_536]).all() for i in range(0, len(table), 65_536)):
            problem = f"the vectors of {kind} hold NaN or infinity"
        if problem:
            raise InputError(problem, where=where, hint="Export the vectors of a TransE model again")
    if found.entities.shape[1] != found.relations.shape[1]:
        raise InputError(
            f"entities have {found.entities.shape[1]} numbers, relations {found.relations.shape[1]}",
            where=where,
            hint="Export the vectors of a TransE model, where both have the same length",
        )
