from collections import Counter, defaultdict

import pyarrow as pa
import pytest

from kgcorpus.codeswitch import code_switched_records
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Names
from kgcorpus.kg.readers import parse_names, parse_relation, parse_triple, read, refuse

LANGUAGES = ["en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh"]


def book(key, names):
    rows = defaultdict(list)
    for ident, lang, label, aliases in names:
        rows[ident].append({"lang": lang, "label": label, "aliases": aliases})
    return Names.from_rows([{key: ident, "names": found} for ident, found in rows.items()], key)


NAMES = book(
    "qid",
    [
        ("Q1", "en", "St. Louis", ["Saint Louis", "STL"]),
        ("Q1", "de", "Sankt Louis", []),
        ("Q2", "en", "[mask] | x.", []),
        ("Q2", "de", None, ["🗺b", "🗺a"]),
        ("Q3", "de", "nur deutsch", []),
        ("Q4", "en", "only English", []),
    ],
)
RELATIONS = book(
    "pid", [("P1", "en", "in", ["within"]), ("P1", "de", "liegt in", ["in"]), ("P2", "en", "by", [])]
)


def records(triple, *, languages=("en", "de"), seed=7, names=NAMES, relations=RELATIONS, tally=None):
    return list(
        code_switched_records(
            triple,
            names=names,
            relations=relations,
            languages=languages,
            seed=seed,
            tally=tally or Tally(),
        )
    )


def texts(row):
    return tuple(row["text"][slot["start"] : slot["end"]] for slot in row["slots"])


def langs(row):
    return tuple(slot["lang"] for slot in row["slots"])


def test_one_row_of_each_kind_a_language():
    switched, alias = records(("Q1", "P1", "Q2"))
    assert (switched["kind"], alias["kind"]) == ("code_switched", "alias")
    assert switched["id"].startswith("cs:de:")
    assert alias["id"] == "al" + switched["id"][2:]
    for row in (switched, alias):
        assert set(row) == set(table("code_switched").columns)
        assert row["lang"] == "de"
        assert row["triples"] == [{"h": "Q1", "r": "P1", "t": "Q2"}]
        assert [(s["sentence"], s["slot"], s["qid"]) for s in row["slots"]] == [
            (0, 1, "Q1"),
            (0, 2, "P1"),
            (0, 3, "Q2"),
        ]
        assert row["text"] == "{} [mask] {} [mask] {}.".format(*texts(row))


def test_flips_are_fair_and_independent_and_shared_by_both_kinds():
    flips = Counter()
    for seed in range(4000):
        switched, alias = records(("Q1", "P1", "Q2"), seed=seed)
        assert langs(switched) == langs(alias)
        flips[langs(switched)] += 1
    assert len(flips) == 8
    assert min(flips.values()) > 400
    assert max(flips.values()) < 600


def test_a_name_is_the_label_and_an_alias_is_drawn_evenly_in_the_items_language():
    labels = {"en": ("St. Louis", "in", "[mask] | x."), "de": ("Sankt Louis", "liegt in", "🗺a")}
    seen = defaultdict(Counter)
    for seed in range(2000):
        switched, alias = records(("Q1", "P1", "Q2"), seed=seed)
        assert texts(switched) == tuple(labels[lang][k] for k, lang in enumerate(langs(switched)))
        for slot, text, lang in zip("hrt", texts(alias), langs(alias), strict=True):
            seen[slot, lang][text] += 1
    assert {key: set(names) for key, names in seen.items()} == {
        ("h", "en"): {"Saint Louis", "STL"},
        ("h", "de"): {"Sankt Louis"},
        ("r", "en"): {"within"},
        ("r", "de"): {"in"},
        ("t", "en"): {"[mask] | x."},
        ("t", "de"): {"🗺a", "🗺b"},
    }
    assert 400 < seen["h", "en"]["STL"] < 600


def test_an_item_without_a_name_in_the_language_stays():
    for seed in range(20):
        switched, _ = records(("Q1", "P2", "Q4"), seed=seed)
        assert langs(switched)[1:] == ("en", "en")
        assert texts(switched)[1:] == ("by", "only English")


@pytest.mark.parametrize(
    ("triple", "languages", "reason"),
    [
        (("Q3", "P1", "Q1"), ["en", "de"], "head_without_name.en"),
        (("Q1", "P9", "Q1"), ["en", "de"], "relation_without_name.en"),
        (("Q1", "P1", "Q3"), ["en", "de"], "tail_without_name.en"),
        (("Q4", "P2", "Q4"), ["en", "de"], "nothing_named.de"),
        (("Q1", "P1", "Q4"), ["de", "en", "fr"], "nothing_named.fr"),
    ],
)
def test_what_cannot_be_written_is_counted(triple, languages, reason):
    tally = Tally()
    rows = records(triple, languages=languages, tally=tally)
    assert tally.drops == {reason: 1}
    assert len(rows) == (2 if "fr" in languages else 0)


def test_without_english_the_first_language_is_the_base():
    names = book("qid", [("Q1", "de", "eins", []), ("Q1", "fr", "un", []), ("Q2", "de", "zwei", [])])
    relations = book("pid", [("P1", "de", "vor", [])])
    rows = records(("Q1", "P1", "Q2"), names=names, relations=relations, languages=["de", "fr"])
    assert {row["lang"] for row in rows} == {"fr"}
    assert {langs(row)[1:] for row in rows} == {("de", "de")}


def test_a_record_depends_on_its_key_alone():
    alone = {row["id"]: row for row in records(("Q1", "P1", "Q2"))}
    among = {row["id"]: row for row in records(("Q1", "P1", "Q2"), languages=["de", "fr", "en", "zh"])}
    assert alone == among
    assert any(records(("Q1", "P1", "Q2"), seed=s) != list(alone.values()) for s in range(8))


def test_demo_small(real_data):
    folder = real_data / "demo-small"

    def rows_of(name, parser):
        return read(str(folder / name), parser, tally=Tally(), on_bad=refuse)

    names = book("qid", rows_of("labels_10lang.tsv.gz", parse_names))
    relations = book("pid", rows_of("relations.tsv.gz", parse_relation))
    rows = []
    for triple in rows_of("triples.txt.gz", parse_triple):
        rows += records(triple, languages=LANGUAGES, names=names, relations=relations)
    assert len({row["id"] for row in rows}) == len(rows) > 120_000
    assert Counter(row["kind"] for row in rows)["alias"] == len(rows) / 2
    for row in rows:
        for slot, name in zip(row["slots"], texts(row), strict=True):
            source = relations if slot["slot"] == 2 else names
            known = {source.label(slot["qid"], slot["lang"]), *source.aliases(slot["qid"], slot["lang"])}
            assert name in known
    assert pa.Table.from_pylist(rows[:1000], schema=table("code_switched").schema).num_rows == 1000
