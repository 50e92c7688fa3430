"""A run whose folder is a URL of an object store.

The run works in a local folder, which is scratch. Each checkpoint is sent as it is made: first all that it
needs (run.json, tokenizer, metrics, routes), then its files, `state.json` last, so that a checkpoint with a
`state.json` is whole. A run on any machine starts from the newest one; what follows it is trained again.
Several processes of one machine share the working folder; the main one fetches and sends.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kgcorpus.contracts.caches import work_folder
from kgcorpus.contracts.errors import KgcorpusError, UsageError
from kgcorpus.contracts.lease import SECONDS, Lease
from kgcorpus.contracts.model_files import STATE
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.places import BUILD_SIGNS, LOCK, PROGRESS, RUN_FILES, RUN_FOLDERS, RUN_SIGN
from kgcorpus.contracts.store import folder_lock

_CHECKPOINTS, _MODEL = "checkpoints", "model"
# The copy of a corpus, which a run fetches again, and what belongs to this process.
_LOCAL = {"corpus", "wandb", LOCK, PROGRESS}
# Working folder -> the run at work in it.
_open: dict[Path, "StoreRun"] = {}


class StoreRun:
    """The copy of a run's folder in a store.

    Args:
        url: RUN.
        keep: how many checkpoints stay.
        seconds: the term of the lease that keeps a second run out.
    """

    def __init__(self, url: str, *, keep: int, seconds: float = SECONDS) -> None:
        self._store, self._keep = ObjectStore(url), keep
        home = work_folder(self._store.url)
        self.folder = home / "run"
        self._lease = Lease(self._store, home=home, seconds=seconds)
        # Path in the folder -> (bytes, modification time) of the file that was sent.
        self._sent: dict[str, tuple[int, int]] = {}

    @contextmanager
    def held(self) -> Iterator[Path]:
        """Lock the run, fetch its newest checkpoint, and yield the working folder; send the model at the end.

        All ranks of a run call it. The main rank does all this; the others wait for the checkpoint.

        Raises:
            UsageError: another run is at work there; or the URL holds a build, or files of others; or the
                ranks are on several machines.
            EnvironmentLacksError: the store cannot be used, or the lock was lost.
        """
        is_main, barrier = self._ranks()
        if not is_main:
            barrier()
            yield self.folder
            return
        self._check()
        with ExitStack() as stack:
            try:
                stack.enter_context(folder_lock(self.folder.parent, "run"))
            except UsageError as error:
                raise UsageError(error.what, where=self._store.url, hint=error.hint) from None
            stack.enter_context(self._lease.held())
            self._fetch()
            barrier()
            _open[self.folder] = self
            try:
                yield self.folder
                self._send_model()
            except SystemExit:
                # A signal ended the run early; its model is whole.
                self._send_model()
                raise
            except KgcorpusError as error:
                where = error.where.replace(str(self.folder), self._store.url)
                raise type(error)(error.what, where=where, hint=error.hint) from error
            finally:
                del _open[self.folder]

    def send_checkpoint(self, checkpoint: Path) -> None:
        """Send a checkpoint and what it needs, then delete those beyond `keep`.

        Raises:
            EnvironmentLacksError: the lock was lost, or the store cannot be used.
        """
        self._lease.require_held()
        self._send_rest()
        self._send_folder(checkpoint)
        self._remove_old()

    def _remove_old(self) -> None:
        """Delete all checkpoints but the newest whole ones."""
        self._lease.require_held()
        keys, kept = self._store.list(_CHECKPOINTS), set(self._whole()[-self._keep :])
        gone = [key for key in keys if key.rpartition("/")[0] not in kept]
        # Without its state.json a checkpoint is not whole, so that goes first.
        self._store.delete(key for key in gone if key.endswith(f"/{STATE}"))
        self._store.delete(key for key in gone if not key.endswith(f"/{STATE}"))

    def _whole(self) -> list[str]:
        """The folders of the whole checkpoints, the newest last."""
        keys = (key.rpartition("/") for key in sorted(self._store.list(_CHECKPOINTS)))
        return [folder for folder, _, name in keys if name == STATE]

    def _send_model(self) -> None:
        if (self.folder / _MODEL / STATE).exists():
            self._lease.require_held()
            self._send_rest()
            self._send_folder(self.folder / _MODEL)
            self._remove_old()

    def _send_rest(self) -> None:
        """Send the changed files beside checkpoints and model; run.json first, the sign of a run."""
        skipped = _LOCAL | {_CHECKPOINTS, _MODEL}
        paths = [path for path in self.folder.iterdir() if path.name not in skipped and path.name[0] != "."]
        for path in sorted(paths, key=lambda path: (path.name != RUN_SIGN, path.name)):
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                # A trained graph embedding is read by its model only.
                if file.is_file() and _CHECKPOINTS not in file.relative_to(self.folder).parts:
                    self._send(file)

    def _send_folder(self, folder: Path) -> None:
        for file in sorted(folder.rglob("*"), key=lambda path: (path.name == STATE, path)):
            if file.is_file():
                self._send(file)

    def _send(self, file: Path) -> None:
        name, status = file.relative_to(self.folder).as_posix(), file.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        if self._sent.get(name) != stamp:
            self._store.put(name, file)
            self._sent[name] = stamp

    def _ranks(self) -> tuple[bool, Callable[[], None]]:
        """Whether this is the main rank, and a barrier of all ranks."""
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        if ranks == 1:
            return True, lambda: None
        if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) != ranks:
            raise UsageError(
                "the processes of a run in an object store must be on one machine",
                where=self._store.url,
                hint="Name a folder that all machines see, and copy the run afterwards",
            )
        from accelerate import Accelerator

        from trainer.ranks import PatientBarrier

        accelerator = Accelerator(mixed_precision="no")
        return accelerator.is_main_process, PatientBarrier(accelerator)

    def _check(self) -> None:
        there = {key.partition("/")[0] for key in self._store.list()}
        if there & set(BUILD_SIGNS):
            raise UsageError(
                "holds a build, whose files a run replaces",
                where=self._store.url,
                hint="Choose another --out",
            )
        foreign = sorted(there & {*RUN_FOLDERS, *RUN_FILES})
        if foreign and RUN_SIGN not in there:
            raise UsageError(
                f"holds {', '.join(foreign)} but no {RUN_SIGN}, so it is no run of ours",
                where=self._store.url,
                hint="Choose another --out",
            )

    def _fetch(self) -> None:
        """Make the working folder what the store has: the newest whole checkpoint, and what it needs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.name != "corpus":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        keys, whole = self._store.list(), self._whole()
        newest = whole[-1] if whole else None
        for key in keys:
            top = key.partition("/")[0]
            if key == RUN_SIGN or (newest and (key.startswith(f"{newest}/") or self._is_needed(top))):
                target = self.folder / key
                target.parent.mkdir(parents=True, exist_ok=True)
                self._store.download(key, target)
                status = target.stat()
                self._sent[key] = (status.st_size, status.st_mtime_ns)

    def _is_needed(self, top: str) -> bool:
        """Whether a resumed run reads this file; it writes its model again."""
        return top in {*RUN_FOLDERS, *RUN_FILES} - {_CHECKPOINTS, _MODEL, *_LOCAL}


def send_checkpoint(checkpoint: Path) -> None:
    """Send a checkpoint if its run's folder is the working folder of a run in a store."""
    if run := _open.get(checkpoint.parents[1]):
        run.send_checkpoint(checkpoint)
