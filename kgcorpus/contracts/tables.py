"""Every table of a build: its columns, what each means, and the order of its rows. Read this first.

Spans are `[start, end)` in Unicode code points of the row's `text`. The shard configs, which a trainer reads,
are in `published_tables.py`, the nested types (NAME, MENTION, ...) in `schema.py`.
"""

import pyarrow as pa

from kgcorpus.contracts.published_tables import PUBLISHED_TABLES
from kgcorpus.contracts.registry import Registry
from kgcorpus.contracts.schema import FACT, LINK, MENTION, NAME, SLOT, SPAN, STATEMENT, TARGET, TRIPLE, Table

__all__ = ["FACT", "NAME", "SLOT", "SPAN", "TABLES", "TRIPLE", "Table", "table"]

_string, _bool = pa.string(), pa.bool_()
_i32, _i64, _f32, _f64 = pa.int32(), pa.int64(), pa.float32(), pa.float64()

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
                    "kind of each line of `text`: paragraph, list, heading, cell or caption; null: unknown",
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
            meaning="a page title and its entity, with redirects followed",
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
            meaning="a surface form: a link text or name that refers to an entity; counted on training pages "
            "with links",
            columns={
                "lang": (_string, "language code"),
                "surface": (_string, "the text: NFC, one kind of quote, hyphen and space"),
                "links": (_i64, "links with this text"),
                "occurrences": (_i64, "all occurrences, also inside longer names"),
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
                "block": (_string, "its kind of block, as in `pages.blocks`; null: unknown"),
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
        *PUBLISHED_TABLES,
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
