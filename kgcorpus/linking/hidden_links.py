"""Evaluation of the linker on the hidden hyperlinks of held-out pages, with two baselines.

The prior is the target that the training pages link most from the same text; the commonest is the first
meaning in the linker's dictionary, which knows labels and titles too. The links are hidden, and their spans
given. The dictionary, the commonness and the in-links come from
training pages only. Targets are compared as page titles, redirects followed, or as items where they have
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
from kgcorpus.linking.characters import normalise
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import numbers_of, precision_recall, resampled_pages, share
from kgcorpus.linking.targets import page_target

PAGES = 2_000
RARE = 3  # a target that fewer training pages link to is rare
MAX_HOPS = 5
Row = dict[str, Any]


class Hidden(NamedTuple):
    """A hidden link: its page and target, the linker's answer, and the candidates of its surface form.

    Attributes:
        senses: meanings by the linker's dictionary, the commonest first.
        targets: what training pages link from the surface, the most frequent first.
        in_links: training pages that link to the target.
    """

    page: int
    gold: str
    found: str | None
    confidence: float
    senses: Sequence[str]
    targets: Sequence[str]
    in_links: int


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
    """Title -> the entity it leads to: an id, or `targets.page_target` after redirects.

    Args:
        pages, items: files of the tables `pages` and `titles`.
    """
    end = {title: title for title in titles}
    for _ in range(MAX_HOPS):
        onward = _columns(pages, lang, set(end.values()), "redirect")
        end = {title: onward.get(last) or last for title, last in end.items()}
    known = _columns(items, lang, {*end, *end.values()}, "qid") if items else {}
    return {
        title: known.get(title) or known.get(last) or page_target(lang, last) for title, last in end.items()
    }


def _columns(paths: Sequence[str], lang: str, titles: set[str], column: str) -> dict[str, str]:
    wanted = (ds.field("lang") == lang) & ds.field("title").isin(pa.array(sorted(titles), pa.string()))
    found = ds.dataset(list(paths)).to_table(columns=["title", column], filter=wanted)
    return dict(zip(found["title"].to_pylist(), found[column].to_pylist(), strict=True))


def linked_targets(paths: Sequence[str], lang: str) -> dict[str, list[str]]:
    """Surface -> the targets of its links, the most frequent first, from files of the table `surfaces`."""
    wanted = (ds.field("lang") == lang) & (ds.field("links") > 0)
    found = ds.dataset(list(paths)).to_table(columns=["surface", "targets"], filter=wanted)
    rows = zip(found["surface"].to_pylist(), found["targets"].to_pylist(), strict=True)
    return {surface: [target["target"] for target in targets] for surface, targets in rows}


def answers(
    linker: Linker, pages: list[Row], resolved: dict[str, str], targets: dict[str, list[str]]
) -> Iterator[Hidden]:
    """Ask the linker for every hidden link.

    Args:
        resolved: of `resolve_titles`.
        targets: of `linked_targets`.
    """
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
                linker.senses_of(link["anchor"]),
                targets.get(normalise(link["anchor"]), []),
                linker.in_links(gold),
            )


def _disjoint(links: list[Row]) -> list[Row]:
    kept: list[Row] = []
    for link in sorted(links, key=lambda link: (link["start"], link["end"])):
        if link["start"] < link["end"] and (not kept or kept[-1]["end"] <= link["start"]):
            kept.append(link)
    return kept


def score_hidden(hidden: list[Hidden], *, seed: int) -> dict[str, Any]:
    """Shares of right answers by stratum, and precision against recall.

    `reachable` is the share whose target is among the meanings of the dictionary: no choice does better.
    """
    page = numbers_of([link.page for link in hidden])
    draws = resampled_pages(page, seed=seed)
    linker = np.array([link.found == link.gold for link in hidden], np.float64)
    known = [link.targets for link in hidden], [link.senses for link in hidden]
    targets, senses = (np.array([len(meanings) for meanings in lists]) for lists in known)
    golds = [[link.gold] for link in hidden]
    prior, commonest = (
        np.array([meanings[:1] == gold for meanings, gold in zip(lists, golds, strict=True)], np.float64)
        for lists in known
    )
    reachable = np.array([link.gold in link.senses for link in hidden], np.float64)
    strata = {
        "all": np.ones(len(hidden), bool),
        "known": reachable > 0,
        "unseen_surface": targets == 0,
        "ambiguous": senses > 1,
        "linked_to_several": targets > 1,
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
                "over_prior": share((linker - prior)[rows], page[rows], draws),
                "commonest": share(commonest[rows], page[rows], draws),
                "over_commonest": share((linker - commonest)[rows], page[rows], draws),
                "reachable": share(reachable[rows], page[rows], draws),
            }
            for name, rows in strata.items()
        },
        **precision_recall(
            linker[answered] > 0,
            confidence[answered],
            page[answered],
            totals=np.bincount(page, minlength=draws.shape[1]),
            draws=draws,
        ),
    }
