"""Real pages against a walk of mwparserfromhell's tree, the slow oracle."""

import re
from collections import Counter

import mwparserfromhell
import pytest
from mwparserfromhell.nodes import ExternalLink, Heading, Tag, Wikilink

from kgcorpus.wiki.wikitext import parse

NOT_PROSE = {
    "ref",
    "references",
    "gallery",
    "math",
    "table",
    "timeline",
    "imagemap",
    "score",
    "pre",
    "source",
}
LEFTOVER = re.compile(r"\[\[|\]\]|\{\{|\}\}|\{\||\|\}|''|</?(?:ref|br|small|su[bp]|div|span)\b|&nbsp;|<!--")


def prose_links(wikitext, site):
    """Targets of the links that the tree places outside templates, references, tables and media."""
    found = Counter()

    def walk(code):
        for node in code.nodes:
            if isinstance(node, Wikilink):
                if title := site.article(str(node.title)):
                    found[title] += 1
            elif isinstance(node, Tag):
                if str(node.tag).strip().lower() not in NOT_PROSE and node.contents is not None:
                    walk(node.contents)
            elif isinstance(node, ExternalLink | Heading) and node.title is not None:
                walk(node.title)

    walk(mwparserfromhell.parse(wikitext))
    return found


@pytest.mark.parametrize("title", ["Achilles", "Aristotle", "Albert Einstein", "Anatomy"])
def test_links_of_real_articles_agree_with_the_tree(demo, title):
    site, pages = demo
    wikitext = next(page.wikitext for page in pages if page.title == title)
    gold = prose_links(wikitext, site)
    ours = Counter(link.target for link in parse(wikitext, site).links)
    right = (gold & ours).total()
    assert right / gold.total() >= 0.98
    assert right / ours.total() >= 0.98


def test_all_real_pages(demo, samples):
    site, pages = demo
    wikitexts = [page.wikitext for page in pages if page.redirect is None]
    escaped = {"anarchism"}  # the sample is XML, not wikitext
    wikitexts += [wikitext for name, wikitext in samples.items() if name not in escaped]
    leftovers = characters = 0
    for wikitext in wikitexts:
        article = parse(wikitext, site)
        leftovers += len(LEFTOVER.findall(article.text))
        characters += len(article.text)
        assert not re.search(r"[^\S\n ]|  | $|\n\n", article.text)
        assert all(article.text[link.start : link.end] == link.anchor for link in article.links)
    assert characters > 1_500_000
    assert leftovers / characters < 5e-6


SHOWN = {"C": "°C", "F": "°F", "sqmi": "sq mi", "km2": "km²", "m2": "m²", "cuft": "cu ft", "m3": "m³"}
SHOWN["e6acre"] = "million acre"


def test_convert_keeps_numbers_and_units(demo):
    site, pages = demo
    found = kept = 0
    for page in pages:
        text = parse(page.wikitext, site).text
        prose = re.sub(r"(?s)<ref.*?(?:/>|</ref>)|\{\|.*?\n\|\}|<!--.*?-->", "", page.wikitext)
        for number, unit in re.findall(r"\n[^|{}\n]*\{\{convert\|([\d,.]+)\|(\w+)\|", prose):
            found += 1
            kept += any(f"{number}{space}{SHOWN.get(unit, unit)}" in text for space in " -")
    assert found > 50
    assert kept / found >= 0.95
