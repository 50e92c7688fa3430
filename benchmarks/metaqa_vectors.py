"""How far apart the vectors are that MetaQA's arms have to tell apart, before and after centring.

    python benchmarks/metaqa_vectors.py --model RUN/model --metaqa FOLDER [--train]

Of the arms `joint` and `lm+gnn` (drawn memories): cosines of the relation vectors, cosines of the context
embeddings of a question's candidates, and the largest margin that a question's score can have. A candidate's
score is (c · s - |c|^2 / 2) / sqrt(d), where s is the last state of the question's opening token. Two
candidates that differ by c - c' differ in the linear part by at most |c - c'| |s| / sqrt(d), and a state
behind a LayerNorm of gain 1 has |s| = sqrt(d). So the linear margin is about |c - c'|, while a softmax that
gives one of n candidates half of the probability needs a margin of log(n - 1) over the others.

With --train also Hits@1 of both arms, with vectors as they are and centred, on 500 questions of each part.
Writes benchmarks/results/metaqa-vectors.{json,md}.
"""

import argparse
import json
import logging
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from kgcorpus.report.markdown import markdown_table
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import AdaptationConfig, EvaluationConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.evaluate.arms import memories_of, open_arm
from trainer.jaket.evaluate.metaqa import describe
from trainer.jaket.evaluate.metaqa_questions import adjacency, reached, read_knowledge, read_questions
from trainer.jaket.relations import centred

RESULTS = Path(__file__).parent / "results"
ARMS = ("joint", "lm+gnn")
HOPS = (1, 2, 3)
_QUESTIONS = 200
_PAIRS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="of `train jaket`")
    parser.add_argument("--metaqa", type=Path, required=True)
    parser.add_argument("--train", action="store_true", help="also fine-tune and score")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    measured = [row for arm in ARMS for row in measure(arguments.model, arguments.metaqa, arm)]
    scored = score(arguments) if arguments.train else []
    report(measured, scored, seeds=arguments.seeds)


def measure(model: str, folder: Path, arm: Any) -> list[dict[str, Any]]:
    """Cosines and margins of an arm's vectors, as they are and centred."""
    jaket, tokenizer = open_arm(model, arm, JaketConfig(), seed=0)
    knowledge = read_knowledge(folder)
    entities = describe(knowledge, read_questions(folder, 1, "dev", knowledge), tokenizer, seed=0)
    options = {"arm": arm, "relation_texts": {}, "relation_memory": "raw", "seed": 0}
    memories = memories_of(jaket, tokenizer, entities, **options)
    assert memories.relations is not None
    neighbours = adjacency(knowledge)
    rows = []
    for hops in HOPS:
        questions = read_questions(folder, hops, "test", knowledge)
        chosen = questions[:: max(1, len(questions) // _QUESTIONS)]
        candidates = [torch.from_numpy(reached(neighbours, q.topic, hops)) for q in chosen]
        many = [ids for ids in candidates if len(ids) > 1]
        for name, scale in (("as they are", lambda x: x), ("centred", centred)):
            vectors = scale(memories.context)
            found = [_pairs(vectors[ids]) for ids in many]
            rows.append(
                {
                    "arm": arm,
                    "vectors": name,
                    "hops": hops,
                    "relation cosine": _cosine(scale(memories.relations)),
                    "candidates": sum(map(len, many)) / len(many),
                    "candidate cosine": sum(cosine for cosine, _ in found) / len(found),
                    "distance": sum(distance for _, distance in found) / len(found),
                    "needed": sum(math.log(max(2, len(ids) - 1)) for ids in many) / len(many),
                }
            )
    return rows


def _cosine(vectors: Tensor) -> float:
    """Mean cosine of all pairs of different rows."""
    cosines = cosine_similarity(vectors[:, None], vectors[None], dim=2)
    return float(cosines[~torch.eye(len(vectors), dtype=torch.bool)].mean())


def _pairs(vectors: Tensor) -> tuple[float, float]:
    """Mean cosine and mean distance of pairs of different rows, of up to `_PAIRS` drawn pairs."""
    generator = torch.Generator().manual_seed(0)
    one = torch.randint(len(vectors), (_PAIRS,), generator=generator)
    other = (one + torch.randint(1, len(vectors), (_PAIRS,), generator=generator)) % len(vectors)
    a, b = vectors[one], vectors[other]
    return float(cosine_similarity(a, b, dim=1).mean()), float((a - b).norm(dim=1).mean())


def score(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Hits@1 of each arm, with relation vectors and answer vectors as they are and centred."""
    found = []
    for hops in HOPS:
        for arm in ARMS:
            for relations, answers in (("raw", "raw"), ("centred", "raw"), ("centred", "centred")):
                if arm == "lm+gnn" and (relations, answers) != ("raw", "raw"):
                    continue
                jaket = {"arm": arm, "hops": hops, "relation_memory": relations, "answer_vectors": answers}
                config = EvaluationConfig(
                    epochs=5,
                    lr=1e-3,
                    limit=500,
                    seeds=tuple(range(arguments.seeds)),
                    jaket=AdaptationConfig.model_validate(jaket),
                )
                with tempfile.TemporaryDirectory() as temporary:
                    out = Path(temporary) / "result.json"
                    data = str(arguments.metaqa)
                    run_benchmark("metaqa", model=arguments.model, data=data, out=out, config=config)
                    result = json.loads(out.read_text(encoding="utf-8"))
                values = {name: result[name] for name in ("hits_at_1", "chance")}
                found.append({**jaket, **values})
                print(jaket, result["hits_at_1"]["values"], flush=True)
    return found


def report(measured: list[dict[str, Any]], scored: list[dict[str, Any]], *, seeds: int) -> None:
    head = list(measured[0])
    rows = [
        [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in measured
    ]
    parts = [
        "# MetaQA: how far apart the vectors are",
        "`python benchmarks/metaqa_vectors.py`: mean cosines of relation vectors and of a question's "
        "candidates, the candidates' mean distance, which bounds the linear margin of their scores, and the "
        "margin that half of the probability needs (log of the other candidates). 200 test questions.",
        markdown_table(head, rows),
    ]
    if scored:
        cells = [
            [
                *(str(row[key]) for key in ("arm", "hops", "relation_memory", "answer_vectors")),
                f"{100 * row['hits_at_1']['mean']:.1f} ({100 * row['hits_at_1']['deviation']:.1f})",
                f"{100 * row['chance']['mean']:.1f}",
            ]
            for row in scored
        ]
        titles = ["arm", "hops", "relation vectors", "answer vectors", "Hits@1", "chance"]
        parts += [f"Hits@1 on 500 test questions, {seeds} seeds:", markdown_table(titles, cells)]
    RESULTS.mkdir(exist_ok=True)
    whole = {"measured": measured, "scored": scored}
    (RESULTS / "metaqa-vectors.json").write_text(json.dumps(whole) + "\n", encoding="utf-8")
    (RESULTS / "metaqa-vectors.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
