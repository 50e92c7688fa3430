import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.wiki.site import Site, is_same_language, language_of_dbname

ENGLISH = Site.of("en", names={"Portal": 100})


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("albert_Einstein", "Albert Einstein"),
        ("  Albert   Einstein ", "Albert Einstein"),
        (":Berlin", "Berlin"),
        ("Berlin#History", "Berlin"),
        ("#History", ""),
        (f"&#{'9' * 5000};", "&"),
        ("AT&amp;T", "AT&T"),
        ("Caf%C3%A9", "Café"),
        ("100% pure", "100% pure"),
        ("\u200eRome\u200f", "Rome"),
        ("ǆep", "ǅep"),
        ("ßtest", "ßtest"),
        ("ქართული", "ქართული"),
        ("𐐨x", "𐐀x"),
    ],
)
def test_titles_take_the_form_of_the_dump(raw, title):
    assert ENGLISH.normalise_title(raw) == title


def test_first_letter_keeps_its_case_where_the_wiki_says_so():
    assert Site.of("en", first_letter=False, names={}).normalise_title("iPod") == "iPod"


@given(st.text())
def test_normalising_twice_changes_nothing_in_an_article_title(raw):
    title = ENGLISH.article(raw)
    if title is not None and "%" not in title:
        assert ENGLISH.article(title) == title


@given(st.text(alphabet="aB_ .:#%&é\u200e(),'"))
def test_the_short_way_for_simple_titles_agrees_with_the_long_one(raw):
    title = ENGLISH.article(raw)
    assert title is None or title == ENGLISH.normalise_title(raw)


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("File:A.jpg", 6),
        ("image:a.jpg", 6),
        ("Datei:A.jpg", 6),
        ("Bild:A.jpg", 6),
        ("user_talk:Me", 3),
        ("Kategorie:Stadt", 14),
        ("Alien: Covenant", 0),
        ("Berlin", 0),
    ],
)
def test_namespaces_by_local_canonical_and_former_names(german, title, number):
    assert german.namespace_of(title) == number


@pytest.mark.parametrize("title", ["de:Berlin", "wikt:word", "File:A.jpg", "", "#x", "a<b", "a|b", ".."])
def test_what_is_no_article(title):
    assert ENGLISH.article(title) is None


@pytest.mark.parametrize(
    ("wikitext", "target"),
    [
        ("#REDIRECT [[berlin]]", "Berlin"),
        ("#weiterleitung [[Berlin]]", "Berlin"),
        ("\n#Redirect: [[Berlin|x]]", "Berlin"),
        ("#REDIRECCIÓN [[Berlín]]", "Berlín"),
        ("#đổi [[Berlin]]", "Berlin"),
        ("＃転送 [[ベルリン]]", "ベルリン"),
        ("#넘겨주기 [[베를린]]", "베를린"),
        ("#重定向 [[柏林]]", "柏林"),
        ("#DOORVERWIJZING [[Berlijn]]", "Berlijn"),
        ("#RINVIA [[Berlino]]", "Berlino"),
        ("#REDIRECTION [[Berlin]]", "Berlin"),
        ("#REDIRECT [[Berlin#Early_history]]", "Berlin#Early history"),
        ("See #REDIRECT [[Berlin]]", None),
        ("# [[Berlin]]", None),
    ],
)
def test_redirects_of_ten_languages(wikitext, target):
    assert ENGLISH.redirect_target(wikitext) == target


@pytest.mark.parametrize(
    "word",
    [
        "перенаправление",
        "ПЕРЕНАПР",
        "перенаправлення",
        "تحويل",
        "OHJAUS",
        "UUDELLEENOHJAUS",
        "PATRZ",
        "PRZEKIERUJ",
        "TAM",
        "ÁTIRÁNYÍTÁS",
        "omdirigering",
        "YÖNLENDİRME",
        "YÖNLENDİR",
        "yönlendirme",
        "הפניה",
        "تغییر_مسیر",
        "تغییرمسیر",
        "अनुप्रेषित",
        "पुनर्प्रेषित",
        "PŘESMĚRUJ",
        "přesměruj",
        "presmeruj",
        "REDIRECIONAMENTO",
        "ALIH",
        "suuna",
        "ΑΝΑΚΑΤΕΥΘΥΝΣΗ",
        "เปลี่ยนทาง",
        "Преусмери",
    ],
)
@pytest.mark.parametrize(
    "form", ["#{} [[A b]]", "\n #{}[[a_b|c]]", "#{} : [[:A b]]\n[[C]]", "#{}:\n[[a b]] x"]
)
def test_redirects_of_other_languages_as_mediawiki_reads_them(word, form):
    assert ENGLISH.redirect_target(form.format(word)) == "A b"


@pytest.mark.parametrize(
    "text", ["# REDIRECT [[A]]", "#REDIRECT x [[A]]", "#REDIRECT", "#TAMING [[A]]", "##TAM [[A]]"]
)
def test_what_is_no_redirect(text):
    assert ENGLISH.redirect_target(text) is None


def test_a_site_travels(german):
    assert pickle.loads(pickle.dumps(german)) == german
    assert Site.from_dict(json.loads(json.dumps(german.to_dict()))) == german


@pytest.mark.parametrize(
    ("dbname", "code"),
    [
        ("dewiki", "de"),
        ("frwiktionary", "fr"),
        ("zh_yuewiki", "zh-yue"),
        ("be_x_oldwiki", "be-x-old"),
        ("simplewiki", "simple"),
        ("commonswiki", None),
        ("wikidatawiki", None),
        ("my_own_wiki", None),
        ("enwiki-old", None),
        ("", None),
    ],
)
def test_the_language_of_a_database_name(dbname, code):
    assert language_of_dbname(dbname) == code


def test_codes_of_one_language():
    pairs = [("zh-yue", "yue"), ("be-x-old", "be-tarask"), ("pt-BR", "pt_br"), ("no", "nb"), ("de", "de")]
    assert all(is_same_language(*pair) for pair in pairs)
    assert not is_same_language("de", "nds")
