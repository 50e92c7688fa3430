"""Mentions from a page's own hyperlinks, and from repetitions of the linked names on the same page.

Wikipedia links a name once, at its first use; the later uses are most of the mentions, and within one page
a name nearly always keeps its meaning (one sense per discourse: Gale, Church and Yarowsky, 1992).
"""

import itertools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kgcorpus.contracts.scripts import PARTICLES, UNSPACED_CHARACTERS, is_unspaced
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.mentions import GraphLinker, Mention
from kgcorpus.wiki.own_title import bare_title
from kgcorpus.wiki.sentences import split_sentences

ANCHOR_CONFIDENCE = 1.0
# Measured: on the 119 pages of Wiki-Fair that have links (ELEVANT), 148 of the 167 same-page mentions that
# touch a gold mention are right in span and entity; 2 have another entity, 17 are part of a longer name.
SAME_PAGE_CONFIDENCE = 0.9

# A compound is a word of its own: no "Austria" in "Austria-Hungary".
_WORDS = re.compile(r"\w+(?:[-\u2010\u2011]\w+)*|\S")
_UNSPACED = re.compile(rf"[^\W{UNSPACED_CHARACTERS}]+|\S")
_NOUNS_IN_CAPITALS = frozenset({"de", "lb"})
_KEY = 2  # characters of a name that index it; a shorter name is not used
# Longer link texts are no names, and a hostile page of nested ones would cost seconds.
_LONGEST_NAME = 100


class _Form(NamedTuple):
    qid: str | None  # None: this name is known to be of no use, but hides the shorter names inside it
    starts_sentence: bool  # a capital that only a sentence's start explains


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of one page, by exact text; `lengths` gives, by first characters, the lengths to try."""

    forms: dict[str, _Form] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)


def link_page(
    page: Mapping[str, Any], *, tally: Tally, linker: GraphLinker | None = None
) -> Iterator[dict[str, Any]]:
    """Cut a page into sentences and mark the entities in them.

    A link gives a mention of source `anchor`. Its text, wherever it occurs again as whole words and outside
    links, gives one of source `same_page` if all links of that text on the page go to one entity. The longest
    name wins, and a name followed by another capitalised word is part of a longer one. The page's
    title, without its parenthesis, names the page's own entity.

    A single word in lower case is used only if it is its target's title ("river" -> River): other such links
    name their target for one sentence only ("directed" -> Film director).

    Args:
        page: a row of table `pages` whose links also carry `qid` (None: the target is no entity of the graph;
            such a link gives no mention, and no name inside it does). An optional `qid` is the page's own,
            optional `blocks` are the kinds of the lines.
        tally: counts as drops `link_overlap`, `link_outside_sentence` and `sentence_without_letter`; as
            counts `ambiguous_name` (by page and name), `anchor_mention`, `same_page_mention` and
            `dictionary_mention`.
        linker: of the page's language; its mentions of entities of the graph, of source `dictionary`, are
            used where there is neither a link nor a same-page name.

    Yields:
        Rows of table `linked_sentences`, in order.
    """
    text, lang = page["text"], page["lang"]
    links = _disjoint(page["links"], tally)
    protected = [(link["start"], link["end"]) for link in links]
    sentences = split_sentences(text, lang, protected=protected, tally=tally)
    names = _names(page, links, tally)
    guesses = linker.link_to_graph(text) if linker else []
    done = line = read = 0
    for ordinal, (start, end) in enumerate(sentences):
        line, read = line + text.count("\n", read, start), start
        inside = []
        while done < len(links) and links[done]["start"] < end:
            link = links[done]
            done += 1
            if start <= link["start"] and link["end"] <= end:
                inside.append(link)
            elif link["qid"] is not None:
                tally.drop("link_outside_sentence")
        mentions = [
            _mention(link["start"] - start, link["end"] - start, link["qid"], "anchor")
            for link in inside
            if link["qid"] is not None
        ]
        tally.count("anchor_mention", len(mentions))
        taken = [(link["start"] - start, link["end"] - start) for link in inside]
        again = _same_page(text[start:end], lang, taken=taken, names=names)
        tally.count("same_page_mention", len(again))
        taken += [(mention["start"], mention["end"]) for mention in again]
        guessed = _from_dictionary(guesses, start, end, taken=taken)
        tally.count("dictionary_mention", len(guessed))
        yield {
            "sentence_id": f"{lang}:{page['page_id']}:{ordinal}",
            "page_id": page["page_id"],
            "lang": lang,
            "ordinal": ordinal,
            "text": text[start:end],
            "block": page["blocks"][line] if page.get("blocks") else None,
            "mentions": sorted(mentions + again + guessed, key=lambda mention: mention["start"]),
        }
    tally.drop("link_outside_sentence", sum(link["qid"] is not None for link in links[done:]))


def _mention(start: int, end: int, qid: str, source: str) -> dict[str, Any]:
    confidence = ANCHOR_CONFIDENCE if source == "anchor" else SAME_PAGE_CONFIDENCE
    return {"start": start, "end": end, "qid": qid, "source": source, "confidence": confidence}


def _from_dictionary(
    guesses: Sequence[Mention], start: int, end: int, *, taken: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """The linker's mentions in the sentence [start, end) that touch no taken span of it."""
    first = bisect_left(guesses, start, key=lambda guess: guess.start)
    inside = itertools.takewhile(lambda guess: guess.end <= end, guesses[first:])
    return [
        {
            "start": guess.start - start,
            "end": guess.end - start,
            "qid": guess.entity,
            "source": guess.source,
            "confidence": guess.confidence,
        }
        for guess in inside
        if all(guess.end - start <= other or last <= guess.start - start for other, last in taken)
    ]


def _disjoint(links: Sequence[dict[str, Any]], tally: Tally) -> list[dict[str, Any]]:
    """The links in order; of two that overlap, the first, and the longer if both start together."""
    kept: list[dict[str, Any]] = []
    for link in sorted(links, key=lambda link: (link["start"], -link["end"])):
        if kept and link["start"] < kept[-1]["end"]:
            tally.drop("link_overlap")
        elif link["start"] < link["end"]:
            kept.append(link)
    return kept


def _names(page: Mapping[str, Any], links: Sequence[dict[str, Any]], tally: Tally) -> _Names:
    text = page["text"]
    entities: dict[str, set[str | None]] = defaultdict(set)
    titles: set[str] = set()
    for link in links:
        name = text[link["start"] : link["end"]]
        entities[name].add(link["qid"])
        if name.casefold() == bare_title(link["target"]).casefold():
            titles.add(name)
    if page.get("qid") and page["title"]:
        for name in _own_names(bare_title(page["title"]), text):
            entities[name].add(page["qid"])
            titles.add(name)
    names = _Names()
    for name, qids in entities.items():
        if not _KEY <= len(name) <= _LONGEST_NAME or not any(map(str.isalpha, name)):
            continue
        if len(qids) > 1:
            tally.count("ambiguous_name")
        elif name.islower() and " " not in name and name not in titles:
            continue
        names.forms[name] = _Form(next(iter(qids)) if len(qids) == 1 else None, starts_sentence=False)
    for name in list(names.forms):
        capital = name[0].upper() + name[1:]
        names.forms.setdefault(capital, names.forms[name]._replace(starts_sentence=True))
    lengths: dict[str, set[int]] = defaultdict(set)
    for name in names.forms:
        lengths[name[:_KEY]].add(len(name))
    names.lengths.update((key, sorted(found, reverse=True)) for key, found in lengths.items())
    return names


def _own_names(title: str, text: str) -> list[str]:
    """The title, and its form in lower case if the page writes it so more often than with a capital.

    A title's first letter is always a capital, so only the text distinguishes "Iron" from "Turkey".
    """
    lower = title[0].lower() + title[1:]
    written = re.findall(rf"[\w,;] ({re.escape(title)}|{re.escape(lower)})(?!\w)", text)
    return [title, lower] if written.count(lower) > written.count(title) else [title]


def _same_page(
    sentence: str, lang: str, *, taken: Sequence[tuple[int, int]], names: _Names
) -> list[dict[str, Any]]:
    """Mentions of the page's names between the taken spans: whole words, from the left, the longest first."""
    words = (_UNSPACED if is_unspaced(lang) else _WORDS).finditer(sentence)
    spans = [word.span() for word in words]
    borders = {end for _, end in spans}
    first = next((start for start, _ in spans if sentence[start].isalnum()), -1)
    found: list[dict[str, Any]] = []
    free, ahead = 0, 0
    for start, _ in spans:
        while ahead < len(taken) and taken[ahead][0] <= start:
            free = max(free, taken[ahead][1])
            ahead += 1
        if start < free:
            continue
        limit = taken[ahead][0] if ahead < len(taken) else len(sentence)
        for length in names.lengths.get(sentence[start : start + _KEY], ()):
            end = start + length
            form = names.forms.get(sentence[start:end]) if end <= limit else None
            if form is None or (form.starts_sentence and start != first):
                continue
            if end in borders or (lang == "ko" and PARTICLES.match(sentence, end)):
                if form.qid is not None and not _goes_on(sentence, lang, start, end):
                    found.append(_mention(start, end, form.qid, "same_page"))
                free = end
                break
    return found


def _goes_on(sentence: str, lang: str, start: int, end: int) -> bool:
    """Whether a word with a capital follows a name with one: "Harford County" in "Harford County Council"."""
    return (
        lang not in _NOUNS_IN_CAPITALS
        and sentence[end : end + 1] == " "
        and sentence[end + 1 : end + 2].isupper()
        and not sentence[start:end].islower()
    )
