"""Linking a text by a build's tables."""

import dataclasses
import json
import re
import shutil

import pytest

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.store import sha256_of
from kgcorpus.linking.linker import Linker
from pipelines.cleanup import remove_superseded
from tests.linking.conftest import ROWS, write_build

TEXT = "Both Mercury and Venus are hot. "


def linked(corpus, text, *overrides, without=frozenset()):
    linker = Linker.open(corpus, "en", overrides=overrides, without=without)
    return [(text[m.start : m.end], m.entity) for m in linker.link(text)]


@pytest.mark.parametrize("method", ["weighed", "tagme"])
def test_the_context_chooses(corpus, method):
    override = f"linking.method={method}"
    assert linked(corpus, TEXT, override) == [("Mercury", "Q308"), ("Venus", "Q313")]
    assert linked(corpus, "Mercury and iron react.", override, "linking.min_confidence=0") == [
        ("Mercury", "Q925"),
        ("iron", "Q677"),
    ]


@pytest.mark.parametrize(
    "override",
    [
        # The commonest of the meanings whose votes are near enough to the highest: all of them.
        ("linking.method=tagme", "linking.rho=0", "linking.epsilon=1"),
        # The votes count nothing beside the commonness.
        ("linking.vote_weight=0.0001",),
        # No mean vote is above the one that is as good as none.
        ("linking.vote_floor=1000",),
    ],
)
def test_each_option_of_disambiguation_changes_the_meaning_chosen(corpus, override):
    text, lenient = "Mercury and iron react.", ("linking.min_confidence=0", "linking.rho=0")
    method = [word for word in override if "method" in word]
    assert linked(corpus, text, *lenient, *method)[0] == ("Mercury", "Q925")
    assert linked(corpus, text, *lenient, *override)[0] == ("Mercury", "Q308")


def test_mentions_carry_source_and_confidence(corpus):
    mentions = Linker.open(corpus, "en").link(TEXT)
    assert {mention.source for mention in mentions} == {"dictionary"}
    assert all(0.15 <= mention.confidence <= 1 for mention in mentions)


@pytest.mark.parametrize("prefix", ["ex:", ":", "http://example.org/id/", "en:", "[", "d:"])
def test_ids_are_opaque_strings(corpus, tmp_path, prefix):
    renamed = json.loads(re.sub(r'"Q(\d+)"', rf'"{prefix}\1"', json.dumps(ROWS)))
    own = write_build(tmp_path / "own", renamed)
    text = "Mercury and iron react. " + TEXT
    expected = [(name, prefix + qid[1:]) for name, qid in linked(corpus, text, "linking.min_confidence=0")]
    assert expected
    assert linked(own, text, "linking.min_confidence=0") == expected


def test_a_link_to_an_item_names_no_entity(tmp_path):
    linked_items = [{"lang": "en", "title": "d:Q308", "qid": "Q308", "via": "link"}]
    own = write_build(tmp_path / "own", {**ROWS, "titles": [*ROWS["titles"], *linked_items]})
    assert linked(own, "See d:Q308 for more.", "linking.min_confidence=0") == []


def test_names_link_without_any_page(names_only):
    text = "Douglas Adams wrote of Mercury."
    found = linked(names_only, text, "linking.min_confidence=0.5")
    assert found == [("Douglas Adams", "Q42"), ("Mercury", "Q308")]


def test_a_common_word_that_is_a_name_is_left_out(corpus):
    assert linked(corpus, "the end", "linking.min_confidence=0") == []


def test_a_name_in_lower_case_is_found_at_the_beginning_of_a_sentence(corpus):
    assert linked(corpus, "Iron is heavy.", "linking.min_confidence=0") == [("Iron", "Q677")]


def test_excluded_names_are_not_known(corpus):
    text = "Douglas Adams"
    assert linked(corpus, text, "linking.min_confidence=0") == [(text, "Q42")]
    assert linked(corpus, text, "linking.min_confidence=0", without=frozenset({"Q42"})) == []


def test_a_higher_floor_leaves_fewer(corpus):
    assert linked(corpus, TEXT, "linking.min_confidence=0.99") == []


def confidence_of(corpus, text, name):
    (found,) = (
        m for m in Linker.open(corpus, "en").mentions(text) if text[m.start : m.end].lower() == name.lower()
    )
    return found.confidence


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("near Venus Street", "near Venus and"),  # a longer name that the dictionary lacks
        ("on Mount Venus now", "on a Venus now"),
        ("the Venus-like sky", "the Venus or sky"),
        ("with Iron here", "with iron here"),  # in the dictionary in lower case only
    ],
)
def test_a_part_of_a_longer_name_is_trusted_less(corpus, part, whole):
    name = "iron" if "ron" in whole else "Venus"
    assert confidence_of(corpus, part, name) < confidence_of(corpus, whole, name)


def test_a_raised_name_is_trusted_where_a_sentence_begins(corpus):
    assert confidence_of(corpus, "It is. Iron is", "iron") > confidence_of(corpus, "It is, Iron is", "iron")


def test_a_label_is_trusted_more_than_an_alias(tmp_path):
    names = [{"lang": "en", "label": "Douglas Adams", "aliases": ["Bop Ad"]}]
    entities = [{"qid": "Q42", "names": names, "description": None, "types": []}]
    own = write_build(tmp_path, {"entities": entities, "triples": ROWS["triples"]})
    linker = Linker.open(own, "en", overrides=["linking.min_confidence=0"])
    label, alias = linker.link("He met Douglas Adams") + linker.link("He met Bop Ad")
    assert (label.entity, alias.entity) == ("Q42", "Q42")
    assert label.confidence > alias.confidence


def test_a_page_without_an_item_gives_way_to_an_entity(tmp_path):
    rows = {**ROWS, "surfaces": [dict(row) for row in ROWS["surfaces"]]}
    rows["surfaces"][0]["targets"] = [
        {"target": "[[en:Mercury (Queen)]]", "links": 10},
        {"target": "Q308", "links": 2},
    ]
    own = write_build(tmp_path, rows)
    linker = Linker.open(own, "en", overrides=["linking.min_confidence=0"])
    assert linker.candidates("Mercury")[0].entity == "[[en:Mercury (Queen)]]"
    (mention,) = linker.link("Mercury")
    assert mention.entity == "Q308"
    assert mention.confidence < confidence_of(write_build(tmp_path / "2", ROWS), "Mercury", "Mercury")


def test_given_spans(corpus):
    linker = Linker.open(corpus, "en")
    text = "Mercury, unknown, Venus"
    found = linker.link_spans(text, [(0, 7), (9, 16), (18, 23)])
    assert [m and m.entity for m in found] == ["Q308", None, "Q313"]
    assert linker.senses_of("Mercury")[0] == "Q308"
    assert linker.in_links("Q313") == 8
    assert linker.in_links("Q42000") == 0


def test_a_language_without_names_is_refused(corpus):
    with pytest.raises(UsageError, match="has no name in the language nl"):
        Linker.open(corpus, "nl")


@pytest.mark.parametrize("lang", ["", "../../x", "En", "en/x", "en\n"])
def test_what_is_no_language_code_makes_no_folder(corpus, lang):
    with pytest.raises(UsageError, match="is no language code"):
        Linker.open(corpus, lang)
    assert not (corpus / "x").exists()


@pytest.mark.parametrize("length", [0, 100, None, -1])
def test_a_damaged_cache_is_made_again(tmp_path, length):
    corpus = write_build(tmp_path, ROWS)
    expected = Linker.open(corpus, "en").link(TEXT)
    for file in (corpus / "cache").rglob("*.npy"):
        whole = file.read_bytes()
        if length is None:
            file.unlink()
        elif length < 0:
            file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        else:
            file.write_bytes(whole[:length])
        assert Linker.open(corpus, "en").link(TEXT) == expected, file
        assert file.read_bytes() == whole


def test_a_cache_that_came_with_a_copied_corpus_is_made_again(tmp_path):
    corpus = write_build(tmp_path / "made", ROWS)
    expected = Linker.open(corpus, "en").link(TEXT)
    (items,) = (corpus / "cache").rglob("links/items.npy")
    (record,) = (corpus / "cache").rglob("digests.json")
    whole = items.read_bytes()
    rows = json.loads(record.read_text())
    items.write_bytes(whole[:-1] + bytes([whole[-1] ^ 0x40]))
    rows["links/items.npy"][-1] = sha256_of(items)
    record.write_text(json.dumps(rows))
    copied = shutil.copytree(corpus, tmp_path / "copied")
    assert Linker.open(copied, "en").link(TEXT) == expected
    assert (copied / items.relative_to(corpus)).read_bytes() == whole


def test_a_folder_without_names_is_refused(tmp_path):
    with pytest.raises(InputError, match="no finished build"):
        Linker.open(tmp_path, "en")


def test_the_arrays_of_former_tables_are_swept(corpus, tmp_path):
    out = shutil.copytree(corpus, tmp_path / "corpus", ignore=shutil.ignore_patterns("cache"))
    Linker.open(out, "en")
    manifest = load_manifest(out)
    for fingerprint, kept in (("0123456789ab", True), ("another", False)):
        for name, entry in manifest.tables.items():
            manifest.tables[name] = dataclasses.replace(entry, fingerprint=fingerprint)
        remove_superseded(out, manifest)
        assert any((out / "cache" / "linker").iterdir()) == kept


def test_tables_that_a_build_has_not_come_to_are_refused(corpus, tmp_path):
    out = shutil.copytree(corpus, tmp_path / "corpus", ignore=shutil.ignore_patterns("cache"))
    manifest = load_manifest(out)
    manifest.pending = frozenset({"surfaces"})
    manifest.save(out)
    with pytest.raises(InputError, match="stopped before finishing surfaces"):
        Linker.open(out, "en")
