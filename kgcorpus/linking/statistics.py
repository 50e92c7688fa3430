"""Statistics of surface forms on training pages: what they link to, and how often they occur."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.splits import split_of_page
from kgcorpus.linking.characters import normalise
from kgcorpus.linking.targets import page_title
from kgcorpus.wiki.own_title import bare_title

Row = dict[str, Any]


def is_training_page(page: Mapping[str, Any], seed: int) -> bool:
    """Whether statistics may read the page: held-out pages show how well hidden links are found."""
    return page["redirect"] is None and split_of_page(seed, page["lang"], page["page_id"]) == "train"


def training_links(pages: Iterable[Row], seed: int) -> Iterator[Row]:
    """The links of training pages, as rows {lang, page_id, surface, title}.

    The surface is normalised, and empty where the link's text is no name.
    """
    for page in pages:
        if is_training_page(page, seed):
            for link in page["links"]:
                surface = normalise(link["anchor"])
                yield {
                    "lang": page["lang"],
                    "page_id": page["page_id"],
                    "surface": surface if is_name(surface) else "",
                    "title": link["target"],
                }


def is_name(surface: str) -> bool:
    """Whether a text can be looked for: it has a letter or a digit, and no more than 200 characters."""
    return 0 < len(surface) <= 200 and any(map(str.isalnum, surface))


def names_of_entities(rows: Iterable[Row]) -> Iterator[Row]:
    """Labels and aliases, as rows {lang, surface, target, titled, main}.

    `main`: the name is the label, or the first alias of an entity without a label in that language.
    """
    for row in rows:
        for name in row["names"] or ():
            label = name["label"] or next(iter(name["aliases"]), "")
            for text in {label, *name["aliases"]}:
                surface = normalise(text)
                if is_name(surface):
                    named = {"lang": name["lang"], "surface": surface, "target": row["qid"]}
                    yield {**named, "titled": False, "main": text == label}


def names_of_targets(rows: Iterable[Row]) -> Iterator[Row]:
    """Titles of linked pages without an item (`targets.page_target`), as `names_of_titles`."""
    for row in rows:
        title = page_title(row["target"])
        if title is not None:
            page = {"lang": row["lang"], "title": title, "qid": row["target"], "via": "item"}
            yield from names_of_titles([page])


def names_of_titles(rows: Iterable[Row]) -> Iterator[Row]:
    """Titles with and without their parenthesis, as rows {lang, surface, target, titled, main}.

    `titled`: the name is the whole title. `main` is true. Rows of `via: link` (`d:QID`) are no page's title.
    """
    for row in rows:
        if row["via"] == "link":
            continue
        title = row["title"]
        for text in {title, bare_title(title)}:
            surface = normalise(text)
            if is_name(surface):
                named = {"lang": row["lang"], "surface": surface, "target": row["qid"]}
                yield {**named, "titled": text == title, "main": True}


def count_occurrences(texts: Iterable[str], spotter: Any, names: int) -> NDArray[np.int64]:
    """Return how often each name occurs in the texts [names], also inside longer names."""
    counts = np.zeros(names, np.int64)
    for text in texts:
        np.add.at(counts, spotter.every(spotter.tokens(text)).names, 1)
    return counts
