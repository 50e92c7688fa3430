"""JAKET's memory beside description embeddings made on the fly, at the shapes of the paper's section 4.1.

    python benchmarks/jaket.py [--rounds 3] [--scale 0.8] [--hidden 768] [--layers 12]

RoBERTa-base's shape with random weights, LM1 half of its layers; 1,024 passages of 512 tokens and 16,384
roots a step; descriptions of 64 tokens; 2 hops x 10 neighbours in a seeded graph like Wikidata5M. One passage
and its 16 roots are trained on, a 1,024th of a step; the descriptions that a step reads are counted on the
graph, for all its passages together, and the time of one is measured. The optimizer's step is left out on
both sides. Sweeps follow the paper's schedule over `--steps`. Medians of interleaved rounds; FLOPs as torch
counts them.
Writes benchmarks/results/jaket.{json,md}.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from graph_generator import RELATIONS, Generator
from numpy.typing import NDArray

from kgcorpus.contracts.draws import below_array
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities
from trainer.jaket.graph import Graph, group_edges, sample_hops
from trainer.jaket.memory import EntityMemory, encode, pack_descriptions, sweep_interval
from trainer.jaket.model import JaketModel
from trainer.jaket.objective import JaketLoss
from trainer.jaket.tasks import Tasks, hops_of
from trainer.jaket.text import draw_removed, link, prepare
from trainer.masked_lm import PackedMaskedLM
from trainer.masking import Vocabulary
from trainer.objectives import Batch
from trainer.shards import MentionRecord

RESULTS = Path(__file__).parent / "results"
PASSAGES, TOKENS, ROOTS, MENTIONS = 1024, 512, 16_384, 25
DESCRIPTION, CATEGORIES, VOCABULARY = 66, 19_901, 50_265
MEASURED = 32  # descriptions
GOALS = {"faster": 15.0, "sweeps": 0.20, "graph": 0.15}


@dataclass(frozen=True)
class Piece:
    """A 1,024th of a step, and the descriptions that it would read on the fly."""

    tasks: Tasks
    batch: Batch
    loss: JaketLoss
    descriptions: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.8, help="of the graph; 0.8 has 3.7M entities")
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument(
        "--steps", type=int, default=40_000, help="of the training that sweeps are spread over"
    )
    arguments = parser.parse_args()
    piece = make_piece(arguments.scale, hidden=arguments.hidden, layers=arguments.layers)
    seconds = measure(piece, rounds=arguments.rounds)
    found = derive(piece, seconds, steps=arguments.steps) | {"flops": flops(piece)}
    report({"arguments": vars(arguments), "seconds": seconds, **found})


def make_piece(scale: float, *, hidden: int, layers: int) -> Piece:
    graph = make_graph(scale)
    entities = make_entities(graph.nodes)
    options = JaketConfig(gat_heads=hidden // 96)
    tasks = Tasks(entities, graph, options, np.arange(graph.nodes), 0)
    roots = draws(ROOTS, graph.nodes, key=1)
    model = make_model(entities, options, hidden=hidden, layers=layers)
    batch = make_batch(tasks, roots[: ROOTS // PASSAGES])
    # Rows for the nodes of the piece only: a memory of all nodes takes 11 GB.
    rows: dict[str, Any] = {"nodes": np.arange(len(batch.inputs["nodes"]))}
    rows["candidates"] = batch.inputs["candidates"] % len(rows["nodes"])
    rows["memory"] = torch.randn(len(rows["nodes"]), hidden)
    batch = Batch({**batch.inputs, **rows}, batch.counts, batch.records, batch.tokens)
    memory = EntityMemory(entities, hidden=hidden, options=options, pad=0)
    loss = JaketLoss(model, memory)
    return Piece(tasks, batch, loss, nodes_of_a_step(graph, roots) / PASSAGES)


def make_graph(scale: float) -> Graph:
    generator = Generator(scale=scale, seed=0)
    h, r, t = (np.concatenate(column) for column in zip(*generator.chunks(), strict=True))
    relations = r.astype(np.int16)
    return group_edges(h, relations, t, nodes=generator.entities, relation_count=RELATIONS, directions="both")


def make_entities(count: int) -> Entities:
    return Entities(
        qids=np.char.mod(b"%08d", np.arange(count)),
        # Pages of zeros cost nothing until they are read.
        tokens=np.zeros(count * DESCRIPTION, np.int32),
        starts=np.arange(count + 1, dtype=np.int64) * DESCRIPTION,
        spans=np.tile(np.array([[1, 2]], np.int32), (count, 1)),
        categories=(np.arange(count) % CATEGORIES).astype(np.int32),
        category_names=[f"Q{i}" for i in range(CATEGORIES)],
        relation_names=[f"P{i}" for i in range(RELATIONS)],
    )


def make_model(entities: Entities, options: JaketConfig, *, hidden: int, layers: int) -> JaketModel:
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
        max_position_embeddings=TOKENS + 2,
    )
    text = PackedMaskedLM(RobertaForMaskedLM(config))
    relations, categories = entities.relation_names, entities.category_names
    model = JaketModel.around(text, options, relations=relations, categories=categories, seed=0)
    model.train()
    return model


def make_batch(tasks: Tasks, roots: NDArray[np.int64]) -> Batch:
    """One passage with linked mentions, a token in twenty, and some roots."""
    starts = np.linspace(1, TOKENS - 4, MENTIONS).astype(int).tolist()
    linked = draws(MENTIONS, tasks.graph.nodes, key=2).tolist()
    mentions = [{"start": s, "end": s + 2, "qid": f"{e:08d}"} for s, e in zip(starts, linked, strict=True)]
    ids = (5 + draws(TOKENS, VOCABULARY - 10, key=3)).astype(np.int32)
    records = [MentionRecord("0", ids, [], mentions, 0)]
    found = link(records, tasks.entities, seen=np.ones(len(tasks.entities), bool), seed=0)
    vocabulary = Vocabulary.of(size=VOCABULARY, mask=4, pad=1, special_ids=[0, 1, 2, 3, 4])
    removed = draw_removed(found, tasks.options.entity_probability)
    text = prepare(records, found, removed, vocabulary, mlm_probability=0.15, length=TOKENS, seed=0)
    return tasks.batch(text, roots, step=0, records=["0"], tokens=TOKENS)


def nodes_of_a_step(graph: Graph, roots: NDArray[np.int64]) -> int:
    """How many entities' context embeddings a whole step reads: of mentions, roots, their walks and hops."""
    walked = draws(2 * ROOTS, graph.nodes, key=4)
    targets = np.unique(np.concatenate([roots, walked, draws(PASSAGES * MENTIONS, graph.nodes, key=5)]))
    nodes, _ = sample_hops(graph, targets, layers=2, count=10, key=(0,))
    return len(nodes)


def draws(count: int, n: int, *, key: int) -> NDArray[np.int64]:
    return below_array(np.arange(count, dtype=np.uint64) + np.uint64(key << 40), n)


def ways(piece: Piece) -> dict[str, Callable[[], Any]]:
    """What is timed."""
    loss, tasks, inputs = piece.loss, piece.tasks, tensors(piece)
    which = draws(MEASURED, tasks.graph.nodes, key=6)
    roots = draws(ROOTS // PASSAGES, tasks.graph.nodes, key=1)

    def step() -> None:
        loss(**inputs).sum().backward()
        loss.zero_grad(set_to_none=True)

    def on_the_fly() -> None:
        embeddings = described(loss.jaket, tasks.entities, which)
        torch.autograd.backward(embeddings, torch.ones_like(embeddings))
        loss.zero_grad(set_to_none=True)

    return {
        "step": step,
        "draw": lambda: make_batch(tasks, roots),
        "graph": lambda: graph_forward(piece, inputs),
        "swept": lambda: encode(loss.jaket, tasks.entities, which, pad=1),
        "on the fly": on_the_fly,
    }


def tensors(piece: Piece) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(value) for name, value in piece.batch.inputs.items()}


def graph_forward(piece: Piece, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    knowledge: torch.Tensor = piece.loss.jaket.knowledge(
        torch.zeros(len(inputs["nodes"]), piece.loss.jaket.lm.config.hidden_size), hops_of(inputs)
    )
    return knowledge


def described(model: JaketModel, entities: Entities, which: NDArray[np.int64]) -> torch.Tensor:
    """Context embeddings [entities, d] with their gradient: what a model without a memory needs."""
    packed, ends = pack_descriptions(entities, which, pad=1)
    rows = (torch.from_numpy(x) for x in (packed.ids, packed.segments, packed.positions))
    return model.lower(*rows).flatten(0, 1)[torch.from_numpy(ends)].mean(dim=1)


def measure(piece: Piece, *, rounds: int) -> dict[str, float]:
    """Seconds, the median of interleaved rounds; descriptions are measured by one."""
    timed: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, way in ways(piece).items():
            began = time.perf_counter()
            way()
            # The first round warms up.
            if number:
                timed.setdefault(name, []).append(time.perf_counter() - began)
    per = {"swept": MEASURED, "on the fly": MEASURED}
    return {name: statistics.median(runs) / per.get(name, 1) for name, runs in timed.items()}


def derive(piece: Piece, seconds: dict[str, float], *, steps: int) -> dict[str, Any]:
    """The goals' figures: times a piece, and shares of a step."""
    entities = len(piece.tasks.entities)
    number, done = 1, 0
    while (done := done + sweep_interval(number - 1)) < steps:
        number += 1
    sweeps = number * entities / (steps * PASSAGES) * seconds["swept"]
    steady = entities / (sweep_interval(10**6) * PASSAGES) * seconds["swept"]
    step = seconds["step"]
    no_gradient = (step + piece.descriptions * seconds["swept"]) / (step + sweeps)
    return {
        "entities": entities,
        "edges": len(piece.tasks.graph.neighbours),
        "nodes_of_the_piece": len(piece.batch.inputs["nodes"]),
        "descriptions": piece.descriptions,
        "sweeps": number - 1,
        "faster": (step + piece.descriptions * seconds["on the fly"]) / (step + sweeps),
        "faster_than_without_gradient": no_gradient,
        "sweeps_share": sweeps / step,
        "sweeps_share_steady": steady / step,
        "graph_share": (seconds["graph"] + seconds["draw"]) / step,
        "graph_forward_share": seconds["graph"] / step,
    }


def flops(piece: Piece) -> dict[str, float]:
    """Of the step, of the graph's forward pass, and of one description without and with its gradient."""
    from torch.utils.flop_counter import FlopCounterMode

    counted = {}
    for name, way in ways(piece).items():
        with FlopCounterMode(display=False) as counter:
            way()
        counted[name] = counter.get_total_flops() / (MEASURED if name in ("swept", "on the fly") else 1)
    return {name: value for name, value in counted.items() if value}


def report(found: dict[str, Any]) -> None:
    seconds, counted = found["seconds"], found["flops"]
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    whole = {**found, **versions, "threads": torch.get_num_threads(), "goals": GOALS}
    rows = [
        f"| {name} | {1000 * seconds[name]:,.1f} | {counted.get(name, 0) / 1e9:,.2f} |"
        for name in ("step", "draw", "graph", "swept", "on the fly")
    ]
    verdict = {goal: "reached" if yes else "not reached" for goal, yes in reached(found).items()}
    shape = found["arguments"]
    goals = [
        [
            f"memory faster than {found['descriptions']:,.0f} descriptions a passage on the fly, >= 15x",
            f"{found['faster']:,.0f}x; descriptions without gradient "
            f"{found['faster_than_without_gradient']:,.0f}x",
            verdict["faster"],
        ],
        [
            f"sweeps over {shape['steps']:,} steps ({found['sweeps']} and the fill), <= 20 % of the steps",
            f"{found['sweeps_share']:.1%}; at the longest interval {found['sweeps_share_steady']:.1%}",
            verdict["sweeps"],
        ],
        [
            "sampling and forward of the graph, <= 15 % of a step",
            f"{found['graph_share']:.1%}, of which forward {found['graph_forward_share']:.1%}; "
            f"{counted['graph'] / counted['step']:.1%} of the FLOPs",
            verdict["graph"],
        ],
    ]
    text = "\n".join(
        [
            "# JAKET's memory, on a CPU",
            "",
            f"`python benchmarks/jaket.py`, {whole['threads']} threads: {found['entities']:,} entities, "
            f"{found['edges']:,} edges, hidden {shape['hidden']}, {shape['layers']} layers. `step` is the "
            f"forward and backward pass of one passage of {TOKENS} tokens and {ROOTS // PASSAGES} roots, a "
            f"{PASSAGES:,}th of a step; `draw` makes its arrays; `graph` is the knowledge module's forward "
            f"pass on {found['nodes_of_the_piece']:,} nodes; `swept` is one description through LM1, "
            "`on the fly` the same with its gradient.",
            "",
            "| | ms | GFLOP |",
            "|---|---|---|",
            *rows,
            "",
            "| goal | | |",
            "|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in goals),
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "jaket.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "jaket.md").write_text(text, encoding="utf-8")
    print(text)


def reached(found: dict[str, Any]) -> dict[str, bool]:
    return {
        "faster": found["faster"] >= GOALS["faster"],
        "sweeps": found["sweeps_share"] <= GOALS["sweeps"],
        "graph": found["graph_share"] <= GOALS["graph"],
    }


if __name__ == "__main__":
    main()
