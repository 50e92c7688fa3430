"""What TRELM's and JAKET's tables must hold, derived from the raw files in the plainest way; no Spark.

Nothing of the library is used: files are read line by line, wikitext by one regular expression.
"""

import bz2
import gzip
import html
import io
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

Triple = tuple[str, str, str]
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"\[\[([^\[\]|]+)(?:\|([^\[\]]*))?\]\](\w*)")


@dataclass(frozen=True)
class Page:
    """An article: its links as (title, letters and digits of what the reader sees)."""

    title: str
    links: list[tuple[str, str]]


class Raw:
    """The raw files of `conf/jaket-demo-small-corpus.yaml`."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.triples: set[Triple] = {
            (h, r, t)
            for h, r, t, *_ in (line.split("\t") for line in _lines(data / "kg-real" / "triples.txt.gz"))
        }
        self.titles = {
            title: qid
            for title, qid, *_ in (
                line.split("\t") for line in _lines(data / "demo-small" / "title2qid.tsv.gz")
            )
        }
        self.pages: dict[int, Page] = {}
        self._read_dump()

    def _read_dump(self) -> None:
        with bz2.open(self._data / "demo-small" / "enwiki-24articles.xml.bz2") as dump:
            root = ElementTree.parse(dump).getroot()
        for page in root.iterfind("{*}page"):
            title = page.findtext("{*}title", "")
            text = page.findtext("{*}revision/{*}text") or ""
            if page.findtext("{*}ns") != "0":
                continue
            links = [
                (_title(target), bare(_TAG.sub("", shown or target)) + bare(trail))
                for target, shown, trail in _LINK.findall(html.unescape(text))
            ]
            if page.find("{*}redirect") is not None or text.upper().startswith("#REDIRECT"):
                if links[0][0] in self.titles:
                    self.titles.setdefault(title, self.titles[links[0][0]])
            else:
                self.pages[int(page.findtext("{*}id", ""))] = Page(title, links)

    @cached_property
    def names(self) -> dict[str, dict[str, list[str]]]:
        """QID -> language -> the label, if there is one, and the aliases in code point order."""
        rows: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for line in _lines(self._data / "kg-real" / "labels_10lang.tsv.gz"):
            qid, lang, label, *aliases = line.split("\t")
            rows[qid][lang] = [name for name in (label, *sorted(aliases)) if name]
        return rows

    @cached_property
    def types(self) -> dict[str, list[str]]:
        """QID -> its classes in CoDEx."""
        with tarfile.open(self._data / "codex" / "codex-s-m.tar.xz") as archive:
            member = next(m for m in archive if m.name.endswith("types/entity2types.json"))
            with archive.extractfile(member) or io.BytesIO() as file:
                return json.load(file)

    @cached_property
    def by_end(self) -> dict[str, set[Triple]]:
        """QID -> the triples that it is an end of, but not both ends."""
        found: dict[str, set[Triple]] = defaultdict(set)
        for h, r, t in self.triples:
            if h != t:
                found[h].add((h, r, t))
                found[t].add((h, r, t))
        return found

    @cached_property
    def entities(self) -> set[str]:
        """All ends of triples."""
        return {end for h, _, t in self.triples for end in (h, t)}

    def label(self, qid: str) -> str | None:
        """The English one."""
        return next(iter(self.names.get(qid, {}).get("en", [])), None)

    def neighbours(self, qid: str) -> set[str]:
        """Entities one hop away."""
        return {end for h, _, t in self.by_end[qid] for end in (h, t)} - {qid}

    def facts(self, qid: str) -> set[tuple[str, str, str, str]]:
        """(relation, other end, direction, the other end's label) of those whose other end has one."""
        return {
            (r, other, direction, label)
            for h, r, t in self.by_end[qid]
            for other, direction in ([(t, "tail")] if h == qid else [(h, "head")])
            if (label := self.label(other)) is not None
        }

    @cached_property
    def ranges(self) -> dict[tuple[str, str], Counter[str]]:
        """(relation, direction) -> the hard negatives' pool: what stands at the other end, once a fact."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for h, r, t in self.triples:
            found[r, "tail"][t] += 1
            found[r, "head"][h] += 1
        return found

    @cached_property
    def true_ends(self) -> dict[tuple[str, str, str], set[str]]:
        """(entity, relation, direction) -> what is no negative there."""
        found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for h, r, t in self.triples:
            found[h, r, "tail"].add(t)
            found[t, r, "head"].add(h)
        return found

    @cached_property
    def _type_frequency(self) -> Counter[str]:
        return Counter(kind for qid in self.entities for kind in set(self.types.get(qid, [])))

    def category(self, qid: str) -> str | None:
        """Of several classes the most frequent, of equals the smallest number."""
        kinds = self.types.get(qid, [])
        return min(kinds, key=lambda kind: (-self._type_frequency[kind], int(kind[1:])), default=None)

    def edges(self, kept: set[str]) -> set[Triple]:
        """Between two of them, without those that give a category away."""
        return {
            (h, r, t)
            for h, r, t in self.triples
            if h != t and {h, t} <= kept and not (r == "P31" and self.category(h))
        }


def bare(text: str) -> str:
    """Letters and digits, in lower case."""
    return "".join(character for character in text if character.isalnum()).casefold()


def _title(target: str) -> str:
    title = " ".join(target.partition("#")[0].replace("_", " ").split())
    return title[:1].upper() + title[1:]


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")
