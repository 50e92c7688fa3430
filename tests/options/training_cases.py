"""For each training option a run in which another value must show, or the reason why none can."""

from dataclasses import dataclass, field
from typing import Any

# What each objective's runs have in common; tiny, so that a run takes about a second.
SHARED: dict[str, Any] = {
    "model.hidden": 16,
    "model.layers": 2,
    "model.heads": 2,
    "model.vocab_size": 340,
    "max_length": 96,
    "records_per_step": 12,
    "schedule_steps": 20,
    "lr_warmup": 1,
}
OF_OBJECTIVE: dict[str, dict[str, Any]] = {
    "kmlm": {},
    "trelm": {"trelm.kge": "{vectors}", "trelm.memory.word_quantiles": [0.0, 0.8]},
    "jaket": {
        "jaket.passages": 8,
        "jaket.roots": 16,
        "jaket.gat_heads": 2,
        "jaket.description_length": 16,
        "jaket.memory_first_interval": 1,
    },
    "transe": {"transe.dim": 8, "transe.facts_per_step": 16, "transe.negatives": 8},
}


@dataclass(frozen=True)
class Case:
    """A run of `steps` steps, and the other value; `given` are further settings of both runs."""

    objective: str
    value: Any
    steps: int | None = 3
    given: dict[str, Any] = field(default_factory=dict)


_LONG = {"schedule_steps": 1, "kmlm.long_steps": 2, "kmlm.long_length": 32}
_ROUTED = {"trelm.routing.mode": "exact", "trelm.warmup_steps": 1, "trelm.reroute_every": 1}

CASES: dict[str, Case] = {
    "seed": Case("kmlm", 1),
    "schedule_steps": Case("kmlm", 4),
    "epochs": Case("kmlm", 0.5, given={"schedule_steps": None}),
    "lr": Case("kmlm", 1e-3),
    "lr_warmup": Case("kmlm", 3),
    "lr_schedule": Case("kmlm", "constant"),
    "lr_decay": Case("kmlm", 1.0, given={"lr_schedule": "wsd"}),
    "weight_decay": Case("kmlm", 0.5),
    "grad_clip": Case("kmlm", 1e-3),
    "precision": Case("kmlm", "bf16"),
    "sharding": Case("kmlm", "fsdp"),
    "records_per_step": Case("kmlm", 6),
    "max_length": Case("kmlm", 24),
    "base_model": Case("kmlm", "{model}"),
    "model.hidden": Case("kmlm", 32),
    "model.layers": Case("kmlm", 3),
    "model.heads": Case("kmlm", 4),
    "model.vocab_size": Case("kmlm", 280),
    "model.dropout": Case("kmlm", 0.3),
    "validate_every": Case("kmlm", 2),
    "validation_records": Case("kmlm", 1, given={"validate_every": 1}),
    "keep_best": Case("kmlm", True, given={"validate_every": 1}),
    "patience": Case("kmlm", 1, steps=8, given={"validate_every": 1, "lr": 3.0}),
    "checkpoint_every": Case("kmlm", 1),
    "checkpoint_minutes": Case("kmlm", 1e-9),
    "keep": Case("kmlm", 1, given={"checkpoint_every": 1}),
    "trackers": Case("kmlm", ["tensorboard"]),
    "kmlm.alpha": Case("kmlm", 0.9),
    "kmlm.mlm_probability": Case("kmlm", 0.5),
    "kmlm.streams": Case("kmlm", ["plain", "reasoning"]),
    "kmlm.language_exponent": Case("kmlm", 1.0),
    "kmlm.reasoning_mask": Case("kmlm", "plain"),
    "kmlm.long_length": Case("kmlm", 64, given=_LONG),
    "kmlm.long_steps": Case("kmlm", 1, steps=None, given=_LONG),
    "kmlm.long_lr": Case("kmlm", 1e-4, given=_LONG),
    "kmlm.long_warmup": Case("kmlm", 2, given={**_LONG, "kmlm.long_steps": 4}, steps=5),
    "jaket.split_layer": Case("jaket", 1, given={"model.layers": 4}),
    "jaket.gat_layers": Case("jaket", 1),
    "jaket.gat_heads": Case("jaket", 4),
    "jaket.neighbours": Case("jaket", 2),
    "jaket.directions": Case("jaket", "out"),
    "jaket.relation_embeddings": Case("jaket", "trained"),
    "jaket.merge": Case("jaket", "gate"),
    "jaket.passages": Case("jaket", 4),
    "jaket.roots": Case("jaket", 8),
    "jaket.walk_length": Case("jaket", 1),
    "jaket.mlm_probability": Case("jaket", 0.5),
    "jaket.entity_probability": Case("jaket", 0.5),
    "jaket.neighbour_negatives": Case("jaket", 1),
    "jaket.random_negatives": Case("jaket", 3),
    "jaket.in_batch_negatives": Case("jaket", True),
    "jaket.scaled_entity_scores": Case("jaket", True),
    "jaket.km_lr_scale": Case("jaket", 3.0),
    "jaket.km_lr_warmup": Case("jaket", 4),
    "jaket.description_length": Case("jaket", 5),
    "jaket.memory_momentum": Case("jaket", 0.1),
    "jaket.memory_share": Case("jaket", 0.25),
    "jaket.memory_first_interval": Case("jaket", 2),
    "jaket.memory_last_interval": Case("jaket", 1, steps=7),
    "jaket.memory_dtype": Case("jaket", "bf16"),
    "jaket.unseen_share": Case("jaket", 0.4),
    "trelm.theta": Case("trelm", 0.9),
    "trelm.mlm_probability": Case("trelm", 0.5),
    "trelm.inject": Case("trelm", "both"),
    "trelm.inject_decay": Case("trelm", 4.0, given={"schedule_steps": 4}),
    "trelm.plain_share": Case("trelm", 0.5),
    "trelm.injected_fact": Case("trelm", "another"),
    "trelm.mentions": Case("trelm", "all"),
    "trelm.min_si": Case("trelm", 0.9),
    "trelm.provider": Case("trelm", "shared"),
    "trelm.kge": Case("trelm", "{other_vectors}"),
    "trelm.decode": Case("trelm", "in_text"),
    "trelm.label_tokens": Case("trelm", 1),
    "trelm.negatives": Case("trelm", 8),
    "trelm.logq": Case("trelm", True),
    "trelm.warmup_steps": Case("trelm", 2, given=_ROUTED),
    "trelm.reroute_every": Case("trelm", 2, steps=4, given=_ROUTED),
    "trelm.memory.enabled": Case("trelm", False),
    "trelm.memory.weight": Case("trelm", 0.1),
    "trelm.memory.beta": Case("trelm", 5.0, given={"schedule_steps": 4}),
    "trelm.memory.gamma": Case("trelm", 0.9),
    "trelm.memory.window": Case("trelm", 1),
    "trelm.memory.global_part": Case("trelm", "ema"),
    "trelm.memory.literal": Case("trelm", True),
    "trelm.memory.words_per_million": Case("trelm", [0.0, 1e6]),
    "trelm.memory.word_quantiles": Case("trelm", [0.0, 0.2]),
    "trelm.routing.mode": Case("trelm", "path", given=_ROUTED),
    "trelm.routing.share": Case("trelm", 0.5, given=_ROUTED),
    "trelm.routing.choice": Case("trelm", "random", given=_ROUTED),
    "trelm.routing.probe": Case("trelm", "mlm", given=_ROUTED),
    "trelm.routing.attribution": Case("trelm", "layer", given=_ROUTED),
    "trelm.routing.points": Case("trelm", 1, given=_ROUTED),
    "trelm.routing.tokens": Case("trelm", 1, given=_ROUTED),
    "trelm.routing.average": Case("trelm", 0.0, steps=5, given=_ROUTED),
    "trelm.routing.end_share": Case("trelm", 0.5, given=_ROUTED),
    "trelm.routing.row_lr_scale": Case("trelm", 3.0, given=_ROUTED),
    "trelm.routing.also": Case("trelm", ["attention"], given=_ROUTED),
    "trelm.routing.table_lr_scale": Case("trelm", 3.0, given={**_ROUTED, "trelm.routing.also": ["table"]}),
    "trelm.routing.lowest_layer": Case("trelm", 1, given=_ROUTED),
    "trelm.routing.depth_cut": Case("trelm", False, given={**_ROUTED, "trelm.routing.lowest_layer": 1}),
    "transe.dim": Case("transe", 16),
    "transe.norm": Case("transe", 1),
    "transe.unit_entities": Case("transe", False),
    "transe.margin": Case("transe", 2.0),
    "transe.sharpness": Case("transe", 2.0),
    "transe.lr": Case("transe", 0.5),
    "transe.facts_per_step": Case("transe", 8),
    "transe.negatives": Case("transe", 4),
    "transe.steps": Case("transe", 4, steps=None, given={"transe.steps": 2}),
    "transe.held_out": Case("transe", "{held_out}"),
}

# Reviewed: these change no number, no batch and no file.
ACTS_ELSEWHERE = {
    "activation_checkpointing": "memory alone: the same numbers (trainer/test_throughput.py)",
    "peak_tflops": "the field mfu of the metrics alone (trainer/test_throughput.py)",
    "compile": "the same numbers but for rounding; compiling takes longer than all cases here",
    "log_every": "lines of progress on stderr alone; the test below counts them",
    "rows_per_forward": "memory alone: the same gradient in more parts (trelm/test_objective.py)",
}
