"""Titles and their entities from the SQL dumps of MediaWiki and Wikibase.

A wiki's own tables give the entity of a page (`page_props`), its title (`page`) and where it redirects to
(`redirect`) by page id; Wikidata's `wb_items_per_site` gives title and entity for every wiki.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.stages import format_of
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, OnBad, decoded
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.sql import Values, read_rows, unquoted

COLUMNS = {
    "page": ("page_id", "page_namespace", "page_title"),
    "page_props": ("pp_page", "pp_propname", "pp_value"),
    "redirect": ("rd_from", "rd_namespace", "rd_title", "rd_interwiki", "rd_fragment"),
    "wb_items_per_site": ("ips_item_id", "ips_site_id", "ips_site_page"),
}
_MOST_DIGITS = 18  # of a 64-bit integer
Fact = dict[str, Any]


def is_sql(path: str) -> bool:
    """Whether the file's name says that it is an SQL dump."""
    return format_of(path) == ".sql"


def read_title_facts(
    path: str,
    *,
    langs: Sequence[str],
    sites: Mapping[str, Site],
    tally: Tally,
    on_bad: OnBad,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Fact]:
    """What an SQL dump says of the main namespace's titles, one fact a row.

    Args:
        langs: for which wikis the file is named: a single one whose table this is, unless it is
            `wb_items_per_site`, which gives facts of every configured one.
        sites: the configured wikis by language.
        on_bad: called with a row whose values do not fit its columns.

    Yields:
        `lang` and of `page_id`, `title`, `qid`, `target`, `disambiguation` those in the row; `target`
        is where a redirect leads, as in `Title#Section`, and empty if that is no article of this wiki.

    Raises:
        InputError: as `sql.read_rows`; the table of one wiki is named for several.
    """
    by_name = {site.dbname: site for site in sites.values()}
    for number, (table, values) in enumerate(read_rows(path, COLUMNS, limits=limits), start=1):
        try:
            if table == "wb_items_per_site":
                fact = _sitelink(values, by_name)
            else:
                fact = _of_page(table, values)
                fact = fact and {"lang": _only(langs, path, table), **fact}
        except BadRecord as bad:
            where = f"{file_name(path)}, row {number}"
            on_bad(BadRecord(f"row of {table}: {bad}", where=where, text=str(values)))
            continue
        tally.good()
        if fact is not None:
            yield fact
        else:
            tally.count("sql_row_of_no_use")


def _only(langs: Sequence[str], path: str, table: str) -> str:
    if len(langs) > 1:
        raise InputError(
            f"the table {table} is of one wiki, but is named for {', '.join(langs)}",
            where=path,
            hint="Name it only in wikipedia.titles of its own language",
        )
    return langs[0]


def join_facts(facts: list[Fact], tally: Tally) -> Iterator[Fact]:
    """All that the dumps say of one page, as rows by its title.

    Args:
        facts: of `read_title_facts`, with the same `page_id`.

    Yields:
        `lang`, `title`, `qid`, `via`, `target` and `disambiguation`: one row for the page's own item or its
        being a disambiguation page, and one for where it redirects to.
    """

    def smallest(name: str) -> str | None:
        return min((fact[name] for fact in facts if fact[name] is not None), default=None)

    title, qid, target = smallest("title"), smallest("qid"), smallest("target")
    if title is None:
        tally.count("sql_row_of_no_use", len(facts))
        return
    row = {"lang": facts[0]["lang"], "title": title, "disambiguation": False}
    disambiguation = any(fact["disambiguation"] for fact in facts)
    if qid is not None or disambiguation:
        yield {**row, "qid": qid, "via": "item", "disambiguation": disambiguation}
    if target is not None:
        yield {**row, "target": target, "via": "redirect"}


def _of_page(table: str, values: Values) -> Fact | None:
    page_id = _number(unquoted(values[0]))
    match table:
        case "page":
            return {"page_id": page_id, "title": _title(values[2])} if unquoted(values[1]) == b"0" else None
        case "redirect":
            return {"page_id": page_id, "target": _target(values)}
    match unquoted(values[1]):
        case b"wikibase_item":
            return {"page_id": page_id, "qid": _qid(unquoted(values[2]))}
        case b"disambiguation":
            return {"page_id": page_id, "disambiguation": True}
    return None


def _target(values: Values) -> str:
    _, namespace, title, interwiki, fragment = values
    if unquoted(namespace) != b"0" or unquoted(interwiki):
        return ""
    section = _title(fragment)
    return f"{_title(title)}#{section}" if section else _title(title)


def _sitelink(values: Values, by_name: Mapping[str, Site]) -> Fact | None:
    site = by_name.get(unquoted(values[1]).decode("utf-8", "replace"))
    if site is None:
        return None
    title = site.article(_title(values[2]))
    return {"lang": site.lang, "title": title, "qid": _qid(b"Q" + unquoted(values[0]))} if title else None


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > _MOST_DIGITS:
        raise BadRecord(f"{value[:40]!r} is no page id")
    return int(value)


def _title(value: bytes) -> str:
    return decoded(unquoted(value)).replace("_", " ")


def _qid(value: bytes) -> str:
    if not (value[:1] == b"Q" and value[1:].isdigit()):
        raise BadRecord(f"{value[:40]!r} is no item's id")
    return value.decode()
