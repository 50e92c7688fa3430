"""For each build option the table in which another value must show, or the reason why none can.

`{world}` is the embedded world's folder, `{dumps}` its rendered dumps, `{made}` a folder of files made here.
"""

from dataclasses import dataclass, field
from typing import Any

_GRAPH = "{world}/graph"


def wikis(**english: Any) -> list[dict[str, Any]]:
    """The base's dumps, the English one with these changes; a key of None is left out."""
    first = {
        "lang": "en",
        "dump": "{dumps}/enwiki-demo-pages-articles.xml.bz2",
        "titles": "{world}/wikipedia/en-titles.tsv",
        "other_language": True,
    }
    german = {
        "lang": "de",
        "dump": "{dumps}/dewiki-demo-pages-articles.xml",
        "titles": "{world}/wikipedia/de-titles.tsv",
    }
    return [{key: value for key, value in {**first, **english}.items() if value is not None}, german]


def texts(**changes: Any) -> list[dict[str, Any]]:
    """The base's running text with these changes."""
    return [{"lang": "en", "path": "{made}/text.txt", **changes}]


BASE: dict[str, Any] = {
    "languages": ["en", "de", "fr"],
    "graph": {
        "triples": [f"{_GRAPH}/wikidata5m_transductive_train.txt"],
        "labels": [f"{_GRAPH}/labels.tsv", f"{_GRAPH}/wikidata5m_entity.txt"],
        "relations": [f"{_GRAPH}/relations.tsv", f"{_GRAPH}/wikidata5m_relation.txt"],
        "descriptions": [f"{_GRAPH}/wikidata5m_text.txt"],
    },
    "wikipedia": wikis(),
    "text": texts(),
    "linking": {"dictionary": True, "min_confidence": 0.2},
    "passages": {"trelm": 64, "jaket": 96, "plain": [64]},
    "importance": {"encoder": "{world}/encoder"},
    "xlr": {"train": 20, "validation": 10, "test": 10},
    "spark": {"master": "local[2]", "partitions": 2, "memory": "1g"},
}


@dataclass(frozen=True)
class Case:
    """Another value of an option, and the table whose content must then be another.

    Attributes:
        given: further settings of both builds.
        own: instead of the base, all other settings of both builds; the outcome is exit code and error.
    """

    table: str
    value: Any
    given: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] | None = None


_TAGME = {"linking.method": "tagme"}
_SPARK = {"spark": BASE["spark"]}
_BAD = {"graph": {"triples": ["{made}/bad.txt"]}, **_SPARK}

CASES: dict[str, Case] = {
    "seed": Case("code_switched", 1),
    "languages": Case("entities", ["en", "de", "ja"]),
    "base_language": Case("code_switched", "de"),
    "graph.triples": Case("triples", ["{made}/triples.txt"]),
    "graph.labels": Case("entities", [f"{_GRAPH}/labels.tsv"]),
    "graph.relations": Case("relations", [f"{_GRAPH}/wikidata5m_relation.txt"]),
    "graph.descriptions": Case("entities", []),
    "graph.types": Case("entities", ["{made}/types.txt"]),
    "wikipedia.lang": Case("pages", wikis(lang="simple", titles=None)),
    "wikipedia.dump": Case("pages", wikis(dump="{made}/enwiki.xml")),
    "wikipedia.titles": Case("titles", wikis(titles="{made}/titles.tsv")),
    "wikipedia.templates": Case("pages", wikis(templates="{made}/templates.tsv")),
    "wikipedia.other_language": Case(
        "pages",
        [{"lang": "nl", "dump": "{dumps}/dewiki-demo-pages-articles.xml", "other_language": True}],
        own={"wikipedia": [{"lang": "nl", "dump": "{dumps}/dewiki-demo-pages-articles.xml"}], **_SPARK},
    ),
    "wikipedia.variant": Case(
        "pages",
        [{"lang": "zh", "dump": "{made}/zhwiki.xml", "variant": "zh-tw"}],
        given={"wikipedia": [{"lang": "zh", "dump": "{made}/zhwiki.xml"}]},
    ),
    "text.lang": Case("pages", texts(lang="fr")),
    "text.path": Case("pages", texts(path="{made}/other.txt")),
    "text.columns": Case(
        "pages",
        texts(path="{made}/rows.parquet", columns={"text": "other"}),
        given={"text": texts(path="{made}/rows.parquet")},
    ),
    "text.documents": Case("pages", texts(documents="paragraphs")),
    "text.share": Case("pages", texts(share=0.3)),
    "text.sentences": Case("pages", texts(sentences=5)),
    "text.link_title": Case(
        "pages",
        texts(path="{made}/documents.jsonl", link_title=True),
        given={"text": texts(path="{made}/documents.jsonl")},
    ),
    "extraction.keep": Case("pages", ["cell", "caption"]),
    "passages.tokenizer": Case("passages", "{made}/tokenizer"),
    "passages.trelm": Case("passages", 32),
    "passages.jaket": Case("passages", 48),
    "passages.plain": Case("passages", [32]),
    "passages.min_entities": Case("passages", 4),
    "passages.min_page_characters": Case("passages", 700),
    "linking.dictionary": Case("linked_sentences", False),
    "linking.method": Case("linked_sentences", "tagme"),
    "linking.min_link_probability": Case("linked_sentences", 0.9),
    "linking.window": Case("linked_sentences", 1),
    "linking.nested_ratio": Case("linked_sentences", 0.01),
    "linking.voters": Case("linked_sentences", 0),
    "linking.tau": Case("linked_sentences", 0.95),
    "linking.rho": Case("linked_sentences", 0.6, given=_TAGME),
    "linking.min_confidence": Case("linked_sentences", 0.95),
    "linking.graph_weight": Case("linked_sentences", 0.0),
    "linking.name_probability": Case("linked_sentences", 0.9),
    "linking.title_links": Case("linked_sentences", 90.0),
    "linking.name_links": Case("linked_sentences", 90.0),
    "importance.encoder": Case("importance", "{made}/encoder"),
    "importance.replacement": Case("importance", "unk"),
    "importance.pooling": Case("importance", "cls"),
    "importance.dtype": Case("importance", "bf16"),
    "cycles.dedup": Case("cycles", "set"),
    "cycles.wings_per_edge": Case("cycles", 2),
    "cycles.pairs_per_edge": Case("cycles", 1),
    "cycles.per_pair": Case("cycles", 1),
    "cycles.per_combination": Case("cycles", 2),
    "rules.min_support": Case("rules", 5),
    "xlr.train": Case("xlr", 10),
    "xlr.validation": Case("xlr", 5),
    "xlr.test": Case("xlr", 5),
    "trelm.facts_per_entity": Case("trelm", 1),
    "trelm.long_tail_quantile": Case("entity_statistics", 1.0),
    "jaket.descriptions": Case("jaket_entities", ["first_mention"]),
    "jaket.description_tokens": Case("jaket_entities", 5),
    "jaket.description_window": Case("jaket_entities", "first", given={"jaket.description_tokens": 5}),
    "jaket.category_relation": Case("entities", "P17"),
    "jaket.min_neighbours": Case("jaket_entities", 12),
    "jaket.min_mentions": Case("jaket_entities", 1),
    "limits.decompression_ratio": Case(
        "triples", 10_000, own={"graph": {"triples": ["{made}/packed.txt.gz"]}, **_SPARK}
    ),
    "limits.record_mib": Case("triples", 1, own={"graph": {"triples": ["{made}/long.txt"]}, **_SPARK}),
    "repeated_inputs": Case(
        "triples", "allow", own={"graph": {"triples": ["{made}/triples.txt"] * 2}, **_SPARK}
    ),
    "on_bad_input": Case("triples", "quarantine", own={**_BAD, "max_bad_share": 0.9}),
    "max_bad_share": Case("triples", 0.9, own={**_BAD, "on_bad_input": "quarantine"}),
}

# Reviewed: these change no byte of a table here.
ACTS_ELSEWHERE = {
    "linking.epsilon": "chooses among meanings of a name; names here have one (tests/linking/test_linker.py)",
    "linking.vote_weight": "as linking.epsilon",
    "linking.vote_floor": "as linking.epsilon",
    "linking.word_weight": "as linking.epsilon (tests/linking/test_descriptions.py)",
    "importance.device": "a GPU computes the same numbers but for the last bits",
    "spark.colours": "the memory of a task (tests/kg/test_partition.py: no result depends on it)",
    "spark.conf": "how Spark runs",
    "spark.master": "how Spark runs (tests/e2e/test_cluster.py: the same bytes)",
    "spark.memory": "how Spark runs",
    "spark.partitions": "how Spark runs (tests/e2e/test_build.py: the same bytes)",
    "wikipedia.index": "the same pages, read by many tasks (tests/wiki/test_multistream.py)",
}
