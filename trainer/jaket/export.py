"""Export of JAKET as a plain masked LM: `python -m trainer.jaket.export RUN/model --corpus OUT --out LM`.

A model with `jaket.merge: norm` (the default, as in the paper) is exported approximately: a LayerNorm acts on
every token between the two halves (section 3.4: Z' = LN(Z + E^KM at mentions)), LM2 has learned to read its
output, and a plain model has no place for it. With `norm_at_mentions` or `gate` the export is lossless: on
text without linked mentions it computes what the JAKET model does. The losses on held-out passages are
printed.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.remote import require_local_path
from kgcorpus.contracts.splits import SPLITS
from kgcorpus.report.terminal import say
from trainer.checkpoint import write_model
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import GraphStore
from trainer.jaket.memory import encode
from trainer.jaket.model import JaketModel, open_jaket
from trainer.jaket.relations import relations_on
from trainer.jaket.tasks import Tasks, score
from trainer.jaket.text import link, prepare, read_passages
from trainer.masking import Vocabulary
from trainer.pretrained import save_model

_PER_FORWARD = 32


def export(model: str | Path, corpus: str | Path, out: str | Path, *, limit: int = 2000) -> dict[str, Any]:
    """Write the language model and its tokenizer, and measure what the merge was worth.

    Args:
        model: RUN/model of `train jaket`.
        corpus: a build with JAKET's tables; its validation and test passages are read.
        out: the folder, which then opens with `AutoModelForMaskedLM`.
        limit: passages of each split at most.

    Returns:
        Mean cross-entropy of 15 % of the tokens: `joint` with the graph, `unlinked` of the JAKET model when
        nothing is merged, `plain` as exported; `gap`, `plain` minus `joint`; `lossless`, whether `plain` and
        `unlinked` compute the same; `tokens`, how many were predicted.

    Raises:
        UsageError: the folder holds no JAKET model; or `out` holds other files than a model's, which the
            export would delete, or is where a build or a run deletes.
        InputError: the corpus lacks a table, or has no passage held out.
    """
    out = Path(out)
    refuse_replaced(out)
    if out.exists() and not (out / "config.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            "holds files of others, which the export would delete",
            where=str(out),
            hint="Choose another --out",
        )
    jaket, tokenizer = open_jaket(model)
    store = GraphStore(Path(corpus), tokenizer, jaket.config.description_length)
    entities = store.entities()
    graph = store.graph(entities, directions=jaket.config.directions, seen=None)
    options = JaketConfig(gat_layers=jaket.config.gat_layers, neighbours=jaket.config.neighbours)
    tasks = Tasks(entities, graph, options, np.arange(len(entities)), 0)
    memory = encode(jaket, entities, np.arange(len(entities)), pad=tokenizer.pad_token_id)
    relations = relations_on(jaket, tokenizer, entities, Path(corpus))
    length, vocabulary = jaket.text.longest, Vocabulary.of_tokenizer(tokenizer)
    passages = read_passages(Path(corpus), tokenizer, splits=SPLITS[1:], length=length, limit=limit)
    records = [record for of_split in passages.values() for record in of_split]
    losses, count = torch.zeros(3, dtype=torch.float64), 0
    for first in range(0, len(records), _PER_FORWARD):
        part = records[first : first + _PER_FORWARD]
        mentions = link(part, entities, seen=np.ones(len(entities), bool), seed=0)
        nothing = np.zeros(len(mentions.entity), bool)
        text = prepare(part, mentions, nothing, vocabulary, mlm_probability=0.15, length=length, seed=0)
        batch = tasks.batch(text, np.empty(0, np.int64), step=0, records=[], tokens=0)
        tensors = {name: torch.from_numpy(array).to(jaket.device) for name, array in batch.inputs.items()}
        losses += _losses(jaket, memory, relations, tensors)
        count += len(text.inputs["token_labels"])
    if not count:
        raise InputError("has no token held out to predict", where=str(corpus), hint="Build with more text")

    write_model(out, partial(save_model, jaket.lm, tokenizer))
    joint, unlinked, plain = (losses / count).tolist()
    lossless = jaket.config.merge != "norm"
    found = {"joint": joint, "unlinked": unlinked, "plain": plain, "gap": plain - joint}
    return {**found, "lossless": lossless, "tokens": count}


@torch.inference_mode()
def _losses(jaket: JaketModel, memory: Tensor, relations: Tensor | None, inputs: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy of the predicted tokens [3]: with the graph, with nothing merged, as exported."""
    labels = inputs["token_labels"]
    states = jaket.text.states(inputs["ids"], inputs["segments"], inputs["positions"]).flatten(0, 1)
    plain = jaket.text.logits(states[inputs["token_places"]])
    nothing = {name: inputs[name][:0] for name in ("places", "merged")}
    joint, unlinked = (score(jaket, memory, inputs | of, relations=relations).token for of in ({}, nothing))
    every = (joint, unlinked, plain)
    return torch.stack([cross_entropy(scores, labels, reduction="sum").double().cpu() for scores in every])


def main(
    model: Annotated[Path, typer.Argument(help="RUN/model of `kgcorpus train jaket`.")],
    corpus: Annotated[Path, typer.Option("--corpus", help="A build's folder.")],
    out: Annotated[Path, typer.Option("--out", help="The plain model's folder.", parser=require_local_path)],
) -> None:
    """Write a plain masked language model; print what leaving out graph and merge costs it."""
    found = export(model, corpus, out)
    say(
        f"masked tokens: {found['tokens']:,}, loss with the graph {found['joint']:.3f}, without links "
        f"{found['unlinked']:.3f}, exported {found['plain']:.3f}: gap {found['gap']:+.3f}; "
        f"{'lossless' if found['lossless'] else 'approximate'} on text without links"
    )


if __name__ == "__main__":
    typer.run(main)
