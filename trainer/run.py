"""One training run: what it was started with, its tokenizer, its records, then the loop."""

import json
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import Manifest, load_manifest
from kgcorpus.contracts.store import write_text
from kgcorpus.tokens import LINK, ensure_tokens
from trainer.config import STREAM_TABLES, TrainingConfig

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerFast

    from trainer.objectives import Objective

# Settings that change no result, so a resumed run may have others.
_OPERATIONAL = {"checkpoint_every", "checkpoint_minutes", "keep", "log_every"}
_TOKENIZER_TEXTS = 20_000
_log = logging.getLogger(__name__)


def train(
    objective: str,
    *,
    corpus: str | Path,
    out: str | Path,
    config: TrainingConfig,
    max_steps: int | None = None,
) -> Path:
    """Train, or go on with, a run.

    Args:
        objective: a name in `OBJECTIVES`.
        corpus: a finished build.
        out: the run's folder; a run that stands there is resumed.
        config: of the run.
        max_steps: end at exactly this step; no schedule depends on it.

    Returns:
        RUN/model.

    Raises:
        UsageError: no such objective, or the folder holds another run.
        InputError: no finished build, or no records.
        KgcorpusError: the loss is not finite.
        SystemExit: 143, after a SIGTERM.
    """
    if objective not in OBJECTIVES:
        raise UsageError(
            f"cannot train {objective!r}", mend=f"The objectives are: {', '.join(sorted(OBJECTIVES))}"
        )
    from accelerate import Accelerator
    from transformers.utils.logging import disable_progress_bar

    from trainer import loop

    # It would draw a bar for every checkpoint.
    disable_progress_bar()
    corpus, out = Path(corpus), Path(out)
    manifest = load_manifest(corpus, required=True)
    accelerator = Accelerator(mixed_precision="no")
    with accelerator.main_process_first():
        _claim(out, objective, config, manifest)
        tokenizer = open_tokenizer(out / "tokenizer", corpus, manifest, config)
        built = OBJECTIVES[objective].build(config, corpus, tokenizer, accelerator)
    if not loop.run(built, config, out, accelerator=accelerator, max_steps=max_steps):
        _log.warning("stopped by SIGTERM; the same command goes on")
        raise SystemExit(143)
    return out / "model"


@dataclass(frozen=True)
class _Entry:
    """An objective: the tables it reads under a configuration, and how it is made."""

    tables: Callable[[TrainingConfig], Collection[str]]
    build: Callable[[TrainingConfig, Path, "PreTrainedTokenizerFast", "Accelerator"], "Objective"]


def _kmlm(
    config: TrainingConfig, corpus: Path, tokenizer: "PreTrainedTokenizerFast", accelerator: "Accelerator"
) -> "Objective":
    from trainer.objectives.kmlm import Kmlm

    mask, backend = str(tokenizer.mask_token), tokenizer.backend_tokenizer
    files: dict[str, list[Path]] = {}
    for stream in config.kmlm.streams:
        made = ensure_tokens(corpus, STREAM_TABLES[stream], backend, mask_token=mask, splits=("train",))
        files[stream] = made["train"]
    return Kmlm(
        config,
        files=files,
        tokenizer=tokenizer,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )


OBJECTIVES = {
    "kmlm": _Entry(lambda config: [STREAM_TABLES[stream] for stream in config.kmlm.streams], _kmlm),
}


def open_tokenizer(
    folder: Path, corpus: Path, manifest: Manifest, config: TrainingConfig
) -> "PreTrainedTokenizerFast":
    """The run's tokenizer: the one in `folder`, else the base model's, else one made from the corpus.

    Raises:
        UsageError: the base model's cannot be read, is not a fast one or has no mask.
        InputError: the corpus has no text.
    """
    from transformers import AutoTokenizer

    from trainer.checkpoint import write_folder
    from trainer.tokenizer import make_tokenizer

    tokenizer: Any
    if folder.exists():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return tokenizer
    if config.base_model is None:
        texts = islice(_texts(corpus, manifest), 3 * _TOKENIZER_TEXTS)
        tokenizer = make_tokenizer(texts, vocab_size=config.model.vocab_size, max_length=config.max_length)
    else:
        where = f"base_model {config.base_model}"
        try:
            tokenizer = AutoTokenizer.from_pretrained(config.base_model)
        except (OSError, ValueError) as error:
            raise UsageError(f"its tokenizer cannot be loaded: {error}", where=where) from None
        if not tokenizer.is_fast or tokenizer.mask_token is None:
            raise UsageError("needs a fast tokenizer (tokenizer.json) with a mask token", where=where)
    write_folder(folder, tokenizer.save_pretrained)
    return tokenizer


def _texts(corpus: Path, manifest: Manifest) -> Iterator[str]:
    """Texts of the training split, links left out; the shards' order is random, so the first ones serve."""
    for name in STREAM_TABLES.values():
        files = manifest.tables[name].files if name in manifest.tables else ()
        batches = (
            batch
            for file in files
            if file.split == "train"
            for batch in pq.ParquetFile(corpus / file.path).iter_batches(1000, columns=["text"])
        )
        texts = (text for batch in batches for text in batch.column("text").to_pylist())
        for text in islice(texts, _TOKENIZER_TEXTS):
            yield text.replace(LINK, " ")


def _claim(out: Path, objective: str, config: TrainingConfig, manifest: Manifest) -> None:
    """Write RUN/run.json, or check that the folder's run is this one.

    Raises:
        UsageError: it is not.
    """
    identity = {
        "objective": objective,
        "config": config.model_dump(mode="json", exclude=_OPERATIONAL),
        "corpus": {
            name: manifest.tables[name].fingerprint
            for name in sorted(OBJECTIVES[objective].tables(config))
            if name in manifest.tables
        },
    }
    path = out / "run.json"
    if not path.exists():
        versions = {name: version(name) for name in ("torch", "transformers", "accelerate", "tokenizers")}
        write_text(path, json.dumps({**identity, "versions": versions}, indent=1) + "\n")
        return
    try:
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError("is not JSON", where=str(path)) from None
    differing = list(_differences(before, identity))
    if differing:
        raise UsageError(
            f"holds a run with another {', '.join(differing)}", where=str(out), mend="Choose another --out"
        )


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(now):
        old, new = before.get(key), now[key]
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, {**dict.fromkeys(old), **new}, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"
