"""MediaWiki's rules for shielding, braces, apostrophes, ends of links, conversion and gaps."""

import re
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import parse
from kgcorpus.wiki.wikitext.characters import HOLE
from kgcorpus.wiki.wikitext.parentheses import without_holes
from kgcorpus.wiki.wikitext.quotes import without_quotes
from kgcorpus.wiki.wikitext.variants import converted, variants_of

SITES = {lang: Site.of(lang, names={}) for lang in ("de", "en", "fr", "it", "ja", "zh")}
CHINESE = SITES["zh"]


def text(wikitext, lang="en"):
    return parse(wikitext, SITES[lang]).text


def links(wikitext, lang="en"):
    return [(link.anchor, link.target) for link in parse(wikitext, SITES[lang]).links]


@pytest.mark.parametrize("tag", ["nowiki", "pre", "code", "source", "syntaxhighlight", "math", "chem", "ref"])
def test_a_comment_mark_in_an_element_swallows_nothing(tag):
    shown = text(f"One <{tag} x=y><!-- [[a]]</{tag.upper()} > two.\n\nThree.<!-- gone --> Four.")
    assert shown.endswith("two.\nThree. Four.")
    assert ("[[a]]" in shown) == (tag == "nowiki")


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a <!-- <ref> --> b <ref>c</ref> d", "a b d"),
        ("a <ref>b <!-- c</ref> d --> e", "a d --> e"),
        ("a <!--> b --> c", "a c"),
        ("a <!-- b <!-- c --> d", "a d"),
        ("a\n<!-- b --> <!-- c -->\nd", "a d"),
        ("a\n\n<!-- b -->\n\nc", "a\nc"),
        ("a <ref>b [[c]]", "a b c"),
        ("a <ref name=b>c<ref>d</ref> e", "a e"),
        ("a <ref name=b/> c <ref name='d/e'>f</ref> g", "a c g"),
        ("a <nowiki>'''</nowiki> b <NOWIKI >{{c}}</nowiki >", "a ''' b {{c}}"),
        ("a <nowiki>b", "a b"),
        ("<nowiki/>* a\n<nowiki />#b\n* <nowiki/>c", "* a #b\nc"),
        ("a <code>b <!-- c --> d</code> e", "a b d e"),
        ("a <code><!--</code> b <code>--></code> c", "a <!-- b --> c"),
        ("a <references><ref name=x>b</ref></references> c", "a c"),
        ("a <reference>b</reference>", "a <reference>b</reference>"),
        ("a <noinclude>b</noinclude> <includeonly>c</includeonly> d", "a b d"),
        ("a<br>b</br>c<BR/ >d<br />e<br clear=all>f", "a b c d e f"),
        ("a<p>b</p>c", "a\nb\nc"),
    ],
)
def test_what_opens_first_wins(wikitext, expected):
    assert text(wikitext) == expected


def test_a_comment_that_is_never_closed_is_counted():
    assert not parse("a <!-- b", SITES["en"]).balanced
    assert parse("a <nowiki><!--</nowiki> b <!-- c -->", SITES["en"]).balanced


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a {b} c } d { e", "a {b} c } d { e"),
        ("{{nowrap|a { b}} c", "a { b c"),
        ("{{nowrap|a } b}} c", "a } b c"),
        ("{{nowrap|{a}}} c", "{a} c"),
        ("{{nowrap|f(x) = {1, 2} and more}}", "f(x) = {1, 2} and more"),
        ("{{{{{1|nowrap}}}|a}}", "a"),
        ("{{{1}}} b {{{2|c {{nowrap|d}} }}}", "b c d"),
        ("{{nowrap|a{{!}}b}} {{nowrap|n{{=}}3}} {{nowrap|1=x=y}}", "a|b n=3 x=y"),
        ("{{nowrap|{{lang|fr|1=x|2=a {{=}} b}}}}", "a = b"),
        ("{{nowrap|{{nowrap|a{{!}}{{nowrap|1=b=c}}}}}}", "a|b=c"),
        ("[[a{{!}}b]]", "b"),
        ("{{nowrap|[[File:x.jpg|thumb|a [[b|c]] d]]e}}", "e"),
        ("{{lang|fr|[[a|b [[c|d]] e]]}}", "b d e"),
        ("{{nowrap|2=b|1=a}} {{lang|2=texte|1=fr}}", "a texte"),
        ("{{nowrap|a|1=b}}", "b"),
        ("{{Template:nowrap|a}} {{template: Nowrap |b}} {{subst:nowrap|c}}", "a b c"),
        ("{{nowrap|<!-- x -->a}} {{<!-- y -->nowrap|b}}", "a b"),
        ("{{nowrap\n|\na\n}} b", "a b"),
        ("a {{quote|b\n{{(!}}\n{{!}} c\n{{!)}}}} d", "a\nb\nd"),
        ("a\n| b\nc", "a | b c"),
        ("a\n{|\n| b\n|}\n| c", "a\n| c"),
        ("a\n|}\nb", "a\nb"),
    ],
)
def test_braces_and_bars(wikitext, expected):
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("l'''Iliade'' d", "l'Iliade d"),
        ("et l'''Iliade'' et '''b''' d", "et l'Iliade et b d"),
        ("'''a''' dell'''b'' c", "'a dellb c"),
        ("''''a'''' b", "'a' b"),
        ("''''''a''''''", "'a'"),
        ("'''''a'' b'''", "a b"),
        ("''a\nb''", "a b"),
        ("'''a\n\nl'''b''", "a\nl'b"),
        ("d'''un ''mot et '''a''' b", "d'un mot et a b"),
        ("it''s", "its"),
        ("rock 'n' roll ''''s", "rock 'n' roll 's"),
        ("''{{unknown}}'' a ''<ref>b</ref>''", "a"),
        ("''<nowiki/>'' a", "a"),
        ("''a''<ref>b</ref>'' c ''d", "a c d"),
        ("a ''b''{{unknown}}''c'' d", "a bc d"),
        ("''a'<ref>b</ref>'' c''", "a' c"),
        ("<nowiki>''a''</nowiki> ''b''", "''a'' b"),
    ],
)
def test_apostrophes(wikitext, expected):
    assert text(wikitext, "fr") == expected


def by_definition(line):
    """The rule in the words of its source: count marks, then turn one bold mark into an apostrophe."""
    parts = re.split("('{2,})", line)
    for i in range(1, len(parts), 2):
        n = len(parts[i])
        if n == 4 or n > 5:
            keep = 3 if n == 4 else 5
            parts[i - 1] += "'" * (n - keep)
            parts[i] = "'" * keep
    marks = [len(mark) for mark in parts[1::2]]
    if sum(n in (2, 5) for n in marks) % 2 and sum(n in (3, 5) for n in marks) % 2:
        kinds = {"letter": [], "word": [], "space": []}
        for i in range(1, len(parts), 2):
            before = parts[i - 1]
            if len(parts[i]) == 3:
                space = before.endswith(" ")
                letter = before[-2:-1] == " " and before[-1:].isascii()
                kinds["space" if space else "letter" if letter else "word"].append(i)
        if chosen := [*kinds["letter"], *kinds["word"], *kinds["space"]][:1]:
            parts[chosen[0] - 1] += "'"
    return "".join(parts[::2])


@given(st.lists(st.sampled_from(["'" * n for n in range(1, 8)] + ["a", "é", " ", " a", "word"]), max_size=12))
def test_apostrophes_follow_the_definition(pieces):
    line = "".join(pieces)
    assert without_quotes(line).replace("&#39;", "'") == by_definition(line)


@given(st.lists(st.sampled_from(["''", "'''", "'''''", "a ", "l", "\n"]), max_size=20))
def test_apostrophes_of_one_line_do_not_depend_on_others(pieces):
    lines = "".join(pieces).split("\n")
    assert without_quotes("\n".join(lines)) == "\n".join(map(without_quotes, lines))


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("[[micro-]]<nowiki />second", [("micro-", "Micro-")]),
        ("''[[Titanic]]''s", [("Titanic", "Titanic")]),
        ("'''[[A]]'''b [[c]]''d''", [("A", "A"), ("c", "C")]),
        ("[[a]]<ref>b</ref>c [[d]]<ref name=e />f", [("a", "A"), ("d", "D")]),
        ("<b>[[a]]</b>c [[d]]<sup>e</sup>", [("a", "A"), ("d", "D")]),
        ("[[a]]{{efn|b}}c {{nowrap|[[d]]}}e", [("a", "A"), ("d", "D")]),
        ("[[a]]<!-- b -->c", [("ac", "A")]),
        ("[http://x [[a]]]b", [("a", "A")]),
        ("[[a]]s [[b|c]]s [[d]]-s", [("as", "A"), ("cs", "B"), ("d", "D")]),
        ("[[a|b [ c]] d", [("b [ c", "A")]),
        ("[[a|b [c] d]] [[e|f]]]", [("b [c] d", "A"), ("f", "E")]),
        ("[[a]][ ]b [[c]][http://x]d", [("a", "A"), ("c", "C")]),
        ("[[File:x.jpg|thumb|a [ b]] [[c]]", [("c", "C")]),
        ("[[File:x.jpg|thumb|a [http://y z] [[b]] ]] [[c]]", [("c", "C")]),
        ("[[File:x.jpg|thumb|[http://y z]]] [[c]]", [("c", "C")]),
    ],
)
def test_where_a_link_ends(wikitext, expected):
    assert links(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("[[a]]''s'' b", "as b"),
        ("[[micro-]]<nowiki />second", "micro-second"),
        ("[[File:x.jpg|thumb|a [ b]] c", "c"),
        ("[[a|b]]] c", "b] c"),
    ],
)
def test_the_text_around_a_link_stays(wikitext, expected):
    assert text(wikitext) == expected


@pytest.mark.parametrize("behind", ["<ref>x</ref>", "''c''", "<br>", "{{efn|x}}", "<!-- x -->", ""])
def test_markup_behind_a_file_is_not_in_its_caption(behind):
    article = parse(f"a\n[[File:x.jpg|thumb|see [[b]] d]]{behind}\ne", SITES["en"], keep={"caption"})
    assert article.text.split("\n")[-1] == "see b d"


@pytest.mark.parametrize(
    "nested", ["[[b]]", "[[b|c [[File:d.jpg|e]] f]]", "[[File:b.jpg|c [[File:d.jpg|[[e]]]] f]]"]
)
def test_files_in_captions_of_files_leave_nothing(nested):
    article = parse(f"a [[File:x.jpg|thumb|{nested} g]] z", SITES["en"])
    assert (article.text, article.shallow) == ("a z", True)


def test_dropped_names_hold_no_marks_of_ours():
    assert parse("x {{odd [[a]]{{nowrap|b}}|c}} y", SITES["en"]).dropped == ["odd [[a]]b"]
    assert parse("x {{odd (<ref>a</ref>)|c}} y", SITES["en"]).dropped == ["odd ()"]


@pytest.mark.parametrize("entity", ["&eacute;", "&#233;", "&#xE9;"])
@pytest.mark.parametrize("removed", ["{{IPA|x}}", " {{unknown}}", " <ref>b</ref>"])
def test_the_semicolon_of_an_entity_is_no_separator(entity, removed):
    assert text(f"(caf{entity}{removed}; b)") == "(café; b)"
    assert text(f"l''''a caf{entity}{removed}, b") == "l'a café, b"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-{计算机}-", "计算机"),
        ("-{zh-hans:计算机;zh-hant:電腦;}-", "计算机"),
        ("-{zh-tw:電腦; zh-cn:计算机}-", "计算机"),
        ("-{zh-hant:電腦}-", "電腦"),
        ("-{A|zh-hans:甲;zh-hant:乙}-", "甲"),
        ("-{H|zh-hans:甲;zh-hant:乙}-", ""),
        ("-{-|zh-hans:甲;zh-hant:乙}-", ""),
        ("-{T|zh-hans:甲;zh-hant:乙}-", ""),
        ("-{R|zh-hans:甲}-", "zh-hans:甲"),
        ("-{zh-hans;zh-hant|甲}-", "甲"),
        ("-{N|zh-tw}-", "臺灣正體"),
        ("-{D|zh-cn:甲;zh-tw:乙}-", "大陆简体：甲；臺灣正體：乙；"),
        ("-{甲=>zh-cn:乙}-", "乙"),
        ("-{foo|甲}-", "甲"),
        ("-{甲: 乙}-", "甲: 乙"),
        ("-{zh-hans:&#35745;算;zh-hant:b}-", "计算"),
        ("-{[[甲|乙]]}-", "乙"),
        ("-{zh-hans:[[甲|乙]];zh-hant:[[丙]]}-", "乙"),
        ("[[甲|-{zh-hans:乙;zh-hant:丙}-]]", "乙"),
        ("-{zh-hans:-{甲}-;zh-hant:-{R|乙}-}-", "甲"),
        ("-{zh-hans:{{lang|en|A}};zh-hant:B}-", "A"),
        ("-{{{lang|en|A}}}-", "A"),
        ("{{nowrap|-{R|甲}-}}", "甲"),
        ("a -{ b", "a -{ b"),
        ("a }- b", "a }- b"),
    ],
)
def test_language_conversion(rule, expected):
    assert text(f"x{rule}x", "zh") == f"x{expected}x"


def test_the_variant_is_a_setting():
    rule = "-{zh-cn:a;zh-tw:b;zh-hk:c}- -{zh-hans:d;zh-hant:e}- -{f=>zh-tw:g}-"
    shown = {code: parse(rule, replace(CHINESE, variant=code)).text for code in variants_of("zh")}
    assert shown["zh-cn"] == shown["zh-sg"] == shown["zh-hans"] == "a d g"
    assert shown["zh-tw"] == shown["zh-hant"] == "b e g"
    assert shown["zh-hk"] == shown["zh-mo"] == "c e g"


def test_wikis_without_variants_keep_the_marks():
    assert text("a -{b}- c", "de") == "a -{b}- c"


@given(
    st.recursive(
        st.sampled_from("甲乙丙"), lambda inner: inner.map(lambda t: f"-{{zh-cn:{t};zh-tw:x}}-"), max_leaves=8
    )
)
def test_nested_rules_show_the_innermost_text(rule):
    assert converted(rule, replace(CHINESE, variant="zh-cn")) in ("甲", "乙", "丙")


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("A ({{IPA|x}}, {{IPA|y}}) b", "A b"),
        ("A ({{IPA|x}}; born 1950) b", "A (born 1950) b"),
        ("A (born 1950; {{IPA|x}}) b", "A (born 1950) b"),
        ("A ({{lang|fr|c}}, {{IPA|x}}, {{lang|de|d}}) b", "A (c, d) b"),
        ("A ({{IPA|x}}, {{IPA|y}}; 1950 – 2000) b", "A (1950 – 2000) b"),
        ("A (''{{IPA|x}}'', c) b", "A (c) b"),
        ("A [{{IPA|x}}] b", "A b"),
        ("A {{citation needed}}, b {{cn}}. C", "A, b. C"),
        ("A ([[File:x.ogg|listen]]) b", "A b"),
        ("A ({{IPA|x}}<ref>y</ref>) b", "A b"),
        ("The call f() and (,) stay.", "The call f() and (,) stay."),
        ("A （{{IPA|x}}、{{IPA|y}}） b", "A b"),
        ("甲（{{IPA|x}}、1950年 - ）乙", "甲（1950年 - ）乙"),
        ("A ([{{IPA|x}}]; * 1950) b", "A (* 1950) b"),
        ("A (c [{{IPA|x}}]; {{lang|fr|d}}) b", "A (c; d) b"),
        ("A ({{audio|x}}, [{{IPA|x}}]) b", "A b"),
        ("A ( [ {{IPA|x}} ] ), b", "A, b"),
        ("A [({{IPA|x}})]({{IPA|y}}) b", "A b"),
        ("A (<ref>x</ref>), (b<ref>y</ref>) c", "A, (b) c"),
        ("A (Greek: {{unknown|x}}, c) b", "A (Greek, c) b"),
        ("A ({{IPA|x}}", "A ("),
    ],
)
def test_what_dropped_templates_leave(wikitext, expected):
    assert text(wikitext, "ja") == expected


@given(st.text(alphabet="()[] ,", max_size=12), st.text(alphabet="()[] ,", max_size=12))
def test_brackets_around_a_hole_go_in_pairs(left, right):
    shown = without_holes(f"a{left}{HOLE}{right}b")
    lost = {mark: (left + right).count(mark) - shown.count(mark) for mark in "()[]"}
    assert lost["("] == lost[")"] >= 0
    assert lost["["] == lost["]"] >= 0
    # No pair is left that held nothing but the hole.
    assert sum(lost.values()) == 2 * _depth(left, right)


def _depth(left, right):
    """How many pairs hold nothing else, counted from the hole outwards."""
    closing = {"(": ")", "[": "]"}
    pairs = zip(reversed(re.sub("[ ,]", "", left)), re.sub("[ ,]", "", right), strict=False)
    return len(list(takewhile(lambda pair: closing.get(pair[0]) == pair[1], pairs)))


MARKS = [
    "{",
    "}",
    "{{",
    "}}",
    "{{{",
    "}}}",
    "{{nowrap|",
    "{{x|",
    "|",
    "=",
    "a",
    "[[",
    "]]",
    "''",
    "<!--",
    "-->",
]
MARKS += [
    "<nowiki>",
    "</nowiki>",
    "<code>",
    "</code>",
    "<ref>",
    "</ref>",
    "-{",
    "}-",
    "zh-cn:",
    ";",
    "(",
    ")",
    ",",
    "\n",
]


@given(st.lists(st.sampled_from(MARKS), max_size=40))
def test_no_mark_of_ours_is_left(pieces):
    for lang in ("en", "zh"):
        article = parse("".join(pieces), SITES[lang])
        assert not re.search("[\ufdd0-\ufdd8]", article.text)
        assert all(article.text[link.start : link.end] == link.anchor for link in article.links)


@given(st.text(alphabet="ab {}", max_size=30).filter(lambda t: not re.search(r"\{\s*\{|\}\s*\}", t)))
def test_single_braces_are_text(plain):
    assert text(plain).split() == (plain.split() if re.search("[ab]", plain) else [])
    assert text("{{nowrap|a" + plain + "b}}").split() == ("a" + plain + "b").split()
