"""Rendering of templates as text: the functions that the tables of templates name."""

import re

from kgcorpus.wiki.wikitext.arguments import Arguments, Renderer
from kgcorpus.wiki.wikitext.characters import HOLE

_PLACE = re.compile(r"\{([^{}]+)\}")
_CODE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]+)*")


def first(given: Arguments) -> str:
    """`{{nowrap|text}}`."""
    return given.of("1", "text", "texte", "content", "code")


def second(given: Arguments) -> str:
    """`{{lang|fr|texte}}`."""
    return given.of("2", "text", "texte")


def last(given: Arguments) -> str:
    """`{{transl|ar|ISO|text}}`."""
    return given.positional[-1] if given.positional else ""


def nothing(_: Arguments) -> str:
    """`{{citation needed}}`: marks, references and pronunciations."""
    return ""


def ordinal(given: Arguments) -> str:
    """`{{XIXe siècle}}`, `{{2e}}`, `{{-Ier siècle}}`: the template's name is its text."""
    number, space, noun = given.template.partition(" ")
    suffix = "er" if number.endswith("er") else number[-1]
    shown = (
        number.lstrip("-")
        if number[-1].isdigit() or number[0].isdigit()
        else number.removesuffix(suffix).lstrip("-").upper() + suffix
    )
    era = " av. J.-C." if number.startswith("-") else ""
    return shown + space + noun.replace("av. j.-c.", "av. J.-C.") + era


def constant(text: str) -> Renderer:
    """`{{snd}}`."""
    return lambda _: text


def filled(text: str) -> Renderer:
    """`{1} of {year}`: a text with the arguments in their places; parentheses with none go."""
    return lambda given: _PLACE.sub(lambda place: given.of(place[1]) or HOLE, text)


def before(text: str, then: str = "") -> Renderer:
    """`{{circa|1900}}`, `{{s|XIX|e}}`: a fixed text before the arguments, or after them."""
    return lambda given: f"{text}{given[1]}{given[2] if then else ''}{then}"


def circa(given: Arguments) -> str:
    """`{{circa|1900|1950}}` -> `c. 1900 – c. 1950`."""
    return " – ".join(f"c. {part}" for part in given.positional if part) or "c."


def money(sign: str) -> Renderer:
    """`{{US$|5|million}}` -> `US$5 million`; a link or a year behind the amount shows nothing."""
    return lambda given: f"{sign}{given[1]}"


def joined(by: str) -> Renderer:
    """`{{chem|H|2|O}}`."""
    return lambda given: by.join(part for part in given.positional if part)


def reign(given: Arguments) -> str:
    """`{{reign|1936|1937}}` -> `r. 1936–1937`."""
    years = "–".join(part for part in given.positional if part)
    return f"r. {years}" if years else ""


def listed(last_one: str) -> Renderer:
    """`{{hlist|a|b|c}}` -> `a, b, c`; with a word, `a, b and c`."""

    def render(given: Arguments) -> str:
        parts = [part for part in given.positional if part]
        if not last_one or len(parts) < 2:
            return ", ".join(parts)
        return f"{', '.join(parts[:-1])} {last_one} {parts[-1]}"

    return render


def items(given: Arguments) -> str:
    """`{{ubl|a|b}}`: a list item each."""
    return "".join(f"\n* {part}" for part in given.positional if part) + "\n"


def chemical(given: Arguments) -> str:
    """`{{chem|SO|4|2-}}` -> `SO42-`."""
    return "".join(given.positional)


def paragraph(given: Arguments) -> str:
    """`{{quote|text}}`, a paragraph of its own."""
    text = given.of("text", "quote", "texte", "testo", "1", "contenu")
    return f"\n\n{text}\n\n" if text else ""


def quoted(left: str, right: str, *keys: str) -> Renderer:
    """`{{"|Text}}` -> `„Text“`."""

    def render(given: Arguments) -> str:
        text = given.of(*keys) if keys else last(given)
        return f"{left}{text}{right}" if text else ""

    return render


def nihongo(given: Arguments) -> str:
    """`{{nihongo|Mount Fuji|富士山|Fujisan}}` -> `Mount Fuji (富士山, Fujisan)`."""
    original = ", ".join(part for part in (given[2], given[3], given[4]) if part)
    after = f" {given[5]}" if given[5] else ""
    if not given[1]:
        return original + after
    return (f"{given[1]} ({original})" if original else given[1]) + after


def korean(given: Arguments) -> str:
    """`{{Korean|hangul=한국|hanja=韓國|rr=Hanguk}}` -> `한국; 韓國; Hanguk`."""
    return "; ".join(
        part for part in (given.of("hangul", "1"), given.of("hanja", "2"), given.of("rr", "3")) if part
    )


def chinese(given: Arguments) -> str:
    """`{{zh|t=漢語|s=汉语|p=Hànyǔ}}` -> `漢語; 汉语; Hànyǔ`."""
    keys = ("c", "t", "s", "p", "w", "j", "l")
    shown = [given.named.get(key, "") for key in keys] or given.positional
    return "; ".join(dict.fromkeys(part for part in (*shown, *given.positional) if part and part != "labels"))


def language_tag(given: Arguments) -> str:
    """`{{lang|fr|texte}}`, `{{lang|texte}}`, `{{langue|la|texte=...}}`."""
    if text := given.of("2", "text", "texte", "testo", "3"):
        return text
    return "" if _CODE.fullmatch(given[1]) else given[1]


def with_original(given: Arguments) -> str:
    """`{{langx|fr|texte|lit=text}}`: the foreign text."""
    return given.of("2", "1") if given[2] else given[1] if not _CODE.fullmatch(given[1]) else ""


def translated(given: Arguments) -> str:
    """`{{нп|Сьомий лист|Сьомому листі|en|Seventh Letter}}`: the text, else the title here."""
    return given.of("text", "2", "1")


def missing_link(given: Arguments) -> str:
    """`{{ill|Name|de|Name|lt=text}}`: a link to an article that may be missing; only its text stays."""
    return given.of("lt", "texte", "label", "display", "fr", "d", "text", "testo", "1", "trad")


def linked_other(given: Arguments) -> str:
    """`{{tsl|en|Title|标题}}`, `{{仮リンク|題|en|Title|label=名}}`: the text, else the local title."""
    return given.of("label", "4", "3", "2", "1")


def ship(given: Arguments) -> str:
    """`{{ship|USS|Enterprise|CV-6|6}}` -> `USS Enterprise`: prefix, name, hull number and what is shown."""
    return _ship(*(given[n] for n in range(1, 5)))


def ship_of(given: Arguments) -> str:
    """`{{USS|Enterprise|CV-6}}` -> `USS Enterprise (CV-6)`: as `ship`, the prefix in the template's name."""
    return _ship(_PREFIXES.get(given.template, given.template.upper()), *(given[n] for n in range(1, 4)))


_PREFIXES = {"hnlms": "HNLMS", "hnoms": "HNoMS", "hswms": "HSwMS"}


def _ship(prefix: str, name: str, number: str, form: str) -> str:
    """Bit 4 of `form` shows the prefix, bit 2 the name, bit 1 the number; without it all are shown."""
    bits = int(form) if form in ("1", "2", "3", "5", "6") else 7
    if number and bits & 2:
        number = f"({number})"
    return (
        " ".join(part for part, bit in ((prefix, 4), (name, 2), (number, 1)) if part and bits & bit) or name
    )


def ship_class(given: Arguments) -> str:
    """`{{sclass|Nimitz|aircraft carrier}}` -> `Nimitz-class aircraft carrier`; form 1 is `Nimitz class`."""
    name, kind, form = given[1], given[2], given[3]
    shown = {"1": f"{name} class", "2": name, "3": f"{name}-class"}
    return shown.get(form) or f"{name}-class {kind}".strip()


def titled(given: Arguments) -> str:
    """`{{Mme|Curie}}` -> `Mme Curie`."""
    return f"{given.template.capitalize()} {' '.join(given.positional)}".strip()


def french_quotation(given: Arguments) -> str:
    """`{{citation|texte}}` -> `« texte »`."""
    text = given.of("1", "citation", "texte") if given.template != "citation étrangère" else last(given)
    return f"« {text} »" if text else ""


def reading(given: Arguments) -> str:
    """`{{読み仮名|漢字|かんじ}}` -> `漢字(かんじ)`."""
    return f"{given[1]}({given[2]})" if given[2] else given[1]


def verse(given: Arguments) -> str:
    """`{{bibleverse|Genesis|1:2}}`, `{{bibleverse||Genesis|1:2}}` -> `Genesis 1:2`; a version follows."""
    return " ".join([part for part in given.positional if part][:2])


def linked_local(given: Arguments) -> str:
    """`{{link-en|标题|Title|文字}}` -> `文字`, else `标题`."""
    return given.of("3", "d", "1")


def linked_foreign(given: Arguments) -> str:
    """`{{tsl|en|Title|标题|文字}}`: the text, else the title here, else the foreign one."""
    return given.of("d", "4", "3", "2")


def bible(given: Arguments) -> str:
    """`{{Bibel|Mt|5|3-10}}` -> `Mt 5,3-10`."""
    return f"{given[1]} {','.join(part for part in (given[2], given[3]) if part)}".strip()


def sovereign(given: Arguments) -> str:
    """`{{souverain|Louis XIV}}` -> `Louis XIV`; without an argument the template's name."""
    return given[1] or given.template


def century_es(given: Arguments) -> str:
    """`{{siglo|XIX}}` -> `siglo XIX`, `{{siglo|V|a}}` -> `siglo V a. C.`, `{{siglo|I||S}}` -> `Siglo I`."""
    era = {"a": " a. C.", "d": " d. C."}.get(given[2].lower()[:1], "")
    word = "Siglo" if given[3] == "S" or given.template == "Siglo" else "siglo"
    return f"{word} {given[1]}{era}"


def music(given: Arguments) -> str:
    """`{{music|flat}}` -> `♭`."""
    signs = {"flat": "♭", "sharp": "♯", "natural": "♮", "b": "♭", "#": "♯", "time": f"{given[2]}/{given[3]}"}
    return signs.get(given[1].lower(), given[1])


def lifeboat(given: Arguments) -> str:
    """`{{Lbb|Mersey}}` -> `Mersey`, `{{Lbc|D|IB1}}` -> `D (IB1)`: classes of lifeboats."""
    return f"{given[1]} ({given[2]})" if given[2] else given[1]


def author_year(left: str = "", right: str = "", *, whole: bool = False) -> Renderer:
    """`{{harvtxt|Smith|Lee|2010}}` -> `Smith & Lee (2010)`; with `whole`, `(Smith & Lee 2010)`."""

    def render(given: Arguments) -> str:
        *authors, year = [part for part in given.positional if part] or [""]
        names = " & ".join([", ".join(authors[:-1]), authors[-1]] if len(authors) > 1 else authors)
        text = f"{names} {left}{year}{right}".strip()
        return f"({text})" if whole and text else text

    return render


def country(given: Arguments) -> str:
    """`{{Argentinien}}`: a flag and the template's name, which is the country's."""
    return "-".join(word.capitalize() for word in given.template.split("-"))


def sino_vietnamese(given: Arguments) -> str:
    """`{{hn|hn=𥔦化}}`, `{{hn|ch=吳權}}`: the characters."""
    return given.of("hn", "ch", "1")


def literally(given: Arguments) -> str:
    """`{{lit|text}}` -> `lit. 'text'`."""
    return f"lit. '{given[1]}'" if given[1] else ""


def web_address(given: Arguments) -> str:
    """`{{URL|https://x.org|name}}` -> `name`, else the address without its scheme."""
    return given[2] or given[1].partition("://")[2] or given[1]
