"""How well the linker finds back the hyperlinks of held-out pages, beside the commonest target of a surface.

The links are hidden, and their spans given. The dictionary, the commonness and the in-links come from
training pages alone. Targets are compared as page titles, redirects followed, or as items where they have
one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import numbers_of, precision_recall, resampled_pages, share

PAGES = 2_000
RARE = 3  # a target that fewer training pages link to is rare
MAX_HOPS = 5
Row = dict[str, Any]


class Hidden(NamedTuple):
    """A hidden link: its page and target, what the linker says, and what its surface may stand for."""

    page: int
    gold: str
    found: str | None
    confidence: float
    senses: tuple[str, ...]
    in_links: int

    @property
    def prior(self) -> str | None:
        """The commonest target."""
        return self.senses[0] if self.senses else None


def held_out_pages(paths: Sequence[str], lang: str, seed: int) -> list[Row]:
    """Up to `PAGES` held-out pages with links, in the order of a hash; their links have resolved titles."""
    wanted = (ds.field("lang") == lang) & (pc.list_value_length(ds.field("links")) > 0)
    scanner = ds.dataset(list(paths)).scanner(columns=["page_id", "text", "links"], filter=wanted)
    kept: list[tuple[int, Row]] = []
    for batch in scanner.to_batches():
        ids = batch["page_id"].to_pylist()
        rows = [at for at, page in enumerate(ids) if split_of_page(seed, lang, page) != "train"]
        kept += [(hash64(seed, "hidden", lang, row["page_id"]), row) for row in batch.take(rows).to_pylist()]
        kept = sorted(kept, key=lambda pair: pair[0])[:PAGES]
    return [row for _, row in kept]


def resolve_titles(
    titles: Iterable[str], lang: str, *, pages: Sequence[str], items: Sequence[str]
) -> dict[str, str]:
    """Title -> the entity it leads to: a QID, or `lang:title` after redirects.

    Args:
        pages, items: files of the tables `pages` and `titles`.
    """
    end = {title: title for title in titles}
    for _ in range(MAX_HOPS):
        onward = _columns(pages, lang, set(end.values()), "redirect")
        end = {title: onward.get(last) or last for title, last in end.items()}
    known = _columns(items, lang, {*end, *end.values()}, "qid") if items else {}
    return {title: known.get(title) or known.get(last) or f"{lang}:{last}" for title, last in end.items()}


def _columns(paths: Sequence[str], lang: str, titles: set[str], column: str) -> dict[str, str]:
    wanted = (ds.field("lang") == lang) & ds.field("title").isin(pa.array(sorted(titles), pa.string()))
    found = ds.dataset(list(paths)).to_table(columns=["title", column], filter=wanted)
    return dict(zip(found["title"].to_pylist(), found[column].to_pylist(), strict=True))


def answers(linker: Linker, pages: list[Row], resolved: dict[str, str]) -> Iterator[Hidden]:
    """Ask the linker for every hidden link."""
    for number, page in enumerate(pages):
        links = _disjoint(page["links"])
        found = linker.link_spans(page["text"], [(link["start"], link["end"]) for link in links])
        for link, mention in zip(links, found, strict=True):
            gold = resolved[link["target"]]
            yield Hidden(
                number,
                gold,
                mention.entity if mention else None,
                mention.confidence if mention else 0.0,
                tuple(linker.senses_of(link["anchor"])),
                linker.in_links(gold),
            )


def _disjoint(links: list[Row]) -> list[Row]:
    kept: list[Row] = []
    for link in sorted(links, key=lambda link: (link["start"], link["end"])):
        if link["start"] < link["end"] and (not kept or kept[-1]["end"] <= link["start"]):
            kept.append(link)
    return kept


def score_hidden(hidden: list[Hidden], *, seed: int) -> dict[str, Any]:
    """Shares of right answers by stratum, for the linker, the prior and their difference; and the curve."""
    page = numbers_of([link.page for link in hidden])
    draws = resampled_pages(page, seed=seed)
    linker = np.array([link.found == link.gold for link in hidden], np.float64)
    prior = np.array([link.prior == link.gold for link in hidden], np.float64)
    targets = np.array([len(link.senses) for link in hidden])
    strata = {
        "all": np.ones(len(hidden), bool),
        "known": np.array([link.gold in link.senses for link in hidden], bool),
        "unseen_surface": targets == 0,
        "ambiguous": targets > 1,
        "rare_target": np.array([link.in_links < RARE for link in hidden], bool),
        "prior_wrong": (prior == 0) & (targets > 0),
    }
    answered = np.array([link.found is not None for link in hidden], bool)
    confidence = np.array([link.confidence for link in hidden])
    return {
        "pages": draws.shape[1],
        "links": len(hidden),
        "strata": {
            name: {
                "linker": share(linker[rows], page[rows], draws),
                "prior": share(prior[rows], page[rows], draws),
                "difference": share((linker - prior)[rows], page[rows], draws),
            }
            for name, rows in strata.items()
        },
        **precision_recall(linker[answered] > 0, confidence[answered], total=len(hidden)),
    }
