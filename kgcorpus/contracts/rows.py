"""The rows of the tables as Python dictionaries. `kgcorpus/contracts/tables.py` has the columns' meanings.

A test compares each type with its table's schema. A column whose values may be null is `| None`.
"""

from typing import Literal, NotRequired, TypedDict

from kgcorpus.contracts.splits import Split

Direction = Literal["head", "tail"]
LinkSource = Literal["anchor", "same_page", "dictionary"]
TitleSource = Literal["item", "redirect", "link"]
CodeSwitchedKind = Literal["code_switched", "alias"]
ReasoningKind = Literal["cycle3", "cycle4"]


class Span(TypedDict):
    """Code points [start, end) of a row's text."""

    start: int
    end: int


class Link(Span):
    """An internal link of a page."""

    anchor: str
    target: str


class Mention(Span):
    """An entity that a text mentions."""

    qid: str
    source: LinkSource
    confidence: float


class Target(TypedDict):
    """What links of one surface form refer to."""

    target: str
    links: int


class Triple(TypedDict):
    """A fact, or an atom of a rule."""

    h: str
    r: str
    t: str


class Slot(Span):
    """The span of a triple's item in a sentence: 1 head, 2 relation, 3 tail."""

    sentence: int
    slot: int
    qid: str
    lang: str


class Name(TypedDict):
    """The names of an item in one language."""

    lang: str
    label: str | None
    aliases: list[str]


class Statement(TypedDict):
    """Relation and object of a fact whose subject is the row's entity."""

    r: str
    t: str


class Fact(TypedDict):
    """A fact of a mentioned entity."""

    r: str
    other: str
    direction: Direction
    label: str | None


class Pair(TypedDict):
    """Two entities with their labels."""

    h: str
    t: str
    h_label: str
    t_label: str


class Choice(TypedDict):
    """A relation that a question offers."""

    pid: str
    label: str


class Ends(TypedDict):
    """The entities of a pair."""

    h: str
    t: str


class TrelmMention(Span):
    """A mention with what TRELM knows of it."""

    qid: str
    confidence: float
    cos: float | None
    si: float | None
    long_tail: bool
    frequency: int
    triples: list[Fact]


class PageRow(TypedDict):
    """A row of `pages`."""

    page_id: int
    title: str
    lang: str
    qid: str | None
    text: str
    links: list[Link]
    blocks: list[str] | None
    redirect: str | None
    disambiguation: bool
    revision: int | None
    time: str | None
    url: str | None


class TitleRow(TypedDict):
    """A row of `titles`."""

    lang: str
    title: str
    qid: str
    via: TitleSource


class WikidataRow(TypedDict):
    """A row of `wikidata`."""

    dump: int
    block: int
    offset: int
    id: str
    facts: list[Statement]
    names: list[Name]
    names_rank: int | None
    description: str | None
    description_rank: int | None
    types: list[str]


class EntityRow(TypedDict):
    """A row of `entities`."""

    qid: str
    names: list[Name]
    description: str | None
    types: list[str]


class RelationRow(TypedDict):
    """A row of `relations`."""

    pid: str
    names: list[Name]


class TripleRow(Triple):
    """A row of `triples`."""


class SurfaceRow(TypedDict):
    """A row of `surfaces`."""

    lang: str
    surface: str
    links: int
    occurrences: int
    targets: list[Target]


class InLinksRow(TypedDict):
    """A row of `in_links`."""

    lang: str
    target: str
    pages: list[int]


class SentenceRow(TypedDict):
    """A row of `linked_sentences`."""

    sentence_id: str
    page_id: int
    lang: str
    ordinal: int
    text: str
    block: str | None
    mentions: list[Mention]


class PassageRow(TypedDict):
    """A row of `passages`."""

    passage_id: str
    page_id: int
    lang: str
    kind: str
    text: str
    sentences: list[Span]
    sentence_ids: list[str]
    mentions: list[Mention]
    tokens: int


class ImportanceRow(Span):
    """A row of `importance`."""

    sentence_id: str
    qid: str
    confidence: float
    cos: float | None
    si: float | None
    replacement: str


class EntityStatisticsRow(TypedDict):
    """A row of `entity_statistics`."""

    qid: str
    frequency: int
    neighbours: int
    kc: int
    long_tail: bool


class CycleRow(TypedDict):
    """A row of `cycles`."""

    cycle_id: str
    length: Literal[3, 4]
    entities: list[str]
    triples: list[Triple]


class RuleRow(TypedDict):
    """A row of `rules`."""

    rule: str
    body: list[Triple]
    head: str
    support: int
    head_coverage: float
    standard_confidence: float
    pca_confidence: float


class PublishedRow(TypedDict):
    """What rows of the published tables have beside their columns: the split that their shard is for."""

    split: NotRequired[Split]


class SlottedRow(PublishedRow):
    """What rows of `code_switched` and `reasoning` have in common."""

    id: str
    lang: str
    text: str
    triples: list[Triple]
    slots: list[Slot]


class CodeSwitchedRow(SlottedRow):
    """A row of `code_switched`."""

    kind: CodeSwitchedKind


class ReasoningRow(SlottedRow):
    """A row of `reasoning`."""

    kind: ReasoningKind


class XlrRow(PublishedRow):
    """A row of `xlr`."""

    id: str
    lang: str
    context: str
    question: Pair
    choices: list[Choice]
    answer: int
    triples: list[Triple]
    unseen_combination: bool
    held_out: list[Ends]


class PlainTextRow(PublishedRow):
    """A row of `plain_text`."""

    id: str
    lang: str
    text: str
    length: int


class TrelmRow(PublishedRow):
    """A row of `trelm`."""

    id: str
    lang: str
    text: str
    sentences: list[Span]
    mentions: list[TrelmMention]


class JaketTextRow(PublishedRow):
    """A row of `jaket_text`."""

    id: str
    lang: str
    text: str
    mentions: list[Mention]


class SourceRow(PublishedRow):
    """A row of `sources`."""

    page: int
    lang: str
    title: str | None
    revision: int | None
    time: str | None
    url: str | None


class JaketEntityRow(PublishedRow):
    """A row of `jaket_entities`."""

    qid: str
    text: str
    start: int | None
    end: int | None
    category: str | None
    page: int | None


class JaketEdgeRow(PublishedRow):
    """A row of `jaket_edges`."""

    h: str
    r: str
    t: str


ROW_TYPES: dict[str, type] = {
    "pages": PageRow,
    "titles": TitleRow,
    "wikidata": WikidataRow,
    "entities": EntityRow,
    "relations": RelationRow,
    "triples": TripleRow,
    "surfaces": SurfaceRow,
    "in_links": InLinksRow,
    "linked_sentences": SentenceRow,
    "passages": PassageRow,
    "importance": ImportanceRow,
    "entity_statistics": EntityStatisticsRow,
    "cycles": CycleRow,
    "rules": RuleRow,
    "code_switched": CodeSwitchedRow,
    "reasoning": ReasoningRow,
    "xlr": XlrRow,
    "plain_text": PlainTextRow,
    "trelm": TrelmRow,
    "jaket_text": JaketTextRow,
    "sources": SourceRow,
    "jaket_entities": JaketEntityRow,
    "jaket_edges": JaketEdgeRow,
}
