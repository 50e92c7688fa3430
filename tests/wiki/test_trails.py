"""Which letters behind a link belong to it, by language."""

import pytest

from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import parse


@pytest.mark.parametrize(
    ("lang", "wikitext", "anchor"),
    [
        ("ru", "[[дом]]ами x", "домами"),
        ("ru", "[[дом]]''ами'' x", "дом"),
        ("uk", "«[[слово]]ами»", "словоами"),
        ("be-tarask", "[[дом]]ў", "домў"),
        ("bg", "[[град]]ът", "градът"),
        ("sr", "[[кућа]]ма", "кућама"),
        ("pl", "[[dom]]ów", "domów"),
        ("cs", "[[hrad]]ů", "hradů"),
        ("pt", "[[irmã]]ões", "irmãões"),
        ("pt-BR", "[[avi]]ões", "aviões"),
        ("sv", "[[hus]]ägare", "husägare"),
        ("hu", "[[ház]]é", "házé"),
        ("tr", "[[ev]]ımız", "evımız"),
        ("ca", "[[col]]·lega", "col·lega"),
        ("br", "[[mor]]c'hoù", "morc'hoù"),
        ("is", "[[hús]]ið", "húsið"),
        ("cy", "[[gŵr]]ŷ", "gŵrŷ"),
        ("ltg", "[[Latgol]]ā", "Latgolā"),
        ("el", "[[σπίτι]]ου", "σπίτιου"),
        ("hy", "«[[տուն]]ը»", "տունը"),
        ("ka", "[[სახლ]]ი", "სახლი"),
        ("he", "[[בית]]ים", "ביתים"),
        ("ar", "[[كتاب]]ان", "كتابان"),
        ("fa", "[[کتاب]]ها", "کتابها"),
        ("hi", "[[भारत]]ीय", "भारतीय"),
        ("bn", "[[বাংলা]]র", "বাংলার"),
        ("id", "[[rumah]]nya", "rumahnya"),
        ("en", "[[house]]é", "house"),
        ("zh-yue", "[[香港]]abc", "香港"),
        ("ko", "[[한국]]은", "한국"),
    ],
)
def test_each_language_has_its_own_trail(lang, wikitext, anchor):
    article = parse(wikitext, Site.of(lang, names={}))
    (link,) = article.links
    assert article.text[link.start : link.end] == link.anchor == anchor


@pytest.mark.parametrize(
    ("between", "anchor"),
    [
        ("''", "cats"),
        ("'''", "cats"),
        ("<b>", "cats"),
        ("<ref>x</ref>", "cats"),
        ("<nowiki />", "cats"),
        ("{{cn}}", "cats"),
        ("&nbsp;", "cats"),
        ("<!-- x -->", "catses"),
        ("", "catses"),
    ],
)
@pytest.mark.parametrize("wrapped", ["{}", "{{{{nowrap|{}}}}}", "''{}''"])
def test_markup_behind_letters_ends_the_trail(between, anchor, wrapped):
    article = parse(wrapped.format(f"[[cat]]s{between}es"), Site.of("en", names={}))
    (link,) = article.links
    assert article.text[link.start : link.end] == link.anchor == anchor
    assert article.text.replace(" ", "") == "catses"


def test_an_entity_is_no_letter_of_a_trail():
    article = parse("[[caf]]&eacute;s [[caf]]é", Site.of("fr", names={}))
    assert (article.text, [link.anchor for link in article.links]) == ("cafés café", ["caf", "café"])
