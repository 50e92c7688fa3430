"""transformers' Trainer at its best on the same records: the contender of `benchmarks/gpu.py`.

bfloat16, fused AdamW, batches of records of similar length (`group_by_length`) padded to a multiple of 8,
masking by DataCollatorForLanguageModeling in worker processes, `torch_compile` in the cells that say so; as
many records a forward pass as ours.
"""

import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch


def train_with_transformers(
    folder: Path,
    corpus: Path,
    base: Path,
    tokenizer: Any,
    *,
    device: str,
    records: int,
    records_per_forward: int,
    steps: int,
    compiled: bool,
    share: float,
    rate: float,
) -> list[dict[str, float]]:
    """`tokens`, `seconds`, `waited` (seconds without a batch) and `peak_memory_mib` of each step."""
    from transformers import (
        AutoModelForMaskedLM,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from trainer.throughput import peak_memory

    rows = _records(corpus, tokenizer)[: steps * records]
    on_gpu = device == "cuda"
    waits: list[float] = []
    tokens: list[torch.Tensor] = []
    ends = [time.perf_counter()]

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if on_gpu:
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    class Watched(Trainer):
        def get_batch_samples(self, epoch_iterator: Iterator[Any], *rest: Any) -> Any:
            """Take note of the wait for a step's batches and of their tokens."""
            began = time.perf_counter()
            batches, items = super().get_batch_samples(epoch_iterator, *rest)
            waits.append(time.perf_counter() - began)
            tokens.append(sum((batch["attention_mask"].sum() for batch in batches), torch.tensor(0)))
            return batches, items

    known = {field.name for field in fields(TrainingArguments)}
    by_length: dict[str, Any] = (
        {"train_sampling_strategy": "group_by_length"}
        if "train_sampling_strategy" in known
        else {"group_by_length": True}
    )
    options = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=records_per_forward,
        gradient_accumulation_steps=records // records_per_forward,
        max_steps=steps,
        learning_rate=rate,
        weight_decay=0.0,
        optim="adamw_torch_fused",
        bf16=True,
        use_cpu=not on_gpu,
        torch_compile=compiled,
        dataloader_num_workers=4 if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        log_level="error",
        disable_tqdm=True,
        **by_length,
    )
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=share, pad_to_multiple_of=8)
    model = AutoModelForMaskedLM.from_pretrained(base)
    trainer = Watched(
        model,
        options,
        train_dataset=rows,
        data_collator=collate,
        callbacks=[Clock()],
        processing_class=tokenizer,
    )
    ends[0] = time.perf_counter()
    trainer.train()
    peak = peak_memory(torch.device(device)) / 2**20
    return [
        {
            "tokens": float(count),
            "seconds": end - began,
            "waited": waited,
            "peak_memory_mib": peak,
        }
        for count, began, end, waited in zip(tokens, ends[:-1], ends[1:], waits, strict=True)
    ]


def _records(corpus: Path, tokenizer: Any) -> list[dict[str, list[int]]]:
    """The tokens of the plain text, as ours reads them."""
    from kgcorpus.tokens import ensure_tokens

    mask = str(tokenizer.mask_token)
    files = ensure_tokens(
        corpus, "plain_text", tokenizer.backend_tokenizer, mask_token=mask, splits=("train",)
    )
    return [
        {"input_ids": ids}
        for path in files["train"]
        for ids in pq.read_table(path, columns=["ids"])["ids"].to_pylist()
    ]
