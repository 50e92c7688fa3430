"""How long the importance stage takes: predicted from counts, then measured.

    python benchmarks/importance_cost.py --corpus OUT --encoder FOLDER [--sentences 300]

seconds = tokens x FLOP a token / (FLOP/s of the machine's matrix product x utilisation). Tokens are those
that the model reads (`importance_tokens` in the report, and two a pass for the added ones). The utilisation
is measured with FOLDER on one half of the sentences; it then predicts the other half, with FOLDER and with an
encoder of RoBERTa-base's shape (random weights, FOLDER's tokenizer), and both are measured too. One thread,
CPU time. Writes results/importance-cost.{json,md}.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from importance import RESULTS, Rows, linked_sentences, processor
from transformers import BertConfig, BertModel

from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.encoder import Dtype, Encoder, load_encoder
from kgcorpus.importance.score import score_sentences

DTYPES: dict[Dtype, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def flop_per_token(encoder: Encoder) -> int:
    """Two for each weight of the layers' matrices; attention's own products are under 3 % at 40 tokens."""
    layers: torch.nn.Module = encoder.model.get_submodule("encoder")
    return 2 * sum(weight.numel() for weight in layers.parameters() if weight.dim() == 2)


def matrix_flops(dtype: torch.dtype, size: int = 1024) -> float:
    """FLOP/s of a square matrix product."""
    a, b = (torch.randn(size, size, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(9):
        began = time.process_time()
        a @ b
        seconds.append(time.process_time() - began)
    return 2 * size**3 / statistics.median(seconds)


def time_scores(sentences: Rows, encoder: Encoder) -> tuple[float, int]:
    """CPU seconds, and the tokens that the model read."""
    tally = Tally()
    began = time.process_time()
    score_sentences(sentences, encoder=encoder, replacement="mask", seed=0, tally=tally)
    seconds = time.process_time() - began
    return seconds, tally.counts["importance_tokens"] + 2 * tally.counts["importance_passes"]


def base_shaped(encoder: Encoder, folder: Path) -> str:
    """A folder with a random encoder of RoBERTa-base's shape."""
    BertModel(BertConfig(vocab_size=len(encoder.tokenizer))).save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--sentences", type=int, default=300)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    sentences = linked_sentences(arguments.corpus, arguments.sentences)
    first, second = sentences[::2], sentences[1::2]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        base = base_shaped(load_encoder(arguments.encoder), Path(folder))
        for name, dtype in DTYPES.items():
            small, large = (load_encoder(path, dtype=name) for path in (arguments.encoder, base))
            time_scores(first[:20], small)
            rate = matrix_flops(dtype)
            seconds, tokens = time_scores(first, small)
            utilisation = tokens * flop_per_token(small) / seconds / rate
            for kind, encoder in ((Path(arguments.encoder).name, small), ("base-sized", large)):
                seconds, tokens = time_scores(second, encoder)
                flop = tokens * flop_per_token(encoder)
                rows.append(
                    {
                        "encoder": kind,
                        "dtype": name,
                        "tokens": tokens,
                        "flop_per_token": flop_per_token(encoder),
                        "matrix_flops": rate,
                        "utilisation": utilisation,
                        "predicted_seconds": flop / (rate * utilisation),
                        "measured_seconds": seconds,
                    }
                )
    write_results(arguments, rows)


def write_results(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    command = f"python benchmarks/importance_cost.py --corpus OUT --encoder {Path(arguments.encoder).name}"
    result = {"command": f"{command} --sentences {arguments.sentences}", "cpu": processor(), "rows": rows}
    (RESULTS / "importance-cost.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = [
        f"`{result['command']}`: one thread; {result['cpu']}.",
        "",
        "| encoder | dtype | MFLOP a token | tokens | matrix product GFLOP/s | utilisation | predicted s | "
        "measured s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['encoder']} | {row['dtype']} | {row['flop_per_token'] / 1e6:.0f} | {row['tokens']:,} | "
            f"{row['matrix_flops'] / 1e9:.0f} | {row['utilisation']:.2f} | {row['predicted_seconds']:.1f} | "
            f"{row['measured_seconds']:.1f} |"
            for row in rows
        ),
    ]
    (RESULTS / "importance-cost.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
