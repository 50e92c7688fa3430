from collections import Counter, defaultdict
from operator import itemgetter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.draws import hash64, mix64
from kgcorpus.contracts.splits import split_of_pair
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.readers import parse_names, parse_relation, parse_triple
from kgcorpus.records.kmlm import Item, render_sentences, with_split

LANGUAGES = ["en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh"]


def book(key, names):
    rows = defaultdict(list)
    for ident, lang, label, aliases in names:
        rows[ident].append({"lang": lang, "label": label, "aliases": aliases})
    return LabelIndex.from_rows([{key: ident, "names": found} for ident, found in rows.items()], key)


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
    return batched(
        [triple],
        names=names,
        relations=relations,
        languages=languages,
        seed=seed,
        tally=tally or Tally(),
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
        assert set(row) == {*table("code_switched").columns, "split"}
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
    for seed in range(2000):
        switched, alias = records(("Q1", "P1", "Q2"), seed=seed)
        assert langs(switched) == langs(alias)
        flips[langs(switched)] += 1
    assert len(flips) == 8
    assert min(flips.values()) > 180
    assert max(flips.values()) < 320


def test_a_name_is_the_label_and_an_alias_is_drawn_evenly_in_the_items_language():
    labels = {"en": ("St. Louis", "in", "[mask] | x."), "de": ("Sankt Louis", "liegt in", "🗺a")}
    seen = defaultdict(Counter)
    for seed in range(1000):
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
    assert 190 < seen["h", "en"]["STL"] < 310


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
        (("Q1", "P1", "Q4"), ["en", "de", "fr"], "nothing_named.fr"),
    ],
)
def test_what_cannot_be_written_is_counted(triple, languages, reason):
    tally = Tally()
    rows = records(triple, languages=languages, tally=tally)
    assert tally.drops == {reason: 1}
    assert len(rows) == (2 if "fr" in languages else 0)


@pytest.mark.parametrize("languages", [["de", "fr"], ["de", "fr", "en"], ["de", "en", "fr"]])
def test_the_first_language_is_the_base(languages):
    named = [("Q1", "de", "eins", []), ("Q1", "fr", "un", []), ("Q2", "de", "zwei", [])]
    names = book("qid", named)
    relations = book("pid", [("P1", "de", "vor", [])])
    rows = records(("Q1", "P1", "Q2"), names=names, relations=relations, languages=languages)
    assert {row["lang"] for row in rows} == {"fr"}
    assert {langs(row)[1:] for row in rows} == {("de", "de")}


def test_a_record_depends_on_its_key_alone():
    alone = {row["id"]: row for row in records(("Q1", "P1", "Q2"))}
    among = {row["id"]: row for row in records(("Q1", "P1", "Q2"), languages=["en", "fr", "de", "zh"])}
    assert alone == among
    assert any(records(("Q1", "P1", "Q2"), seed=s) != list(alone.values()) for s in range(8))


def test_demo_small(real_data):
    folder = real_data / "demo-small"

    def rows_of(name, parser):
        return list(read_records(str(folder / name), parser, tally=Tally(), on_bad=refuse))

    names = book("qid", rows_of("labels_10lang.tsv.gz", parse_names))
    relations = book("pid", rows_of("relations.tsv.gz", parse_relation))
    triples = [tuple(row) for row in rows_of("triples.txt.gz", parse_triple)]
    columns = {"names": names, "relations": relations, "languages": LANGUAGES, "seed": 0}
    rows = batched(triples, **columns, tally=Tally())
    assert len({row["id"] for row in rows}) == len(rows) > 120_000
    assert Counter(row["kind"] for row in rows)["alias"] == len(rows) / 2
    for row in rows[::7]:
        for slot, name in zip(row["slots"], texts(row), strict=True):
            source = relations if slot["slot"] == 2 else names
            known = {source.label(slot["qid"], slot["lang"]), *source.aliases(slot["qid"], slot["lang"])}
            assert name in known


def lookup(rows, key):
    return {row[key]: {name["lang"]: name for name in row["names"]} for row in rows}


def written_plainly(triple, *, names, relations, languages, seed):
    """The rule a second time, a record at a time in plain Python, or the reasons for drops."""
    base = languages[0]

    def label(known, lang):
        name = known.get(lang)
        return name and (name["label"] or min(name["aliases"], default=None))

    found = [book.get(ident, {}) for book, ident in zip((names, relations, names), triple, strict=True)]
    for role, known in zip(("head", "relation", "tail"), found, strict=True):
        if not label(known, base):
            return [], [f"{role}_without_name.{base}"]
    key = 0
    for part in triple:
        key = mix64(key ^ stable_hash(part))
    rows, drops = [], []
    for lang in languages:
        if lang == base:
            continue
        if not any(label(known, lang) for known in found):
            drops.append(f"nothing_named.{lang}")
            continue
        bits = mix64(mix64(key ^ hash64(seed, "code-switch")) ^ hash64("code-switch-language", lang))
        pieces = {"code_switched": [], "alias": []}
        for place, known in enumerate(found):
            own = lang if label(known, lang) and bits >> place & 1 else base
            aliases = known[own]["aliases"] or [label(known, own)]
            u = bits >> (3 + 20 * place) & (1 << 20) - 1
            pieces["code_switched"].append(Item(label(known, own), triple[place], own))
            pieces["alias"].append(Item(aliases[u * len(aliases) >> 20], triple[place], own))
        for kind, prefix in (("code_switched", "cs"), ("alias", "al")):
            text, slots = render_sentences([tuple(pieces[kind])])
            rows.append(
                {
                    "id": f"{prefix}:{lang}:{key:016x}",
                    "lang": lang,
                    "kind": kind,
                    "text": text,
                    "triples": [dict(zip("hrt", triple, strict=True))],
                    "slots": slots,
                    "split": split_of_pair(seed, triple[0], triple[2]),
                }
            )
    return rows, drops


def stable_hash(ident):
    data = ident.encode()
    state = mix64(len(data))
    for at in range(0, len(data), 8):
        state = mix64(state ^ int.from_bytes(data[at : at + 8], "little"))
    return state


TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=5)
KNOWN = st.builds(
    lambda lang, label, aliases: {"lang": lang, "label": label, "aliases": aliases},
    st.sampled_from(["en", "de", "zh"]),
    st.none() | TEXT,
    st.lists(TEXT, max_size=3),
)


def tables_of(key, ids):
    known = st.lists(KNOWN, unique_by=lambda name: name["lang"])
    english = st.builds(lambda label: {"lang": "en", "label": label, "aliases": []}, TEXT)
    some = known.flatmap(
        lambda found: (
            st.just(found)
            if any(name["lang"] == "en" for name in found)
            else english.map(lambda name: [*found, name])
        )
    )
    return st.fixed_dictionaries(dict.fromkeys(ids, some | known)).map(
        lambda rows: [{key: ident, "names": names} for ident, names in rows.items()]
    )


IDS = ["Q1", "Q2", "Q1234567890", "é🗺"]


@settings(max_examples=60)
@given(
    tables_of("qid", IDS),
    tables_of("pid", ["P1", "P2"]),
    st.lists(
        st.tuples(st.sampled_from([*IDS, "Q9"]), st.sampled_from(["P1", "P2", "P9"]), st.sampled_from(IDS)),
        max_size=8,
    ),
    st.integers(0, 9),
    st.integers(0, 2**40),
)
def test_every_record_is_what_the_rule_says_whatever_the_batches(entities, relations, triples, cut, seed):
    languages = ["en", "de", "zh", "fr"]
    tally, found = Tally(), []
    for part in (triples[:cut], triples[cut:]):
        found += batched(
            part,
            languages=languages,
            seed=seed,
            names=LabelIndex.from_rows(entities, "qid"),
            relations=LabelIndex.from_rows(relations, "pid"),
            tally=tally,
        )
    columns = {"names": lookup(entities, "qid"), "relations": lookup(relations, "pid")}
    expected, drops = [], Counter()
    for triple in triples:
        rows, reasons = written_plainly(triple, **columns, languages=languages, seed=seed)
        expected += rows
        drops.update(reasons)
    by_id = itemgetter("id", "text")
    assert sorted(found, key=by_id) == sorted(expected, key=by_id)
    assert tally.drops == drops
    for lang in ("de", "zh"):
        own = [row for row in expected if row["lang"] == lang]
        assert tally.counts[f"records.{lang}"] == tally.counts[f"sentences.{lang}"] == len(own)
        switched = [row for row in own if lang in langs(row)]
        assert tally.counts[f"switched.{lang}"] == len(switched)


def batched(triples, **arguments):
    columns = list(zip(*triples, strict=True)) or [(), (), ()]
    batch = pa.record_batch([pa.array(column, pa.string()) for column in columns], names=list("hrt"))
    batch = with_split(batch, seed=arguments["seed"])
    rows = [row for rows in code_switched_batches(batch, **arguments) for row in rows.to_pylist()]
    return sorted(rows, key=lambda row: (row["lang"], row["id"][2:], row["kind"] == "alias"))
