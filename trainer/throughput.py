"""What a step costs: tokens a second, the wait for data, peak memory, and the share of the device's peak."""

import resource
import sys

import torch
from accelerate import Accelerator
from torch import nn

from trainer.config import TrainingConfig

# Dense bfloat16 TFLOP/s of data sheets, by a part of the device's name; the first that fits counts.
_PEAKS = {"H200": 989, "H100": 989, "B200": 2250, "A100": 312, "L40S": 362, "RTX 4090": 165, "V100": 125}
_MIB = 2**20


class Throughput:
    """Makes the numbers for a step's line of metrics.

    Args:
        model: what is trained.
        config: of the run.
        accelerator: of the run.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig, accelerator: Accelerator) -> None:
        self._device = accelerator.device
        self._peak = peak_flops(config, self._device)
        if self._peak is not None:
            self._peak *= accelerator.num_processes
        tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
        # Every matrix of a dense model multiplies each token once forward and twice backward.
        self._flops = 6 * sum(p.numel() for p in model.parameters() if p.ndim > 1 and id(p) not in tables)

    def numbers(self, tokens: int, seconds: float, waited: float) -> dict[str, float]:
        """The numbers of a step.

        Args:
            tokens: read by all ranks, without padding.
            seconds: of the step.
            waited: seconds of it in which this rank waited for its batches.
        """
        found = costs(tokens, seconds, waited, self._device)
        if self._peak is not None:
            found["mfu"] = found["tokens_per_second"] * self._flops / self._peak
        return found


def costs(
    units: int, seconds: float, waited: float, device: torch.device, *, name: str = "tokens"
) -> dict[str, float]:
    """The numbers of a step without the share of the device's peak.

    Args:
        units: read in the step, of the kind `name`.
        seconds, waited: as of `Throughput.numbers`.
    """
    return {
        f"{name}_per_second": units / max(seconds, 1e-9),
        "data_share": waited / max(seconds, 1e-9),
        "peak_memory_mib": peak_memory(device) / _MIB,
    }


def peak_memory(device: torch.device) -> int:
    """Bytes: of a GPU, what torch allocated at most; of a CPU, what the process had at most."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_flops(config: TrainingConfig, device: torch.device) -> float | None:
    """FLOP/s of one device; None where neither the settings nor the device's name tell."""
    if config.peak_tflops is not None:
        return config.peak_tflops * 1e12
    if device.type != "cuda" or config.precision != "bf16":
        return None
    name = torch.cuda.get_device_name(device)
    return next((1e12 * peak for part, peak in _PEAKS.items() if part in name), None)
