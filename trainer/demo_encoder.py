"""Makes the demo's importance encoder, `kgcorpus/demo/world/encoder`: a tiny BERT of the demo's own text.

Run `python -m trainer.demo_encoder [--out DIR]`; two to three minutes on one CPU core. Seeded: the same text,
versions, kind of machine and number of threads give the same weights.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.demo import world
from kgcorpus.demo.dumps import wikis, write_dumps
from kgcorpus.inputs import open_input
from kgcorpus.report.terminal import say
from kgcorpus.wiki.dump import read_pages, read_site
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.sentences import split_sentences
from trainer.masked_lm import PackedMaskedLM
from trainer.masking import Vocabulary, mask_share
from trainer.packing import pack
from trainer.shards import Record
from trainer.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SEED = 20240501
VOCABULARY, HIDDEN, LAYERS, HEADS, POSITIONS = 2_000, 96, 3, 4, 256
ROW_TOKENS, RECORDS_PER_STEP, STEPS, WARM_UP, PEAK_LR = 128, 64, 1_500, 100, 3e-3
# BERT's .02 suits a hidden size of 768; a narrow model starts faster with more.
INITIAL_DEVIATION = 0.05
MASKED, HELD_OUT, HELD_OUT_DRAWS = 0.15, 0.10, 8


def sentences() -> list[str]:
    """Every sentence of the demo's articles, in all languages, and of its entities' descriptions, once."""
    found: dict[str, None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for lang, dump in zip(wikis(), write_dumps(Path(folder)), strict=True):
            with open_input(str(dump)) as stream:
                site = read_site(stream, lang=lang)
            with open_input(str(dump)) as stream:
                for page in page_rows(read_pages(stream, where=dump.name), site=site, tally=Tally()):
                    found |= dict.fromkeys(_split(page["text"], lang))
    for _, description in _rows("wikidata5m_text.txt"):
        found |= dict.fromkeys(_split(description, "en"))
    return list(found)


def _split(text: str, lang: str) -> Iterator[str]:
    return (text[start:end] for start, end in split_sentences(text, lang))


def names() -> list[str]:
    """One line an entity or relation: its labels in every language."""
    labels: dict[str, list[str]] = {}
    for file in ("labels.tsv", "relations.tsv"):
        for key, _, label, *_ in _rows(file):
            labels.setdefault(key, []).append(label)
    return [", ".join(filter(None, line)) for line in labels.values()]


def facts() -> list[str]:
    """The graph's triples in English words; without them a text this small teaches no context."""
    entity, relation = (
        {key: label for key, label, *_ in _rows(f"wikidata5m_{kind}.txt")} for kind in ("entity", "relation")
    )
    triples = _rows("wikidata5m_transductive_train.txt")
    return [f"{entity[h]} {relation[r]} {entity[t]}." for h, r, t in triples]


def _rows(file: str) -> Iterator[list[str]]:
    lines = (world() / "graph" / file).read_text(encoding="utf-8").splitlines()
    return (line.split("\t") for line in lines)


@dataclass(frozen=True)
class _Batch:
    """Packed rows [rows, length] and the predicted tokens: places in the flat rows, and what stood there."""

    ids: Tensor
    segments: Tensor
    positions: Tensor
    where: Tensor
    labels: Tensor

    def logits(self, model: PackedMaskedLM) -> Tensor:
        """[labels, vocabulary]."""
        states = model.states(self.ids, self.segments, self.positions).flatten(0, 1)
        return model.logits(states.index_select(0, self.where))


class Texts:
    """Tokenised texts, with new masks in each epoch."""

    def __init__(self, texts: Sequence[str], tokenizer: "PreTrainedTokenizerFast", *, name: str) -> None:
        encoded = tokenizer(list(texts), truncation=True, max_length=ROW_TOKENS)
        self.ids: list[NDArray[np.int32]] = [np.array(ids, np.int32) for ids in encoded["input_ids"]]
        self._name, self._pad = name, tokenizer.pad_token_id
        self._vocabulary = Vocabulary.of_tokenizer(tokenizer)

    def batches(self) -> Iterator[_Batch]:
        """Batches of RECORDS_PER_STEP texts, epoch after epoch, without end."""
        order: list[int] = []
        epoch = 0
        while True:
            while len(order) < RECORDS_PER_STEP:
                fresh = list(range(len(self.ids)))
                Draw(SEED, self._name, epoch).shuffle(fresh)
                order += fresh
                epoch += 1
            yield self.batch(order[:RECORDS_PER_STEP], epoch)
            del order[:RECORDS_PER_STEP]

    def batch(self, chosen: Sequence[int], epoch: int) -> _Batch:
        """The chosen texts with the epoch's masks."""
        records = [
            Record(str(i), "plain", ids, np.zeros(len(ids), np.int8), np.zeros(len(ids), np.int16), epoch)
            for i, ids in ((i, self.ids[i]) for i in chosen)
        ]
        masked = mask_share(
            records, self._vocabulary, share=MASKED, slots_only=False, seed=SEED, stream=self._name
        )
        sizes = np.array([len(record.ids) for record in records])
        packed = pack(masked.ids, sizes, length=ROW_TOKENS, pad=self._pad)
        return _Batch(
            torch.from_numpy(packed.ids),
            torch.from_numpy(packed.segments),
            torch.from_numpy(packed.positions),
            torch.from_numpy(packed.flat[masked.predicted]),
            torch.from_numpy(masked.labels[masked.predicted].astype(np.int64)),
        )


def train(texts: Texts, *, vocabulary: int, pad: int) -> PackedMaskedLM:
    """A BERT from scratch: AdamW, warm-up, then linear decay to 0."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(hash64(SEED, "model"))
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * HIDDEN,
        max_position_embeddings=POSITIONS,
        initializer_range=INITIAL_DEVIATION,
        pad_token_id=pad,
    )
    model = PackedMaskedLM(BertForMaskedLM(config)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP, (STEPS - step) / (STEPS - WARM_UP))
    )
    for step, batch in zip(range(STEPS), texts.batches(), strict=False):
        loss = cross_entropy(batch.logits(model), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            say(f"step {step + 1}: loss {loss.item():.3f}")
    return model.eval()


def accuracy(model: PackedMaskedLM, held_out: Texts, *, commonest: int) -> tuple[float, float]:
    """Share of masked tokens guessed right: by the model, and by always naming the commonest token."""
    right, frequent, total = 0, 0, 0
    with torch.inference_mode():
        for draw in range(HELD_OUT_DRAWS):
            batch = held_out.batch(range(len(held_out.ids)), draw)
            right += int((batch.logits(model).argmax(1) == batch.labels).sum())
            frequent += int((batch.labels == commonest).sum())
            total += len(batch.labels)
    return right / total, frequent / total


def save(model: PackedMaskedLM, tokenizer: "PreTrainedTokenizerFast", out: Path) -> None:
    """Half-precision weights that open as float32, in the folder form of transformers 4 and 5."""
    model.lm.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    _edit(out / "config.json", dtype="float32")
    _edit(out / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def _edit(path: Path, **values: str) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_held_out(text: str) -> bool:
    """Whether a sentence is kept from training."""
    return hash64(SEED, "held-out", text) / 2.0**64 < HELD_OUT


def main() -> None:
    """Train, print the held-out accuracy, save."""
    parser = argparse.ArgumentParser(description="Train the demo's importance encoder.")
    parser.add_argument("--out", type=Path, default=world() / "encoder", help="folder of the encoder")
    out: Path = parser.parse_args().out
    found = sentences()
    unseen = [text for text in found if is_held_out(text)]
    seen = [text for text in found if not is_held_out(text)]
    corpus = seen + names() + facts()
    tokenizer = make_tokenizer(corpus, vocab_size=VOCABULARY, max_length=POSITIONS)
    say(f"{len(corpus)} texts ({len(seen)} sentences) to train on, {len(unseen)} sentences held out")
    model = train(
        Texts(corpus, tokenizer, name="train"), vocabulary=len(tokenizer), pad=tokenizer.pad_token_id
    )
    held_out = Texts(unseen, tokenizer, name="held-out")
    tokens = np.concatenate(tokenizer(seen, add_special_tokens=False)["input_ids"])
    share, unigram = accuracy(model, held_out, commonest=int(np.bincount(tokens.astype(np.int64)).argmax()))
    say(f"held-out masked accuracy {share:.3f} (unigram {unigram:.3f})")
    save(model, tokenizer, out)


if __name__ == "__main__":
    main()
