"""Every table of a build: its columns, what each means, and the order of its rows. Read this first.

Spans are `[start, end)` in Unicode code points of the row's `text`.
"""

from dataclasses import dataclass, field

import pyarrow as pa

from kgcorpus.contracts.registry import Registry

_string, _bool = pa.string(), pa.bool_()
_i32, _i64, _f32, _f64 = pa.int32(), pa.int64(), pa.float32(), pa.float64()


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


SPAN = _struct(start=_i32, end=_i32)
LINK = _struct(start=_i32, end=_i32, anchor=_string, target=_string)
MENTION = _struct(start=_i32, end=_i32, qid=_string, source=_string, confidence=_f32)
TARGET = _struct(target=_string, links=_i64)
TRIPLE = _struct(h=_string, r=_string, t=_string)
SLOT = _struct(start=_i32, end=_i32, sentence=_i32, slot=pa.int8(), qid=_string, lang=_string)
NAME = _struct(lang=_string, label=_string, aliases=pa.list_(_string))
FACT = _struct(r=_string, other=_string, direction=_string, label=_string)
PAIR = _struct(h=_string, t=_string, h_label=_string, t_label=_string)
CHOICE = _struct(pid=_string, label=_string)
ENDS = _struct(h=_string, t=_string)
STATEMENT = _struct(r=_string, t=_string)
TRELM_MENTION = _struct(
    start=_i32,
    end=_i32,
    qid=_string,
    confidence=_f32,
    cos=_f32,
    si=_f32,
    long_tail=_bool,
    frequency=_i64,
    triples=pa.list_(FACT),
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: name, columns with their meaning, sort key.

    Attributes:
        columns: column name -> (Arrow type, meaning).
        key: columns that order the rows; their values are unique a row.
        shard_by: the columns whose hash chooses a row's shard (default: the key).
        published: a shard config under `data/`, split into train, validation and test; its rows lie in
            the order of a hash of the key, so that any prefix is a random sample.
        key_of_input: the key comes with the input, so that a repeated one is a fault of the input.
        rows_per_shard: the shard count is the input rows over this.
    """

    name: str
    meaning: str
    columns: dict[str, tuple[pa.DataType, str]]
    key: tuple[str, ...]
    shard_by: tuple[str, ...] = ()
    published: bool = False
    key_of_input: bool = False
    rows_per_shard: int = 500_000
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        schema = pa.schema([pa.field(name, kind) for name, (kind, _) in self.columns.items()])
        object.__setattr__(self, "schema", schema)
        if not self.shard_by:
            object.__setattr__(self, "shard_by", self.key)


_SLOTTED = {
    "id": (_string, "unique"),
    "lang": (_string, "the language mixed with English, or that of all the labels"),
    "kind": (_string, "code_switched | alias | cycle3 | cycle4"),
    "text": (_string, "sentences `h [mask] r [mask] t.`, joined by a space"),
    "triples": (pa.list_(TRIPLE), "one a sentence, in the sentences' order"),
    "slots": (pa.list_(SLOT), "spans of head (1), relation (2) and tail (3); `qid` is a PID for a relation"),
}

TABLES: Registry[Table] = Registry(
    "table",
    (
        Table(
            name="pages",
            meaning="one page of a dump, or one document of a plain-text input",
            columns={
                "page_id": (
                    _i64,
                    "the dump's page id; negative for a plain-text document; unique a language",
                ),
                "title": (_string, "as in the dump; empty for a plain-text document"),
                "lang": (_string, "language code"),
                "qid": (_string, "the page's own entity, where JSON lines name it; else null"),
                "text": (_string, "plain text; paragraphs end in a newline"),
                "links": (pa.list_(LINK), "internal links; `text[start:end] == anchor`, target normalised"),
                "blocks": (
                    pa.list_(_string),
                    "what each line of `text` is: paragraph, list, heading, cell or caption; null: not told",
                ),
                "redirect": (_string, "normalised target of a redirect page, else null"),
                "disambiguation": (_bool, "a disambiguation page"),
                "revision": (_i64, "id of the revision whose text this is; null: unknown"),
                "time": (_string, "when it was saved, `YYYY-MM-DDThh:mm:ssZ`; null: unknown"),
                "url": (_string, "permanent URL of the revision; null: unknown"),
            },
            key=("lang", "page_id"),
            key_of_input=True,
            rows_per_shard=20_000,
        ),
        Table(
            name="titles",
            meaning="a page title and the entity it stands for, redirects followed",
            columns={
                "lang": (_string, "language code"),
                "title": (_string, "normalised title"),
                "qid": (_string, "Wikidata id"),
                "via": (
                    _string,
                    "item (also of a document's `qid`) | redirect | link (of a text that names the item: "
                    "`d:QID`)",
                ),
            },
            key=("lang", "title"),
        ),
        Table(
            name="wikidata",
            meaning="an entity of Wikidata's JSON dump, as far as the fields of `graph` need it",
            columns={
                "dump": (_i32, "position of the dump among all dumps that `graph` names"),
                "block": (
                    _i64,
                    "bit of the file at which the line's bzip2 block begins; 0 in a file read by one task",
                ),
                "offset": (_i64, "unpacked bytes before the line, in the block or the file"),
                "id": (_string, "Wikidata id"),
                "facts": (
                    pa.list_(STATEMENT),
                    "relation and object of the best-ranked statements whose values are items",
                ),
                "names": (pa.list_(NAME), "label and aliases by language"),
                "names_rank": (
                    _i32,
                    "position of the dump among the dumps of `graph.labels` (a property: `graph.relations`)",
                ),
                "description": (_string, "in the base language, or null"),
                "description_rank": (_i32, "position of the dump among the dumps of `graph.descriptions`"),
                "types": (pa.list_(_string), "objects of `jaket.category_relation`, for `graph.types`"),
            },
            key=("dump", "block", "offset"),
            rows_per_shard=100_000,
        ),
        Table(
            name="entities",
            meaning="an entity of the graph",
            columns={
                "qid": (_string, "Wikidata id"),
                "names": (
                    pa.list_(NAME),
                    "label (null where only aliases are known) and aliases by language",
                ),
                "description": (_string, "text that describes it, in the base language, or null"),
                "types": (
                    pa.list_(_string),
                    "its classes: of `graph.types`, or the objects of `jaket.category_relation`",
                ),
            },
            key=("qid",),
        ),
        Table(
            name="relations",
            meaning="a relation of the graph",
            columns={
                "pid": (_string, "Wikidata id"),
                "names": (pa.list_(NAME), "label and aliases by language"),
            },
            key=("pid",),
        ),
        Table(
            name="triples",
            meaning="a fact, directed; duplicates removed",
            columns={
                "h": (_string, "head QID"),
                "r": (_string, "relation PID"),
                "t": (_string, "tail QID"),
            },
            key=("h", "r", "t"),
            rows_per_shard=2_000_000,
        ),
        Table(
            name="surfaces",
            meaning="a text that links or names stand for something by, counted on training pages with links",
            columns={
                "lang": (_string, "language code"),
                "surface": (_string, "the text: NFC, one kind of quote, hyphen and space"),
                "links": (_i64, "links with this text"),
                "occurrences": (_i64, "places where it stands at all, also inside longer names"),
                "targets": (
                    pa.list_(TARGET),
                    "what it links to, redirects followed: an id, or `[[lang:title]]` of a page without an"
                    " item; the commonest first",
                ),
            },
            key=("lang", "surface"),
        ),
        Table(
            name="in_links",
            meaning="the training pages that link to an entity (for relatedness: Milne and Witten, 2008)",
            columns={
                "lang": (_string, "language code"),
                "target": (_string, "an id, or `[[lang:title]]` of a page without an item"),
                "pages": (pa.list_(_i64), "page ids, ascending"),
            },
            key=("lang", "target"),
        ),
        Table(
            name="linked_sentences",
            meaning="a sentence and the entities mentioned in it",
            columns={
                "sentence_id": (_string, "lang:page_id:ordinal"),
                "page_id": (_i64, "page"),
                "lang": (_string, "language code"),
                "ordinal": (_i32, "position of the sentence in its page"),
                "text": (_string, "the sentence"),
                "block": (_string, "what it stands in, as of `pages.blocks`; null: not told"),
                "mentions": (
                    pa.list_(MENTION),
                    "sorted, disjoint; source anchor | same_page | dictionary; confidence: the estimated "
                    "probability that the entity is meant",
                ),
            },
            key=("lang", "page_id", "ordinal"),
            shard_by=("lang", "page_id"),
            # A task scores the mentions of a shard.
            rows_per_shard=100_000,
        ),
        Table(
            name="passages",
            meaning="consecutive sentences of one page, up to N tokens",
            columns={
                "passage_id": (_string, "kind:lang:page_id:first ordinal"),
                "page_id": (_i64, "page"),
                "lang": (_string, "language code"),
                "kind": (_string, "trelm | jaket | plain<N>"),
                "text": (_string, "the sentences joined"),
                "sentences": (pa.list_(SPAN), "the sentences' spans"),
                "sentence_ids": (pa.list_(_string), "the sentences' ids, parallel to `sentences`"),
                "mentions": (pa.list_(MENTION), "rebased to the passage"),
                "tokens": (_i32, "length in tokens of `passages.tokenizer`, special tokens left out"),
            },
            key=("kind", "lang", "page_id", "passage_id"),
            shard_by=("lang", "page_id"),
            # A task holds the sentences of a shard, and tokenizes them.
            rows_per_shard=100_000,
        ),
        Table(
            name="importance",
            meaning="semantic importance of a mention (TRELM, eq. 1)",
            columns={
                "sentence_id": (_string, "the sentence"),
                "start": (_i32, "the mention's span in the sentence"),
                "end": (_i32, "the mention's span in the sentence"),
                "qid": (_string, "the mention's entity"),
                "confidence": (_f32, "the mention's, as in `linked_sentences`"),
                "cos": (
                    _f32,
                    "cosine of the sentence with and without the mention; null if cut by truncation",
                ),
                "si": (_f32, "1 / cos: high = replacing the mention changes the sentence most"),
                "replacement": (_string, "what replaced it: mask | mask_each | unk | delete | entity"),
            },
            key=("sentence_id", "start", "end"),
            shard_by=("sentence_id",),
        ),
        Table(
            name="entity_statistics",
            meaning="how often an entity is mentioned and how it is connected (TRELM)",
            columns={
                "qid": (_string, "entity"),
                "frequency": (_i64, "mentions in the linked sentences"),
                "neighbours": (_i64, "entities one hop away, either direction"),
                "kc": (_i64, "knowledge connectivity: entities within two hops"),
                "long_tail": (
                    _bool,
                    "frequency below the mean of mentioned entities (or up to `trelm.long_tail_quantile`), "
                    "and kc >= 1",
                ),
            },
            key=("qid",),
        ),
        Table(
            name="cycles",
            meaning="a cycle of the graph: a triangle, or two triangles that share an edge",
            columns={
                "cycle_id": (_string, "hash of the entities and triples"),
                "length": (pa.int8(), "3, or 4 with a diagonal (5 triples)"),
                "entities": (
                    pa.list_(_string),
                    "its 3 or 4 entities; of a diamond, the diagonal's ends first",
                ),
                "triples": (pa.list_(TRIPLE), "one for each connected pair, directed as in the graph"),
            },
            key=("cycle_id",),
        ),
        Table(
            name="rules",
            meaning="a rule body => head(x, y) with AMIE's measures, over distinct pairs (x, y)",
            columns={
                "rule": (_string, "as text, `P1(x,z) P2(z,y) => P3(x,y)`"),
                "body": (pa.list_(TRIPLE), "two atoms, their `h` and `t` the variables x, y and z"),
                "head": (_string, "relation of x to y"),
                "support": (_i64, "pairs that the body joins and the head holds for"),
                "head_coverage": (_f64, "support over the head's facts"),
                "standard_confidence": (_f64, "support over the pairs that the body joins"),
                "pca_confidence": (
                    _f64,
                    "the same over those whose x has a head fact (y, if the head is more functional in y)",
                ),
            },
            key=("rule",),
        ),
        Table(
            name="code_switched",
            meaning="a triple as a sentence whose items are in the base or another language (KMLM, 3.1)",
            columns=_SLOTTED,
            key=("id",),
            published=True,
        ),
        Table(
            name="reasoning",
            meaning="a cycle as sentences of one language (KMLM, 3.1)",
            columns=_SLOTTED,
            key=("id",),
            published=True,
        ),
        Table(
            name="xlr",
            meaning="a multiple-choice question about the relation left out of a cycle (KMLM, 4.5); silver",
            columns={
                "id": (_string, "unique"),
                "lang": (_string, "language of all the labels"),
                "context": (_string, "the cycle's other triples, as a record of `reasoning`"),
                "question": (PAIR, "the entities whose relation is asked for, and their labels"),
                "choices": (
                    pa.list_(CHOICE),
                    "six relations, one of which holds; the same order in every language",
                ),
                "answer": (_i32, "position of the relation that holds"),
                "triples": (
                    pa.list_(TRIPLE),
                    "the context's in the order of its sentences, then the left-out one",
                ),
                "unseen_combination": (_bool, "no cycle that training may read has these relations"),
                "held_out": (
                    pa.list_(ENDS),
                    "the pairs that training states no fact of: the question's, and those named alike",
                ),
            },
            key=("id",),
            published=True,
        ),
        Table(
            name="plain_text",
            meaning="a passage of running text for masked-language modelling",
            columns={
                "id": (_string, "unique"),
                "lang": (_string, "language code"),
                "text": (_string, "the passage"),
                "length": (_i32, "the N of `passages.plain` that it was cut for"),
            },
            key=("id",),
            published=True,
            rows_per_shard=200_000,
        ),
        Table(
            name="trelm",
            meaning="a passage with its mentions, their importance and facts (TRELM)",
            columns={
                "id": (_string, "unique"),
                "lang": (_string, "language code"),
                "text": (_string, "the passage"),
                "sentences": (pa.list_(SPAN), "the sentences' spans"),
                "mentions": (
                    pa.list_(TRELM_MENTION),
                    "each with confidence, cos, SI, long-tail flag, corpus frequency, and facts: relation, "
                    "other end, direction (tail: the other end is the fact's tail) and the other end's label",
                ),
            },
            key=("id",),
            published=True,
            rows_per_shard=100_000,
        ),
        Table(
            name="jaket_text",
            meaning="a passage with its mentions (JAKET)",
            columns={
                "id": (_string, "unique"),
                "lang": (_string, "language code"),
                "text": (_string, "the passage"),
                "mentions": (pa.list_(MENTION), "rebased to the passage"),
            },
            key=("id",),
            published=True,
            rows_per_shard=100_000,
        ),
        Table(
            name="sources",
            meaning="a page that published text is from; a row's `id` names it as `kind:lang:page:ordinal`",
            columns={
                "page": (_i64, "page id, unique a language"),
                "lang": (_string, "language code"),
                "title": (_string, "title of the page; null: unknown"),
                "revision": (_i64, "id of the revision whose text is used; null: unknown"),
                "time": (_string, "when it was saved, `YYYY-MM-DDThh:mm:ssZ`; null: unknown"),
                "url": (_string, "permanent URL of the revision, which lists its authors; null: unknown"),
            },
            key=("lang", "page"),
            published=True,
        ),
        Table(
            name="jaket_entities",
            meaning="an entity with its description and category (JAKET, 4.1)",
            columns={
                "qid": (_string, "entity"),
                "text": (_string, "description"),
                "start": (_i32, "the entity's own mention in the description; null if it has none"),
                "end": (_i32, "end of that mention"),
                "category": (_string, "QID of its class, or null"),
                "page": (
                    _i64,
                    "page in the base language that `text` is from; null: it is from a file",
                ),
            },
            key=("qid",),
            published=True,
        ),
        Table(
            name="jaket_edges",
            meaning="an edge between two described entities; the category's edges are left out",
            columns={
                "h": (_string, "head QID"),
                "r": (_string, "relation PID"),
                "t": (_string, "tail QID"),
            },
            key=("h", "r", "t"),
            published=True,
            rows_per_shard=2_000_000,
        ),
    ),
    of=Table,
    group="kgcorpus.tables",
)


def table(name: str) -> Table:
    """The table of that name.

    Raises:
        UsageError: there is none.
    """
    return TABLES.find(name)
