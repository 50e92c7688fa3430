"""Training of TransE, in a loop of its own: a step changes only the vectors of its batch."""

import contextlib
import math
import time
from pathlib import Path

import torch

from kgcorpus.contracts.errors import KgcorpusError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from trainer.checkpoint import Checkpoints, recover_folder, write_model
from trainer.config import TrainingConfig
from trainer.determinism import deterministic_on_cpu
from trainer.digests import digest_of_file
from trainer.metrics_log import MetricsLog
from trainer.progress import progress
from trainer.run_identity import ensure_same_run
from trainer.stopping import end_early, stop_requests
from trainer.throughput import costs
from trainer.transe.config import TRANSE_TABLES
from trainer.transe.data import Batches, Triples, ensure_triples
from trainer.transe.embeddings import open_embeddings
from trainer.transe.model import TransE


@deterministic_on_cpu()
def train_transe(
    corpus: str | Path, out: str | Path, config: TrainingConfig, *, max_steps: int | None = None
) -> Path:
    """Start or resume embeddings of the corpus's facts; a finished run is unchanged.

    With E entities, R relations and T facts the arrays take 4 (E + R)(dim + 1) + 24 T bytes and, from a file
    that is mapped, 12 T: 4.6 million entities of 200 numbers and 20 million facts need 4.2 GB. About 1.1 GB
    more are ids, the mapped file and libraries at that size (`benchmarks/kge_memory.py`).

    Args:
        corpus: a finished build with the table `triples`.
        out: the run's folder; an existing run is resumed.
        config: of which the seed, the checkpoints and the section `transe` are read.
        max_steps: end at exactly this step instead of `transe.steps`.

    Returns:
        RUN/model, which `trainer.transe.embeddings.open_embeddings` opens.

    Raises:
        UsageError: the folder holds another run.
        InputError: no finished build, or no facts.
        KgcorpusError: the loss is not finite.
        SystemExit: 143 after a SIGTERM, 130 after a Ctrl-C; the steps so far are saved.
    """
    corpus, out = Path(corpus), Path(out)
    options = config.transe
    manifest = load_manifest(corpus, required=True)
    manifest.check_files(corpus, TRANSE_TABLES)
    settings = options.model_dump(mode="json", exclude={"steps", "held_out"})
    held_out = None if options.held_out is None else Path(options.held_out)
    identity = {
        "objective": "transe",
        "config": {"seed": config.seed, "transe": settings},
        "transe.held_out": held_out and digest_of_file(held_out, where="transe.held_out"),
        "corpus": {name: manifest.tables[name].digest for name in TRANSE_TABLES if name in manifest.tables},
    }
    ensure_same_run(out, identity, paths={"transe.held_out": options.held_out})
    triples = ensure_triples(out / "triples", corpus, held_out=held_out)
    end = options.steps if max_steps is None else max_steps
    recover_folder(out / "model")
    if not _finished(out / "model", end) and (stopped := _run(triples, config, out, end=end)):
        raise end_early(stopped)
    return out / "model"


def _finished(model: Path, end: int) -> bool:
    return model.exists() and open_embeddings(model).steps == end


def _run(triples: Triples, config: TrainingConfig, out: Path, *, end: int) -> int:
    """Train up to step `end` and return 0; the exit code if a signal came first."""
    options = config.transe
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = TransE(
        options,
        entity_ids=triples.entities,
        relation_ids=triples.relations,
        seed=config.seed,
        device=device,
    )
    batches = Batches(
        triples.facts,
        entities=len(triples.entities),
        size=options.facts_per_step,
        negatives=options.negatives,
        seed=config.seed,
    )
    checkpoints = Checkpoints(out / "checkpoints", keep=config.keep)
    step, squares = checkpoints.restore(model)
    if squares is not None:
        model.load_state_dict(squares)
    if step > end:
        raise UsageError(
            f"has done {step} steps, more than the {end} asked for",
            where=str(out),
            hint="Choose another --out, or a larger --max-steps",
        )
    saved, stopping = time.monotonic(), False
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(stop_requests())
        metrics = stack.enter_context(MetricsLog(out / "metrics.jsonl", step=step))
        show = stack.enter_context(progress(step, end, log_every=config.log_every, unit="facts"))
        while step < end and not stopping:
            began = time.monotonic()
            batch = batches.at(step, device)
            waited = time.monotonic() - began
            loss = model.step(batch)
            if not math.isfinite(loss):
                raise KgcorpusError(
                    f"the loss ({loss}) is not finite", where=f"step {step + 1}", hint="Lower transe.lr"
                )
            step, stopping = step + 1, request.is_set()
            line = {"step": step, "loss": loss, "lr": options.lr, "facts": len(batch.heads)}
            line["seconds"] = seconds = time.monotonic() - began
            line |= costs(len(batch.heads), seconds, waited, device, name="facts")
            metrics.write(line)
            show(line)
            overdue = time.monotonic() - saved >= 60 * config.checkpoint_minutes
            if overdue or stopping or step % config.checkpoint_every == 0 or step == end:
                checkpoints.save(step, model, model)
                saved = time.monotonic()
    if step == end:
        write_model(out / "model", model.save, step=step)
    return 0 if step == end else request.exit_code
