"""What templates that carry text show, language by language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally, most_frequent_names
from kgcorpus.report.statistics import build_report, lines_of_templates
from kgcorpus.wiki.dump import RawPage
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import parse

LANGS = ("en", "de", "es", "fr", "it", "ja", "ko", "nl", "vi", "zh")
SITES = {lang: Site.of(lang, names={}) for lang in (*LANGS, "pl", "pt", "ru")}
STAYS = "1<sup>st</sup> XX<sup>e</sup> n<sup>o</sup> Ca<sup>2+</sup> <sup>14</sup>C H<sub>2</sub>O"


def text(wikitext, lang="en"):
    return parse(wikitext, SITES[lang]).text


@pytest.mark.parametrize(
    ("lang", "wikitext", "expected"),
    [
        ("en", "3.2{{e|-7}} and 2{{e|5}}", "3.2×10^-7 and 2×10^5"),
        ("en", "{{10^|9}} {{x10^|3}}", "10^9 ×10^3"),
        ("en", "{{gaps|6.022|140|76|e=23|u=mol}}", "6.02214076×10^23 mol"),
        ("en", "{{val|5|to|7|u=m}} {{val|1.2|0.3|0.4|u=s}}", "5 to 7 m 1.2 +0.3 −0.4 s"),
        ("en", "{{val|9.8|u=m/s2}} {{val|3|ul=%}} {{val|e=4|u=K}}", "9.8 m/s² 3% 10^4 K"),
        ("en", "{{val|1.5|(3)|e=-6|u=kg}}", "1.5(3)×10^-6 kg"),
        ("en", "10<sup>6</sup> 7·10<sup>−8</sup> 2<sup>''n''</sup> x<sup>2</sup>", "10^6 7·10^−8 2^n x²"),
        ("en", "[[metre|m]]<sup>3</sup> s<sup>−1</sup> 3{{sup|4}}", "m³ s^−1 3^4"),
        ("en", STAYS, "1st XXe no Ca2+ 14C H2O"),
        ("en", "5<sup>1</sup>/<sub>2</sub> <sup>3</sup>⁄<sub>4</sub> 7{{frac|1|8}}", "5 1/2 3/4 7 1/8"),
        ("en", "{{convert|20|C|F}} {{convert|68|F}} {{convert|4|sqmi|km2}}", "20 °C 68 °F 4 sq mi"),
        ("en", "{{convert|9|km2}} {{convert|5|m3}} a {{convert|6|ft|adj=on}} wall", "9 km² 5 m³ a 6-ft wall"),
        ("en", "{{convert|3|x|4|m|ft}} {{convert|2+1/2|mi|km}}", "3 × 4 m 2 1/2 mi"),
        ("en", "{{circa|1900|1950}} {{fl.|1200}}", "c. 1900 – c. 1950 fl. 1200"),
        ("en", "{{death date and age|1998|5|14|1915|12|12}}", "May 14, 1998 (aged 82)"),
        ("en", "aged {{age|1915|12|12|1998|5|14}}", "aged 82"),
        ("en", "{{harvtxt|Smith|Lee|2010}} {{harv|Roe|1999}}", "Smith & Lee (2010) (Roe 1999)"),
        ("en", "{{bibleverse|Genesis|1:2}}", "Genesis 1:2"),
        ("en", "{{citation needed span|it is flat|date=May}} {{clarify span|so}}", "it is flat so"),
        (
            "en",
            "{{ruby|東京|とうきょう}} {{nihongo|Fuji|富士|Huzi||peak}}",
            "東京(とうきょう) Fuji (富士, Huzi) peak",
        ),
        ("en", "{{zh|t=漢語|s=汉语|p=Hànyǔ}}", "漢語; 汉语; Hànyǔ"),
        (
            "en",
            "{{HMS|Hood|51|6}} {{SS|Great Britain}} {{USS|Nimitz|CVN-68|2}}",
            "HMS Hood SS Great Britain Nimitz",
        ),
        ("en", "{{ship|French ship|Orient|1791|3}} {{USS|Ward|DD-139|5}}", "Orient (1791) USS DD-139"),
        ("en", "{{sclass|Kirov|cruiser}} {{sclass|Kirov|cruiser|1}}", "Kirov-class cruiser Kirov class"),
        ("en", "A{{eqm}}B {{Pop density|1000|200|km2}} {{ISBN|12}}", "A⇌B 5.0/km² ISBN 12"),
        ("en", "{{hlist|a|b}} {{music|flat}} {{US$|5 million}} {{'s}}", "a, b ♭ US$5 million 's"),
        ("de", '{{"|Das ist gut}} {{"|Text=Hi|lang=en}} {{Bibel|Mt|5|3}}', "„Das ist gut“ „Hi“ Mt 5,3"),
        ("de", "{{Zahl|1234}} {{Maß|3|m}} {{Datum|3|10|1990}} {{Japan}}", "1234 3 m 3. Oktober 1990 Japan"),
        (
            "es",
            "{{fecha|17|10|1973}} {{unidad|5|km|2}} {{siglo|XIX}}",
            "17 de octubre de 1973 5 km² siglo XIX",
        ),
        (
            "es",
            "{{fecha|1973|10|17}} {{siglo|V|a}} {{convertir|5|km}}",
            "17 de octubre de 1973 siglo V a. C. 5 km",
        ),
        ("fr", "{{unité|3|à=5|km}} {{unité|2,5|e=6|m|3}} {{unité|12|°C}}", "3 à 5 km 2,5×10^6 m³ 12 °C"),
        (
            "fr",
            "{{heure|20|30}} {{heure|8}} {{durée|1|30}} {{heure|1|2|3}}",
            "20 h 30 8 h 1 h 30 min 1 h 2 min 3 s",
        ),
        ("fr", "{{s|XIX|e}} {{s-|XX}} {{s2|XI|e|XII|e}}", "XIXe siècle XXe siècle XIe et XIIe siècles"),
        ("fr", "{{-s|V|e}} {{-s-|I|er}} {{s-|I}}", "Ve siècle av. J.-C. Ier siècle av. J.-C. Ier siècle"),
        ("fr", "{{s2-|XI|XII}} {{sp-|V|e|au|VI|e}}", "XIe et XIIe siècles Ve au VIe siècle"),
        ("fr", "{{-s2|II|e|I|er}} {{s mini|X|e}}", "IIe et Ier siècles av. J.-C. Xe"),
        ("fr", "{{lien|langue=en|trad=House|Maison}}", "Maison"),
        ("fr", "{{date-|12|mars}} {{date||5|1968}} {{âge|12|12|1915|14|5|1998}}", "12 mars mai 1968 82"),
        (
            "fr",
            "{{unité|2|x|3|m}} {{unité|15|à|20|km/h}} {{unité|4|-|5|km|2}}",
            "2 × 3 m 15 à 20 km/h 4–5 km²",
        ),
        ("it", "{{M|5|-|7|m}} {{M|3|u=m}}", "5–7 m 3 m"),
        ("es", "{{fecha|5|5}} {{fecha|5|1968}} {{edad|1|2|1900|1|1|1950}}", "5 de mayo mayo de 1968 49"),
        ("de", "{{Datum|3|10}} {{Datum|10|1990}} {{Alter|1900|1|2|1950|1|1}}", "3. Oktober Oktober 1990 49"),
        ("vi", "{{ngày sinh|5|1968}} {{ngày sinh|2|5}}", "tháng 5 năm 1968 2 tháng 5"),
        ("pt", "{{fmtn|1234}} {{dtlink|5|5|1900}} {{século|XIX}}", "1234 5 de maio de 1900 século XIX"),
        ("ru", "{{нп5|A|B|en|C}} {{s|5 км}} {{дата|5|5|1900}} {{num|7|м}}", "B 5 км 5 мая 1900 7 м"),
        ("pl", "{{nw|5 km}} {{j|en}} {{cytat|a}}", "5 km\na"),
        (
            "de",
            "{{Höhe|1234|DE-NHN}} {{Höhe|500|CH|link=true}} {{Höhe|77}}",
            "1234 m ü. NHN 500 m ü. M. 77 m",
        ),
        (
            "en",
            "{{convert|5|e6km2}} {{cvt|3|e3acre}} {{convert|2|e5m3}}",
            "5 million km² 3×10^3 acre 2×10^5 m³",
        ),
        ("ja", "{{convert|5|e6km2|abbr=on}}", "5×10^6 km²"),
        ("en", "<span>10</span><sup>6</sup> <b>x</b><sup>2</sup>", "10^6 x^2"),
        ("en", "{{ordinal|21}} {{ordinal|112}} {{ordinal|1,003}}", "21st 112th 1,003rd"),
        ("en", "{{bibleverse|1|John|3}} {{bibleverse||John|3:16|KJV}}", "1 John John 3:16"),
        (
            "fr",
            "{{sp|XI|e|au|XII|e|s}} {{XVIe siècle}} {{2e}} {{Ier}}",
            "XIe au XIIe siècles XVIe siècle 2e Ier",
        ),
        (
            "fr",
            "{{date-|1|janvier|2000}} {{date|4|3|1871}} {{abréviation|km|x}}",
            "1 janvier 2000 4 mars 1871 km",
        ),
        ("fr", "10{{exp|6}} 3 {{x10|5}} {{av JC}} {{n°|5}}", "10^6 3 ×10^5 av. J.-C. no 5"),
        ("fr", "{{citation|oui}} {{lang|la|res}} {{référence nécessaire|ceci}}", "« oui » res ceci"),
        ("it", "{{M|12|u=km}} {{M|1,5|e=6|ul=m}} {{M|3|kg}}", "12 km 1,5×10^6 m 3 kg"),
        (
            "ja",
            "{{読み仮名|富士|ふじ}} {{ruby|山|やま}} {{仮リンク|題|en|T|label=名}}",
            "富士(ふじ) 山(やま) 名",
        ),
        ("ko", "{{llang|en|word}} {{한자|漢}} {{임시링크|이름|en|N}}", "word 漢 이름"),
        ("nl", "{{citaat|goed}} {{formatnum:12}}", "goed\n12"),
        ("vi", "{{đổi|5|km|mi}} {{nowrap|a b}}", "5 km a b"),
        ("zh", "{{link-en|标题|Title}} {{tsl|en|Title|标题|文}} {{le|甲|A|乙}}", "标题 文 乙"),
    ],
)
def test_what_a_reader_sees(lang, wikitext, expected):
    assert text(wikitext, lang) == expected


@given(st.integers(-400, 400), st.integers(0, 10**12), st.sampled_from(LANGS))
def test_no_power_is_glued_to_its_base(exponent, digits, lang):
    assert text(f"a {digits}<sup>{exponent}</sup> b", lang) == f"a {digits}^{exponent} b"


@given(st.lists(st.sampled_from(["a", "b1", "c d", "e. f"]), min_size=1, max_size=30))
def test_nowrap_shows_its_argument_at_any_depth(parts):
    nested = "".join("{{nowrap|" + part for part in parts) + "}}" * len(parts)
    assert text(nested) == "".join(parts)


def test_dropped_templates_are_counted_by_name_where_they_leave_a_gap():
    wikitext = (
        "{{Infobox|a={{inner|1}}}}\nThe {{odd unit|5|km}} of {{Odd_unit|6}} and {{nowrap|{{other|7}} m}}.\n"
        "{{Navigation}}\n\nKnown {{citation needed}} and {{lang|fr|mot}}."
    )
    tally = Tally()
    assert list(page_rows([RawPage(1, 0, "A", None, wikitext)], site=SITES["en"], tally=tally))
    counts = {name.removeprefix("count."): n for name, n in tally.rows() if "template" in name}
    assert counts == {"dropped_template.en.odd unit": 2, "dropped_template.en.other": 1}
    entry = {"rows": 1, "drops": {}, "counts": {**counts, "links": 0}, "files": []}
    (table,) = build_report({"tables": {"pages": entry}, "sources": [], "versions": {}})["tables"].values()
    assert table["dropped_templates"] == {"en": {"odd unit": 2, "other": 1}}
    assert table["counts"] == {"links": 0}
    (line,) = lines_of_templates(counts)
    assert "3 uses in en" in line
    assert "odd unit 2, other 1" in line


def test_the_manifest_keeps_the_most_frequent_names():
    counts = {f"dropped_template.en.t{n:03}": n + 1 for n in range(150)} | {"links": 7}
    kept = most_frequent_names(counts)
    assert kept.pop("links") == 7
    assert kept.pop("dropped_template.en") == sum(range(1, 51))
    assert sorted(kept) == [f"dropped_template.en.t{n:03}" for n in range(50, 150)]
