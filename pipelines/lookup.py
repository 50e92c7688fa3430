"""Read-only resources that a Python worker opens once and keeps: names, tokenizers, encoders."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.hub_ids import split_revision
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.contracts.object_store import ObjectStore, is_object_store
from kgcorpus.contracts.panics import is_panic
from kgcorpus.contracts.scripts import KATAKANA, UNSPACED_SCRIPTS, character_class
from kgcorpus.contracts.shards import damage_named, open_shard, read_shard
from kgcorpus.contracts.store_folders import open_kept
from kgcorpus.kg.names import LabelIndex
from kgcorpus.wiki.passages import TokenCounter

if TYPE_CHECKING:
    from kgcorpus.config import LinkingConfig
    from kgcorpus.importance.encoder import Device, Dtype, Encoder
    from kgcorpus.linking.linker import Linker

# A character of a script without spaces, a word, or a mark.
_UNSPACED = character_class(*UNSPACED_SCRIPTS, KATAKANA)
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def read_shards(paths: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """A table's shards as one Arrow table, in shard order."""
    return pa.concat_tables([read_shard(path, columns) for path in paths])


def read_row_groups(
    units: Iterator[pa.RecordBatch], columns: Sequence[str], *, rows: int = 0, parts: int = 1
) -> Iterator[pa.RecordBatch]:
    """The rows of the row groups in `path` and `group`, as of `Context.row_groups`.

    Args:
        rows: of a batch; default: a batch a row group.
        parts: as of `Context.row_groups`; each part is every such batch of the row group.
    """
    for batch in units:
        for path, number in zip(*(column.to_pylist() for column in batch.columns[:2]), strict=True):
            group, part = divmod(number, parts)
            with damage_named(path), open_shard(path) as opened, pq.ParquetFile(opened) as file:
                if not rows:
                    yield from file.read_row_group(group, columns=list(columns)).combine_chunks().to_batches()
                    continue
                found = file.iter_batches(rows, row_groups=[group], columns=list(columns))
                yield from islice(found, part, None, parts)


@lru_cache(maxsize=4)
def names_of(paths: tuple[str, ...], key: str) -> LabelIndex:
    """The names of the table `entities` (key qid) or `relations` (key pid).

    They are mapped into memory from OUT/cache, where the first process that needs them writes them. If OUT is
    a URL, each machine has a copy (`store_folders.open_kept`). `Context.share_names` writes them before the
    workers need them.
    """
    out, name = _out_of(paths[0]), names_cache(paths)

    def make(folder: Path) -> None:
        LabelIndex.from_arrow(read_shards(paths, [key, "names"]), key).save(folder)

    if is_object_store(out):
        return open_kept(ObjectStore(out), f"cache/{name}", opened=LabelIndex.open, make=make)
    folder = Path(out) / "cache" / name
    try:
        return LabelIndex.open(folder)
    except FileNotFoundError:
        make(folder)
        return LabelIndex.open(folder)


def names_cache(paths: Sequence[str]) -> str:
    """The folder of a table's names below OUT/cache."""
    *_, table, fingerprint, _ = paths[0].split("/")
    return f"names/{table}-{fingerprint}"


@lru_cache(maxsize=2)
def peer_names(paths: tuple[str, ...]) -> Callable[[str, str], Sequence[str]]:
    """From (qid, lang) to the labels of the other entities of its first class, ordered by id."""
    rows = read_shards(paths, ["qid", "types"]).to_pylist()
    first_class = {row["qid"]: row["types"][0] for row in rows if row["types"]}
    members = defaultdict(list)
    for qid, kind in sorted(first_class.items()):
        members[kind].append(qid)
    names = names_of(paths, "qid")

    @lru_cache(maxsize=1024)
    def labels(kind: str, lang: str) -> list[tuple[str, str]]:
        found = ((member, names.label(member, lang)) for member in members[kind])
        return [(member, label) for member, label in found if label]

    def peers(qid: str, lang: str) -> list[str]:
        kind = first_class.get(qid)
        return [] if kind is None else [label for other, label in labels(kind, lang) if other != qid]

    return peers


@lru_cache(maxsize=2)
def encoder_of(name: str, dtype: "Dtype", device: "Device") -> "Encoder":
    """The importance encoder."""
    from kgcorpus.importance.encoder import load_encoder

    return load_encoder(name, dtype=dtype, device=device)


@lru_cache(maxsize=2)
def token_counter(tokenizer: str | None) -> TokenCounter:
    """Return the counter of a tokenizer.

    Args:
        tokenizer: folder or hub id; None counts words, punctuation marks and characters of scripts
            without spaces.

    Raises:
        InputError: the folder holds no tokenizer.json, or a damaged one.
    """
    if tokenizer is None:
        return TokenCounter(
            lambda texts: [len(_WORDS.findall(text)) for text in texts],
            splits_at_spaces=True,
            ignores_first_space=True,
        )
    from tokenizers import Tokenizer

    from kgcorpus.importance.tokenizers import (
        check_tokenizer,
        tokenizer_panics_as_errors,
        treatment_of_spaces,
    )

    file = Path(tokenizer) / "tokenizer.json"
    if Path(tokenizer).is_dir() and not file.exists():
        raise InputError(
            "holds no tokenizer.json",
            where=tokenizer,
            hint="Save it as a fast tokenizer: AutoTokenizer...save_pretrained",
        )
    verify_model(tokenizer, ("tokenizer.json",))
    try:
        name, pinned = split_revision(tokenizer)
        loaded = (
            Tokenizer.from_file(str(file)) if file.exists() else Tokenizer.from_pretrained(name, **pinned)
        )
        check_tokenizer(loaded)
    except BaseException as error:  # The library raises nothing narrower, and panics with this.
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        raise InputError(
            f"cannot be read as a tokenizer ({error})",
            where=str(file) if file.exists() else tokenizer,
            hint="Save it again, or name another in passages.tokenizer",
        ) from None
    loaded.no_truncation()
    loaded.no_padding()

    def count(texts: list[str]) -> list[int]:
        with tokenizer_panics_as_errors(tokenizer):
            return [len(item) for item in encode(texts, add_special_tokens=False)]

    # Without offsets, and a fifth faster; tokenizers 0.20 has it.
    encode = getattr(loaded, "encode_batch_fast", loaded.encode_batch)
    return TokenCounter(count, loaded.num_special_tokens_to_add(False), *treatment_of_spaces(loaded))


@lru_cache(maxsize=16)
def linker_of(paths: tuple[tuple[str, tuple[str, ...]], ...], lang: str, config: "LinkingConfig") -> "Linker":
    """The linker of one language; its arrays are mapped from OUT/cache, like those of `names_of`.

    Args:
        paths: (table, its shards) of the linker's tables.
        config: the weights and thresholds.
    """
    from kgcorpus.linking.linker import Linker

    return Linker.of_tables(dict(paths), _out_of(paths[0][1][0]), lang, config=config)


def _out_of(shard: str) -> str:
    """The folder or URL of the build that a shard OUT/tables/TABLE/FINGERPRINT/NAME belongs to."""
    return shard.rsplit("/", 4)[0]
