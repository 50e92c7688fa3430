"""The cells of `benchmarks/gpu.py`, the most important first, and how each is measured."""

import dataclasses
import gc
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from made_corpus import MadeCorpus, Size, make_tokenizer, write_base

from trainer.config import TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.kmlm.config import KmlmConfig
from trainer.throughput import peak_flops
from trainer.trelm.config import RoutingConfig, TrelmConfig

Way = Literal["kgcorpus", "Trainer"]
# hidden, layers, heads.
SHAPES = {"base": (768, 12, 12), "large": (1024, 24, 16), "tiny": (32, 2, 2)}
WARM_UP, STEPS, RATE, SHARE = 2, 6, 1e-4, 0.15
# torch does not declare the types of these settings.
_BACKENDS: Any = torch.backends
# Largest difference of packed from unpacked, as a share of the largest value; in float32, TF32 off.
TOLERANCE = 1e-4
PASSES, PASSES_A_PASSAGE, PASS_TOKENS = 20_000, 4, 40


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Attributes:
        kind: `check`, `train` or `importance`.
        objective: of `train`.
        way: whose loop trains; the Trainer of transformers knows only `kmlm` on plain text.
        shape: of `SHAPES`.
        vocabulary, length: tokens.
        records: of a step.
        records_per_forward: of a forward pass, the same for both ways.
        compiled: through torch.compile.
        options: further settings of `TrainingConfig`.
        dtype: of `importance`.
    """

    name: str
    kind: Literal["check", "train", "importance"] = "train"
    objective: Literal["kmlm", "trelm", "jaket"] = "kmlm"
    way: Way = "kgcorpus"
    shape: str = "base"
    vocabulary: int = 30_000
    length: int = 128
    records: int = 2048
    records_per_forward: int = 512
    compiled: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dtype: Literal["bf16", "fp32"] = "bf16"


_CUT = {"mode": "exact", "lowest_layer": 0.5, "also": ("attention", "norms", "biases")}


def _trelm(**routing: Any) -> dict[str, Any]:
    trelm = TrelmConfig(inject="both", warmup_steps=1, reroute_every=1000, routing=RoutingConfig(**routing))
    return {"trelm": trelm}


def _both(name: str, **options: Any) -> tuple[Cell, Cell]:
    """The same training by both loops."""
    own = Cell(f"KMLM {name}", **options)
    return own, dataclasses.replace(own, name=f"Trainer {name}", way="Trainer")


_LONG: dict[str, Any] = {"records": 512, "records_per_forward": 128}
_PASSAGES: dict[str, Any] = {"length": 256, "records": 512, "records_per_forward": 128}
CELLS: tuple[Cell, ...] = (
    Cell("packed = unpacked", kind="check"),
    *_both("base, 250k, 128", vocabulary=250_000),
    *_both("base, 30k, 128"),
    Cell("TRELM dense, base, 30k, 256", objective="trelm", options=_trelm(mode="none"), **_PASSAGES),
    Cell("TRELM routed, base, 30k, 256", objective="trelm", options=_trelm(mode="exact"), **_PASSAGES),
    Cell("TRELM cut + also, base, 30k, 256", objective="trelm", options=_trelm(**_CUT), **_PASSAGES),
    Cell("JAKET base, 30k, 512", objective="jaket", length=512, records=128, records_per_forward=32),
    *_both("base, 30k, 512", length=512, **_LONG),
    Cell("importance, base, bf16", kind="importance"),
    *_both("large, 250k, 128", shape="large", vocabulary=250_000),
    *_both("base, 30k, 8192", length=8192, records=32, records_per_forward=8),
    *_both("base, 250k, 128, compiled", vocabulary=250_000, compiled=True),
    Cell(
        "KMLM three streams, base, 250k, 128",
        vocabulary=250_000,
        options={"kmlm": KmlmConfig(mlm_probability=SHARE)},
    ),
    Cell("importance, base, fp32", kind="importance", dtype="fp32"),
    *_both("base, 250k, 512", vocabulary=250_000, length=512, records=256, records_per_forward=64),
)


def tiny(cell: Cell) -> Cell:
    """The cell at a size that a CPU computes in a moment."""
    return dataclasses.replace(
        cell,
        shape="tiny",
        vocabulary=cell.vocabulary // 200,
        length={128: 24, 256: 32, 512: 48, 8192: 96}[cell.length],
        records=8,
        records_per_forward=4,
    )


class Bench:
    """Measures cells in one process; corpora and base models are made once.

    Args:
        folder: for them.
        device: cpu | cuda.
        small: the cells are those of `tiny`.
    """

    def __init__(self, folder: Path, *, device: str, small: bool) -> None:
        self._folder, self._device, self._small = folder, device, small
        self._checked = False

    def measure(self, cell: Cell) -> dict[str, Any]:
        """The cell's numbers.

        Raises:
            RuntimeError: packed and unpacked differ, or this was not checked before a timing.
        """
        from accelerate.state import AcceleratorState

        # What the Trainer leaves behind, bf16 and the compiler, would act on later cells.
        AcceleratorState._reset_state(reset_partial_state=True)
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        # transformers turns TF32 on for the whole process, for a compiled run in bf16.
        precision = _BACKENDS.fp32_precision
        try:
            with mock.patch.dict(os.environ):
                return self._measure(cell)
        finally:
            _BACKENDS.fp32_precision = precision

    def _measure(self, cell: Cell) -> dict[str, Any]:
        if cell.kind == "check":
            found = self._check(cell)
            self._checked = True
            return found
        if not self._checked:
            raise RuntimeError("packed = unpacked was not shown, so nothing is timed")
        return self._importance(cell) if cell.kind == "importance" else self._train(cell)

    def allow_timings(self) -> None:
        """Let cells be timed whose check another process has passed."""
        self._checked = True

    def _train(self, cell: Cell) -> dict[str, Any]:
        lines = self._ours(cell) if cell.way == "kgcorpus" else self._theirs(cell)
        seconds = sum(line["seconds"] for line in lines)
        tokens = sum(line["tokens"] for line in lines)
        rate, peak = tokens / seconds, max(line["peak_memory_mib"] for line in lines)
        flops = _flops_a_token(self._base(cell))
        found = {
            "tokens_per_second": round(rate),
            "records_per_second": round(cell.records * len(lines) / seconds, 1),
            "step_seconds": round(statistics.median(line["seconds"] for line in lines), 4),
            "data_share": round(sum(line["waited"] for line in lines) / seconds, 4),
            "peak_memory_mib": round(peak),
            "steps": len(lines),
        }
        most = peak_flops(TrainingConfig(precision="bf16"), torch.device(self._device))
        if most is not None:
            found["mfu"] = round(rate * flops / most, 4)
        return found

    def _ours(self, cell: Cell) -> list[dict[str, float]]:
        from accelerate import Accelerator

        from trainer import loop
        from trainer.metrics_log import read_metrics
        from trainer.registry import OBJECTIVES
        from trainer.run_identity import ensure_same_run
        from trainer.trained import Trained

        out = self._folder / f"run-{len(list(self._folder.glob('run-*')))}"
        out.mkdir()
        ensure_same_run(out, {"benchmark": cell.name})
        corpus = self._corpus(cell)
        accelerator = Accelerator(cpu=self._device == "cpu", mixed_precision="no")
        config = self._config(cell, corpus)
        built = OBJECTIVES[cell.objective].load()(config, corpus, out, _tokenizer(cell), accelerator)
        steps = WARM_UP + STEPS
        # Gigabytes that no one reads.
        with mock.patch.multiple(Trained, save=lambda *_: None, write_model=lambda *_: None):
            loop.run_training(built, config, out, accelerator=accelerator, max_steps=steps)
        lines = [line for line in read_metrics(out / "metrics.jsonl") if "loss" in line][WARM_UP:]
        return [{**line, "waited": line["data_share"] * line["seconds"]} for line in lines]

    def _config(self, cell: Cell, corpus: Path) -> TrainingConfig:
        options = {"kmlm": KmlmConfig(streams=("plain",), mlm_probability=SHARE), **cell.options}
        if cell.objective == "trelm":
            options["trelm"] = options["trelm"].model_copy(update={"kge": str(corpus / "kge")})
        heads = SHAPES[cell.shape][2]
        if cell.objective == "jaket":
            options["jaket"] = JaketConfig(passages=cell.records, roots=16 * cell.records, gat_heads=heads)
        packed = cell.records_per_forward * self._mean_length(cell) / cell.length
        return TrainingConfig(
            base_model=str(self._base(cell)),
            schedule_steps=WARM_UP + STEPS,
            lr=RATE,
            lr_warmup=0,
            records_per_step=cell.records,
            # JAKET gives each passage a row of its own.
            rows_per_forward=cell.records_per_forward if cell.objective == "jaket" else max(1, round(packed)),
            precision="bf16",
            compile=cell.compiled,
            max_length=cell.length,
            checkpoint_every=10**6,
            **options,
        )

    def _mean_length(self, cell: Cell) -> float:
        return float(MadeCorpus(self._size(cell)).lengths().mean()) + 2

    def _theirs(self, cell: Cell) -> list[dict[str, float]]:
        from gpu_trainer import train_with_transformers

        return train_with_transformers(
            self._folder,
            self._corpus(cell),
            self._base(cell),
            _tokenizer(cell),
            device=self._device,
            records=cell.records,
            records_per_forward=cell.records_per_forward,
            steps=WARM_UP + STEPS,
            compiled=cell.compiled,
            share=SHARE,
            rate=RATE,
        )[WARM_UP:]

    def _size(self, cell: Cell) -> Size:
        graph = {"entities": 200, "relations": 10, "facts": 1000} if self._small else {}
        return Size(cell.vocabulary, cell.length, (WARM_UP + STEPS + 2) * cell.records, **graph)

    def _corpus(self, cell: Cell) -> Path:
        size = self._size(cell)
        corpus = self._folder / f"{cell.objective}-{size.vocabulary}-{size.length}-{size.records}"
        if not corpus.exists():
            made = MadeCorpus(size)
            made.write(corpus, cell.objective)
            if cell.objective == "trelm":
                made.write_vectors(corpus / "kge")
        return corpus

    def _base(self, cell: Cell) -> Path:
        hidden, layers, heads = SHAPES[cell.shape]
        positions = max(512, cell.length) if cell.shape != "tiny" else 128
        folder = self._folder / f"base-{cell.shape}-{cell.vocabulary}-{positions}"
        if not folder.exists():
            shape = {"hidden": hidden, "layers": layers, "heads": heads, "positions": positions}
            write_base(folder, _tokenizer(cell), **shape)
        return folder

    def _check(self, cell: Cell) -> dict[str, Any]:
        """Packed rows through our attention beside each record alone through transformers' own."""
        from trainer.masked_lm import PackedMaskedLM
        from trainer.packing import pack

        draw = np.random.default_rng(0)
        sizes = np.minimum(cell.length, draw.integers(4, cell.length + 1, cell.records_per_forward // 8 + 8))
        ids = draw.integers(5, cell.vocabulary, int(sizes.sum())).astype(np.int32)
        predicted = np.flatnonzero(draw.random(len(ids)) < SHARE)
        labels = torch.from_numpy(draw.integers(5, cell.vocabulary, len(predicted))).to(self._device)
        found: dict[str, Any] = {"records": len(sizes), "tokens": len(ids), "tolerance": TOLERANCE}
        # The default allows TF32 in some operations; `measure` restores it.
        _BACKENDS.fp32_precision = "ieee"
        for name, bf16 in (("fp32", False), ("bf16", True)):
            with torch.autocast(self._device, torch.bfloat16, enabled=bf16):
                ours = PackedMaskedLM(self._lm(cell))
                packed = pack(ids, sizes, length=cell.length, pad=0)
                rows = (packed.ids, packed.segments, packed.positions, packed.flat[predicted])
                *inputs, at = (torch.from_numpy(row).to(self._device) for row in rows)
                own = ours.losses(ours.states(*inputs, at=at), labels)
                theirs = self._lm(cell)
                other = _unpacked_losses(theirs, ids, sizes, predicted, labels, self._device)
            own.sum().backward()
            other.sum().backward()
            found[f"loss_difference_{name}"] = _difference(own, other)
            pairs = list(zip(ours.lm.named_parameters(), theirs.named_parameters(), strict=True))
            if lost := [key for (key, one), (_, two) in pairs if (one.grad is None) != (two.grad is None)]:
                raise RuntimeError(f"only one of packed and unpacked has a gradient of {', '.join(lost)}")
            found[f"gradient_difference_{name}"] = max(
                _difference(one.grad, two.grad)
                for (key, one), (_, two) in pairs
                # The gradient of a key's bias is 0 but for rounding.
                if one.grad is not None and not key.endswith("key.bias")
            )
        if not max(found["loss_difference_fp32"], found["gradient_difference_fp32"]) <= TOLERANCE:
            raise RuntimeError(f"packed and unpacked differ: {found}")
        return found

    def _lm(self, cell: Cell) -> Any:
        from transformers import AutoModelForMaskedLM

        lm = AutoModelForMaskedLM.from_pretrained(self._base(cell), attn_implementation="sdpa")
        return lm.float().to(self._device).eval()

    def _importance(self, cell: Cell) -> dict[str, Any]:
        """Passages a second of the importance engine; one has 3 mentions, so it is read 4 times."""
        from transformers import AutoModel

        from kgcorpus.importance.encoder import Encoder

        dtype = torch.bfloat16 if cell.dtype == "bf16" else torch.float32
        model = AutoModel.from_pretrained(self._base(cell), add_pooling_layer=False).eval()
        tokenizer, device = _tokenizer(cell), "cuda" if self._device == "cuda" else "cpu"
        longest = int(model.config.max_position_embeddings)
        encoder = Encoder(
            model=model.to(self._device, dtype),
            tokenizer=tokenizer,
            device=device,  # type: ignore[arg-type]
            max_length=longest,
            prefix=(tokenizer.cls_token_id,),
            suffix=(tokenizer.sep_token_id,),
        )
        draw = np.random.default_rng(0)
        count = 40 if self._small else PASSES
        sizes = np.minimum(longest - 12, 8 + draw.exponential(PASS_TOKENS, count)).astype(int)
        passes = [draw.integers(5, cell.vocabulary, size).tolist() for size in sizes]
        encoder.states(passes[: count // 20], pooling="mean")
        rates = []
        for _ in range(2):
            began = time.perf_counter()
            encoder.states(passes, pooling="mean")
            rates.append(count / (time.perf_counter() - began))
        found = {
            "passages_per_second": round(max(rates) / PASSES_A_PASSAGE, 1),
            "passes_per_second": round(max(rates), 1),
        }
        return found | self._memory()

    def _memory(self) -> dict[str, int]:
        if self._device != "cuda":
            return {}
        return {"peak_memory_mib": torch.cuda.max_memory_allocated() // 2**20}


def _unpacked_losses(
    lm: Any,
    ids: np.ndarray[Any, Any],
    sizes: np.ndarray[Any, Any],
    predicted: np.ndarray[Any, Any],
    labels: torch.Tensor,
    device: str,
) -> torch.Tensor:
    """The losses [predicted] of records in padded rows, by transformers' own attention."""
    inside = np.arange(sizes.max())[None, :] < sizes[:, None]
    rows = np.zeros(inside.shape, np.int64)
    rows[inside] = ids
    output = lm(
        input_ids=torch.from_numpy(rows).to(device),
        attention_mask=torch.from_numpy(inside.astype(np.int64)).to(device),
    )
    at = torch.from_numpy(np.flatnonzero(inside)[predicted]).to(device)
    logits = output.logits.flatten(0, 1).index_select(0, at).float()
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    one, other = one.detach().double(), other.detach().double()
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-30))


def _flops_a_token(base: Path) -> float:
    """6 FLOPs a token and weight without embeddings and scores of the vocabulary: `trainer.throughput`."""
    from safetensors import safe_open

    with safe_open(base / "model.safetensors", "pt") as tensors:
        shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    matrices = [
        shape
        for name, shape in shapes.items()
        if len(shape) > 1 and "embeddings." not in name and "decoder." not in name
    ]
    return 6.0 * sum(int(np.prod(shape)) for shape in matrices)


_tokenizers: dict[int, Any] = {}


def _tokenizer(cell: Cell) -> Any:
    if cell.vocabulary not in _tokenizers:
        _tokenizers[cell.vocabulary] = make_tokenizer(cell.vocabulary)
    return _tokenizers[cell.vocabulary]
