"""Rendering of templates of dates, times, ages and centuries as text."""

import re
from collections.abc import Mapping

from kgcorpus.wiki.wikitext.arguments import Arguments, Renderer

_MONTH = re.compile(r"0?[1-9]|1[0-2]", re.ASCII)
_YEAR, _DAY = re.compile(r"-?\d{1,5}", re.ASCII), re.compile(r"\d{1,2}(?:er|[.ºo])?", re.ASCII)
_LAST_DAY = 31
_ROMAN = re.compile(r"[IVXLCDM]+")
_BEFORE_CHRIST, _AFTER_CHRIST = " av. J.-C.", " apr. J.-C."
_FULL_YEAR = re.compile(r"-?\d{3,5}", re.ASCII)
_FEW_DIGITS = re.compile(r"\d{1,4}", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_NAMES = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}
MONTHS: Mapping[str, list[str]] = {
    **{lang: names.split() for lang, names in _NAMES.items()},
    "vi": [f"tháng {n}" for n in range(1, 13)],
}
# Day, month and year of each language.
_FORMS = {"de": "{}. {} {}", "es": "{} de {} de {}", "pt": "{} de {} de {}", "vi": "{} {} năm {}"}
# Day and month; month and year.
_FORMS_OF_TWO = {
    "de": ("{}. {}", "{} {}"),
    "es": ("{} de {}", "{} de {}"),
    "pt": ("{} de {}", "{} de {}"),
    "vi": ("{} {}", "{} năm {}"),
}


def day_first(lang: str, given: Arguments) -> str:
    """`{{fecha|17|10|1973}}` -> `17 de octubre de 1973`; words behind the date are left out."""
    parts = [part for part in given.positional if part]
    if parts and (iso := _ISO.fullmatch(parts[0])):
        parts = [iso[3], iso[2], iso[1]]
    elif len(parts) > 2 and _YEAR.fullmatch(parts[0]) and len(parts[0]) > 2:
        parts[:3] = parts[2::-1]
    return written(lang, *parts[:3])


def written(lang: str, *parts: str) -> str:
    """Day, month and year, or day and month, month and year, or one of them, with the month's name."""
    shown = list(parts)
    has_day = len(shown) == 3 or (len(shown) == 2 and not _FULL_YEAR.fullmatch(shown[1]))
    month = 1 if has_day else 0
    if len(shown) > 1 and _MONTH.fullmatch(shown[month]):
        shown[month] = MONTHS.get(lang, MONTHS["en"])[int(shown[month]) - 1]
    if has_day and _DAY.fullmatch(shown[0]):
        shown[0] = shown[0].lstrip("0")
    if len(shown) == 3 and lang in _FORMS:
        return _FORMS[lang].format(shown[0].rstrip("."), *shown[1:])
    if len(shown) == 2 and lang in _FORMS:
        day_and_month, month_and_year = _FORMS_OF_TWO[lang]
        return (day_and_month if has_day else month_and_year).format(shown[0].rstrip("."), shown[1])
    return " ".join(shown)


def date(given: Arguments) -> str:
    """`{{birth date|1950|3|5|df=y}}` -> `5 March 1950`; without `df`, `March 5, 1950`."""
    return _english(given.positional[:3], day_first="df" in given.named)


def date_and_age(given: Arguments) -> str:
    """`{{death date and age|1998|5|14|1915|12|12}}` -> `May 14, 1998 (aged 82)`."""
    years = _years(given.positional[3:6], given.positional[:3])
    return date(given) + (f" (aged {years})" if years else "")


def age(given: Arguments) -> str:
    """`{{age|1915|12|12|1998|5|14}}`, `{{âge|12|12|1915|14|5|1998}}` -> `82`.

    Without a second date it depends on the reader's day, and nothing is shown.
    """
    return _years(given.positional[:3], given.positional[3:6])


def age_at_death(form: str) -> Renderer:
    """`{{没年齢|1935|1|8|1977|8|16}}` -> `42歳没`."""

    def render(given: Arguments) -> str:
        years = _years(given.positional[:3], given.positional[3:6])
        return form.format(years) if years else ""

    return render


def as_of_vi(given: Arguments) -> str:
    """`{{tính đến|2019|10|21|lc=y}}` -> `tính đến 21 tháng 10 năm 2019`; the month may be English."""
    word = "tính đến" if "lc" in given.named else "Tính đến"
    year, month, day = (*given.positional, "", "", "")[:3]
    if month in MONTHS["en"]:
        month = str(MONTHS["en"].index(month) + 1)
    parts = [day] if day else []
    parts += [f"tháng {int(month)}"] if _MONTH.fullmatch(month) else []
    parts += [f"năm {year}" if parts else year] if year else []
    return " ".join([word, *parts])


def _years(birth: list[str], end: list[str]) -> str:
    """Whole years between two dates, each with its year first or last."""
    dates = [tuple(map(int, given)) for given in (birth, end) if all(map(_FEW_DIGITS.fullmatch, given))]
    dates = [given[::-1] if given and given[0] <= _LAST_DAY < given[-1] else given for given in dates]
    if len(dates) < 2 or not all(len(given) == 3 for given in dates):
        return ""
    first, last = dates
    return str(last[0] - first[0] - (last[1:] < first[1:]))


def as_of(given: Arguments) -> str:
    """`{{as of|2010|5|lc=y}}` -> `as of May 2010`."""
    if "alt" in given.named:
        return given.named["alt"]
    word = "since" if "since" in given.named else "as of"
    word = word if "lc" in given.named else word.capitalize()
    shown = _english(given.positional[:3], day_first=given.named.get("df", "").lower() != "us")
    return f"{word} {shown}{given.named.get('post', '')}"


def _english(parts: list[str], *, day_first: bool) -> str:
    year, month, day = (*parts, "", "", "")[:3]
    if _MONTH.fullmatch(month):
        month = MONTHS["en"][int(month) - 1]
    day = day.lstrip("0")
    if day and not day_first:
        return f"{month} {day}, {year}"
    return " ".join(part for part in (day, month, year) if part)


def time_of_day(given: Arguments) -> str:
    """`{{heure|20|30}}` -> `20 h 30`, `{{heure|1|2|3}}` -> `1 h 2 min 3 s`."""
    parts = given.positional
    if len(parts) < 3:
        return " h ".join(part for part in parts if part) if len(parts) > 1 and parts[1] else f"{given[1]} h"
    return " ".join(f"{n} {name}" for n, name in zip(parts, ("h", "min", "s"), strict=False) if n)


def duration(given: Arguments) -> str:
    """`{{durée|1|30}}` -> `1 h 30 min`; hours, minutes and seconds."""
    names = ("h", "min", "s")
    return " ".join(f"{n} {name}" for n, name in zip(given.positional, names, strict=False) if n)


def centuries(between: str, *, noun: str = "siècle", several: str = "siècles", era: str = "") -> Renderer:
    """`{{s2|XIX|e|XX|e}}` -> `XIXe et XXe siècles`, `{{-s|V|e}}` -> `Ve siècle av. J.-C.`.

    Args:
        between: the text between two numbers without a word of their own.
        noun: the word behind one number; an argument `s` puts it in the plural.
        several: the word behind several numbers.
        era: the text behind all numbers without an era of their own.
    """

    def render(given: Arguments) -> str:
        numbers: list[str] = []
        word, shown_era = between, era
        shown_noun = ""
        for part in filter(None, given.positional):
            if part.lower().startswith(("av", "ap")):
                shown_era = _BEFORE_CHRIST if part.lower().startswith("av") else _AFTER_CHRIST
            elif part in ("au", "à", "et", "ou", "-", "–"):
                word = part if part in "-–" else f" {part} "
            elif part == "s":
                shown_noun = f"{noun}s"
            elif part in ("e", "er", "ème", "re"):
                numbers[-1:] = [numbers[-1] + part] if numbers else []
            else:
                numbers.append(part)
        ordinals = [
            number + ("er" if number == "I" else "e") if _ROMAN.fullmatch(number) else number
            for number in numbers
        ]
        shown_noun = shown_noun or (several if len(numbers) > 1 else noun)
        return f"{word.join(ordinals)}{' ' + shown_noun if shown_noun else ''}{shown_era}"

    return render
