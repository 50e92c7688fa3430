"""JSON lines as rows of table `pages`: running text that brings its own links.

A line is an object `{"text", "lang", "title", "qid", "links": [{"start", "end", "qid" or "title"}]}`; all but
`text` may be missing, other fields are ignored. `qid` is the entity that the document is about. Spans are
`[start, end)` in Unicode code points of `text`.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.ids import read_id
from kgcorpus.contracts.languages import LANGUAGE_CODE, language_key, spellings
from kgcorpus.contracts.stages import format_of
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, FilePart, Limits, OnBad, part_records
from kgcorpus.wiki.column_paths import COLUMNS, TextField, field_of
from kgcorpus.wiki.own_title import first_mention
from kgcorpus.wiki.plaintext import BYTES_A_FILE
from kgcorpus.wiki.site import Site

# As in a wiki's own links to Wikidata; no title of a wiki begins so.
ITEM_PREFIX = "d:"
_FORMATS = (".jsonl", ".ndjson", ".json")


def is_json_lines(path: str) -> bool:
    """Whether the file's name says that it holds JSON lines."""
    return format_of(path) in _FORMATS


def read_linked_documents(
    file: str | FilePart,
    *,
    lang: str,
    ordinal: int,
    sites: Mapping[str, Site],
    tally: Tally,
    on_bad: OnBad,
    limits: Limits = DEFAULT_LIMITS,
    languages: Collection[str] = (),
    link_title: bool = False,
    columns: Mapping[TextField, str | None] | None = None,
) -> Iterator[dict[str, Any]]:
    """The documents of one file, as rows of table `pages`; a link to an item has the target `d:QID`.

    Args:
        file: its path, or a part of it.
        lang: of the lines that name none.
        ordinal: position of the file among the `text` entries. A document's page id is
            `-(ordinal * 2**40 + line)`; in a file that is read in parts, which does not know the line, as
            of plain text (`FilePart.number_of`).
        sites: the configured wikis by language, which say what a title's normal form is.
        tally: drops `no_text`, `overlapping_link`, `link_to_no_article` and, with `link_title`,
            `title_not_in_text`; counts `linked_title`.
        on_bad: called for a line that is not such an object, or has a link outside its text.
        languages: further configured codes; a line's code is written as one of them, a wiki's or `lang`.
        link_title: add a link to the document's own `qid`, or without one to its title, where the title first
            stands in the text. A link of the document at that place wins.
        columns: field (text, lang, title, qid, links) -> key of the object, or a path to values within it
            (`column_paths`), or None to leave it out; another field has the key of its own name.

    Raises:
        InputError: as `inputs.read_lines`.
    """
    parse_object = document_parser(
        lang=lang, sites=sites, tally=tally, languages=languages, link_title=link_title
    )

    keys = {**COLUMNS, **(columns or {})}

    def parse(line: str) -> dict[str, Any]:
        row = _object(line)
        return parse_object({field: field_of(row, field, key) for field, key in keys.items() if key})

    part = FilePart(file) if isinstance(file, str) else file
    for line, document in part_records(part, parse, tally=tally, on_bad=on_bad, limits=limits):
        if not document["text"].strip():
            tally.drop("no_text")
            continue
        number = line.number or part.number_of(line, most=BYTES_A_FILE) + 1
        yield {"page_id": -(ordinal * BYTES_A_FILE + number), **document}


def document_parser(
    *, lang: str, sites: Mapping[str, Site], tally: Tally, languages: Collection[str], link_title: bool
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function from an object, as of a line, to a row without its page id.

    It raises `BadRecord` if a value has another type, or a link is outside the text. The arguments are those
    of `read_linked_documents`.
    """
    known = spellings((*languages, *sites, lang))

    def parse(row: dict[str, Any]) -> dict[str, Any]:
        text, code = _string(row, "text"), _string(row, "lang", lang)
        if not LANGUAGE_CODE.fullmatch(code):
            raise BadRecord(f"{code[:20]!r} is no language code")
        code = known.get(language_key(code), language_key(code))
        site = sites.get(code) or Site.of(code, names={})
        title = site.normalise_title(_string(row, "title", ""))
        qid = None if row.get("qid") is None else _id(_string(row, "qid"))
        links = list(_links(row.get("links") or [], text=text, site=site, tally=tally))
        if link_title and title:
            links = _with_title(links, title, text=text, lang=code, qid=qid, site=site, tally=tally)
        return {
            "title": title,
            "lang": code,
            "qid": qid,
            "text": text,
            "links": links,
            "blocks": None,
            "redirect": None,
            "disambiguation": False,
        }

    return parse


def _object(line: str) -> dict[str, Any]:
    try:
        row = parse_json(line)
        line.encode() if "\\u" not in line else json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRecord("it holds half a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"this is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadRecord("this is not a JSON object")
    return row


def _string(row: dict[str, Any], name: str, default: str | None = None) -> str:
    value = row.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise BadRecord(f"`{name}` is missing or no string (a number needs quotes)")
    return value


def _links(links: Any, *, text: str, site: Site, tally: Tally) -> Iterator[dict[str, Any]]:
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise BadRecord("`links` is no list of objects")
    for link in links:
        start, end = link.get("start"), link.get("end")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
            raise BadRecord(f"the span [{start}, {end}) is not in the text of {len(text)} characters")
    after = 0
    for link in sorted(links, key=lambda link: (link["start"], link["end"])):
        target = _target(link, site)
        if link["start"] < after:
            tally.drop("overlapping_link")
        elif target is None:
            tally.drop("link_to_no_article")
        else:
            after = link["end"]
            anchor = text[link["start"] : after]
            yield {"start": link["start"], "end": after, "anchor": anchor, "target": target}


def _with_title(
    links: list[dict[str, Any]],
    title: str,
    *,
    text: str,
    lang: str,
    qid: str | None,
    site: Site,
    tally: Tally,
) -> list[dict[str, Any]]:
    target = site.article(title) if qid is None else ITEM_PREFIX + qid
    span = first_mention(title, text, lang)
    if span is None or target is None:
        tally.drop("title_not_in_text")
        return links
    start, end = span
    if any(link["start"] < end and start < link["end"] for link in links):
        return links
    tally.count("linked_title")
    own = {"start": start, "end": end, "anchor": text[start:end], "target": target}
    return sorted([*links, own], key=lambda link: link["start"])


def _target(link: dict[str, Any], site: Site) -> str | None:
    if link.get("qid") is None:
        return site.article(_string(link, "title"))
    return ITEM_PREFIX + _id(_string(link, "qid"))


def _id(qid: str) -> str:
    try:
        return read_id(qid)
    except ValueError as error:
        raise BadRecord(f"`qid` {error}") from None
