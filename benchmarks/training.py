"""Real tokens a second of the training loop beside transformers' Trainer, same model and data, in one run.

    python benchmarks/training.py [--rounds 5] [--steps 4]

Masked-language modelling of a 4-layer BERT (hidden 256) in float32 on made-up records: 8 tokens plus an
exponential of mean 23, at most 128. Ours packs a step's records into rows of 128 and computes logits at the
predicted tokens alone; the Trainer pads each batch to its longest record, and accumulates where its logits
would not fit. Both start from the same weights and take the same number of records a step; a token is real if
it is no padding. One step warms up, the rounds are interleaved, the median is kept. FLOPs are those that
torch counts in one forward and backward pass.
Writes benchmarks/results/training.{json,md}.
"""

import argparse
import json
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

RESULTS = Path(__file__).parent / "results"
LENGTH, WARM_UP, RATE, SHARE = 128, 1, 1e-4, 0.15
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
GOAL = 3.5


@dataclass(frozen=True)
class Case:
    """What is trained, and on how many records.

    Attributes:
        vocabulary, hidden, layers: of the model.
        records: of a step.
        padded: records of one forward pass of the Trainer.
        rows: packed rows of one of ours.
        device: cpu or cuda.
        precision: fp32 or bf16.
        compiled: measure ours through torch.compile, too.
    """

    name: str
    vocabulary: int
    records: int
    padded: int
    rows: int = 1024
    hidden: int = 256
    layers: int = 4
    device: str = "cpu"
    precision: str = "fp32"
    compiled: bool = False


CASES = (Case("30,000 tokens", 30_000, 64, 64), Case("250,000 tokens", 250_000, 32, 8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    found = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            found[case.name] = measure(case, Path(folder), rounds=arguments.rounds, steps=arguments.steps)
    report(found, vars(arguments))


def measure(case: Case, folder: Path, *, rounds: int, steps: int) -> dict[str, Any]:
    """Tokens a second and FLOPs a token of each way; `ratio` is ours to the Trainer's."""
    steps += WARM_UP
    tokenizer = make_tokenizer(case.vocabulary)
    make_model(folder / "base", case, tokenizer)
    records = make_records(folder, case, records=steps * case.records)
    ways: dict[str, Callable[[Path], list[tuple[int, float]]]] = {
        "kgcorpus": lambda out: ours(folder, out, case, tokenizer, steps),
        "Trainer": lambda out: theirs(folder, out, case, tokenizer, steps),
    }
    if case.compiled:
        ways["kgcorpus, compiled"] = lambda out: ours(folder, out, case, tokenizer, steps, compiled=True)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            lines = way(folder / f"{name}-{number}")[WARM_UP:]
            rates[name].append(sum(tokens for tokens, _ in lines) / sum(seconds for _, seconds in lines))
    flops = {
        "kgcorpus": our_flops(folder, case, tokenizer),
        "Trainer": their_flops(folder, case, tokenizer, records),
    }
    ratios = [one / other for one, other in zip(rates["kgcorpus"], rates["Trainer"], strict=True)]
    return {
        "records_per_step": case.records,
        "tokens_per_second": {name: round(statistics.median(runs)) for name, runs in rates.items()},
        "rounds": rates,
        "ratio": statistics.median(ratios),
        "flops_per_token": flops,
        "flops_ratio": flops["Trainer"] / flops["kgcorpus"],
    }


def make_tokenizer(vocabulary: int) -> Any:
    """Words and nothing else: no text is tokenised here."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL.values(), *(f"w{i}" for i in range(vocabulary - len(SPECIAL)))]
    words = models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **SPECIAL)


def make_model(folder: Path, case: Case, tokenizer: Any) -> None:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=case.hidden,
        num_hidden_layers=case.layers,
        num_attention_heads=case.hidden // 64,
        intermediate_size=4 * case.hidden,
        max_position_embeddings=LENGTH,
    )
    BertForMaskedLM(config).save_pretrained(folder)


def make_records(folder: Path, case: Case, *, records: int) -> list[list[int]]:
    """Plain text as token files have it; the closing tokens stand where they belong."""
    rng = np.random.default_rng(0)
    sizes = np.minimum(LENGTH, 8 + rng.exponential(23, records)).astype(np.int64)
    low = len(SPECIAL)
    ids = [[2, *rng.integers(low, case.vocabulary, size - 2).tolist(), 3] for size in sizes]
    table = {
        "id": pa.array([f"{i:08x}" for i in range(records)]),
        "lang": pa.array(["en"] * records),
        "ids": pa.array(ids, pa.list_(pa.int32())),
        "tokens": pa.array(sizes, pa.int32()),
        "length": pa.array([LENGTH] * records, pa.int32()),
    }
    pq.write_table(pa.table(table), folder / "train-00000-of-00001.parquet", row_group_size=10_000)
    return ids


def settings(folder: Path, case: Case, steps: int, *, compiled: bool = False) -> Any:
    from trainer.config import TrainingConfig
    from trainer.kmlm.config import KmlmConfig

    return TrainingConfig(
        base_model=str(folder / "base"),
        schedule_steps=steps,
        lr=RATE,
        lr_warmup=0,
        records_per_step=case.records,
        rows_per_forward=case.rows,
        precision=case.precision,
        compile=compiled,
        max_length=LENGTH,
        checkpoint_every=steps + 1,
        kmlm=KmlmConfig(streams=("plain",), mlm_probability=SHARE),
    )


def objective(folder: Path, case: Case, tokenizer: Any, steps: int) -> Any:
    from trainer.kmlm.objective import Kmlm

    files = {"plain": [folder / "train-00000-of-00001.parquet"]}
    return Kmlm(settings(folder, case, steps), files=files, tokenizer=tokenizer)


def ours(
    folder: Path, out: Path, case: Case, tokenizer: Any, steps: int, *, compiled: bool = False
) -> list[tuple[int, float]]:
    """(tokens, seconds) of each step, as the run's own metrics have them."""
    from accelerate import Accelerator

    from trainer import loop
    from trainer.metrics_log import read_metrics

    built = objective(folder, case, tokenizer, steps)
    config = settings(folder, case, steps, compiled=compiled)
    loop.run(built, config, out, accelerator=Accelerator(cpu=case.device == "cpu"), max_steps=steps)
    return [(line["tokens"], line["seconds"]) for line in read_metrics(out / "metrics.jsonl")]


def theirs(folder: Path, out: Path, case: Case, tokenizer: Any, steps: int) -> list[tuple[int, float]]:
    """(tokens, seconds) of each step, from end to end, its collation included."""
    from datasets import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    rows = Dataset.from_parquet(str(folder / "train-00000-of-00001.parquet"), cache_dir=str(folder / "cache"))
    rows = rows.select_columns(["ids"]).rename_column("ids", "input_ids")
    collate = collator(tokenizer)
    tokens: list[int] = []
    ends = [time.perf_counter()]

    def counted(examples: list[dict[str, Any]]) -> Any:
        tokens.append(sum(len(example["input_ids"]) for example in examples))
        return collate(examples)

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if case.device == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    options = TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=case.padded,
        gradient_accumulation_steps=case.records // case.padded,
        max_steps=steps,
        learning_rate=RATE,
        weight_decay=0.0,
        use_cpu=case.device == "cpu",
        bf16=case.precision == "bf16",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    model = open_model(folder)
    Trainer(model, options, train_dataset=rows, data_collator=counted, callbacks=[Clock()]).train()
    by_step = np.array(tokens[: steps * case.records // case.padded]).reshape(steps, -1).sum(axis=1)
    return list(zip(by_step.tolist(), np.diff(ends).tolist(), strict=True))


def open_model(folder: Path) -> Any:
    from transformers import AutoModelForMaskedLM

    return AutoModelForMaskedLM.from_pretrained(folder / "base")


def collator(tokenizer: Any) -> Any:
    from transformers import DataCollatorForLanguageModeling

    return DataCollatorForLanguageModeling(tokenizer, mlm_probability=SHARE)


def our_flops(folder: Path, case: Case, tokenizer: Any) -> float:
    built = objective(folder, case, tokenizer, 1)
    batch, model = built.next_step(0)[0], built.model.to(case.device)
    inputs = {name: torch.as_tensor(value, device=case.device) for name, value in batch.inputs.items()}
    return counted_flops(lambda: model(**inputs).sum()) / batch.tokens


def their_flops(folder: Path, case: Case, tokenizer: Any, records: list[list[int]]) -> float:
    model = open_model(folder).to(case.device)
    batch = collator(tokenizer)([{"input_ids": ids} for ids in records[: case.padded]]).to(case.device)
    return counted_flops(lambda: model(**batch).loss) / sum(map(len, records[: case.padded]))


def counted_flops(loss: Callable[[], torch.Tensor]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        loss().backward()
    return int(counter.get_total_flops())


def report(found: dict[str, Any], arguments: dict[str, Any]) -> None:
    reached = next(iter(found.values()))["ratio"] >= GOAL
    rows = [
        f"| {name} | {case['records_per_step']} | {way} | {case['tokens_per_second'][way]:,} | "
        f"{case['flops_per_token'][way] / 1e6:,.1f} | {factor:.2f} | {flops:.2f} |"
        for name, case in found.items()
        for way, factor, flops in (("kgcorpus", case["ratio"], case["flops_ratio"]), ("Trainer", 1.0, 1.0))
    ]
    result = {
        "arguments": arguments,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: __import__(name).__version__ for name in ("torch", "transformers", "accelerate")},
        "cases": found,
        "goal": GOAL,
        "goal_reached": reached,
    }
    text = "\n".join(
        [
            "# Real tokens a second in training, on a CPU",
            "",
            f"`python benchmarks/training.py` with {arguments}; medians of interleaved rounds; "
            f"threads: {torch.get_num_threads()}.",
            "",
            "| vocabulary | records a step | way | tokens/s | MFLOP a token | faster by | fewer FLOPs by |",
            f"|{'---|' * 7}",
            *rows,
            "",
            f"Goal {GOAL}x at the first vocabulary: {'reached' if reached else 'not reached'}.",
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "training.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
