"""What of a page's markup stays as text and links, and that no input breaks or stalls it."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import Limits
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import is_disambiguation, parse
from kgcorpus.wiki.wikitext.templates import read_templates, renderers

SITES = {
    "en": Site.of("en", names={"Portal": 100}),
    "de": Site.of("de", names={"Datei": 6, "Kategorie": 14}),
    **{lang: Site.of(lang, names={}) for lang in ("es", "fr", "it", "ja", "ko", "nl", "vi", "zh")},
}


def text(wikitext, lang="en"):
    return parse(wikitext, SITES[lang]).text


def links(wikitext, lang="en"):
    return [(link.anchor, link.target) for link in parse(wikitext, SITES[lang]).links]


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("'''A''' ''b'' '''''c'''''", "A b c"),
        ("John''''s '''hat'''", "John's hat"),
        ("a<!-- x -->b", "ab"),
        ("a\n<!-- x -->\nb", "a b"),
        ("a <!-- never closed", "a"),
        ("a<ref>x</ref> b<ref name=x /> c<ref name=y>{{cite|[[z]]}}</ref>.", "a b c."),
        ("a <math>x<y</math> b", "a b"),
        ("a<br/>b <small>c</small> H<sub>2</sub>O", "a b c H2O"),
        ("a < b > c", "a < b > c"),
        ("a <nowiki>[[b]] ''c'' {{d}}</nowiki>", "a [[b]] ''c'' {{d}}"),
        ("&amp;lt; &lt;b&gt; &#91;&#91;x&#93;&#93; a&nbsp;b &unknown;", "&lt; <b> [[x]] a b &unknown;"),
        ("== Head ==\nText\nmore\n\nnext", "Head\nText more\nnext"),
        ("* one\n** two\n# three\nfour", "one\ntwo\nthree\nfour"),
        ("a\n{| class=x\n| b\n{|\n| c\n|}\n|}\nd", "a\nd"),
        ("a [http://x.org the site] b [http://y.org] c", "a the site b c"),
        ("__NOTOC__ a __init__", "a __init__"),
        ("[[File:a.jpg|thumb|cap [[link]] [http://x y]]]a", "a"),
        ("a (; {{IPA|x}}) b ({{lang-fr|x}}; c)", "a b (x; c)"),
        ("a [{{IPA|x}}] [b] [[c|[d] ]]", "a [b] [d]"),
        ("a {{unknown|{{nested}}}} b", "a b"),
        ("a {{broken\n| b = c\n\nd", "a\nd"),
        ("{{Infobox\n|a={{b}}\n|c=[[d]]\n}}\nText", "Text"),
        ("a {{{1|b}}} c {{{2}}} d", "a b c d"),
        ("#REDIRECT", "REDIRECT"),
        ("x[[a| b ]]c [[d|e ]] f[[g|h ]](i) [[j|k ]]", "x b c e fh (i) k"),
        ("", ""),
    ],
)
def test_text(wikitext, expected):
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected", "lang"),
    [
        ("{{convert|1233|km|mi}}", "1233 km", "en"),
        ("{{convert|3|to|5|km|mi|abbr=on}}", "3 to 5 km", "en"),
        ("{{convert|10|-|20|m|ft|0}}", "10–20 m", "en"),
        ("{{convert|5|ft|6|in|m}}", "5 ft 6 in", "en"),
        ("{{convert|100|km|0}}", "100 km", "en"),
        ("{{formatnum:1234567}}", "1234567", "en"),
        ("{{formatnum|1234}}", "1234", "en"),
        ("{{val|1.23|0.05|e=6|u=kg}}", "1.23±0.05×10^6 kg", "en"),
        ("{{lang|fr|[[Paris|la ville]]}}", "la ville", "en"),
        ("{{lang-de|Wort}}", "Wort", "en"),
        ("{{nowrap|{{convert|5|m}} a}}", "5 m a", "en"),
        ("{{nihongo|Mount Fuji|富士山|Fujisan}}", "Mount Fuji (富士山, Fujisan)", "en"),
        ("{{As of|2010|5|lc=y}}", "as of May 2010", "en"),
        ("{{circa|1900}}", "c. 1900", "en"),
        ("{{birth date|1950|3|5|df=y}}, {{birth date|1950|3|5}}", "5 March 1950, March 5, 1950", "en"),
        ("{{chem|H|2|O}}", "H2O", "en"),
        ("{{transl|ar|ISO|kitab}}", "kitab", "en"),
        ("{{abbr|UN|United Nations}}", "UN", "en"),
        ("a{{snd}}b", "a – b", "en"),
        ("{{frac|3|1|2}} {{frac|1|2}} {{frac|4}}", "3 1/2 1/2 1/4", "en"),
        ("{{ill|Name|de|X|lt=text}}", "text", "en"),
        ("{{USS|Enterprise|CV-6}}", "USS Enterprise (CV-6)", "en"),
        ("a\n{{quote|b}}\nc", "a\nb\nc", "en"),
        ("{{frS|mot}}", "mot", "de"),
        (
            "le {{s|XIX|e}}, {{unité|12|km|2}}, {{date|3|mai|2010}}",
            "le XIXe siècle, 12 km², 3 mai 2010",
            "fr",
        ),
        ("d'''Alice'' et l'''État'''", "dAlice et l'État", "fr"),
        ("{{読み仮名|漢字|かんじ}}", "漢字(かんじ)", "ja"),
        ("-{zh-hans:计算机;zh-hant:電腦}-和-{A}-", "计算机和A", "zh"),
        ("{{unidad|12|km}}", "12 km", "es"),
        ("{{M|12|ul=km}}", "12 km", "it"),
        ("{{zahl|1234}}, {{lang|la|''res''}}", "1234, res", "de"),
        ("{{đổi|5|km|mi}}", "5 km", "vi"),
        ("{{lang|en|word}}{{nowrap|a b}}", "worda b", "nl"),
        ("{{llang|en|word}} {{임시링크|이름|en|Name}}", "word 이름", "ko"),
    ],
)
def test_templates_that_carry_text(wikitext, expected, lang):
    assert text(wikitext, lang) == expected


def test_a_users_templates_win(tmp_path):
    path = tmp_path / "templates.tsv"
    path.write_text("# name\ttext\nHöhe\t{1} m ({year})\nentfernung\t=convert\nlang\t\n", encoding="utf-8")
    site = replace(SITES["de"], templates=read_templates(str(path), "de"))
    wikitext = "a {{höhe|12|year=1900}} {{Entfernung|5|km}} {{lang|fr|mot}} {{nowrap|b}} {{Höhe|7}}"
    assert parse(wikitext, site).text == "a 12 m (1900) 5 km b 7 m"


@pytest.mark.parametrize("line", ["no tab", "a\t=unknown"])
def test_a_bad_line_of_templates_is_named(tmp_path, line):
    path = tmp_path / "templates.tsv"
    path.write_text(f"ok\t{{1}}\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        read_templates(str(path), "en")


def test_a_templates_file_has_limits_and_an_encoding(tmp_path):
    path = tmp_path / "templates.tsv"
    path.write_bytes("# Größe\n".encode() + "maß\t{1}".encode("latin-1"))
    with pytest.raises(InputError, match="line 2: byte 0xdf at position 2 is not UTF-8"):
        read_templates(str(path), "de")
    path.write_bytes(b"a\t" + b"b" * (2 << 20))
    with pytest.raises(InputError, match="longer than 1 MiB"):
        read_templates(str(path), "de", limits=Limits(record_mib=1))


PAGE = """{|
|+ class=x | Of [[bees]]
! Year !! [[Hive|Hives]]
|-
| style="a" | 1900 || 12
[[wax|more]]
|}
== Head ==
Text [[File:A.jpg|thumb|left|200px|A ''bee'' on a [[rose|red rose]]]] goes
on.
* item
[[File:B.jpg|right]]
"""


def test_blocks_have_a_kind():
    article = parse(PAGE, SITES["en"])
    assert article.text == "Head\nText goes on.\nitem"
    assert article.kinds == ["heading", "paragraph", "list"]


def test_cells_and_captions_stay_if_asked():
    article = parse(PAGE, SITES["en"], keep={"cell", "caption"})
    assert list(zip(article.text.split("\n"), article.kinds, strict=True)) == [
        ("Of bees", "caption"),
        ("Year", "cell"),
        ("Hives", "cell"),
        ("1900", "cell"),
        ("12 more", "cell"),
        ("Head", "heading"),
        ("Text goes on.", "paragraph"),
        ("item", "list"),
        ("A bee on a red rose", "caption"),
    ]
    assert [link.target for link in article.links] == ["Bees", "Hive", "Wax", "Rose"]
    assert "cell" not in parse(PAGE, SITES["en"], keep={"caption"}).kinds


def test_a_table_in_a_cell():
    wikitext = "{|\n| a\n{|\n| b || c\n|}\n| d\n|}"
    assert parse(wikitext, SITES["en"], keep={"cell"}).text == "a\nb\nc\nd"


@pytest.mark.parametrize("wikitext", ["a {{b", "a [[b", "{|\n| a", "a }}", "a ]]"])
def test_unbalanced_markup_is_told(wikitext):
    assert not parse(wikitext, SITES["en"]).balanced
    assert parse("{{a}} [[b]]\n{|\n|c\n|}", SITES["en"]).balanced


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("{{nowrap|", "}}"), ("\n{|\n|", "\n|}"), ("[[File:a|", "]]")],
)
def test_markup_nested_too_deep_is_told(opening, closing):
    shallow, deep = ("b " + opening * n + "a" + closing * n for n in (30, 100))
    assert parse(shallow, SITES["en"]).shallow
    assert not parse(deep, SITES["en"]).shallow


@pytest.mark.parametrize(
    ("wikitext", "expected", "lang"),
    [
        ("[[berlin]]", [("berlin", "Berlin")], "en"),
        ("[[Berlin wall|the wall]]s", [("the walls", "Berlin wall")], "en"),
        ("[[Haus]]es [[Straße]]ß", [("Hauses", "Haus"), ("Straßeß", "Straße")], "de"),
        ("[[家]]abc", [("家", "家")], "ja"),
        ("[[집]]abc", [("집", "집")], "ko"),
        (
            "[[Rome (city)|]] [[Boston, Massachusetts|]]",
            [("Rome", "Rome (city)"), ("Boston", "Boston, Massachusetts")],
            "en",
        ),
        ("[[A_b#c|d]]", [("d", "A b")], "en"),
        ("[[#section|text]] [[:Category:X|c]] [[:File:Y]] [[de:Z]] [[:de:Z|z]] [[Category:Q]]", [], "en"),
        (
            "[[Portal:X|x]] [[wikt:word|word]] [[Alien: Covenant]]",
            [("Alien: Covenant", "Alien: Covenant")],
            "en",
        ),
        ("[[Datei:X.jpg|mini|[[Berg]]]] [[Bild:Y.jpg]] [[Image:Z]] [[See]]", [("See", "See")], "de"),
        ("[[a|''b'' [c] d]]", [("b [c] d", "A")], "en"),
        ("x[[a| b ]]c", [("b", "A")], "en"),
        ("[[a [[b]] c]]", [("b", "B")], "en"),
        ("[[AT&amp;T]] [[a|b&#93;&#93;]]", [("AT&T", "AT&T"), ("b]]", "A")], "en"),
        ("[http://x [[a]]]", [("a", "A")], "en"),
        ("{{nowrap|[[a|b]]}} {{other|[[c]]}}", [("b", "A")], "en"),
    ],
)
def test_links(wikitext, expected, lang):
    assert links(wikitext, lang) == expected


def test_text_of_links_that_lead_elsewhere_stays():
    wikitext = "a [[#s|b]] [[:Category:X|c]] [[Portal:Y|d]] [[wikt:e|f]] [[Category:g]]"
    assert text(wikitext) == "a b c d f"


@pytest.mark.parametrize(
    ("wikitext", "lang", "expected"),
    [
        ("{{disambig}}", "en", True),
        ("{{Disambiguation|geo}}", "en", True),
        ("{{hndis}}", "de", True),
        ("{{Begriffsklärung}}", "de", True),
        ("{{Homonymie}}", "fr", True),
        ("{{Desambiguación}}", "es", True),
        ("{{Disambigua}}", "it", True),
        ("{{dp}}", "nl", True),
        ("{{Aimai}}", "ja", True),
        ("{{人名の曖昧さ回避}}", "ja", True),
        ("{{동음이의}}", "ko", True),
        ("{{định hướng}}", "vi", True),
        ("{{消歧义}}", "zh", True),
        ("x __DISAMBIG__", "en", True),
        ("{{disambiguation needed}} {{dp}} {{other uses|x (disambiguation)}}", "en", False),
    ],
)
def test_disambiguation(wikitext, lang, expected):
    assert is_disambiguation(wikitext, SITES[lang]) is expected


MARKS = [
    *("[[", "]]", "[", "]", "{{", "}}", "{{{", "}}}", "{|", "|}", "|", "||", "|-", "!", "=", "==", "http://"),
    *("''", "'''", "''''", "'''''", "<", ">", "</", "/>", "<ref>", "</ref>", "<ref/>", "<!--", "-->", "<br>"),
    *(
        "<nowiki>",
        "</nowiki>",
        "<table>",
        "</table>",
        "&",
        "&amp;",
        "&#91;",
        "&nbsp;",
        "[http://x",
        "#",
        "*",
        ":",
    ),
    *(";", "__TOC__", "-{", "}-", "File:", "Category:", "de:", "lang|", "convert|", "formatnum:", "nowrap|"),
    *("(", ")", "（", "）", "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3", "\ufdd4", "\n", " ", "a", "B", "é"),
    *("𝒳", "中", "\u0308", "א", "عربي", "\u200f", "\u202e", "|+", "!!", "|thumb|", "[[File:a|thumb|"),
]
SOUP = st.lists(st.sampled_from(MARKS) | st.text(max_size=3), max_size=60)


@settings(max_examples=400)
@given(SOUP, st.sampled_from(sorted(SITES)), st.sets(st.sampled_from(["cell", "caption"])))
def test_spans_fit_in_any_soup_of_markup(soup, lang, keep):
    article = parse("".join(soup), SITES[lang], keep=keep)
    lines = article.text.split("\n") if article.text else []
    assert len(article.kinds) == len(lines)
    assert not any("\ufdd0" <= c <= "\ufdd4" for c in article.text)
    end = 0
    for link in article.links:
        assert article.text[link.start : link.end] == link.anchor != ""
        assert end <= link.start < link.end <= len(article.text)
        assert link.target == SITES[lang].article(link.target)
        end = link.end


@given(st.text())
def test_text_without_markup_keeps_its_words(raw):
    plain = "".join(c for c in raw if c.isalnum() or c.isspace())
    assert text(plain).split() == plain.split()


HOSTILE = [
    "{{" * 50_000,
    "}}" * 50_000,
    "{{a|" * 50_000 + "}}" * 50_000,
    "{{{" * 50_000,
    "[[" * 50_000,
    "[[a|" * 50_000 + "]]" * 50_000,
    "[[File:a|" * 30_000,
    "[[File:a|[[b]]" * 30_000,
    "{|\n" * 50_000,
    "{|\n" * 50_000 + "|}\n" * 50_000,
    "<ref>" * 50_000,
    "<ref" * 50_000,
    "<nowiki>" * 50_000,
    "\n<!--" * 50_000,
    "\n<!--" * 50_000 + "-->x",
    "<nowiki>-->" + "<!--" * 50_000,
    "'" * 200_000,
    "l'''" * 50_000,
    "[http://" * 50_000,
    "(" * 200_000 + " " * 50_000,
    "__" * 100_000 + "A_" * 50_000,
    "{{lang|" + "|" * 200_000 + "}}",
    "{{lang|" + "a" + " " * 100_000 + "!=}}",
    "{{lang|" + "[[|" * 50_000 + "}}",
    "{{" + " " * 200_000,
    "-{" * 100_000,
    "&" * 200_000,
    "\n" * 200_000,
    "* " * 100_000,
    "\n= " * 50_000,
    "[[a|" + "[b" * 50_000,
    "{{homonymie de " + " " * 200_000,
    "{{" + "の曖昧さ回避" * 30_000,
    "x\n" * 100_000 + "}}",
    "{|\n" + "| a || [[b " * 50_000 + "\n|}",
    "{|\n" + "|" * 200_000 + "\n|}",
    "[[File:a|thumb" + "|a" * 100_000 + "]]",
    "[[File:a|thumb|" + "a" * 200_000 + "=]]",
]


@pytest.mark.parametrize("lang", SITES)
@pytest.mark.parametrize("digits", ["1" * 4301, "٣" * 4301, "0" * 4301, "²"])
def test_numbers_of_any_length_break_no_template(lang, digits):
    for name in (*renderers(lang), "lang-xx", "formatnum:1"):
        text(f"{{{{{name}|{digits}|{digits}|{digits}|{digits}={digits}|e={digits}}}}} [[&#{digits};]]", lang)


def test_a_users_template_may_name_any_argument(tmp_path):
    path = tmp_path / "templates.tsv"
    path.write_text(f"x\t{{1}}{{0}}{{{'9' * 5000}}}{{2}}.\n")
    site = replace(SITES["en"], templates=read_templates(str(path), "en"))
    assert parse("{{x|b|c}}", site).text == "bc."


@pytest.mark.parametrize("wikitext", HOSTILE, ids=lambda wikitext: repr(wikitext[:12]))
def test_hostile_input_takes_no_time(wikitext):
    start = time.process_time()
    for lang in ("fr", "ja", "zh"):
        parse(wikitext, SITES[lang], keep={"cell", "caption"})
        is_disambiguation(wikitext, SITES[lang])
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("Before.\n\n----\n\nAfter.", "Before.\nAfter."),
        ("---- Text after a rule.", "Text after a rule."),
        ("Before.\n\n------Text ''after'' a rule.", "Before.\nText after a rule."),
        ("--- no rule", "--- no rule"),
    ],
)
def test_the_text_behind_a_horizontal_rule_stays(wikitext, expected):
    assert text(wikitext) == expected
