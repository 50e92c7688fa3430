"""The published tables: the shard configs under data/, which a trainer reads. `tables.py` has the others.

Spans are `[start, end)` in Unicode code points of the row's `text`.
"""

import pyarrow as pa

from kgcorpus.contracts.schema import CHOICE, ENDS, MENTION, PAIR, SLOT, SPAN, TRELM_MENTION, TRIPLE, Table

_string, _bool = pa.string(), pa.bool_()
_i32, _i64 = pa.int32(), pa.int64()

_SLOTTED = {
    "id": (_string, "unique"),
    "lang": (_string, "the language mixed with English, or that of all the labels"),
    "kind": (_string, "code_switched | alias | cycle3 | cycle4"),
    "text": (_string, "sentences `h [mask] r [mask] t.`, joined by a space"),
    "triples": (pa.list_(TRIPLE), "one a sentence, in the sentences' order"),
    "slots": (pa.list_(SLOT), "spans of head (1), relation (2) and tail (3); `qid` is a PID for a relation"),
}

PUBLISHED_TABLES = (
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
)
