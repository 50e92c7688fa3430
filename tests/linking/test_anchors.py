"""Mentions from hyperlinks and from the same names again."""

import json
import lzma
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.anchors import ANCHOR_CONFIDENCE, SAME_PAGE_CONFIDENCE, link_page
from kgcorpus.linking.linker import Linker

_MARKUP = re.compile(r"\[\[([^|\]]*)\|([^|\]]*)\|([^\]]*)\]\]")


def page(marked, *, lang="en", title="", qid=None):
    """A page from text with links written `[[anchor|target|QID]]`; no QID: outside the graph."""
    text, links, done = "", [], 0
    for match in _MARKUP.finditer(marked):
        text += marked[done : match.start()]
        anchor, target, entity = match.groups()
        links.append(
            {
                "start": len(text),
                "end": len(text) + len(anchor),
                "anchor": anchor,
                "target": target,
                "qid": entity or None,
            }
        )
        text += anchor
        done = match.end()
    text += marked[done:]
    return {"page_id": 7, "title": title, "lang": lang, "text": text, "links": links, "qid": qid}


def linked(marked, **kwargs):
    """(surface, qid, source) of all mentions of the page, and the tally."""
    tally = Tally()
    found = [
        (row["text"][m["start"] : m["end"]], m["qid"], m["source"])
        for row in link_page(page(marked, **kwargs), tally=tally)
        for m in row["mentions"]
    ]
    return found, tally


def again(marked, **kwargs):
    """Surfaces found by the second rule alone."""
    return [surface for surface, _, source in linked(marked, **kwargs)[0] if source == "same_page"]


def test_rows_carry_ids_and_order():
    rows = list(link_page(page("We saw [[Rome|Rome|Q220]]. Then Rome fell asleep."), tally=Tally()))
    assert [row["sentence_id"] for row in rows] == ["en:7:0", "en:7:1"]
    assert [row["ordinal"] for row in rows] == [0, 1]
    first, second = rows[0]["mentions"][0], rows[1]["mentions"][0]
    assert first == {
        "start": 7,
        "end": 11,
        "qid": "Q220",
        "source": "anchor",
        "confidence": ANCHOR_CONFIDENCE,
    }
    assert second == {
        "start": 5,
        "end": 9,
        "qid": "Q220",
        "source": "same_page",
        "confidence": SAME_PAGE_CONFIDENCE,
    }


def test_a_name_before_its_link_is_found_too():
    assert linked("In Rome we met. They left [[Rome|Rome|Q220]].")[0] == [
        ("Rome", "Q220", "same_page"),
        ("Rome", "Q220", "anchor"),
    ]


def test_whole_words_only():
    assert again("[[Rome|Rome|Q220]] is old. Romeo and Jerome, Rome's friends, left pre-Rome days.") == [
        "Rome"
    ]


def test_the_longest_name_wins():
    text = (
        "[[New York|New York (state)|Q1384]] and [[New York City|New York City|Q60]]. We left New York City."
    )
    assert linked(text)[0][-1] == ("New York City", "Q60", "same_page")
    assert again(text) == ["New York City"]


def test_a_longer_name_outside_the_graph_hides_the_shorter_inside():
    assert again("[[Paris|Paris|Q90]] has [[Paris opera|Paris Opera|]]. The Paris opera is near.") == []


def test_a_name_that_goes_on_with_a_capital_is_part_of_a_longer_one():
    assert again("[[Harford County|H|Q1]]. He sat in the Harford County Council of Harford County.") == [
        "Harford County"
    ]
    assert again("[[Berlin|Berlin|Q64]]. Danach trat Berlin Verträgen bei.", lang="de") == ["Berlin"]
    assert again("The [[genus|Genus|Q34740]] is rare. It is in the genus Partula.") == ["genus"]


def test_an_ambiguous_name_is_not_used():
    found, tally = linked("[[Georgia|Georgia|Q230]] or [[Georgia|Georgia (state)|Q1428]]. In Georgia it is.")
    assert [source for _, _, source in found] == ["anchor", "anchor"]
    assert tally.counts["ambiguous_name"] == 1


def test_a_name_linked_once_to_no_entity_is_ambiguous():
    assert again("[[Georgia|Georgia|Q230]] or [[Georgia|Georgia (film)|]]. In Georgia it is.") == []


def test_links_outside_the_graph_give_nothing_and_are_not_searched():
    assert again("[[Rome|Rome|Q220]] made the [[Treaty of Rome today|Treaty|]].") == []


def test_a_capital_counts_as_the_same_name_only_where_a_sentence_starts():
    text = "They crossed the [[river|River|Q4022]]. River banks were steep. The River was a film."
    assert again(text) == ["River"]
    assert again('A [[solar eclipse|Eclipse|Q3887]] came. "Solar eclipse season is over," he said.') == [
        "Solar eclipse"
    ]


def test_a_word_in_lower_case_must_be_its_targets_title():
    assert again("He [[directed|Film director|Q2526255]] it. She directed another.") == []
    assert again("He wrote an [[algorithm|Algorithm|Q8366]]. Her algorithm was better.") == ["algorithm"]
    assert again("The [[civil war|English Civil War|Q80330]] came. After the civil war, peace.") == [
        "civil war"
    ]


@pytest.mark.parametrize("anchor", ["A", "42", "—"])
def test_names_too_short_or_without_a_letter_are_not_used(anchor):
    assert again(f"It is [[{anchor}|Target|Q1]] here. It is {anchor} there.") == []


def test_the_title_names_the_page():
    text = "Mercury is a planet. It is small, and Mercury has no moon."
    assert again(text, title="Mercury (planet)", qid="Q308") == ["Mercury", "Mercury"]
    assert again(text, title="Mercury (planet)") == []


def test_a_titles_capital_is_dropped_if_the_text_mostly_drops_it():
    assert again(
        "Iron is a metal. Much iron is mined, and iron rusts in Iron.", title="Iron", qid="Q677"
    ) == ["Iron", "iron", "iron", "Iron"]
    text = "Turkey is a country. In summer, Turkey is hot. They eat turkey."
    assert again(text, title="Turkey", qid="Q43") == ["Turkey", "Turkey"]


def test_chinese_and_japanese_have_no_word_borders():
    assert again("[[北京|北京市|Q956]]是首都。他住在北京市中心。", lang="zh") == ["北京"]
    text = "[[ローマ|ローマ|Q220]]は古い。彼はローマに行った。ローマン体ではない。"
    assert again(text, lang="ja") == ["ローマ"]


def test_korean_particles_may_follow():
    text = "그는 [[서울|서울|Q8684]]에 있다. 나는 서울에서 산다. 서울로는 안 간다. 서울역은 크다."
    assert again(text, lang="ko") == ["서울", "서울"]


def test_vietnamese_words_have_borders():
    assert again("[[Huế|Huế|Q36041]] rất đẹp. Tôi yêu Huế lắm.", lang="vi") == ["Huế"]


def test_overlapping_links_keep_the_first():
    broken = page("The [[University of Rome|University of Rome|Q1]] is old.")
    start = broken["text"].index("Rome")
    broken["links"].append(
        {"start": start, "end": start + 4, "anchor": "Rome", "target": "Rome", "qid": "Q220"}
    )
    tally = Tally()
    (row,) = link_page(broken, tally=tally)
    assert [m["qid"] for m in row["mentions"]] == ["Q1"]
    assert tally.drops["link_overlap"] == 1


def test_many_names_and_a_long_page_stay_linear():
    names = [f"Ju{i:05d}x" for i in range(3000)]
    marked = ". ".join(f"[[{name}|{name}|Q{i}]]" for i, name in enumerate(names))
    found, _ = linked(f"{marked}. {', '.join(names)}.")
    assert len(found) == 6000


def wiki_fair(real_data):
    """Pages of Wiki-Fair with their own links, as (page, gold entity by span, gold entity by target)."""
    with lzma.open(real_data / "el-dev" / "wiki-fair-v2.benchmark.jsonl.xz", "rt", encoding="utf-8") as lines:
        for article in map(json.loads, lines):
            gold = {tuple(label["span"]): label["entity_id"] for label in article["labels"]}
            links = [
                {"start": start, "end": end, "anchor": "", "target": title, "qid": title}
                for (start, end), title in article.get("hyperlinks") or ()
            ]
            targets = {}
            for link in links:
                if (link["start"], link["end"]) in gold:
                    targets.setdefault(link["target"], gold[link["start"], link["end"]])
            bold = article.get("title_synonyms") or [[-1, -1]]
            targets["own page"] = gold.get(tuple(bold[0]))
            if links:
                known = {"page_id": article["id"], "title": article["title"], "lang": "en", "qid": "own page"}
                yield known | {"text": article["text"], "links": links}, gold, targets


def test_same_page_mentions_are_as_good_as_their_confidence_says(real_data):
    seen = Counter()
    for article, gold, targets in wiki_fair(real_data):
        done = 0
        for row in link_page(article, tally=Tally()):
            offset = done = article["text"].index(row["text"], done)
            for mention in row["mentions"]:
                start, end = mention["start"] + offset, mention["end"] + offset
                touched = any(start < b and a < end for a, b in gold)
                want = targets.get(mention["qid"])
                if mention["source"] == "same_page" and touched and want:
                    seen["right" if gold.get((start, end)) == want else "wrong"] += 1
    assert seen["right"] > 120
    assert seen["right"] / seen.total() >= SAME_PAGE_CONFIDENCE - 0.02


_WORD = st.sampled_from(
    ["Rome", "rome", "New", "York", "the", "river", "River", "北京", "서울", "of", "42", "é"]
)
_PIECE = st.one_of(
    _WORD,
    st.sampled_from([". ", "! ", "\n", ", ", "-", "'"]),
    st.tuples(st.lists(_WORD, min_size=1, max_size=3).map(" ".join), st.sampled_from(["", "Q1", "Q2", "Q3"])),
)


@settings(max_examples=150)
@given(st.lists(_PIECE, max_size=25), st.sampled_from(["en", "ko", "zh", "de"]))
def test_mentions_are_sorted_disjoint_and_inside_and_links_survive(pieces, lang):
    marked = " ".join(
        piece if isinstance(piece, str) else f"[[{piece[0]}|Target|{piece[1]}]]" for piece in pieces
    )
    source = page(marked, lang=lang, title="Rome", qid="Q4")
    tally = Tally()
    rows = list(link_page(source, tally=tally))
    anchors = []
    for row in rows:
        done = 0
        for mention in row["mentions"]:
            assert done <= mention["start"] < mention["end"] <= len(row["text"])
            done = mention["end"]
            surface = row["text"][mention["start"] : mention["end"]]
            assert surface == surface.strip()
            if mention["source"] == "anchor":
                anchors.append((surface, mention["qid"]))
    kept = [(link["anchor"], link["qid"]) for link in source["links"] if link["qid"]]
    assert len(anchors) + tally.drops["link_outside_sentence"] == len(kept)
    if not tally.drops["link_outside_sentence"]:
        assert anchors == kept


def test_the_dictionary_fills_what_links_leave(corpus):
    linker = Linker.open(corpus, "en", overrides=["linking.min_confidence=0"])
    row = page("[[Venus|Venus|Q313]] and Mercury; Venus again. [[iron|Iron|]] is none.")
    tally = Tally()
    rows = list(link_page(row, tally=tally, linker=linker))
    found = [(r["text"][m["start"] : m["end"]], m["qid"], m["source"]) for r in rows for m in r["mentions"]]
    assert found == [
        ("Venus", "Q313", "anchor"),
        ("Mercury", "Q308", "dictionary"),
        ("Venus", "Q313", "same_page"),
    ]
    assert tally.counts["dictionary_mention"] == 1
