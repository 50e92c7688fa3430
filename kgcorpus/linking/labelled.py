"""Evaluation of the linker's confidence on places of a build's pages that are labelled by hand.

A file has a line for each place, tab-separated: `lang page_id digest start end band qid`. `digest` is the
beginning of the SHA-256 of the page's text, so that no other revision is scored. The span is `[start, end)`
in code points. `band` is any name of a group. `qid` is the entity meant, or `-` where the place names no
entity of the graph. Lines that begin with `#` are comments.
"""

import re
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
from kgcorpus.contracts.ids import read_id
from kgcorpus.contracts.languages import LANGUAGE_CODE
from kgcorpus.inputs import decoded, read_lines
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import THRESHOLDS, precision_recall, reliability, resampled_pages, share

_COLUMNS = 7
_NONE = "-"
_DIGEST = re.compile("[0-9a-f]{8,64}")


class Place(NamedTuple):
    """A labelled place; `qid` is None where no entity of the graph is named, `line` its line in the file."""

    lang: str
    page_id: int
    digest: str
    start: int
    end: int
    band: str
    qid: str | None
    line: int = 0


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
        InputError: a line has another form; a span is empty; an id or a digest is none; two places of a page
            overlap; there is no place; or as `inputs.read_lines`.
    """
    by_page: defaultdict[tuple[str, int], list[Place]] = defaultdict(list)
    for number, raw in read_lines(str(path)):
        try:
            line = decoded(raw).rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            place = _place(line.split("\t"), number)
            others = by_page[place.lang, place.page_id]
            overlapping = [other for other in others if other.start < place.end and place.start < other.end]
            if overlapping:
                raise ValueError(f"it overlaps the place of line {overlapping[0].line}")
        except ValueError as error:
            raise InputError(
                f"is not a labelled place ({error})",
                where=f"{path}, line {number}",
                hint="Write lang, page_id, digest, start, end, band and qid, separated by tabs",
            ) from None
        others.append(place)
        yield place
    if not by_page:
        raise InputError(
            "has no labelled place",
            where=str(path),
            hint="Write a line for each: lang, page_id, digest, start, end, band and qid, separated by tabs",
        )


def _place(columns: Sequence[str], line: int) -> Place:
    if len(columns) != _COLUMNS:
        raise ValueError(f"it has {len(columns)} columns, not {_COLUMNS}")
    lang, page_id, digest, start, end, band, qid = columns
    if not LANGUAGE_CODE.fullmatch(lang):
        raise ValueError(f"{lang[:40]!r} is no language code")
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"the digest {digest[:70]!r} is not 8 to 64 lower-case hexadecimal digits")
    if not band.strip():
        raise ValueError("the band is empty")
    place = Place(
        lang,
        _number(page_id, "page_id"),
        digest,
        _number(start, "start"),
        _number(end, "end"),
        band,
        None if qid == _NONE else _entity(qid),
        line,
    )
    if not 0 <= place.start < place.end:
        raise ValueError(f"the span [{place.start}, {place.end}) is empty or begins before the text")
    return place


def _number(written: str, name: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", written):
        raise ValueError(f"the {name} {written[:40]!r} is no whole number")
    return int(written)


def _entity(written: str) -> str:
    try:
        return read_id(written)
    except ValueError as error:
        raise ValueError(f"the qid {error}") from None


def page_texts(places: Iterable[Place], paths: Sequence[str], *, where: str) -> dict[tuple[str, int], str]:
    """(language, page id) -> text of the places' pages, from files of the table `pages`.

    Raises:
        InputError: a page is missing, its text is not the one that was labelled, or a place ends after it.
    """
    places = list(places)
    ids = pa.array(sorted({place.page_id for place in places}), pa.int64())
    rows = ds.dataset(list(paths)).to_table(
        columns=["lang", "page_id", "text"], filter=ds.field("page_id").isin(ids)
    )
    found = {(row["lang"], row["page_id"]): row["text"] for row in rows.to_pylist()}
    for place in places:
        text = found.get((place.lang, place.page_id))
        if text is None or not digest_of(text).startswith(place.digest):
            raise InputError(
                f"page {place.lang}:{place.page_id} is not the one that was labelled",
                where=f"{where}, line {place.line}",
                hint="Score the build whose pages were labelled, with its inputs in the same order",
            )
        if place.end > len(text):
            raise InputError(
                f"the span [{place.start}, {place.end}) ends after the text of {len(text)} characters",
                where=f"{where}, line {place.line}",
                hint="Count code points, not bytes or UTF-16 units",
            )
    return found


def require_entities(places: Iterable[Place], paths: Sequence[str], *, where: str) -> None:
    """Check that the places' entities are in the graph.

    Args:
        places: of `read_labelled`.
        paths: files of the table `triples`.
        where: the file of the places.

    Raises:
        InputError: an entity is in no triple.
    """
    wanted = {place.qid: place.line for place in places if place.qid is not None}
    ids = pa.array(sorted(wanted), pa.string())
    for column in ("h", "t"):
        rows = ds.dataset(list(paths)).to_table(columns=[column], filter=ds.field(column).isin(ids))
        for known in rows[column].unique().to_pylist():
            wanted.pop(known, None)
    for qid, line in wanted.items():
        raise InputError(
            f"{qid} is no entity of the graph",
            where=f"{where}, line {line}",
            hint="Correct the id, or write - where the place names no entity of the graph",
        )


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
    """Precision and recall at `floor`, by band, and at other thresholds; the reliability of the confidence.

    Recall is over the places that name an entity of the graph. Intervals are over resampled places.
    """
    bands = sorted({answer.place.band for answer in answers})
    given = [number for number, answer in enumerate(answers) if answer.entity is not None]
    right = np.array([answers[number].right for number in given], bool)
    confidence = np.array([answers[number].confidence for number in given], np.float64)
    named = np.array([answer.place.qid is not None for answer in answers], np.int64)
    places = np.arange(len(answers))
    return {
        "places": len(answers),
        "named": int(named.sum()),
        "at_min_confidence": {
            "all": _at(answers, floor, seed),
            **{band: _at([a for a in answers if a.place.band == band], floor, seed) for band in bands},
        },
        "thresholds": [{"min_confidence": floor, **_at(answers, floor, seed)} for floor in THRESHOLDS],
        "reliability": reliability(right, confidence, seed=seed),
        **precision_recall(
            right,
            confidence,
            np.array(given, np.int64),
            totals=named,
            draws=resampled_pages(places, seed=seed),
        ),
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
