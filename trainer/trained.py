"""The model of a run as its processes train it, its optimizer, and their checkpoints."""

import os
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel

from kgcorpus.contracts.caches import private_folder
from trainer.checkpoint import Checkpoints, recover_folder, write_model
from trainer.config import TrainingConfig
from trainer.objectives import Objective
from trainer.sharding import restore_checkpoint, save_checkpoint, shard, whole_on_main


class Trained:
    """What a run trains, restored from its newest checkpoint. All ranks call its methods together.

    Args:
        objective: of the run; its model is prepared in place.
        config: of the run.
        folder: the run's.
        accelerator: of the run.

    Attributes:
        model: what is called, for all ranks' gradients.
        optimizer: of the model.
        restored: steps done when the checkpoint was written; 0 without one.

    Raises:
        InputError: the newest checkpoint is damaged.
    """

    def __init__(
        self, objective: Objective, config: TrainingConfig, folder: Path, accelerator: Accelerator
    ) -> None:
        self._objective, self._accelerator, self._folder = objective, accelerator, folder
        self._sharded = config.sharding == "fsdp"
        self._checkpoints = Checkpoints(folder / "checkpoints", keep=config.keep)
        if accelerator.is_main_process:
            recover_folder(folder / "model")
        self.restored, optimizer_state = (0, None) if self._sharded else self._checkpoints.restore(objective)
        _set_up(objective.model, config)
        self.wrap()
        self.optimizer = _optimizer(objective, config, optimizer_state)
        if self._sharded:
            self.restored = restore_checkpoint(self._checkpoints, objective, self.optimizer)

    def wrap(self) -> None:
        """Let the ranks train the model together, once more if the set of its trained weights has changed."""
        # transformers hands out models in evaluation mode, without dropout.
        model = self._objective.model.train()
        prepared = (
            shard(model, self._accelerator) if self._sharded else self._accelerator.prepare_model(model)
        )
        self.model: nn.Module = prepared

    def save(self, step: int) -> None:
        """Write the checkpoint of `step`."""
        self._objective.collect()
        if self._sharded:
            save_checkpoint(self._checkpoints, step, self._objective, self.optimizer, self._accelerator)
        elif self._accelerator.is_main_process:
            self._checkpoints.save(step, self._objective, self.optimizer)

    def write_model(self, name: str, step: int) -> None:
        """Write the whole model of `step` as RUN/name."""
        write_whole_model(self._objective, self._folder / name, step=step, accelerator=self._accelerator)


def write_whole_model(objective: Objective, target: Path, *, step: int, accelerator: Accelerator) -> None:
    """Write the model of all ranks as a folder for transformers; all ranks call it together."""
    main = accelerator.is_main_process
    objective.collect()
    with whole_on_main(objective.model, main=main):
        if main:
            write_model(target, objective.save, step=step)


def _set_up(model: nn.Module, config: TrainingConfig) -> None:
    """Checkpoint activations and compile the model, as the settings say."""
    if config.activation_checkpointing:
        for part in model.modules():
            if isinstance(part, PreTrainedModel) and part.supports_gradient_checkpointing:
                part.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if config.compile:
        # torch loads code from its cache, and would keep it under a name in /tmp that anyone could make.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("torchinductor")))
        # In place, so that the names in checkpoints stay; sizes change from step to step.
        model.compile(dynamic=True)


def _optimizer(
    objective: Objective, config: TrainingConfig, optimizer_state: dict[str, Any] | None
) -> torch.optim.Optimizer:
    groups = objective.parameter_groups(config.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.999), fused=True)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    return optimizer
