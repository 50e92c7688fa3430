"""KMLM's records: sentences `h [mask] r [mask] t.` with their slots, and cycles as such sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Names

LINK = " [mask] "


class Item(NamedTuple):
    """A head, relation or tail as it is written: its name, its id, the name's language."""

    name: str
    ident: str
    lang: str


Sentence = tuple[Item, Item, Item]


def render_sentences(sentences: Iterable[Sentence]) -> tuple[str, list[dict[str, Any]]]:
    """Write the sentences, joined by one space, with their slots.

    Links, periods and spaces belong to no slot, and a name may hold any of them: KMLM's own code looks for
    slots by token, which breaks on "St. Louis".

    Returns:
        The text and its slots, sorted, as the columns `text` and `slots` of the table `code_switched`.
    """
    parts: list[str] = []
    slots: list[dict[str, Any]] = []
    at = 0
    for number, (head, relation, tail) in enumerate(sentences):
        if number:
            parts.append(" ")
            at += 1
        for slot, (name, ident, lang) in enumerate((head, relation, tail), 1):
            end = at + len(name)
            slots.append(
                {"start": at, "end": end, "sentence": number, "slot": slot, "qid": ident, "lang": lang}
            )
            at = end + len(LINK)
        parts.append(f"{head.name}{LINK}{relation.name}{LINK}{tail.name}.")
        at = end + 1
    return "".join(parts), slots


def reasoning_records(
    cycle: Mapping[str, Any],
    *,
    names: Names,
    relations: Names,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
) -> Iterator[dict[str, Any]]:
    """Yield a cycle as a row of the table `reasoning` in each language that names all it holds (KMLM, 3.2).

    A triple keeps its direction; the order of the sentences is drawn for each language.

    Args:
        cycle: a row of the table `cycles`.
        tally: counts the languages that lack a name.
    """
    kind = f"cycle{cycle['length']}"
    for lang in languages:
        entity_names = {ident: names.label(ident, lang) for ident in cycle["entities"]}
        relation_names = {t["r"]: relations.label(t["r"], lang) for t in cycle["triples"]}
        nodes = {ident: Item(name, ident, lang) for ident, name in entity_names.items() if name}
        edges = {ident: Item(name, ident, lang) for ident, name in relation_names.items() if name}
        if len(nodes) < len(entity_names) or len(edges) < len(relation_names):
            tally.drop(f"names_missing.{lang}")
            continue
        triples = list(cycle["triples"])
        Draw(seed, "reasoning-order", cycle["cycle_id"], lang).shuffle(triples)
        text, slots = render_sentences((nodes[t["h"]], edges[t["r"]], nodes[t["t"]]) for t in triples)
        yield {
            "id": f"{kind}:{lang}:{cycle['cycle_id']}",
            "lang": lang,
            "kind": kind,
            "text": text,
            "triples": triples,
            "slots": slots,
        }


def record_split(seed: int, row: Mapping[str, Any]) -> str:
    """The split of a row of `code_switched` or `reasoning`, by the entity pairs of its triples."""
    return split_of_pairs(seed, ((triple["h"], triple["t"]) for triple in row["triples"]))
