"""What SQL dumps say of titles."""

import tarfile

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, refuse
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.title_dumps import COLUMNS, is_sql, join_facts, read_title_facts

SITES = {"en": Site.of("en", names={}), "rm": Site.of("rm", names={"Categoria": 14})}


def dump(tmp_path, table, *rows):
    columns = ",\n".join(f"  `{name}` int" for name in COLUMNS[table])
    path = tmp_path / f"{table}.sql"
    path.write_text(
        f"CREATE TABLE `{table}` (\n{columns}\n);\nINSERT INTO `{table}` VALUES {','.join(rows)};\n"
    )
    return str(path)


def facts(path, on_bad=refuse, tally=None):
    return list(read_title_facts(path, langs=["en"], sites=SITES, tally=tally or Tally(), on_bad=on_bad))


def test_which_files_are_sql():
    assert all(map(is_sql, ["x.sql", "a/x.sql.gz", "x.sql.bz2"]))
    assert not any(map(is_sql, ["x.tsv", "x.sql.txt", "sql.gz"]))


def test_the_four_tables(tmp_path):
    tally = Tally()
    assert facts(dump(tmp_path, "page", "(1,0,'Rome_(city)')", "(2,14,'Cities')"), tally=tally) == [
        {"lang": "en", "page_id": 1, "title": "Rome (city)"}
    ]
    props = ["(1,'wikibase_item','Q220')", "(2,'disambiguation','')", "(2,'page_image','x.jpg')"]
    assert facts(dump(tmp_path, "page_props", *props), tally=tally) == [
        {"lang": "en", "page_id": 1, "qid": "Q220"},
        {"lang": "en", "page_id": 2, "disambiguation": True},
    ]
    redirects = [
        "(3,0,'Rome_(city)',NULL,NULL)",
        "(4,0,'Rome','','Early_days')",
        "(5,4,'Rome','','')",
        "(6,0,'Rome','fr','')",
    ]
    targets = [fact["target"] for fact in facts(dump(tmp_path, "redirect", *redirects), tally=tally)]
    assert targets == ["Rome (city)", "Rome#Early days", "", ""]
    sitelinks = [
        "(220,'enwiki','Rome')",
        "(220,'rmwiki','Roma')",
        "(5,'dewiki','X')",
        "(6,'rmwiki','Categoria:X')",
    ]
    assert facts(dump(tmp_path, "wb_items_per_site", *sitelinks), tally=tally) == [
        {"lang": "en", "title": "Rome", "qid": "Q220"},
        {"lang": "rm", "title": "Roma", "qid": "Q220"},
    ]
    assert tally.counts["sql_row_of_no_use"] == 4


def test_numbers_may_be_quoted_and_texts_hexadecimal(tmp_path):
    assert facts(dump(tmp_path, "page", "('1','0',0x526F6D655F41)")) == [
        {"lang": "en", "page_id": 1, "title": "Rome A"}
    ]
    assert facts(dump(tmp_path, "redirect", "('3','0','Rome',null,null)"))[0]["target"] == "Rome"
    assert facts(dump(tmp_path, "wb_items_per_site", "('220','enwiki','Rome')"))[0]["qid"] == "Q220"


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        ("page", "(-1,0,'X')", "is no page id"),
        ("page", f"({'9' * 30},0,'X')", "is no page id"),
        ("page", "(NULL,0,'X')", "is no page id"),
        ("page_props", "(1,'wikibase_item','220')", "is no item's id"),
        ("page_props", "(1,'wikibase_item','Q1\\0')", "is no item's id"),
        ("wb_items_per_site", "(1.5,'enwiki','X')", "is no item's id"),
    ],
)
def test_a_bad_row_is_reported_with_its_number(tmp_path, table, row, reason):
    good = {"page": "(1,0,'A')", "page_props": "(1,'wikibase_item','Q1')"}.get(table, "(1,'enwiki','A')")
    path = dump(tmp_path, table, good, row)
    bad: list[BadRecord] = []
    assert len(facts(path, bad.append)) == 1
    assert bad[0].where == f"{table}.sql, row 2"
    assert reason in bad[0].reason
    with pytest.raises(InputError, match=f"row 2: row of {table}"):
        facts(path)


def test_the_table_of_one_wiki_is_refused_for_two(tmp_path):
    def read(*arguments):
        return list(
            read_title_facts(
                dump(tmp_path, *arguments), langs=["en", "de"], sites=SITES, tally=Tally(), on_bad=refuse
            )
        )

    with pytest.raises(InputError, match=r"page\.sql: the table page is of one wiki, .* for en, de"):
        read("page", "(1,0,'A')")
    assert len(read("wb_items_per_site", "(1,'enwiki','A')")) == 1


def test_bytes_that_are_no_utf8_are_a_bad_row(tmp_path):
    path = dump(tmp_path, "page", "(1,0,'A')", "(2,0,'XX')")
    with open(path, "rb+") as file:
        data = file.read().replace(b"XX", b"\xffX")
        file.seek(0)
        file.write(data)
    bad: list[BadRecord] = []
    assert len(facts(path, bad.append)) == 1
    assert "not UTF-8" in bad[0].reason


def joined(*told):
    blank = dict.fromkeys(("title", "qid", "target", "disambiguation", "via"))
    return list(join_facts([{"lang": "en", "page_id": 1, **blank, **fact} for fact in told], Tally()))


def test_facts_of_a_page_are_joined():
    title = {"title": "A", "disambiguation": False}
    item = {"lang": "en", "title": "A", "disambiguation": False, "qid": "Q1", "via": "item"}
    redirect = {"lang": "en", "title": "A", "disambiguation": False, "target": "B#c", "via": "redirect"}
    assert joined({"qid": "Q1"}, title) == [item]
    assert joined(title, {"target": "B#c"}) == [redirect]
    assert joined(title, {"target": "B#c"}, {"qid": "Q1"}) == [item, redirect]
    assert joined(title, {"qid": "Q1"}, {"disambiguation": True}) == [item | {"disambiguation": True}]
    assert joined(title) == joined({"qid": "Q1"}) == joined({"qid": "Q1"}, {"target": "B"}) == []


def test_the_real_rmwiki(real_data, tmp_path):
    archive = real_data / "wikidata-dump-samples" / "wikidata-dump-samples.tar.xz"
    tables = ("page", "page_props", "redirect")
    with tarfile.open(archive) as tar:
        for member in tar:
            for table in tables:
                if member.name.endswith(f"/rmwiki-20240301-{table}.sql.gz"):
                    (tmp_path / f"{table}.sql.gz").write_bytes(tar.extractfile(member).read())
    by_page: dict[int, list] = {}
    for table in tables:
        path = str(tmp_path / f"{table}.sql.gz")
        for fact in read_title_facts(path, langs=["rm"], sites=SITES, tally=Tally(), on_bad=refuse):
            blank = dict.fromkeys(("title", "qid", "target", "disambiguation"))
            by_page.setdefault(fact["page_id"], []).append({**blank, "via": "item", **fact})
    rows = [row for page in by_page.values() for row in join_facts(page, Tally())]
    assert {row["title"]: row["qid"] for row in rows if row["via"] == "item"} == {
        "Turitg": "Q72",
        "Obergesteln": "Q662541",
    }
    redirects = {row["title"]: row["target"] for row in rows if row["via"] == "redirect"}
    assert redirects == {"Main Page": "", "Zürich": "Turitg"}
