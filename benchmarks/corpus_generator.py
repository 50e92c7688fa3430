"""Grow a multistream dump and a graph from 24 real articles: `corpus_generator.py OUT --megabytes 40`.

The graph is the one of `graph_generator.py` (Wikidata5M's shape) with labels in ten languages. Entity k is
also the title of rank k. An article is a sequence of real sections whose links are replaced: the rank of a
link's target is log-uniform (Zipf's law), a tenth of the links goes through a redirect, and a third has the
title as its text. Every draw is keyed by the seed and the number of the stream or entity, so equal arguments
give equal bytes.
"""

import argparse
import bz2
import gzip
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

from graph_generator import RELATIONS, TRIPLES, Generator, write

from kgcorpus.wiki.dump import read_pages

LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
# Shares of kg-real's entities with a name, relative to English.
NAMED = dict(zip(LANGUAGES, (1, 0.17, 0.53, 0.22, 0.56, 0.2, 0.51, 0.37, 0.22, 0.35), strict=True))
ARTICLE_BYTES = 4_890  # of XML, its redirects included; about enwiki's
REDIRECTS = 1.5  # an article
TITLES = 1.5  # an entity: link targets without an entity have the ranks above
PAGES_A_STREAM = 100
_THROUGH_REDIRECTS = 0.17  # of which three fifths hit a redirect
_WANTED = 400  # characters; the last section makes an article longer
_LINK = re.compile(r"\[\[(?![^\[\]|]*:)([^\[\]|#]+)(\|[^\[\]|]*)?\]\]")
_SECTION = re.compile(r"\n(?===)")
_LEADS = 0.1  # share of the articles that begin with a real article's lead, infobox included
_HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>
    <base>https://en.wikipedia.org/wiki/Main_Page</base><case>first-letter</case>
    <namespaces><namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">File</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
      <namespace key="14" case="first-letter">Category</namespace></namespaces>
  </siteinfo>
"""


@dataclass(frozen=True)
class Corpus:
    """What is grown, from what, how large.

    Attributes:
        data: folder with `demo-small`.
    """

    data: Path
    megabytes: float
    triples: int
    seed: int = 0

    @cached_property
    def graph(self) -> Generator:
        """The graph's generator."""
        return Generator(scale=self.triples / TRIPLES, seed=self.seed)

    @cached_property
    def articles(self) -> list[list[str]]:
        """The real articles, each as its sections."""
        with bz2.open(self.data / "demo-small" / "enwiki-24articles.xml.bz2") as stream:
            pages = read_pages(stream, where="demo-small")
            return [_SECTION.split(page.wikitext) for page in pages if page.redirect is None]

    @cached_property
    def names(self) -> dict[str, list[list[str]]]:
        """Real names by language: the label and the aliases of each entity of demo-small."""
        found: dict[str, list[list[str]]] = {lang: [] for lang in LANGUAGES}
        with gzip.open(self.data / "demo-small" / "labels_10lang.tsv.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                _, lang, *names = line.rstrip("\n").split("\t")
                found[lang].append([name for name in names if name])
        return found

    @property
    def pages(self) -> int:
        """Articles and redirects."""
        return max(2, round(self.megabytes * 1e6 / ARTICLE_BYTES * (1 + REDIRECTS)))

    def title(self, rank: int) -> str:
        """A distinct title: three digits to the base of the real English names."""
        words = self.names["en"]
        n = len(words)
        parts = [words[rank % n][0], *([words[rank // n % n][-1]] if rank >= n else [])]
        return " ".join([*parts, *([str(rank // n**2)] if rank >= n * n else [])]).translate(_NO_MARKUP)

    def rank(self, draw: Random) -> int:
        """A link target's, by Zipf's law."""
        return int(math.exp(draw.random() * math.log(TITLES * self.graph.entities))) - 1

    def stream(self, number: int) -> tuple[bytes, list[tuple[int, str]]]:
        """A bz2 stream of the dump, and the ids and titles of its pages."""
        draw = Random(f"{self.seed} stream {number}")
        ids = range(number * PAGES_A_STREAM, min(self.pages, (number + 1) * PAGES_A_STREAM))
        rows = [(page_id, *self._page(page_id, draw)) for page_id in ids]
        text = "".join(_page_xml(*row) for row in rows)
        return bz2.compress(text.encode()), [(page_id + 1, title) for page_id, title, _ in rows]

    def _page(self, number: int, draw: Random) -> tuple[str, str]:
        """Title and wikitext; of 1 + REDIRECTS pages one is an article."""
        article = _article(number)
        if article is None:
            title, target = self._redirect(number)
            return title, f"#REDIRECT [[{target}]]"
        rank = int(article * 0.618_033_988_75 * TITLES * self.graph.entities) % int(
            TITLES * self.graph.entities
        )
        sections = [draw.choice(self.articles)[0]] if draw.random() < _LEADS else []
        wanted = draw.lognormvariate(math.log(_WANTED), 1)
        while sum(map(len, sections)) < wanted:
            sections.append(draw.choice(draw.choice(self.articles)))
        text = _LINK.sub(lambda link: self._link(link, draw), "\n".join(sections))
        return f"{self.title(rank)}{'' if rank % 7 else ' (place)'}", text

    def _redirect(self, number: int) -> tuple[str, str]:
        """The titles of a redirect page and of its target."""
        target = self.title(self.rank(Random(f"{self.seed} redirect {number}")))
        return f"{target} ({number})", target

    def _link(self, link: re.Match[str], draw: Random) -> str:
        target = self.title(self.rank(draw))
        if draw.random() < _THROUGH_REDIRECTS and _article(number := draw.randrange(self.pages)) is None:
            target, _ = self._redirect(number)
        if draw.random() < 1 / 3:
            return f"[[{target}]]"
        return f"[[{target}|{(link[2] or '|' + link[1])[1:] or target}]]"


_NO_MARKUP = str.maketrans("", "", "[]{}|#<>_:")


def _article(page: int) -> int | None:
    """The number of a page among the articles; None: it is a redirect."""
    article = int(page / (1 + REDIRECTS))
    return article if int((page + 1) / (1 + REDIRECTS)) > article else None


def _page_xml(number: int, title: str, text: str) -> str:
    redirect = re.match(r"#REDIRECT \[\[(.*)\]\]", text)
    known = f'<redirect title="{escape(redirect[1], {chr(34): "&quot;"})}" />' if redirect else ""
    return (
        f"  <page><title>{escape(title)}</title><ns>0</ns><id>{number + 1}</id>{known}"
        f"<revision><id>{number + 1}</id><timestamp>2024-05-01T00:00:00Z</timestamp>"
        f"<model>wikitext</model><format>text/x-wiki</format>"
        f'<text xml:space="preserve">{escape(text)}</text></revision></page>\n'
    )


def grow(corpus: Corpus, out: Path, *, processes: int = 2) -> dict[str, int]:
    """Write `wiki.xml.bz2`, its index, `titles.tsv`, `triples.txt`, `labels.tsv`, `relations.tsv`.

    Returns:
        How much of each was written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write(corpus.graph, out / "triples.txt")
    entities = corpus.graph.entities
    with (out / "titles.tsv").open("w", encoding="utf-8") as lines:
        lines.writelines(f"{corpus.title(k)}\tQ{k + 1}\n" for k in range(entities))
    labels = _write_names(corpus, out / "labels.tsv", "Q", entities, shares=NAMED)
    _write_names(corpus, out / "relations.tsv", "P", RELATIONS, shares=dict.fromkeys(LANGUAGES, 1.0))
    raw = offset = 0
    with (
        (out / "wiki.xml.bz2").open("wb") as dump,
        bz2.open(out / "index.txt.bz2", "wt", encoding="utf-8") as index,
        get_context("spawn").Pool(processes) as pool,
    ):
        offset += dump.write(bz2.compress(_HEAD.encode()))
        numbers = range(-(-corpus.pages // PAGES_A_STREAM))
        for packed, pages in pool.imap(corpus.stream, numbers, chunksize=4):
            index.writelines(f"{offset}:{page_id}:{title}\n" for page_id, title in pages)
            offset += dump.write(packed)
            raw += len(bz2.decompress(packed))
        dump.write(bz2.compress(b"</mediawiki>\n"))
    found = {"xml_bytes": raw, "pages": corpus.pages, "entities": entities, "label_lines": labels}
    found["triples"] = corpus.graph.triples
    (out / "sizes.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _write_names(corpus: Corpus, path: Path, letter: str, n: int, *, shares: dict[str, float]) -> int:
    """Lines `id lang label [description] alias...`; a relation's have an empty description."""
    lines = 0
    with path.open("w", encoding="utf-8") as file:
        for row in _names(corpus, letter, n, shares):
            file.write("\t".join(row) + "\n")
            lines += 1
    return lines


def _names(corpus: Corpus, letter: str, n: int, shares: dict[str, float]) -> Iterator[Sequence[str]]:
    for k in range(n):
        draw = Random(f"{corpus.seed} names {letter} {k}")
        for lang in LANGUAGES:
            if draw.random() >= shares[lang]:
                continue
            label, *aliases = draw.choice(corpus.names[lang])
            label = corpus.title(k) if lang == "en" and letter == "Q" else f"{label} {k}"
            yield [f"{letter}{k + 1}", lang, label, *([""] if letter == "P" else []), *aliases]


def main() -> None:
    """Read the command line and grow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the folder that has demo-small")
    parser.add_argument("--megabytes", type=float, default=40.0, help="of XML, about")
    parser.add_argument("--triples", type=int, default=366_707)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(grow(Corpus(args.data, args.megabytes, args.triples, args.seed), args.out))


if __name__ == "__main__":
    main()
