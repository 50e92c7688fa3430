"""Rules for the titles of a wiki: namespaces and case from `<siteinfo>`, the rest from its language."""

import html
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from kgcorpus.contracts.languages import language_key
from kgcorpus.contracts.variants import FORMER_CODES

# MediaWiki understands these in every language, beside the local names that the dump states.
CANONICAL_NAMESPACES: Mapping[str, int] = {
    "media": -2,
    "special": -1,
    "talk": 1,
    "user": 2,
    "user talk": 3,
    "project": 4,
    "project talk": 5,
    "file": 6,
    "image": 6,
    "file talk": 7,
    "image talk": 7,
    "mediawiki": 8,
    "mediawiki talk": 9,
    "template": 10,
    "template talk": 11,
    "help": 12,
    "help talk": 13,
    "category": 14,
    "category talk": 15,
}

# Former local names that pages still use; `<siteinfo>` of a dump lists no aliases.
_FORMER_NAMES: Mapping[str, Mapping[str, int]] = {
    "de": {"bild": 6},
    "es": {"imagen": 6},
    "fr": {"fichier": 6},
    "it": {"immagine": 6},
    "ja": {"画像": 6, "ファイル": 6},
    "ko": {"그림": 6, "파일": 6},
    "nl": {"afbeelding": 6, "bestand": 6},
    "vi": {"hình": 6, "tập tin": 6, "thể loại": 14},
    "zh": {
        "图像": 6,
        "圖像": 6,
        "文件": 6,
        "檔案": 6,
        "档案": 6,
        "图片": 6,
        "圖片": 6,
        "分类": 14,
        "分類": 14,
    },
}

# MediaWiki's words for a redirect in its languages; every wiki also understands the first. A dump with
# `<redirect>` elements does not need them.
_REDIRECT_WORDS = (
    "REDIRECT|REDIRECTION|WEITERLEITUNG|DOORVERWIJZING|RINVIA|RINVIO|RIMANDO|REDIRECCIÓN|REDIRECCION"
    "|転送|リダイレクト|넘겨주기|重定向|重新導向|đổi"
    "|ПЕРЕНАПРАВЛЕНИЕ|ПЕРЕНАПР|ПЕРЕНАПРАВЛЕННЯ|ПЕРАНАКІРАВАННЕ|ПЕРАНАКІРАВАНЬНЕ|ПРЕНАСОЧВАНЕ|ВИЖ"
    "|ПРЕНАСОЧУВАЊЕ|ВИДИ|ПРЕУСМЕРИ|ПРЕУСМЈЕРИ|АЙДАУ|ЮНӘЛТҮ"
    "|PŘESMĚRUJ|PRESMERUJ|PATRZ|PRZEKIERUJ|TAM|ÁTIRÁNYÍTÁS|OHJAUS|UUDELLEENOHJAUS|OMDIRIGERING|OMDIRIGER"
    "|YÖNLEND[İIı]RME|YÖNLEND[İIı]R|[İI]ST[İI]QAMƏTLƏND[İI]RMƏ|YO[ʻ'‘]NALTIRISH"
    "|REDIRECIONAMENTO|REDIRECIONAR|REDIRECTEAZA|REDIRECȚIONEAZĂ|REDIRECCIÓ|BIRZUZENDU|ALIDIREKTU|ALIH|LENCONG"
    "|SUUNA|PERADRESAVIMAS|PREUSMERI|PREUSMJERI|PREUSMERITEV|RIDREJTO|TILVÍSUN|ATHSHEOLADH|ADKAS"
    "|AIL-CYFEIRIO|AILGYFEIRIO|AANSTUUR|WIEDERLEIDEN|VIRALEEDUNG"
    "|ΑΝΑΚΑΤΕΥΘΥΝΣΗ|ՎԵՐԱՀՂՈՒՄ|გადამისამართება|הפניה|ווייטערפירן"
    "|تحويل|تغییر_مسیر|تغییرمسیر|بور|رجوع_مکرر|تحویل"
    "|अनुप्रेषित|पुनर्प्रेषित|पुनर्निर्देशन|পুনর্নির্দেশ|পুননির্দেশ|পুনঃনির্দেশনা|വഴിമാറ്റുക|തിരിച്ചുവിടുക"
    "|തിരിച്ചുവിടൽ|வழிமாற்று|దారిమార్పు|ಪುನರ್ನಿರ್ದೇಶನ|เปลี่ยนทาง|ប្ដូរទីតាំងទៅ"
)
_TARGET = r"\[\[([^\[\]|]+)"
# "Some older redirects included a colon"; no white space may follow the sharp sign.
_REDIRECT = re.compile(rf"\s*[#＃](?:{_REDIRECT_WORDS})\s*:?\s*{_TARGET}", re.IGNORECASE)
_REDIRECT_BY_ANY_WORD = re.compile(rf"\s*[#＃][^\[]*+{_TARGET}")


def _without_entities(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a number of thousands of digits, which is no character's
        return text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Codes of the Wikipedias: a link `[[de:Titel]]` goes to another wiki.
LANGUAGE_CODES = _words(
    """aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az azb ba ban
    bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca
    cbk-zam cdo ce ceb ch chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv dz ee el
    eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd gl glk gn gom
    gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif hr hsb ht hu hy hyw ia iba id ie ig igl ik ilo inh
    io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge ki kk kl km kn knc ko koi krc ks ksh ku kus kv kw
    ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lt ltg lv lzh mad mai map-bms mdf mg mhr mi min mk ml mn
    mni mnw mos mr mrj ms mt mwl my myv mzn na nah nan nap nds nds-nl ne new nia nl nn no nov nqo nr nrm nso
    nv ny oc olo om or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro
    roa-rup roa-tara rsk ru rue rup rw sa sah sat sc scn sco sd se sg sgs sh shi shn si simple sk skr sl sm
    smn sn so sq sr srn ss st stq su sv sw syl szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn to tpi
    tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh xmf yi yo yue za
    zea zgh zh zh-classical zh-min-nan zh-yue zu"""
)
_DBNAME = re.compile(r"([a-z_]+?)wik(?:i|tionary|ibooks|inews|iquote|isource|iversity|ivoyage)")
# Prefixes of MediaWiki's interwiki map: no title of a wiki may begin with one.
_PROJECTS = _words(
    """wikipedia w wiktionary wikt wikinews n wikibooks b wikiquote q wikisource s oldwikisource wikispecies
    species wikiversity v wikivoyage voy commons c wikidata d meta m metawikipedia mediawikiwiki mw
    wikimedia foundation wmf f phabricator phab bugzilla mail doi imdbtitle imdbname rfc arxiv google
    wikifunctions incubator outreach strategy wikimania wikitech toollabs toolforge translatewiki betawiki
    testwiki gerrit otrs ticket hdl oeis orcid"""
)

_BIDI = re.compile("[\u200e\u200f\u202a-\u202e]")
_PERCENT = re.compile("%[0-9A-Fa-f]{2}")
# A title on which normalising changes no more than the first letter: most are.
_PLAIN = r"[^\s_&%#:<>\[\]{}|\u200e\u200f\u202a-\u202e\ufffd]"
_SIMPLE = re.compile(rf"[^\W_]{_PLAIN}*+(?>(?: {_PLAIN}++)*)")
_SIMPLE_LINES = re.compile(rf"^[^\W_]{_PLAIN}*+(?>(?: {_PLAIN}++)*)$", re.MULTILINE)
_NOT_IN_TITLES = re.compile(r"[<>\[\]{}|\ufffd]|&(?:\w+|#\w+);|^\.{1,2}(?:$|/)|^\s*$")


def language_of_dbname(dbname: str) -> str | None:
    """Return the language code in a database name such as `dewiki`; None if it names no language's wiki."""
    found = _DBNAME.fullmatch(dbname)
    code = found[1].replace("_", "-") if found else ""
    return code if code in LANGUAGE_CODES else None


def base_of_dbname(dbname: str) -> str:
    """Return the URL of a page of the wiki with this database name; "" if it names no language's wiki."""
    code = language_of_dbname(dbname)
    if code is None:
        return ""
    project = dbname[len(code) :]
    return f"https://{code}.{'wikipedia' if project == 'wiki' else project}.org/wiki/Main_Page"


def is_same_language(code: str, other: str) -> bool:
    """Whether two codes name one language: `pt-BR` and `pt-br`, `zh-yue` and its present code `yue`."""
    first, second = (FORMER_CODES.get(key, key) for key in map(language_key, (code, other)))
    return first == second


@dataclass(frozen=True)
class Site:
    """One wiki.

    Attributes:
        lang: language code, as configured.
        dbname: e.g. `enwiki`.
        first_letter: the first letter of a title has no case.
        namespaces: casefolded name or alias -> number; the main namespace has none.
        templates: what the user says of templates (`wikitext.templates.read_templates`).
        base: URL of its main page, or "".
        variant: of `wikitext.variants.variants_of(lang)`; empty for the language's own code.
    """

    lang: str
    dbname: str
    first_letter: bool
    namespaces: Mapping[str, int]
    templates: tuple[tuple[str, str], ...] = ()
    base: str = ""
    variant: str = ""

    @classmethod
    def of(
        cls,
        lang: str,
        dbname: str = "",
        *,
        first_letter: bool = True,
        names: Mapping[str, int],
        base: str = "",
    ) -> Self:
        """The site with these local namespace names, joined with those that every wiki understands.

        Without `base`, the domain follows from a `dbname` of Wikimedia's.
        """
        local = {" ".join(name.replace("_", " ").split()).casefold(): n for name, n in names.items() if n}
        namespaces = {**CANONICAL_NAMESPACES, **_FORMER_NAMES.get(lang, {}), **local}
        return cls(
            lang, dbname or f"{lang}wiki", first_letter, namespaces, base=base or base_of_dbname(dbname)
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "lang": self.lang,
            "dbname": self.dbname,
            "first_letter": self.first_letter,
            "namespaces": dict(self.namespaces),
            "templates": [list(pair) for pair in self.templates],
            "base": self.base,
            "variant": self.variant,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**{**saved, "templates": tuple(map(tuple, saved["templates"]))})

    def normalise_title(self, raw: str) -> str:
        """The title that a link or a redirect names, in the form of the dump's `<title>`; may be empty.

        Decodes entities and %XX, cuts `#section` and the leading colon, takes `_` for a space, and gives
        the first letter its Unicode TITLE case (`ǆ` -> `ǅ`; `ß` stays, as it has no single such letter).
        """
        title = raw
        if "&" in title:
            title = _without_entities(title)
        if "%" in title and _PERCENT.search(title):
            title = unquote(title, errors="replace")
        title = title.partition("#")[0]
        if not title.isascii():
            title = _BIDI.sub("", title)
        title = " ".join(title.replace("_", " ").split())
        return self._cased(title.lstrip(": ") if title.startswith(":") else title)

    def _cased(self, title: str) -> str:
        first = title[:1].title()
        return first + title[1:] if self.first_letter and len(first) == 1 else title

    def namespace_of(self, title: str) -> int:
        """The namespace's number; 0 without a known name before a colon."""
        name, colon, _ = title.partition(":")
        if not colon:
            return 0
        return self.namespaces.get(" ".join(name.replace("_", " ").split()).casefold(), 0)

    def is_language_link(self, title: str) -> bool:
        """Whether the title names a page of another language's Wikipedia, as in `de:Titel`."""
        name, colon, _ = title.partition(":")
        return bool(colon) and name.strip().lower() in LANGUAGE_CODES

    def is_interwiki(self, title: str) -> bool:
        """Whether the title names a page of another wiki, as in `de:Titel` or `wikt:word`."""
        name, colon, _ = title.partition(":")
        return bool(colon) and (name.strip().lower() in LANGUAGE_CODES or name.strip().lower() in _PROJECTS)

    def article(self, raw: str) -> str | None:
        """The normalised title if `raw` can name a page of the main namespace of this wiki, else None."""
        if raw[:1].isupper() and raw.isascii() and raw.replace(" ", "").isalnum() and "  " not in f"{raw} ":
            return raw
        if _SIMPLE.fullmatch(raw):
            return raw if "A" <= raw[0] <= "Z" else self._cased(raw)
        title = self.normalise_title(raw)
        if _NOT_IN_TITLES.search(title):
            return None
        if ":" in title and (self.namespace_of(title) or self.is_interwiki(title)):
            return None
        return title

    def articles(self, raws: Set[str]) -> dict[str, str | None]:
        """The result of `article` for each of `raws`, which have no line ends; faster than one call each."""
        found: dict[str, str | None] = {
            raw: raw if raw < "[" else self._cased(raw)  # begins with a digit or a capital of ASCII
            for raw in _SIMPLE_LINES.findall("\n".join(raws))
        }
        if len(found) < len(raws):
            found.update([(raw, self.article(raw)) for raw in raws if raw not in found])
        return found

    def redirect_target(self, wikitext: str, *, known: bool = False) -> str | None:
        """Normalised target of a redirect page, None for any other page.

        A redirect to a section keeps it, as in `Title#Section`: that is not the entity of `Title`.

        Args:
            known: the page is known for a redirect, so its word need not be one of those listed here.
        """
        found = (_REDIRECT_BY_ANY_WORD if known else _REDIRECT).match(wikitext)
        if found is None:
            return None
        title = self.normalise_title(found[1])
        section = " ".join(_without_entities(found[1]).partition("#")[2].replace("_", " ").split())
        return f"{title}#{section}" if title and section else title or None
