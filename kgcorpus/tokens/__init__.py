"""Token files under OUT/tokens: a cache of the shards, encoded by one tokenizer."""

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import File, load_manifest, require_whole
from kgcorpus.contracts.shards import batches_of
from kgcorpus.contracts.splits import SPLITS
from kgcorpus.contracts.store import replacing, try_file_lock
from kgcorpus.mirror import fetch_temporarily
from kgcorpus.special_tokens import as_plain_text, plain_ids
from kgcorpus.tokens.mentions import token_lists, token_spans
from kgcorpus.tokens.slots import LINK as LINK
from kgcorpus.tokens.slots import encode_slots

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from kgcorpus.tokens.slots import Joined

# Increase when the same text yields different rows; older caches are then rebuilt.
_VERSION = "4"
# Small enough for cheap resume and small shuffle buffers, large enough for fast reads.
_ROWS_PER_GROUP = 10_000
# For readers' error messages: what recreates a deleted token file.
REMADE_BY = "the same command"
# Interval for polling shards that other processes are tokenizing.
_POLL_SECONDS = 0.5
_log = logging.getLogger(__name__)


def tokenizer_key(tokenizer: "Tokenizer") -> str:
    """Name of the tokenizer's cache: the first 12 hex digits of the SHA-256 of its JSON."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()[:12]


def ensure_tokens(
    out: str | Path,
    config: str,
    tokenizer: "Tokenizer | str | Path",
    *,
    mask_token: str,
    splits: Sequence[str] = SPLITS,
) -> dict[str, list[Path]]:
    """Create the token files of a config's shards where they are missing or outdated.

    Safe to call from several processes at once: each takes shards that no other process has started, and
    returns when all token files exist.

    Args:
        out: a finished build, or a copy of a published one.
        config: a shard config with a text column.
        tokenizer: the tokenizer, or the path of its tokenizer.json; padding and truncation are turned off.
        mask_token: the tokenizer's mask token, which replaces `[mask]` between the slots of a record.
        splits: the splits to tokenize.

    Returns:
        split -> files in shard order, `OUT/tokens/<tokenizer>/<config>/<shard's name>`; empty if the build
        has no such config. Columns: see `tokenize_rows`.

    Raises:
        InputError: the build is not finished, or a shard named in the manifest is missing.
        UsageError: a folder of the cache is a symbolic link.
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
    refuse_links(out, folder.relative_to(out))
    found: dict[str, list[Path]] = {split: [] for split in splits}
    shards = {
        folder / Path(shard.path).name: shard
        for shard in (entry.files if entry else ())
        if shard.split in found
    }
    for target, shard in shards.items():
        found[shard.split].append(target)
    tables = FileDigests(out / MEMORY)
    missing = [target for target, shard in shards.items() if not _is_current(target, shard)]
    while missing:
        begun = []
        for place, target in enumerate(missing, start=len(shards) - len(missing) + 1):
            shard = shards[target]
            with try_file_lock(target) as mine:
                if not mine:
                    begun.append(target)
                elif not _is_current(target, shard):
                    _log.info("tokenising %s (%d of %d)", shard.path, place, len(shards))
                    with fetch_temporarily(out, shard) as source:
                        require_whole(out, shard, tables)
                        _tokenize_shard(source, shard, target, tokenizer, mask_token)
        # Other processes hold these shards; if one of them dies, its claim is released.
        missing = [target for target in begun if not _is_current(target, shards[target])]
        if missing:
            time.sleep(_POLL_SECONDS)
    return found


def _is_current(target: Path, shard: File) -> bool:
    """Whether the token file was made from this shard and has not changed since."""
    if not _digests_of(target).is_as_recorded(target):
        return False
    try:
        metadata = pq.read_schema(target).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return False  # damaged files of a cache are recreated
    return (
        metadata.get(b"source_sha256") == shard.sha256.encode()
        and metadata.get(b"version") == _VERSION.encode()
    )


def _digests_of(target: Path) -> FileDigests:
    """One digest file for each token file, because several processes write token files of one config."""
    return FileDigests(target.with_name(f".{target.name}.json"))


def _tokenize_shard(source: Path, shard: File, target: Path, tokenizer: "Tokenizer", mask_token: str) -> None:
    with pq.ParquetFile(source) as shards, replacing(target) as temporary:
        schema = _empty(shards.schema_arrow, tokenizer, mask_token).with_metadata(
            {"source_sha256": shard.sha256, "version": _VERSION}
        )
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in batches_of(shards, _ROWS_PER_GROUP):
                writer.write_table(tokenize_rows(batch, tokenizer, mask_token=mask_token).cast(schema))
    recorded = _digests_of(target)
    recorded.of(target)
    recorded.save()


def tokenize_rows(rows: pa.RecordBatch | pa.Table, tokenizer: "Tokenizer", *, mask_token: str) -> pa.Table:
    """Convert rows of a shard to token rows.

    `text` is replaced by `ids` (including special tokens) and `tokens` (their number). Columns with positions
    are converted from characters to tokens: `slots` to a slot and a sentence for each token (see
    `encode_slots`), `sentences` and `mentions` to token spans (see `token_lists`), and `start` and `end` of a
    description's own mention. Other columns are unchanged, but `triples` is dropped from rows with slots.

    Args:
        rows: rows of any shard config with a text column.
        tokenizer: a tokenizer with padding and truncation turned off.
        mask_token: the tokenizer's mask token.
    """
    names = rows.schema.names
    changed: dict[str, pa.Array] = {}
    encodings: list[Encoding | Joined]
    if "slots" in names:
        encodings, changed = encode_slots(rows, tokenizer, mask_token=mask_token)
        ids = [encoding.ids for encoding in encodings]
    else:
        # The faster variant does not compute offsets.
        spans = {"mentions", "start"} & set(names)
        encode = tokenizer.encode_batch if spans else tokenizer.encode_batch_fast
        with as_plain_text(tokenizer):
            plain = encode(rows.column("text").to_pylist())
        encodings, ids = list(plain), plain_ids(plain, tokenizer)
    for name in ("sentences", "mentions"):
        if name in names:
            changed[name] = token_lists(rows.column(name), encodings)
    if "start" in names:
        changed |= _own_mention(rows, encodings)
    kept = {name: rows.column(name) for name in names if name not in ("text", "slots", "triples")}
    counted = {
        "ids": pa.array(ids, pa.list_(pa.int32())),
        "tokens": pa.array([len(x) for x in ids], pa.int32()),
    }
    return pa.table({**kept, **changed, **counted})


def _own_mention(
    rows: pa.RecordBatch | pa.Table, encodings: list["Encoding | Joined"]
) -> dict[str, pa.Array]:
    columns = [
        column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for column in (rows.column("start"), rows.column("end"))
    ]
    start, end = token_spans(columns[0], columns[1], encodings, np.arange(len(encodings)))
    absent = end <= start
    return {
        "start": pa.array(start, pa.int32(), mask=absent),
        "end": pa.array(end, pa.int32(), mask=absent),
    }


def _empty(shard: pa.Schema, tokenizer: "Tokenizer", mask_token: str) -> pa.Schema:
    """Schema of the shard's token rows."""
    return tokenize_rows(shard.empty_table(), tokenizer, mask_token=mask_token).schema
