"""Header lines of tab-separated files: no layout has one, so reading one as data gives a false row."""

import re
from collections.abc import Sequence
from itertools import permutations

_OTHER_THAN_LETTERS = re.compile(r"[\W_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What people call a column. A word is casefolded and without spaces and marks: `#type_QID` is `typeqid`.
ID = _words(
    """id ids qid qids pid entity entityid item itemid node node1 nodeid subject wikidata wikidataid
    wikidataqid wikibaseitem uri iri key property propertyid relation relationid predicate"""
)
# `iso`, `lan`, `lg` and `lng` have the form of a code, so the parser of labels would read them as one.
LANGUAGE = _words(
    "lang langs language languages languagecode languagetag langcode lc locale iso isocode lan lg lng"
)
NAME = _words(
    """label labels name names title alias aliases text value prefterm preflabel entitylabel itemlabel
    propertylabel relationlabel rdfslabel"""
)
CLASS = _words(
    """type types class classes typeid typeqid typesqid classid classqid instanceof p31 category categories
    kind node2"""
)
TEXT = _words(
    """text texts desc description descriptions abstract summary content value definition itemdescription
    propertydescription entitydescription"""
)
TITLE = _words("title titles page pages pagetitle name names article label")
TEMPLATE = _words("name names template templates templatename")
_END = _words(
    """head headid headentity subject subjectid tail tailid tailentity object objectid node1 node2 entity1
    entity2 source sourceid target targetid src srcid dst dstid subj obj headname tailname"""
)
_LINK = _words(
    """relation relationid relationname relationtype relationship predicate predicateid pred property
    propertyid prop rel relid reltype edge edgeid edgetype label"""
)
TRIPLE = (_END, _LINK, _END)
# KGTK's edges with ids, Neo4j's export, and words that are names of columns only together.
_TRIPLES_OF_OTHERS = frozenset(
    {
        ("id", "node1", "label"),
        ("item", "property", "value"),
        ("itemid", "propertyid", "valueid"),
        ("startid", "type", "endid"),
        ("source", "type", "target"),
        ("head", "type", "tail"),
        ("subject", "type", "object"),
        ("hid", "rid", "tid"),
        ("e1", "r", "e2"),
        *(
            (one, link, other)
            for one, other in (("from", "to"), ("start", "end"), ("e1", "e2"))
            for link in _LINK
        ),
    }
)
# Single letters only in lower case: the ids of a graph may be H, R and T.
_LETTERS = frozenset({*permutations("hrt"), *permutations("spo")})


def is_header(fields: Sequence[str], columns: Sequence[frozenset[str]]) -> bool:
    """Whether every required column of a line contains a name of a column, each of another one.

    The order may be another one (`lang id label`, `relation head tail`); with two columns only where a word
    such as `qid` shows it (`title qid`).

    Args:
        fields: the line's fields.
        columns: for each required column, the words that name it.
    """
    first = tuple(_OTHER_THAN_LETTERS.sub("", field) for field in fields[: len(columns)])
    words = tuple(word.casefold() for word in first)
    if columns is TRIPLE and (words in _TRIPLES_OF_OTHERS or first in _LETTERS):
        return True
    if len(words) != len(columns):
        return False
    if all(map(frozenset.__contains__, columns, words)):
        return True
    if len(columns) > 2:
        # Of most lines the first word is no name of a column, and no order is tried.
        is_word = any(words[0] in column for column in columns)
        return is_word and any(
            all(map(frozenset.__contains__, order, words)) for order in permutations(columns)
        )
    # `title entity` may be a name. Only a word such as `qid` is not a value of the other column.
    swapped = columns[::-1]
    return (
        ID in columns
        and words[swapped.index(ID)].endswith("id")
        and all(map(frozenset.__contains__, swapped, words))
    )
