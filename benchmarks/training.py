"""Real tokens a second of the training loop beside transformers' Trainer, same model and data, in one run.

    python benchmarks/training.py [--rounds 5] [--steps 4]

Masked-language modelling in float32 on generated records: 8 tokens plus an exponential of mean 23, at most
128. The models are a BERT of 4 layers (hidden 256) and one in ModernBERT's shape (6 layers, hidden 256, gated
blocks, a window of 32 tokens on either side in 2 of 3 layers). Ours packs a step's records into rows of 128
and computes logits at the predicted tokens only. The Trainer pads each batch to its longest record, in random
order and with `train_sampling_strategy="group_by_length"`, and accumulates where its logits would not fit.
All start from the same weights and take the same number of records a step. One step warms up, the rounds are
interleaved, the median is kept.

FLOPs are those that torch counts in one forward and backward pass. The useful ones are those of the matrix
products of the real tokens: attention within each record and window, the last layer behind its attention and
the head at predicted tokens; the backward pass counts twice. torch does not count fused attention on a CPU,
so ModernBERT's shape, without dropout, can have fewer counted than useful ones. The reader's share is that of
a step's time in which it waited for its batch.
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
# Tokens on either side that ModernBERT's layers see, two of three.
WINDOW = 32
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


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
        gated: the model has ModernBERT's shape.
        grouped: measure the Trainer with records grouped by length, too.
        goal: how many times the Trainer's tokens a second are aimed at.
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
    gated: bool = False
    grouped: bool = False
    goal: float | None = None


CASES = (
    Case("BERT, 30,000 tokens", 30_000, 64, 64, grouped=True, goal=9.5),
    Case("BERT, 250,000 tokens", 250_000, 32, 8, grouped=True, goal=10.0),
    Case("ModernBERT-shaped, 50,000 tokens", 50_000, 64, 32, layers=6, gated=True, grouped=True, goal=5.0),
)
GROUPED = "Trainer, group_by_length"


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
    if case.grouped:
        ways[GROUPED] = lambda out: theirs(folder, out, case, tokenizer, steps, strategy="group_by_length")
    if case.compiled:
        ways["kgcorpus, compiled"] = lambda out: ours(folder, out, case, tokenizer, steps, compiled=True)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            lines = way(folder / f"{name}-{number}")[WARM_UP:]
            rates[name].append(sum(tokens for tokens, _ in lines) / sum(seconds for _, seconds in lines))
    counted, useful = our_flops(folder, case, tokenizer)
    flops = {"kgcorpus": counted, "Trainer": their_flops(folder, case, tokenizer, records)}
    ratios = [one / other for one, other in zip(rates["kgcorpus"], rates["Trainer"], strict=True)]
    return {
        "records_per_step": case.records,
        "tokens_per_second": {name: round(statistics.median(runs)) for name, runs in rates.items()},
        "rounds": rates,
        "ratio": statistics.median(ratios),
        "goal": case.goal,
        "flops_per_token": flops,
        "flops_ratio": flops["Trainer"] / flops["kgcorpus"],
        "flops_over_useful": flops["kgcorpus"] / useful,
        "reader_share": reader_share(folder, rounds),
    }


def make_tokenizer(vocabulary: int) -> Any:
    """Words and nothing else: no text is tokenised here."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL.values(), *(f"w{i}" for i in range(vocabulary - len(SPECIAL)))]
    words = models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **SPECIAL)


def make_model(folder: Path, case: Case, tokenizer: Any) -> None:
    from transformers import AutoModelForMaskedLM, BertConfig, ModernBertConfig

    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": case.hidden,
        "num_hidden_layers": case.layers,
        "num_attention_heads": case.hidden // 64,
        "max_position_embeddings": LENGTH,
    }
    if case.gated:
        window: dict[str, Any] = {"local_attention": 2 * WINDOW, "global_attn_every_n_layers": 3}
        special: dict[str, Any] = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
        config: Any = ModernBertConfig(**sizes, **window, **special, intermediate_size=case.hidden * 3 // 2)
    else:
        config = BertConfig(**sizes, intermediate_size=4 * case.hidden)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)


def make_records(folder: Path, case: Case, *, records: int) -> list[list[int]]:
    """Plain text as token files have it; with the closing tokens."""
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
    loop.run_training(built, config, out, accelerator=Accelerator(cpu=case.device == "cpu"), max_steps=steps)
    return [(line["tokens"], line["seconds"]) for line in read_metrics(out / "metrics.jsonl")]


def theirs(
    folder: Path, out: Path, case: Case, tokenizer: Any, steps: int, *, strategy: str = "random"
) -> list[tuple[int, float]]:
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
        train_sampling_strategy=strategy,
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


def our_flops(folder: Path, case: Case, tokenizer: Any) -> tuple[float, float]:
    """FLOPs a token: those that torch counts, and the useful ones."""
    built = objective(folder, case, tokenizer, 1)
    batch, model = built.next_step(0)[0], built.model.to(case.device)
    inputs = {name: torch.as_tensor(value, device=case.device) for name, value in batch.inputs.items()}
    # The loop tells the head each term's factor.
    inputs["scale"] = torch.ones(len(built.terms), device=case.device)
    sizes = np.unique(_records_of(batch.inputs["segments"]), return_counts=True)[1]
    useful = useful_flops(sizes, len(batch.inputs["where"]), case, len(tokenizer))
    return counted_flops(lambda: model(**inputs).sum()) / batch.tokens, useful / batch.tokens


def _records_of(segments: Any) -> Any:
    """The number of each real token's record, over all rows."""
    rows = np.arange(len(segments))[:, None] * (int(segments.max()) + 1)
    return (segments + rows)[segments > 0]


def useful_flops(sizes: Any, predicted: int, case: Case, vocabulary: int) -> float:
    """FLOPs of the matrix products of a step, forward and backward, without those of padding.

    Args:
        sizes: [records], tokens of each.
        predicted: tokens.
        case: the model's sizes.
        vocabulary: tokens of the head.
    """
    hidden, tokens = case.hidden, int(sizes.sum())
    block = 3 * hidden * (hidden * 3 // 2) if case.gated else 2 * hidden * 4 * hidden
    products = 0
    for layer in range(case.layers):
        is_last = layer == case.layers - 1
        # ModernBERT's product behind the attention is part of a module that computes it everywhere.
        everywhere = 4 if case.gated or not is_last else 3
        products += everywhere * hidden**2 * tokens
        products += (block + (4 - everywhere) * hidden**2) * (predicted if is_last else tokens)
        near = WINDOW if case.gated and layer % 3 else LENGTH
        places = [np.arange(size) for size in sizes]
        seen = sum(
            int((np.minimum(at + near, len(at) - 1) - np.maximum(at - near, 0) + 1).sum()) for at in places
        )
        products += 2 * hidden * seen
    products += predicted * (hidden**2 + hidden * vocabulary)
    return 3 * 2 * products


def reader_share(folder: Path, rounds: int) -> float:
    """The median share of a step in which ours waited for its batch."""
    from trainer.metrics_log import read_metrics

    runs = [read_metrics(folder / f"kgcorpus-{i}" / "metrics.jsonl")[WARM_UP:] for i in range(rounds)]
    return statistics.median(line["data_share"] for run in runs for line in run)


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
    rows = []
    for name, case in found.items():
        own = case["tokens_per_second"]["kgcorpus"]
        for way, rate in case["tokens_per_second"].items():
            flops = f"{case['flops_per_token'][way] / 1e6:,.1f}" if way in case["flops_per_token"] else ""
            rows.append(
                f"| {name} | {case['records_per_step']} | {way} | {rate:,} | {own / rate:.2f} | {flops} |"
            )
    checks = [
        f"| {name} | {case['ratio']:.2f} | {case['goal']} | {case['flops_over_useful']:.2f} | "
        f"{100 * case['reader_share']:.1f} % |"
        for name, case in found.items()
    ]
    result = {
        "arguments": arguments,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: __import__(name).__version__ for name in ("torch", "transformers", "accelerate")},
        "cases": found,
        "goal_reached": {name: case["ratio"] >= case["goal"] for name, case in found.items()},
    }
    text = "\n".join(
        [
            "# Real tokens a second in training, on a CPU",
            "",
            f"`python benchmarks/training.py` with {arguments}; medians of interleaved rounds; "
            f"threads: {torch.get_num_threads()}.",
            "",
            "| model, vocabulary | records a step | way | tokens/s | kgcorpus is faster by | MFLOP a token |",
            f"|{'---|' * 6}",
            *rows,
            "",
            "| model, vocabulary | faster than the Trainer by (median of the rounds' ratios) | goal | "
            "FLOPs counted / useful | reader's share of a step |",
            f"|{'---|' * 5}",
            *checks,
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "training.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
