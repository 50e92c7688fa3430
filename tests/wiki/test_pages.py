import pyarrow as pa
import pytest

from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.dump import RawPage
from kgcorpus.wiki.pages import page_rows


def rows(*pages, site):
    tally = Tally()
    return list(page_rows(pages, site=site, tally=tally)), dict(tally.rows())


def test_what_becomes_a_row_and_what_is_counted(german):
    made, tally = rows(
        RawPage(1, 0, "A", None, "'''A''' ist [[b|B]]."),
        RawPage(2, 0, "Alt", "A", "#WEITERLEITUNG [[A#Teil]]"),
        RawPage(3, 0, "Älter", "A", ""),
        RawPage(4, 0, "C", None, "{{Begriffsklärung}}\n* [[A]]"),
        RawPage(5, 14, "Kategorie:X", None, "x"),
        RawPage(6, 0, "Leer", None, "{{nichts}}"),
        site=german,
    )
    assert [row["page_id"] for row in made] == [1, 2, 3, 4]
    assert [row["redirect"] for row in made] == [None, "A#Teil", "A", None]
    assert [row["disambiguation"] for row in made] == [False, False, False, True]
    assert made[0]["text"] == "A ist B."
    assert made[0]["links"] == [{"start": 6, "end": 7, "anchor": "B", "target": "B"}]
    assert (made[1]["text"], made[1]["links"]) == ("", [])
    assert tally == {
        "drop.other_namespace": 1,
        "drop.no_text": 1,
        "count.redirects": 2,
        "count.articles": 2,
        "count.links": 2,
    }


def test_without_ns_the_title_tells_the_namespace(german):
    titles = ["A", "Diskussion:A", "User:B", "Alien: Covenant"]
    made, tally = rows(*(RawPage(n, None, title, None, "x") for n, title in enumerate(titles)), site=german)
    assert [row["title"] for row in made] == ["A", "Alien: Covenant"]
    assert tally["drop.other_namespace"] == 2


@pytest.mark.parametrize(
    "word",
    ["перенаправление", "PATRZ", "REDIRECIONAMENTO", "OMDIRIGERING", "تحويل", "YÖNLENDİRME", "đổi hướng:"],
)
def test_a_redirect_to_a_section_keeps_it_in_any_language(german, word):
    made, _ = rows(RawPage(1, 0, "A", "B c", f" #{word} [[b c#Teil_1|x]]"), site=german)
    assert made[0]["redirect"] == "B c#Teil 1"


def test_a_redirect_whose_text_tells_no_target_goes_where_the_dump_says(german):
    made, _ = rows(RawPage(1, 0, "A", "B", "#X [http://c] [[#Teil]]"), site=german)
    assert made[0]["redirect"] == "B"


def test_rows_fit_the_table(demo):
    site, pages = demo
    made, tally = rows(*pages, site=site)
    table = pa.Table.from_pylist(made, schema=TABLES["pages"].schema)
    assert set(made[0]) == set(TABLES["pages"].columns)
    assert table.num_rows == 123
    assert tally["drop.other_namespace"] == 1
    assert tally["count.articles"] == 24


def test_pages_of_another_content_model_are_counted(german):
    made, tally = rows(
        RawPage(1, 0, "A", None, '{"a": 1}', is_wikitext=False),
        RawPage(2, 0, "B", None, "Text."),
        RawPage(3, 828, "Modul:C", None, "return {}", is_wikitext=False),
        site=german,
    )
    assert [row["title"] for row in made] == ["B"]
    assert tally == {
        "drop.not_wikitext": 1,
        "drop.other_namespace": 1,
        "count.articles": 1,
        "count.links": 0,
    }
