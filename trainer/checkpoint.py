"""Checkpoints: written atomically, and complete enough to resume bit for bit."""

import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.links import entries_of, remove
from kgcorpus.contracts.model_files import read_sealed, seal
from kgcorpus.contracts.store import is_temporary, temporary_name
from trainer.store_run import send_checkpoint

_DAMAGED = (
    *(OSError, ValueError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError),
    # A state.json of another shape.
    *(KeyError, IndexError, TypeError, AttributeError, RecursionError),
)
_log = logging.getLogger(__name__)


class Resumable(Protocol):
    """What has weights and state; an objective of the common loop is one."""

    def save(self, folder: Path) -> None:
        """Write the weights."""

    def load(self, folder: Path) -> None:
        """Read the weights that `save` wrote."""

    def state(self) -> dict[str, Any]:
        """Everything but tensors that the next steps depend on, as JSON."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken."""


class Optimizer(Protocol):
    """An optimizer with a state that can be saved."""

    def state_dict(self) -> dict[str, Any]:
        """They, as `torch.save` writes them."""


class Checkpoints:
    """The folder RUN/checkpoints: `step-00000040/`, named by the steps done.

    A checkpoint holds the model (opens with bare transformers), `optimizer.pt` (opens with
    `torch.load(weights_only=True)`) and `state.json`, which names the SHA-256 of the other files
    (`kgcorpus.contracts.model_files`). Random draws are functions of the seed and the step, so a checkpoint
    keeps no state of a generator.

    Args:
        folder: where.
        keep: how many stay.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def save(self, step: int, objective: Resumable, optimizer: Optimizer) -> Path:
        """Write the checkpoint of `step`, then remove those beyond `keep`."""

        def write(folder: Path) -> None:
            objective.save(folder)
            torch.save(optimizer.state_dict(), folder / "optimizer.pt")

        return self.save_written(step, objective, write)

    def save_written(self, step: int, objective: Resumable, write_tensors: Callable[[Path], object]) -> Path:
        """As `save`; `write_tensors` writes weights and optimizer state into a folder."""
        for leftover in entries_of(self._folder):
            if leftover.name.startswith(".step-") and is_temporary(leftover):
                remove(leftover)

        def write(folder: Path) -> None:
            write_tensors(folder)
            seal(folder, {"step": step, "objective": objective.state()})

        target = self._folder / _name(step)
        write_folder(target, write)
        for old in self._all()[: -self._keep]:
            # Renamed first: what a kill leaves half removed must not look like a checkpoint.
            leaving = temporary_name(old)
            os.rename(old, leaving)
            remove(leaving)
        send_checkpoint(target)
        _log.info("saved %s", target)
        return target

    def restore(self, objective: Resumable) -> tuple[int, dict[str, Any] | None]:
        """Load the newest checkpoint into the objective, after a comparison of its files with their hashes.

        Returns:
            The number of steps done and the optimizer's state; 0 and None if there is none.

        Raises:
            InputError: a file is damaged or belongs to another checkpoint.
        """
        optimizer_state: dict[str, Any] = {}

        def read(folder: Path) -> None:
            # Only numbers and their containers: a pickle that calls anything else is refused.
            optimizer_state.update(torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True))
            objective.load(folder)

        step = self.restore_read(objective, read)
        return step, optimizer_state or None

    def restore_read(self, objective: Resumable, read_tensors: Callable[[Path], object]) -> int:
        """As `restore`, with a function that reads weights and optimizer state from a folder."""
        found = self._all()
        if not found:
            return 0
        newest = found[-1]
        try:
            state = read_sealed(newest)
            step = int(state["step"])
            if newest.name != _name(step):
                raise ValueError(f"state.json is of step {step}")
            read_tensors(newest)
            objective.load_state(state["objective"])
        except _DAMAGED as error:
            raise InputError(
                f"cannot be read ({' '.join(repr(error).split())})",
                where=str(newest),
                hint="Delete it: the same command then continues from the checkpoint before",
            ) from error
        _log.info("resuming from %s", newest)
        return step

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def _name(step: int) -> str:
    return f"step-{step:08d}"


def write_folder(target: Path, write: Callable[[Path], object]) -> None:
    """Fill a temporary folder, then put it in the place of `target`.

    A folder cannot be replaced in one step: between the two renames the old one has a hidden name, from which
    `recover_folder` puts it back.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(target)
    temporary = temporary_name(target)
    temporary.mkdir()
    try:
        write(temporary)
        _grant_default_rights(temporary)
    except BaseException:
        remove(temporary)
        raise
    if target.exists():
        os.rename(target, _aside(target))
    os.rename(temporary, target)
    recover_folder(target)


def _grant_default_rights(folder: Path) -> None:
    """Give the files the rights of any new file (`umask`); safetensors makes them private to the owner."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o666 & ~mask)


def write_model(target: Path, write: Callable[[Path], object], **about: int) -> None:
    """Write a model's folder as `write_folder` does, with a `state.json` that names the hashes of its files.

    Args:
        target: the folder.
        write: fills a folder.
        about: numbers for `state.json`, such as the step.
    """

    def sealed(folder: Path) -> None:
        write(folder)
        seal(folder, about)

    write_folder(target, sealed)


def recover_folder(target: Path) -> None:
    """Undo what a killed `write_folder` left: put an old folder back that has no successor yet."""
    aside = _aside(target)
    if aside.exists() and not aside.is_symlink() and not target.exists():
        os.rename(aside, target)
    for leftover in entries_of(target.parent.resolve()):
        if leftover.name == aside.name or is_temporary(leftover, target.name):
            remove(leftover)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")
