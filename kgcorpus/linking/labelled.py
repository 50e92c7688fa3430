"""Evaluation of the linker's confidence on places of a build's pages that are labelled by hand.

A file has a line for each place, tab-separated: `lang page_id digest start end band qid`. `digest` is the
beginning of the SHA-256 of the page's text, so that no other revision is scored. The span is `[start, end)`
in code points. `band` is any name of a group. `qid` is the entity meant, or `-` where the place names no
entity of the graph. Lines that begin with `#` are comments.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import decoded, read_lines
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import precision_recall, reliability, resampled_pages, share

_COLUMNS = 7
_NONE = "-"


class Place(NamedTuple):
    """A labelled place; `qid` is None where no entity of the graph is named."""

    lang: str
    page_id: int
    digest: str
    start: int
    end: int
    band: str
    qid: str | None


class Answer(NamedTuple):
    """The linker's mention at a place: its entity, None for no mention, and its confidence."""

    place: Place
    entity: str | None
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the mention names the entity that is meant."""
        return self.entity is not None and self.entity == self.place.qid


def read_labelled(path: Path) -> Iterator[Place]:
    """The places of a file.

    Raises:
        InputError: a line has another form; or as `inputs.read_lines`.
    """
    for number, raw in read_lines(str(path)):
        try:
            line = decoded(raw).rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            lang, page_id, digest, start, end, band, qid = line.split("\t")[:_COLUMNS]
            yield Place(lang, int(page_id), digest, int(start), int(end), band, None if qid == _NONE else qid)
        except ValueError as error:
            raise InputError(
                f"is not a labelled place ({error})",
                where=f"{path}, line {number}",
                hint="Write lang, page_id, digest, start, end, band and qid, separated by tabs",
            ) from None


def page_texts(places: Iterable[Place], paths: Sequence[str], *, where: str) -> dict[tuple[str, int], str]:
    """(language, page id) -> text of the places' pages, from files of the table `pages`.

    Raises:
        InputError: a page is missing, or its text is not the one that was labelled.
    """
    places = list(places)
    ids = pa.array(sorted({place.page_id for place in places}), pa.int64())
    rows = ds.dataset(list(paths)).to_table(
        columns=["lang", "page_id", "text"], filter=ds.field("page_id").isin(ids)
    )
    found = {(row["lang"], row["page_id"]): row["text"] for row in rows.to_pylist()}
    for place in places:
        text = found.get((place.lang, place.page_id))
        if text is None or not digest_of(text).startswith(place.digest) or place.end > len(text):
            raise InputError(
                f"page {place.lang}:{place.page_id} is not the one that was labelled",
                where=where,
                hint="Score the build whose pages were labelled, with its inputs in the same order",
            )
    return found


def digest_of(text: str) -> str:
    """SHA-256 of a page's text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()


def answers_at(
    linkers: Mapping[str, Linker], places: Iterable[Place], texts: Mapping[tuple[str, int], str]
) -> Iterator[Answer]:
    """The linker's mention with exactly the span of each place, whatever its confidence.

    Args:
        linkers: language -> linker.
        texts: of `page_texts`.
    """
    by_page: defaultdict[tuple[str, int], list[Place]] = defaultdict(list)
    for place in places:
        by_page[place.lang, place.page_id].append(place)
    for (lang, page_id), labelled in by_page.items():
        mentions = linkers[lang].mentions_of_graph(texts[lang, page_id])
        found = {(mention.start, mention.end): mention for mention in mentions}
        for place in labelled:
            mention = found.get((place.start, place.end))
            yield Answer(place, mention.entity if mention else None, mention.confidence if mention else 0.0)


def score_labelled(answers: Sequence[Answer], *, floor: float, seed: int) -> dict[str, Any]:
    """Precision and recall at `floor`, by band, and the reliability of the confidence.

    Recall is over the places that name an entity of the graph. Intervals are over resampled places.
    """
    bands = sorted({answer.place.band for answer in answers})
    given = [answer for answer in answers if answer.entity is not None]
    right = np.array([answer.right for answer in given], bool)
    confidence = np.array([answer.confidence for answer in given], np.float64)
    named = sum(answer.place.qid is not None for answer in answers)
    return {
        "places": len(answers),
        "named": named,
        "at_min_confidence": {
            "all": _at(answers, floor, seed),
            **{band: _at([a for a in answers if a.place.band == band], floor, seed) for band in bands},
        },
        "reliability": reliability(right, confidence),
        **precision_recall(right, confidence, total=named),
    }


def _at(answers: Sequence[Answer], floor: float, seed: int) -> dict[str, Any]:
    kept = [answer for answer in answers if answer.entity is not None and answer.confidence >= floor]
    named = [answer for answer in answers if answer.place.qid is not None]
    return {
        "precision": _share([answer.right for answer in kept], seed),
        "recall": _share([answer.right and answer.confidence >= floor for answer in named], seed),
    }


def _share(values: Sequence[bool], seed: int) -> dict[str, Any]:
    each: NDArray[np.int64] = np.arange(len(values))
    return share(np.array(values, np.float64), each, resampled_pages(each, seed=seed))
