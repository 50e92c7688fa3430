"""The official formats through the stages that read them, several languages and part files in one build."""

import gzip
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import InputError
from pipelines import linked_sentences, names, pages, titles, triples, wikidata
from pipelines.failures import SPARK_FAILURES, translated
from tests.pipelines.stage_runs import HEAD, page, run_stage, write_multistream, write_sql

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow
# Spark would read a path with these as a pattern, fsspec one with `::` as a chain.
WILD = "[1] {a,b}*?"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    folder = tmp_path_factory.mktemp(f"formats {WILD} x::y")
    first = [[(1, "Rome", "A [[city]] of [[Italy]]."), (2, "City", "#REDIRECT [[Town]]")]]
    first += [[(n, f"Page {n}", f"It names [[Rome]] {n} times.")] for n in range(10, 20)]
    second = [
        [(30, "Town", "A town."), (31, "Mercury", "Many things.")],
        [(32, "Planet", "#REDIRECT [[Mercury]]")],
    ]
    dumps = [write_multistream(folder, f"enwiki{i}", "en", part) for i, part in enumerate((first, second))]
    german = (
        HEAD.format(lang="de", category="Kategorie") + page(1, "Rom", "Die Stadt [[Rom]].") + "</mediawiki>"
    )
    (folder / "dewiki.xml").write_text(german)
    sql = [
        write_sql(
            folder,
            "page",
            "page_id page_namespace page_title page_is_redirect",
            *(
                f"({n},0,'{title}',0)"
                for n, title in [(1, "Rome"), (2, "City"), (30, "Town"), (31, "Mercury")]
            ),
            "(33,0,'Old_town',1)",
            "(34,0,'The_\\'Eternal\\'_city',1)",
        ),
        write_sql(
            folder,
            "page_props",
            "pp_page pp_propname pp_value pp_sortkey",
            *("(1,'wikibase_item','Q220',NULL)", "(30,'wikibase_item','Q3957',NULL)"),
            *("(31,'wikibase_item','Q999',NULL)", "(31,'disambiguation','',NULL)"),
        ),
        write_sql(
            folder,
            "redirect",
            "rd_from rd_namespace rd_title rd_interwiki rd_fragment",
            "(33,0,'Town','','Old')",
            "(34,0,'Rome','','')",
        ),
    ]
    sitelinks = write_sql(
        folder,
        "wb_items_per_site",
        "ips_row_id ips_item_id ips_site_id ips_site_page",
        "(1,220,'dewiki','Rom')",
        "(2,5,'frwiki','X')",
    )
    links = [{"start": 0, "end": 4, "qid": "Q220"}, {"start": 11, "end": 15, "title": "town"}]
    lines = [
        {"id": "a", "text": "Rome was a town.", "links": links},
        {"text": "Nichts.", "lang": "de"},
        {"text": "The Tiber (Latin: Tiberis) is long.", "title": "Tiber", "qid": "Q13712"},
    ]
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "cc100.txt").write_text("One\ntwo.\n\nThree.\n")
    value = {"entity-type": "item", "id": "Q38"}
    snak = {
        "snaktype": "value",
        "property": "P17",
        "datavalue": {"type": "wikibase-entityid", "value": value},
    }
    entities = [
        {
            "id": "Q220",
            "type": "item",
            "labels": {"en": {"value": "Rome"}, "fr": {"value": "?"}},
            "aliases": {"de": [{"value": "Roma"}]},
            "descriptions": {"en": {"value": "capital of Italy"}},
            "claims": {"P17": [{"rank": "normal", "mainsnak": snak}]},
        },
        {"id": "P17", "type": "property", "labels": {"en": {"value": "country"}}, "aliases": []},
    ]
    dump = "[\n" + ",\n".join(map(json.dumps, entities)) + "\n]\n"
    (folder / "wikidata.json.gz").write_bytes(gzip.compress(dump.encode()))
    (folder / "own.tsv").write_text("Q220\tP17\tQ38\nQ1\tP17\tQ220\n")
    wikidata = [str(folder / "wikidata.json.gz")]
    return BuildConfig.model_validate(
        {
            "languages": ["en", "de"],
            "graph": {
                "triples": [str(folder / "own.tsv"), *wikidata],
                **dict.fromkeys(("labels", "relations", "descriptions", "types"), wikidata),
            },
            "wikipedia": [
                {"lang": "en", "dump": [d for d, _ in dumps], "index": [i for _, i in dumps], "titles": sql},
                {"lang": "de", "dump": str(folder / "dewiki.xml"), "titles": sitelinks},
            ],
            "text": [
                {"lang": "en", "path": str(folder / "own.jsonl"), "link_title": True},
                {"lang": "en", "path": str(folder / "cc100.txt")},
            ],
        }
    )


@pytest.fixture(scope="module")
def read_pages(spark: "SparkSession", config: BuildConfig, tmp_path_factory: pytest.TempPathFactory) -> list:
    return run_stage(spark, pages.STAGE, config, tmp_path_factory.mktemp(f"pages {WILD}"))


def test_pages_of_two_indexed_parts_another_language_and_text(read_pages: list) -> None:
    ids = {lang: [row["page_id"] for row in read_pages if row["lang"] == lang] for lang in ("en", "de")}
    assert [n for n in ids["en"] if n > 0] == [1, 2, *range(10, 20), 30, 31, 32]
    assert [n for n in ids["de"] if n > 0] == [1]
    own = {row["text"]: row["links"] for row in read_pages if row["page_id"] < 0}
    tiber = "The Tiber (Latin: Tiberis) is long."
    assert set(own) == {"Rome was a town.", "Nichts.", tiber, "One\ntwo.", "Three."}
    assert [link["target"] for link in own["Rome was a town."]] == ["d:Q220", "Town"]
    assert [(link["anchor"], link["target"]) for link in own[tiber]] == [("Tiber", "d:Q13712")]


def test_a_texts_page_ids_do_not_depend_on_the_dumps(
    spark: "SparkSession", config: BuildConfig, read_pages: list, tmp_path: Path
) -> None:
    texts = config.model_copy(update={"wikipedia": ()})
    assert run_stage(spark, pages.STAGE, texts, tmp_path) == [row for row in read_pages if row["page_id"] < 0]


@pytest.mark.parametrize("partitions", [1, 7])
def test_pages_do_not_depend_on_the_partitions(
    spark: "SparkSession", config: BuildConfig, read_pages: list, tmp_path: Path, partitions: int
) -> None:
    assert run_stage(spark, pages.STAGE, config, tmp_path, partitions=partitions) == read_pages


def test_titles_from_sql_dumps(
    spark: "SparkSession", config: BuildConfig, read_pages: list, tmp_path: Path
) -> None:
    rows = run_stage(spark, titles.STAGE, config, tmp_path, {"pages": read_pages})
    assert [tuple(row.values()) for row in rows] == [
        ("de", "Rom", "Q220", "item"),
        ("en", "City", "Q3957", "redirect"),
        ("en", "Rome", "Q220", "item"),
        ("en", "The 'Eternal' city", "Q220", "redirect"),
        ("en", "Tiber", "Q13712", "item"),
        ("en", "Town", "Q3957", "item"),
        ("en", "d:Q13712", "Q13712", "link"),
        ("en", "d:Q220", "Q220", "link"),
    ]


def test_titles_of_other_namespaces_and_wikis_are_left_out(spark: "SparkSession", tmp_path: Path) -> None:
    dump, own = tmp_path / "enwiki.xml", tmp_path / "titles.tsv"
    dump.write_text(HEAD.format(lang="en", category="Sort") + "</mediawiki>")
    articles = ["Star Trek: Picard", "2001: A Space Odyssey", "Rome"]
    others = ["Category:Rivers", "Sort:Rivers", "Talk:Rome", "d:Q220", "wikt:Rome", "de:Rom", "Wikidata:Q220"]
    own.write_text("".join(f"{title}\tQ{n}\n" for n, title in enumerate([*articles, *others], start=1)))
    documents = [
        {"page_id": -n, "title": title, "lang": lang, "qid": f"Q{n}", "text": "A text.", "links": []}
        for n, (lang, title) in enumerate(
            (("en", "Sort:Towns"), ("nl", "File:Rome.jpg"), ("nl", "Rome")), 100
        )
    ]
    config = BuildConfig.model_validate(
        {
            "wikipedia": [{"lang": "en", "dump": str(dump), "titles": str(own)}],
            "text": [{"lang": "nl", "path": "documents.jsonl"}],
        }
    )
    rows = run_stage(spark, titles.STAGE, config, tmp_path, {"pages": documents})
    assert [(row["lang"], row["title"]) for row in rows] == [
        *(("en", title) for title in sorted(articles)),
        ("nl", "Rome"),
    ]


def test_a_documents_own_entity_wins_over_its_titles(spark: "SparkSession", tmp_path: Path) -> None:
    config = BuildConfig.model_validate({"text": [{"lang": "en", "path": "documents.jsonl"}]})
    own = {"Q308": "Mercury is a planet.", "Q925": "Mercury is a metal.", "Q9": "Mercury is no entity."}
    documents = [
        {"page_id": -n, "title": "Mercury", "lang": "en", "qid": qid, "text": text, "links": []}
        for n, (qid, text) in enumerate(own.items(), start=1)
    ]
    inputs = {
        "pages": documents,
        "titles": [{"lang": "en", "title": "Mercury", "qid": "Q308", "via": "item"}],
        "triples": [{"h": "Q308", "r": "P31", "t": "Q925"}],
    }
    rows = run_stage(spark, linked_sentences.STAGE, config, tmp_path, inputs)
    found = {row["text"]: [mention["qid"] for mention in row["mentions"]] for row in rows}
    assert found == {own["Q308"]: ["Q308"], own["Q925"]: ["Q925"], own["Q9"]: []}


def test_a_file_named_for_two_wikis_serves_both_and_shifts_no_others_language(
    spark: "SparkSession", tmp_path: Path
) -> None:
    shared = write_sql(
        tmp_path,
        "wb_items_per_site",
        "ips_row_id ips_item_id ips_site_id ips_site_page",
        *(f"({n},{n},'{lang}wiki','Shared {lang}')" for n, lang in enumerate(("en", "de"), start=1)),
    )
    plain = tmp_path / "plain.tsv"
    plain.write_text("Of both\tQ8\n")
    english = write_sql(tmp_path, "page", "page_id page_namespace page_title", "(1,0,'Rome')")
    wikis = []
    for lang in ("en", "de", "fr", "nl"):
        dump, own = tmp_path / f"{lang}.xml", tmp_path / f"{lang}.tsv"
        dump.write_text(HEAD.format(lang=lang, category="Category") + "</mediawiki>")
        own.write_text(f"Own {lang}\tQ9\n")
        titles_of = [shared, str(plain)] if lang in ("en", "de") else str(own)
        wikis.append({"lang": lang, "dump": str(dump), "titles": titles_of})
    # One wiki may have two sections, and both may name its tables.
    for number in range(2):
        dump = Path(shutil.copy(tmp_path / "en.xml", tmp_path / f"en{number}.xml"))
        wikis.append({"lang": "en", "dump": str(dump), "titles": english})
    config = BuildConfig.model_validate({"wikipedia": wikis})
    rows = run_stage(spark, titles.STAGE, config, tmp_path, {"pages": []})
    assert [(row["lang"], row["title"]) for row in rows] == [
        ("de", "Of both"),
        ("de", "Shared de"),
        ("en", "Of both"),
        ("en", "Shared en"),
        ("fr", "Own fr"),
        ("nl", "Own nl"),
    ]


def test_a_dump_of_another_language_is_refused(spark: "SparkSession", tmp_path: Path) -> None:
    dumps = {}
    for lang in ("en", "de"):
        dumps[lang] = tmp_path / f"{lang}.xml"
        text = HEAD.format(lang=lang, category="Category") + page(1 + len(dumps), f"Of {lang}", "Text.")
        dumps[lang].write_text(text + "</mediawiki>")
    wiki = {"lang": "en", "dump": [str(dump) for dump in dumps.values()]}
    with pytest.raises(InputError, match=r"de\.xml: its <dbname> is dewiki, .* lang: en\. Set lang: de"):
        run_stage(spark, pages.STAGE, BuildConfig.model_validate({"wikipedia": [wiki]}), tmp_path)
    accepting = BuildConfig.model_validate({"wikipedia": [{**wiki, "other_language": True}]})
    assert {row["title"] for row in run_stage(spark, pages.STAGE, accepting, tmp_path)} == {"Of en", "Of de"}


def test_mul_rows_of_a_labels_file_name_every_language_without_its_own(
    spark: "SparkSession", tmp_path: Path
) -> None:
    labels = tmp_path / "labels.tsv"
    labels.write_text("Q1\tmul\tBach\tJ. S.\nQ1\tru\tБах\nQ1\tnb\tBak\nQ1\ten\t\tThe composer\n")
    config = BuildConfig.model_validate(
        {"languages": ["en", "de", "no"], "graph": {"triples": ["t"], "labels": [str(labels)]}}
    )
    (row,) = run_stage(
        spark, names.ENTITIES, config, tmp_path, {"triples": [{"h": "Q1", "r": "P1", "t": "Q1"}]}
    )
    assert row["names"] == [
        {"lang": "de", "label": "Bach", "aliases": ["J. S."]},
        {"lang": "en", "label": "Bach", "aliases": ["The composer"]},
        {"lang": "no", "label": "Bak", "aliases": ["J. S."]},
    ]


def test_the_graph_from_wikidatas_dump(spark: "SparkSession", config: BuildConfig, tmp_path: Path) -> None:
    dump = {"wikidata": run_stage(spark, wikidata.STAGE, config, tmp_path)}
    facts = run_stage(spark, triples.STAGE, config, tmp_path, dump)
    assert [tuple(fact.values()) for fact in facts] == [("Q1", "P17", "Q220"), ("Q220", "P17", "Q38")]
    entities = run_stage(spark, names.ENTITIES, config, tmp_path, {"triples": facts, **dump})
    assert {row["qid"]: row["description"] for row in entities} == {
        "Q1": None,
        "Q220": "capital of Italy",
        "Q38": None,
    }
    assert entities[1]["names"] == [
        {"lang": "de", "label": None, "aliases": ["Roma"]},
        {"lang": "en", "label": "Rome", "aliases": []},
    ]
    (relation,) = run_stage(spark, names.RELATIONS, config, tmp_path, dump)
    assert (relation["pid"], relation["names"][0]["label"]) == ("P17", "country")


def test_odd_lines_leave_a_labels_file_what_it_is(spark: "SparkSession", tmp_path: Path) -> None:
    labels = tmp_path / "labels.tsv"
    graph = {"triples": str(tmp_path / "t"), "labels": str(labels), "relations": str(labels)}
    config = BuildConfig.model_validate({"languages": ["pt-BR", "en"], "graph": graph})
    labels.write_text("Q1\ten\tBerlin\nQ1\tpt-br\tBerlim\nQ1\tzh-Hant\t柏林\n")
    facts = [{"h": "Q1", "r": "P1", "t": "Q1"}]
    (row,) = run_stage(spark, names.ENTITIES, config, tmp_path, {"triples": facts})
    assert [(name["lang"], name["label"]) for name in row["names"]] == [("en", "Berlin"), ("pt-BR", "Berlim")]
    labels.write_text("Q1\ten\tBer\u200blin\t\u202ecity\u202c\t\u200b\n")
    dump = tmp_path / "d.json"
    dump.write_text(json.dumps({"id": "Q1", "labels": {"pt-br": {"value": " a\tb\n[SEP]\0"}}}))
    more = config.graph.model_copy(update={"labels": (str(labels), str(dump))})
    config = config.model_copy(update={"graph": more})
    inputs = {"triples": facts, "wikidata": run_stage(spark, wikidata.STAGE, config, tmp_path)}
    (row,) = run_stage(spark, names.ENTITIES, config, tmp_path, inputs)
    assert [(name["label"], name["aliases"]) for name in row["names"]] == [
        ("Berlin", ["city"]),
        ("a b [SEP]", []),
    ]
    labels.write_text("qid\tlang\tlabel\nQ1\ten\tBerlin\n" + labels.read_text())
    for stage in (names.ENTITIES, names.RELATIONS):
        with pytest.raises(SPARK_FAILURES) as failure:
            run_stage(spark, stage, config, tmp_path, inputs)
        assert "labels.tsv:1: this is a header line" in str(failure.value)


def test_wikidata5ms_inductive_files_and_all_its_triples(spark: "SparkSession", tmp_path: Path) -> None:
    # The parts of the inductive setting share no entity; all of them lie in the one file of all triples.
    parts = {"train": "Q1\tP17\tQ2\nQ2\tP31\tQ3\n", "valid": "Q4\tP17\tQ5\n", "test": "Q6\tP17\tQ7\n"}
    files = [tmp_path / f"wikidata5m_inductive_{part}.txt" for part in parts]
    for file, text in zip(files, parts.values(), strict=True):
        file.write_text(text)
    every = tmp_path / "wikidata5m_all_triplet.txt.gz"
    every.write_bytes(gzip.compress("".join([*parts.values(), "Q8\tP17\tQ9\n"]).encode()))
    found = {}
    for name, paths in (("inductive", files), ("all", [every]), ("both", [*files, every])):
        graph = {"triples": list(map(str, paths))}
        found[name] = run_stage(spark, triples.STAGE, BuildConfig.model_validate({"graph": graph}), tmp_path)
    inductive = [("Q1", "P17", "Q2"), ("Q2", "P31", "Q3"), ("Q4", "P17", "Q5"), ("Q6", "P17", "Q7")]
    assert [tuple(row.values()) for row in found["inductive"]] == inductive
    assert [tuple(row.values()) for row in found["all"]] == [*inductive, ("Q8", "P17", "Q9")]
    assert found["both"] == found["all"]


def test_a_damaged_stream_stops_the_build_or_is_set_aside(
    spark: "SparkSession", config: BuildConfig, read_pages: list, tmp_path: Path
) -> None:
    dump, index = config.wikipedia[0].dump[0], config.wikipedia[0].index[0]
    data = bytearray(Path(dump).read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "hurt.xml.bz2").write_bytes(data)
    wiki = {"lang": "en", "dump": str(tmp_path / "hurt.xml.bz2"), "index": index}
    hurt = BuildConfig.model_validate({"wikipedia": [wiki]})
    with pytest.raises(SPARK_FAILURES) as failure:
        run_stage(spark, pages.STAGE, hurt, tmp_path)
    error = translated(failure.value, "pages", out=tmp_path, inputs=[])
    assert isinstance(error, InputError)
    assert "hurt.xml.bz2, stream at byte" in str(error)
    kept = run_stage(spark, pages.STAGE, hurt.model_copy(update={"on_bad_input": "quarantine"}), tmp_path)
    whole = [row for row in read_pages if row["lang"] == "en" and 0 < row["page_id"] < 20]
    assert len(kept) == len(whole) - 1
    assert all(row in whole for row in kept)
