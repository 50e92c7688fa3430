"""`kgcorpus train`: checks the folders, makes tokenizer and tokens, builds the objective, runs the loop."""

import atexit
import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kgcorpus.contracts.errors import InputError, UsageError, known_names
from kgcorpus.contracts.hub_ids import split_revision
from kgcorpus.contracts.manifest import File, Manifest, load_manifest
from kgcorpus.contracts.model_files import verify_model
from kgcorpus.contracts.places import RUN_SIGN, is_build, refuse_replaced
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.store import folder_lock
from kgcorpus.contracts.tables import TABLES
from kgcorpus.mirror import copy_from, fetch_temporarily, remember_origin
from kgcorpus.report.model_card import write_model_card
from kgcorpus.tokens import LINK, ensure_tokens
from trainer.config import TrainingConfig
from trainer.digests import COMMIT, digest_of_folder, digest_of_model
from trainer.kmlm.config import STREAM_TABLES
from trainer.pretrained import load_tokenizer
from trainer.registry import OBJECTIVES
from trainer.run_identity import ensure_same_content, ensure_same_run, refuse_foreign_folder
from trainer.stopping import end_early
from trainer.store_run import StoreRun

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


_log = logging.getLogger(__name__)
Resume = Literal["auto", "no"]
# Settings that change no result, so a resumed run may have others.
_OPERATIONAL = {
    *("checkpoint_every", "checkpoint_minutes", "keep", "log_every", "trackers"),
    *("validate_every", "validation_records", "keep_best", "patience"),
    *("activation_checkpointing", "peak_tflops"),
}
_TOKENIZER_TEXTS = 20_000
# Of what is read from a URL.
_COPY = "corpus"


def train(
    objective: str,
    *,
    corpus: str | Path,
    out: str | Path,
    config: TrainingConfig,
    max_steps: int | None = None,
    resume: Resume = "auto",
) -> Path:
    """Start or resume a run.

    Args:
        objective: a name in `trainer.registry.OBJECTIVES`.
        corpus: a finished build, by path; or by URL: its texts are tokenised shard by shard, and the other
            tables that the objective reads are copied to RUN/corpus.
        out: the run's folder, or a URL of an object store; an existing run is resumed.
        config: of the run.
        max_steps: end at exactly this step; no schedule depends on it.
        resume: `no` refuses a folder with a run instead of resuming it.

    Returns:
        RUN/model; of a URL, the local copy.

    Raises:
        UsageError: no such objective; or the folder holds a build, another run, one that is at work, or
            files of others under a run's names, or is where a build or another run deletes.
        InputError: no finished build, or no records.
        KgcorpusError: the loss is not finite.
        SystemExit: 143 after a SIGTERM, 130 after a Ctrl-C; the steps so far are saved.
    """
    if is_remote(str(out)):
        with StoreRun(str(out), keep=config.keep).held() as folder:
            return train(
                objective, corpus=corpus, out=folder, config=config, max_steps=max_steps, resume=resume
            )
    out = Path(out)
    refuse_replaced(out)
    if is_build(out):
        raise UsageError(
            "holds a build, whose files a run replaces", where=str(out), hint="Choose another --out"
        )
    if objective not in OBJECTIVES:
        hint = known_names(objective, sorted(OBJECTIVES), listed="The objectives are")
        raise UsageError(f"cannot train {objective!r}", hint=hint)
    spec = OBJECTIVES[objective]
    if config.sharding != "none" and (what := spec.not_sharded(config)):
        raise UsageError(
            f"{config.sharding} cannot train {what}", where="sharding", hint="Set sharding: none"
        )
    tables = spec.tables(config)
    if spec.own_loop:
        with folder_lock(out, "run"):
            _refuse_started(out, resume)
            if is_remote(str(corpus)):
                corpus = _copied(str(corpus), out, tables)
            spec.load()(corpus, out, config, max_steps=max_steps)
        return out / "model"
    from accelerate import Accelerator

    from trainer import loop
    from trainer.ranks import PatientBarrier

    accelerator = Accelerator(mixed_precision="no")
    atexit.register(_leave_group)
    with folder_lock(out, "run") if accelerator.is_main_process else contextlib.nullcontext():
        barrier = PatientBarrier(accelerator)
        with barrier.main_first():
            main = accelerator.is_main_process
            if main:
                _refuse_started(out, resume)
            local, read = _on_this_disk(corpus, out, tables, fetches=main)
            manifest = load_manifest(local, required=True)
            manifest.check_files(local, read)
            _require_records(manifest, tables)
            if main:
                _record_identity(out, objective, config, manifest)
            tokenizer = open_tokenizer(out / "tokenizer", local, manifest, config, tables=tables)
            if main:
                ensure_same_content(out, "tokenizer", digest_of_folder(out / "tokenizer"))
        _tokenize(local, tables, tokenizer, config.splits)
        barrier()
        with barrier.main_first():
            built = spec.load()(config, local, out, tokenizer, accelerator)
        if stopped := loop.run_training(built, config, out, accelerator=accelerator, max_steps=max_steps):
            raise end_early(stopped)
        if main:
            write_model_card(out, corpus=local)
    return out / "model"


def _refuse_started(out: Path, resume: Resume) -> None:
    """Check that the folder contains no run, if none is to be resumed.

    Raises:
        UsageError: it contains one.
    """
    if resume == "no" and (out / RUN_SIGN).exists():
        raise UsageError(
            "contains a run, and --resume is no",
            where=str(out),
            hint="Leave --resume out to continue the run, or choose another --out",
        )


def _require_records(manifest: Manifest, tables: Collection[str]) -> None:
    """Check that some text is there to train on, before a graph embedding is trained or a text tokenised.

    Raises:
        InputError: none of the tables with texts has a row of the training split.
    """
    texts = [name for name in tables if "text" in TABLES[name].columns]
    built = [manifest.tables[name] for name in texts if name in manifest.tables]
    if not any(file.rows for entry in built for file in entry.files if file.split == "train"):
        names = " ".join(texts)
        raise InputError(
            "no records to train on",
            where=", ".join(texts),
            hint=f"Run kgcorpus build-corpus {names}; kgcorpus plan {names} says what its inputs lack",
        )


def _tokenize(
    corpus: Path, tables: Collection[str], tokenizer: "PreTrainedTokenizerFast", splits: Sequence[str]
) -> None:
    """Tokenise what training reads; every rank calls this, and each takes shards that no other has begun."""
    for name in tables:
        if "text" in TABLES[name].columns:
            mask, backend = str(tokenizer.mask_token), tokenizer.backend_tokenizer
            ensure_tokens(corpus, name, backend, mask_token=mask, splits=splits)


def _leave_group() -> None:
    """Leave the other processes before the interpreter ends: the group's threads would abort it at times."""
    import torch.distributed as group

    if group.is_available() and group.is_initialized():
        group.destroy_process_group()


def _on_this_disk(
    corpus: str | Path, out: Path, tables: Collection[str], *, fetches: bool
) -> tuple[Path, Collection[str]]:
    """The corpus's folder, and which of the tables are there complete.

    Of a URL that is RUN/corpus: what is read as tokens alone stays in the store, the texts too that a
    tokenizer is made from.
    """
    if not is_remote(str(corpus)):
        return Path(corpus), tables
    read = [name for name in tables if "text" not in TABLES[name].columns]
    remember_origin(out / _COPY, str(corpus))
    if fetches:
        _copied(str(corpus), out, read, streamed={*STREAM_TABLES.values(), *tables}.difference(read))
    return out / _COPY, read


def _copied(url: str, out: Path, tables: Collection[str], *, streamed: Collection[str] = ()) -> Path:
    # Refuse a wrong folder before hours of copying, which would leave the copy there.
    refuse_foreign_folder(out)
    return copy_from(url, out / _COPY, tables, streamed=streamed)


def open_tokenizer(
    folder: Path, corpus: Path, manifest: Manifest, config: TrainingConfig, *, tables: Collection[str]
) -> "PreTrainedTokenizerFast":
    """The run's tokenizer: the one in `folder`, else the base model's, else one made from the corpus.

    Raises:
        UsageError: the base model's cannot be read, is not a fast one or has no mask.
        InputError: the corpus has no text, or the run's tokenizer is damaged.
    """
    from kgcorpus.importance.pretrained import read_tokenizer, require_fast_tokenizer
    from trainer.checkpoint import write_folder
    from trainer.tokenizer import make_tokenizer

    if folder.exists():
        verify_model(folder)
        try:
            tokenizer = read_tokenizer(folder)
            if tokenizer.mask_token is None:
                raise ValueError("no mask token")
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot be read ({' '.join(str(error).split())[:300]})",
                where=str(folder),
                hint="Copy it from a checkpoint of the run, or delete it and the run's checkpoints",
            ) from None
        return tokenizer
    if config.base_model is None:
        texts = islice(_texts(corpus, manifest, tables), 3 * _TOKENIZER_TEXTS)
        tokenizer = make_tokenizer(texts, vocab_size=config.model.vocab_size, max_length=config.max_length)
    else:
        where = f"base_model {config.base_model}"
        tokenizer = load_tokenizer(config.base_model, where=where)
        require_fast_tokenizer(tokenizer, where=where, tokens=("mask_token",))
    write_folder(folder, tokenizer.save_pretrained)
    return tokenizer


def _texts(corpus: Path, manifest: Manifest, tables: Collection[str]) -> Iterator[str]:
    """Texts of the training split, links left out; the shards' order is random, so the first ones serve."""
    own = [name for name in tables if "text" in TABLES[name].columns]
    for name in dict.fromkeys([*STREAM_TABLES.values(), *own]):
        files = manifest.tables[name].files if name in manifest.tables else ()
        texts = (
            text.replace(LINK, " ")
            for file in files
            if file.split == "train"
            for text in _texts_in(corpus, file)
        )
        yield from islice(texts, _TOKENIZER_TEXTS)


def _texts_in(corpus: Path, file: File) -> Iterator[str]:
    with fetch_temporarily(corpus, file) as path:
        for batch in read_batches(path, ["text"], rows=1000):
            yield from batch.column("text").to_pylist()


def _record_identity(out: Path, objective: str, config: TrainingConfig, manifest: Manifest) -> None:
    """Write RUN/run.json, or check that the folder's run is this one.

    Raises:
        UsageError: it is another run.
    """
    paths = {"base_model": config.base_model, "trelm.kge": config.trelm.kge}
    # Files count by their content: `trelm.kge` is compared when it is opened, `transe.held_out` by RUN/kge.
    files: dict[str, Any] = {"base_model": True, "trelm": {"kge"}, "transe": {"held_out"}}
    settings = config.model_dump(mode="json", exclude={**dict.fromkeys(_OPERATIONAL, True), **files})
    if config.trelm.kge is not None:
        settings["trelm"]["kge"] = "named"
    base = None if config.base_model is None else digest_of_model(config.base_model)
    if base is not None and config.base_model is not None:
        _warn_if_unpinned(config.base_model, base)
    identity = {
        "objective": objective,
        "config": settings,
        "base_model": base,
        "corpus": {
            name: manifest.tables[name].digest
            for name in sorted(OBJECTIVES[objective].tables(config))
            if name in manifest.tables
        },
    }
    ensure_same_run(out, identity, paths=paths)


def _warn_if_unpinned(base_model: str, digest: str) -> None:
    """Log the commit of a hub id without a revision: the name may lead to another commit later."""
    commit = digest.removeprefix(COMMIT)
    if commit and commit != digest and not split_revision(base_model)[1]:
        _log.warning(
            "base_model %s names no revision; this run reads commit %s. Pin it: base_model: %s@%s",
            *(base_model, commit, base_model, commit),
        )
