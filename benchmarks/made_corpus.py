"""Made-up builds for benchmarks of training: any vocabulary and any lengths, without Spark or downloads.

Words are `w0`, `w1`, ..., a token each, with frequencies of Zipf's law. Entities and relations have labels of
two such words. The tables are those of a build, so the trainers' own readers, tokenisation and caches work.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofs.corpus import write_build

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
# Mean tokens of a record beyond its first 8, and mentions of a passage: one in so many tokens.
_MEAN, _TOKENS_A_MENTION = 23, 25
_FACTS_A_MENTION = 8
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """What is made.

    Attributes:
        vocabulary: tokens of the tokenizer.
        length: tokens of a record at most, special tokens included. Up to 128 most are short (8 plus an
            exponential of mean 23, as sentences are); longer ones are uniform from an eighth to all of it.
        records: of each text table.
        entities, relations, facts: of the graph.
    """

    vocabulary: int
    length: int
    records: int
    entities: int = 20_000
    relations: int = 100
    facts: int = 100_000


class MadeCorpus:
    """Makes the rows of a build.

    Args:
        size: of it.
        seed: of the draws.
    """

    def __init__(self, size: Size, seed: int = 0) -> None:
        self._size, self._draw = size, np.random.default_rng(seed)
        self._words = np.array([f"w{i}" for i in range(size.vocabulary - len(SPECIAL))])
        labels = self._sample(2 * (size.entities + size.relations)).reshape(-1, 2)
        self._labels = [" ".join(pair) for pair in labels.tolist()]
        ends = self._draw.integers(0, size.entities, (size.facts, 2))
        relations = self._draw.integers(0, size.relations, size.facts)
        kept = ends[:, 0] != ends[:, 1]
        self._facts = np.unique(np.column_stack([ends[kept, 0], relations[kept], ends[kept, 1]]), axis=0)

    def write(self, out: Path, *objectives: str) -> Path:
        """Write the tables of these objectives (kmlm, trelm, jaket) as a finished build."""
        tables: dict[str, list[Row]] = {}
        if "kmlm" in objectives:
            tables |= {"plain_text": self._plain(), **self._sentences()}
        if "trelm" in objectives:
            tables |= {"trelm": self._trelm(), **self._graph()}
        if "jaket" in objectives:
            tables |= self._jaket()
        rows = {name: [{**row, "split": "train"} for row in own] for name, own in tables.items()}
        write_build(out, rows, seed=0)
        with (out / "config.yaml").open("a", encoding="utf-8") as stream:
            stream.write("languages: [en]\n")
        return out

    def write_vectors(self, folder: Path, *, dim: int = 100) -> Path:
        """Write drawn vectors where `trelm.kge` looks for a run of TransE."""
        from trainer.transe.embeddings import Embeddings, write_embeddings

        entities, relations = (
            self._draw.normal(size=(n, dim)).astype(np.float32)
            for n in (self._size.entities, self._size.relations)
        )
        entity_ids, relation_ids = ([f"{kind}{i}" for i in range(n)] for kind, n in self._counts())
        (folder / "model").mkdir(parents=True)
        write_embeddings(
            folder / "model", Embeddings(entities, relations, entity_ids, relation_ids, norm=2, steps=0)
        )
        return folder

    def _counts(self) -> tuple[tuple[str, int], tuple[str, int]]:
        return ("Q", self._size.entities), ("P", self._size.relations)

    def _sample(self, count: int) -> NDArray[np.str_]:
        ranks = np.floor(len(self._words) ** self._draw.random(count)).astype(np.int64)
        return self._words[np.minimum(ranks, len(self._words) - 1)]

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each record, special tokens left out."""
        size, draw = self._size, self._draw
        if size.length <= 128:
            return np.minimum(size.length, 8 + draw.exponential(_MEAN, size.records)).astype(np.int64) - 2
        return draw.integers(size.length // 8, size.length - 1, size.records)

    def _texts(self) -> list[list[str]]:
        lengths = self.lengths()
        words = self._sample(int(lengths.sum())).tolist()
        ends = np.cumsum(lengths).tolist()
        return [words[end - n : end] for end, n in zip(ends, lengths.tolist(), strict=True)]

    def _plain(self) -> list[Row]:
        length = self._size.length
        return [
            {"id": f"p{i}", "lang": "en", "text": " ".join(words), "length": length}
            for i, words in enumerate(self._texts())
        ]

    def _sentences(self) -> dict[str, list[Row]]:
        """One triple a code-switched record, three a cycle."""
        facts = self._draw.integers(0, len(self._facts), (self._size.records, 3))
        single = [self._sentence(f"cs{i}", "code_switched", own[:1]) for i, own in enumerate(facts)]
        return {
            "code_switched": single,
            "reasoning": [self._sentence(f"c{i}", "cycle3", own) for i, own in enumerate(facts)],
        }

    def _sentence(self, name: str, kind: str, facts: NDArray[np.int64]) -> Row:
        text, slots, triples = "", list[Row](), list[Row]()
        for number, (h, r, t) in enumerate(self._facts[facts].tolist()):
            ids = (f"Q{h}", f"P{r}", f"Q{t}")
            triples.append(dict(zip("hrt", ids, strict=True)))
            text += " " if text else ""
            labels = (self._labels[h], self._labels[self._size.entities + r], self._labels[t])
            for slot, (qid, label) in enumerate(zip(ids, labels, strict=True), 1):
                span = {"start": len(text), "end": len(text) + len(label)}
                slots.append({**span, "sentence": number, "slot": slot, "qid": qid, "lang": "en"})
                text += label + (" [mask] " if slot < 3 else " .")
        return {"id": name, "lang": "en", "kind": kind, "text": text, "triples": triples, "slots": slots}

    def _mentioned(self) -> list[tuple[str, list[Row]]]:
        """Texts in which labels of entities take the place of some words, and their mentions."""
        found = []
        for words in self._texts():
            count = max(1, len(words) // _TOKENS_A_MENTION)
            places = np.linspace(0, len(words) - 2, count, endpoint=False).astype(int).tolist()
            entities = dict(
                zip(places, self._draw.integers(0, self._size.entities, count).tolist(), strict=True)
            )
            text, mentions, i = "", list[Row](), 0
            while i < len(words):
                text += " " if text else ""
                if i in entities:
                    label = self._labels[entities[i]]
                    mentions.append(
                        {"start": len(text), "end": len(text) + len(label), "qid": f"Q{entities[i]}"}
                    )
                    text, i = text + label, i + 2
                else:
                    text, i = text + words[i], i + 1
            found.append((text, mentions))
        return found

    def _trelm(self) -> list[Row]:
        order = np.argsort(self._facts[:, 0], kind="stable")
        starts = np.searchsorted(self._facts[order, 0], np.arange(self._size.entities + 1))
        rows = []
        for i, (text, mentions) in enumerate(self._mentioned()):
            for mention in mentions:
                entity, cos = int(mention["qid"][1:]), 0.5 + self._draw.random() / 2
                own = self._facts[order[starts[entity] : starts[entity + 1]][:_FACTS_A_MENTION]]
                mention |= {"cos": cos, "si": 1 / cos, "long_tail": True, "frequency": 2, "confidence": 1.0}
                mention["triples"] = [
                    {"r": f"P{r}", "other": f"Q{t}", "direction": "tail", "label": self._labels[t]}
                    for _, r, t in own.tolist()
                ]
            sentences = [{"start": 0, "end": len(text)}]
            rows.append(
                {"id": f"t{i}", "lang": "en", "text": text, "sentences": sentences, "mentions": mentions}
            )
        return rows

    def _graph(self) -> dict[str, list[Row]]:
        def names(label: str) -> list[Row]:
            return [{"lang": "en", "label": label, "aliases": []}]

        count = self._size.entities
        return {
            "entities": [
                {"qid": f"Q{i}", "names": names(label), "types": []}
                for i, label in enumerate(self._labels[:count])
            ],
            "relations": [
                {"pid": f"P{i}", "names": names(label)} for i, label in enumerate(self._labels[count:])
            ],
            "triples": self._triples(),
        }

    def _triples(self) -> list[Row]:
        return [{"h": f"Q{h}", "r": f"P{r}", "t": f"Q{t}"} for h, r, t in self._facts.tolist()]

    def _jaket(self) -> dict[str, list[Row]]:
        """Descriptions of 64 tokens, or as many as a record has, with the entity's label in front."""
        length = min(64, self._size.length // 2)
        entities = []
        words = self._sample(length * self._size.entities).reshape(-1, length).tolist()
        for i, own in enumerate(words):
            label = self._labels[i]
            text = " ".join([label, *own[2:]])
            entities.append(
                {"qid": f"Q{i}", "text": text, "start": 0, "end": len(label), "category": f"C{i % 97}"}
            )
        texts = [
            {
                "id": f"j{i}",
                "lang": "en",
                "text": text,
                "mentions": [{**mention, "source": "anchor", "confidence": 1.0} for mention in mentions],
            }
            for i, (text, mentions) in enumerate(self._mentioned())
        ]
        return {"jaket_entities": entities, "jaket_edges": self._triples(), "jaket_text": texts}


def make_tokenizer(vocabulary: int) -> Any:
    """A tokenizer whose words are the corpus's, a token each, framed as BERT frames a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL.values(), *(f"w{i}" for i in range(vocabulary - len(SPECIAL)))]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{name}_token": token for name, token in SPECIAL.items()}
    return PreTrainedTokenizerFast(tokenizer_object=words, **special)


def write_base(folder: Path, tokenizer: Any, *, hidden: int, layers: int, heads: int, positions: int) -> Path:
    """Write a BERT of these shapes with random weights, and its tokenizer, as a base model."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=positions,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=hidden**-0.5,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
