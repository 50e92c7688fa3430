"""Weights, gradients and optimizer state sharded over the ranks (FSDP2); their checkpoints (torch's DCP)."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from trainer.checkpoint import Checkpoints

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.distributed.fsdp import FSDPModule

    from trainer.objectives import Objective

# Names of tensors in a sharded checkpoint begin with one of these.
_MODEL, _OPTIMIZER = "model.", "optimizer."


def shard(model: nn.Module, accelerator: "Accelerator") -> nn.Module:
    """Shard a model over the ranks in place (`torch.distributed.fsdp.fully_shard`).

    Each transformer layer but the last is gathered when it computes; the rest (embeddings, last layer, heads)
    stays gathered from the start of the forward pass to the end of the backward pass, because its parts are
    called one by one. All ranks must have the same weights. A single rank keeps the model as it is.
    """
    if accelerator.num_processes == 1:
        return model.to(accelerator.device)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    layers = [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]
    for layer in layers[:-1]:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether the weights are sharded, so that all ranks have to run each forward pass together."""
    return bool(_groups(model))


def local_part(tensor: Tensor) -> Tensor:
    """The part of a weight that is on this rank; the weight itself where it is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that is sharded or summed over the ranks; all ranks call it together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@contextlib.contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Keep all weights whole on every rank, so that ranks may run different numbers of forward passes.

    All ranks enter and leave together. Without sharding nothing changes.
    """
    groups = _groups(model)
    for group in groups:
        group.set_reshard_after_forward(False, recurse=False)
        group.unshard()
    try:
        yield
    finally:
        for number, group in enumerate(groups):
            # The first is the model itself, which stays gathered until its backward pass has ended.
            group.set_reshard_after_forward(number > 0, recurse=False)
            group.reshard()


@contextlib.contextmanager
def whole_on_main(model: nn.Module, *, main: bool) -> Iterator[None]:
    """Let the main rank's modules contain whole weights, on the host, so that they can be saved.

    All ranks enter together; one weight at a time is gathered on the device. Without sharding nothing
    changes.
    """
    sharded = [weight for weight in model.parameters() if isinstance(weight.data, DTensor)]
    places = {id(weight): list[tuple[dict[str, nn.Parameter | None], str]]() for weight in sharded}
    for module in model.modules():
        for name, weight in module._parameters.items():
            if id(weight) in places:
                places[id(weight)].append((module._parameters, name))
    replaced: list[tuple[dict[str, nn.Parameter | None], str, nn.Parameter]] = []
    for weight in sharded:
        full = whole(weight.detach())
        if main:
            # Tied weights stay tied.
            on_host = nn.Parameter(full.cpu(), requires_grad=False)
            for parameters, name in places[id(weight)]:
                replaced.append((parameters, name, weight))
                parameters[name] = on_host
    try:
        yield
    finally:
        for parameters, name, weight in replaced:
            parameters[name] = weight


def save_checkpoint(
    checkpoints: Checkpoints,
    step: int,
    objective: "Objective",
    optimizer: torch.optim.Optimizer,
    accelerator: "Accelerator",
) -> None:
    """Write a sharded checkpoint; all ranks call it together, after `Objective.collect`."""
    from accelerate.utils import broadcast_object_list

    def write(folder: Path) -> None:
        broadcast_object_list([str(folder)])
        save_shards(folder, objective.model, optimizer)
        objective.save_memory(folder)

    if accelerator.is_main_process:
        checkpoints.save_written(step, objective, write)
    else:
        (folder,) = broadcast_object_list([""])
        save_shards(Path(folder), objective.model, optimizer)
    # A rank that ends before the checkpoint has its name would let a launcher kill the others.
    accelerator.wait_for_everyone()


def restore_checkpoint(
    checkpoints: Checkpoints, objective: "Objective", optimizer: torch.optim.Optimizer
) -> int:
    """Read the newest sharded checkpoint, written by any number of ranks; all ranks call it together.

    Returns:
        The number of steps done; 0 without a checkpoint.

    Raises:
        InputError: a file is damaged or belongs to another checkpoint.
    """

    def read(folder: Path) -> None:
        load_shards(folder, objective.model, optimizer)
        objective.load_memory(folder)

    return checkpoints.restore_read(objective, read)


def save_shards(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write each rank's part of weights and optimizer state into a folder; all ranks call it together."""
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    with _without_warnings():
        save(_tensors(model, optimizer), storage_writer=FileSystemWriter(folder), no_dist=_alone())


def load_shards(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Read what `save_shards` wrote, on any number of ranks; all of them call it together.

    Raises:
        OSError, ValueError, KeyError, RuntimeError: the files are damaged or belong to another model.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    from trainer.shard_reader import ShardReader

    reader = ShardReader(folder)
    weights = dict(model.named_parameters())
    for name, kept in reader.read_metadata().state_dict_metadata.items():
        if name.startswith(_OPTIMIZER) and isinstance(kept, TensorStorageMetadata):
            owner, _, key = name.removeprefix(_OPTIMIZER).rpartition(".")
            like = weights[owner].detach()
            optimizer.state[weights[owner]][key] = (
                torch.zeros_like(like)
                if kept.size == like.shape
                else torch.zeros(kept.size, dtype=kept.properties.dtype, device=like.device)
            )
    try:
        with _without_warnings():
            load(_tensors(model, optimizer), storage_reader=reader, no_dist=_alone())
    except CheckpointException as error:
        # It is no Exception: nothing above would catch it.
        raise ValueError(" ".join(str(error).split())) from None


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name; nothing else, because other values would be pickled."""
    found, seen = {}, set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        # A tied weight once.
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[_MODEL + name] = tensor.detach()
    for name, weight in model.named_parameters():
        for key, value in optimizer.state.get(weight, {}).items():
            found[f"{_OPTIMIZER}{name}.{key}"] = value
    return found


def _groups(model: nn.Module) -> "list[FSDPModule]":
    from torch.distributed.fsdp import FSDPModule

    return [part for part in model.modules() if isinstance(part, FSDPModule)]


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Leave out torch's warnings that a process saves alone, or into a folder that exists: both are meant."""
    with warnings.catch_warnings():
        for message in ("torch.distributed is disabled", "Detected an existing checkpoint"):
            warnings.filterwarnings("ignore", message, UserWarning)
        yield


def _alone() -> bool:
    return not (torch.distributed.is_available() and torch.distributed.is_initialized())
