"""A corpus in a tokenizer's ids: a cache derived from the shards, kept beside them under OUT/tokens."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import File, load_manifest
from kgcorpus.contracts.splits import SPLITS
from kgcorpus.contracts.store import replacing

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

LINK = "[mask]"
# Raised when the same text gets other rows, so that older caches are redone.
_VERSION = "1"
# Small enough that a reader's resume and its shuffling buffer are cheap, large enough to read fast.
_ROWS_PER_GROUP = 10_000
_log = logging.getLogger(__name__)

_COMMON = [
    pa.field("id", pa.string()),
    pa.field("lang", pa.string()),
    pa.field("ids", pa.list_(pa.int32())),
    pa.field("tokens", pa.int32()),
]
_PLAIN = pa.schema([*_COMMON, pa.field("length", pa.int32())])
_SLOTTED = pa.schema(
    [
        *_COMMON,
        pa.field("kind", pa.string()),
        pa.field("slot", pa.list_(pa.int8())),
        pa.field("sentence", pa.list_(pa.int16())),
    ]
)


def tokenizer_key(tokenizer: "Tokenizer") -> str:
    """Twelve hex digits of the SHA-256 of the tokenizer's JSON: the name of its cache."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()[:12]


def ensure_tokens(
    out: str | Path,
    config: str,
    tokenizer: "Tokenizer | str | Path",
    *,
    mask_token: str,
    splits: Sequence[str] = SPLITS,
) -> dict[str, list[Path]]:
    """Make the token files of a config's shards, where they are missing or of other bytes.

    Args:
        out: a finished build.
        config: `plain_text`, `code_switched` or `reasoning`.
        tokenizer: the tokenizer, or its tokenizer.json; its padding and truncation are ignored.
        mask_token: what the tokenizer calls its mask; the records' links become it.
        splits: which splits.

    Returns:
        split -> files in shard order, `OUT/tokens/<tokenizer>/<config>/<shard's name>`; empty if the build
        has no such config. Columns: id, lang, ids (special tokens included), tokens (their number), of plain
        text length, of the others kind, slot and sentence (see `tokenize_rows`).

    Raises:
        InputError: no finished build, or a shard that the manifest names is missing.
    """
    from tokenizers import Tokenizer

    if isinstance(tokenizer, Tokenizer):
        tokenizer = Tokenizer.from_str(tokenizer.to_str())
    else:
        tokenizer = Tokenizer.from_file(str(tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    out = Path(out)
    entry = load_manifest(out, required=True).tables.get(config)
    folder = out / "tokens" / tokenizer_key(tokenizer) / config
    found: dict[str, list[Path]] = {split: [] for split in splits}
    for shard in entry.files if entry else ():
        if shard.split in found:
            target = folder / Path(shard.path).name
            if not _is_current(target, shard):
                _tokenize_shard(out / shard.path, shard, target, tokenizer, mask_token)
            found[shard.split].append(target)
    return found


def _is_current(target: Path, shard: File) -> bool:
    if not target.exists():
        return False
    metadata = pq.read_schema(target).metadata or {}
    return (
        metadata.get(b"source_sha256") == shard.sha256.encode()
        and metadata.get(b"version") == _VERSION.encode()
    )


def _tokenize_shard(source: Path, shard: File, target: Path, tokenizer: "Tokenizer", mask_token: str) -> None:
    if not source.exists():
        raise InputError("is named by the manifest but missing", where=str(source), mend="Build again")
    _log.info("tokenising %s", shard.path)
    with pq.ParquetFile(source) as shards, replacing(target) as temporary:
        slotted = "slots" in shards.schema_arrow.names
        schema = (_SLOTTED if slotted else _PLAIN).with_metadata(
            {"source_sha256": shard.sha256, "version": _VERSION}
        )
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in shards.iter_batches(_ROWS_PER_GROUP):
                writer.write_table(tokenize_rows(batch, tokenizer, mask_token=mask_token).cast(schema))


def tokenize_rows(rows: pa.RecordBatch | pa.Table, tokenizer: "Tokenizer", *, mask_token: str) -> pa.Table:
    """Rows of a shard as token rows.

    In rows with slots, each token is given its slot (0 outside, 1 head, 2 relation, 3 tail) and sentence (-1
    outside) by the tokenizer's own offsets, never by what the token looks like: labels hold full stops and
    bars. A link becomes the mask token and stands outside every slot.

    Args:
        rows: columns id, lang, text, and length, or kind and slots.
        tokenizer: without padding and truncation.
        mask_token: the tokenizer's mask token.
    """
    texts = rows.column("text").to_pylist()
    slotted = "slots" in rows.schema.names
    if slotted:
        spans = list(_spans(rows.column("slots")))
        linked = [_mask_links(text, s, mask_token) for text, s in zip(texts, spans, strict=True)]
        texts = [text for text, _ in linked]
    # The fast variant leaves the offsets out.
    encode = tokenizer.encode_batch if slotted else tokenizer.encode_batch_fast
    encodings = encode(texts)
    ids = [encoding.ids for encoding in encodings]
    columns = {
        "id": rows.column("id"),
        "lang": rows.column("lang"),
        "ids": pa.array(ids, pa.list_(pa.int32())),
        "tokens": pa.array([len(x) for x in ids], pa.int32()),
    }
    if not slotted:
        return pa.table({**columns, "length": rows.column("length")})
    pairs = [_locate(encoding, s) for encoding, (_, s) in zip(encodings, linked, strict=True)]
    return pa.table(
        {
            **columns,
            "kind": rows.column("kind"),
            "slot": pa.array([slot for slot, _ in pairs], pa.list_(pa.int8())),
            "sentence": pa.array([sentence for _, sentence in pairs], pa.list_(pa.int16())),
        }
    )


def _spans(slots: pa.Array | pa.ChunkedArray) -> Iterable[NDArray[np.int64]]:
    """Each row's slots as [slots, 4] (start, end, slot, sentence), in the order of the text."""
    if isinstance(slots, pa.ChunkedArray):
        slots = slots.combine_chunks()
    flat = slots.flatten()
    fields = [flat.field(name).to_numpy() for name in ("start", "end", "slot", "sentence")]
    table = np.stack(fields, axis=1).astype(np.int64)
    lengths = slots.value_lengths().to_numpy()
    for row in np.split(table, np.cumsum(lengths)[:-1]):
        yield row[np.argsort(row[:, 0], kind="stable")]


def _mask_links(text: str, spans: NDArray[np.int64], mask_token: str) -> tuple[str, NDArray[np.int64]]:
    """The text with the links outside the spans replaced, and the spans moved accordingly."""
    pieces, moved, end, length = [], spans.copy(), 0, 0
    for i, (start, stop) in enumerate(spans[:, :2].tolist()):
        gap = text[end:start].replace(LINK, mask_token)
        moved[i, :2] = length + len(gap), length + len(gap) + stop - start
        pieces += [gap, text[start:stop]]
        end, length = stop, length + len(gap) + stop - start
    return "".join([*pieces, text[end:].replace(LINK, mask_token)]), moved


def _locate(encoding: "Encoding", spans: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """Each token's slot and sentence: those of the span that it shares a character with."""
    if not len(spans):
        return np.zeros(len(encoding.ids), np.int8), np.full(len(encoding.ids), -1, np.int16)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    shared = (offsets[:, :1] < spans[:, 1]) & (offsets[:, 1:] > spans[:, 0])
    inside, which = shared.any(axis=1), shared.argmax(axis=1)
    slot = np.where(inside, spans[which, 2], 0).astype(np.int8)
    return slot, np.where(inside, spans[which, 3], -1).astype(np.int16)
