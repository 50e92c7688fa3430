"""A small corpus with JAKET's three tables, written without a build."""

from kgcorpus.contracts.draws import Draw
from tests.trainer.toy import Row

KINDS = ["river", "town", "poet", "metal"]
ENTITIES = 60


def name(i: int) -> str:
    return f"Name{i}"


def edges_of(n: int = ENTITIES, *, seed: int = 0) -> list[Row]:
    """About three edges an entity; one hub, one pair with two relations, and entities without any."""
    draw = Draw(seed, "jaket-toy")
    found = {("Q1", "P1", "Q2"), ("Q1", "P2", "Q2")} | {("Q0", "P3", f"Q{i}") for i in range(3, 30)}
    while len(found) < 3 * n:
        h, t = draw.below(n - 3), draw.below(n - 3)
        found.add((f"Q{h}", f"P{1 + draw.below(3)}", f"Q{t}"))
    return [{"h": h, "r": r, "t": t} for h, r, t in sorted(found)]


def relation_rows() -> list[Row]:
    """Rows of `relations`, which has labels of two of the three."""
    labels = {"P1": "river of", "P2": "town in"}
    return [
        {"pid": pid, "names": [{"lang": "en", "label": label, "aliases": []}]}
        for pid, label in labels.items()
    ]


def jaket_rows(n: int = ENTITIES, *, passages: int = 48, seed: int = 0) -> dict[str, list[Row]]:
    """Rows of `jaket_entities`, `jaket_edges` and `jaket_text`."""
    draw = Draw(seed, "jaket-toy-text")
    entities = []
    for i in range(n):
        text = f"The old {name(i)} is a {KINDS[i % 4]} that stands here."
        start = None if i == 5 else text.index(name(i))
        end = None if start is None else start + len(name(i))
        category = None if i == 7 else f"Q9{i % 4}"
        entities.append({"qid": f"Q{i}", "text": text, "start": start, "end": end, "category": category})
    texts = []
    for p in range(passages):
        text = ""
        mentions: list[Row] = []
        for i in [draw.below(n) for _ in range(5)] + [p % n, p % n]:
            text += " and the " if text else "The "
            mentions.append({"start": len(text), "end": len(text) + len(name(i)), "qid": f"Q{i}"})
            text += name(i)
        text += f" meet on day {p}."
        mentions = [{**m, "source": "anchor", "confidence": 1.0} for m in mentions]
        texts.append({"id": f"jaket:en:{p}:0", "lang": "en", "text": text, "mentions": mentions})
    return {"jaket_entities": entities, "jaket_edges": edges_of(n, seed=seed), "jaket_text": texts}
