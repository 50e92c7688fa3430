"""Expansion of templates that contain text of their sentence; all others are removed.

A user adds to them by a file (`read_templates`); the built-in ones are data in `template_tables` and
`template_languages`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, decoded, headers, read_lines
from kgcorpus.inputs.headers import is_header
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import quantities
from kgcorpus.wiki.wikitext import rendering as to
from kgcorpus.wiki.wikitext.arguments import Renderer, arguments
from kgcorpus.wiki.wikitext.dates import MONTHS
from kgcorpus.wiki.wikitext.template_languages import BY_LANGUAGE
from kgcorpus.wiki.wikitext.template_tables import EVERYWHERE

# `{{lang-fr|texte}}`; in German `{{frS|texte}}`.
_NAMED_FOR_LANGUAGE = re.compile(r"lang-[a-z\-]+2?|(?:cs|da|el|en|es|fr|grc|hu|it|ja|la|nl|pl|pt|ru|sv|tr)s")
_PRONUNCIATION = re.compile(r"(?:ipac?|pron|ref)-[a-z\-]+|cite [a-z ]+")
# `{{XIXe siècle}}`, `{{2e}}`, `{{1er mai}}`: French templates whose name is their text.
_ORDINAL = re.compile(
    r"-?[ivxlcdm]+er?(?: siècle)?(?: av\. j\.-c\.)?|\d{1,4}(?:er?|re|ème|nde?)"
    rf"|-\d{{1,4}}|1er (?:{'|'.join(MONTHS['fr'])})"
)
_FUNCTION = re.compile(r"\s*+(formatnum|lc|uc|lcfirst|ucfirst)\s*+:(.*)", re.DOTALL | re.IGNORECASE)
# Words of MediaWiki that set something and show nothing.
_MAGIC_WORDS = ("defaultsort:", "displaytitle:")
_SUBSTITUTED = ("safesubst:", "subst:", "msg:")
_NAMESPACE = 10
_CASES: Mapping[str, Callable[[str], str]] = {
    **{"lc": str.lower, "uc": str.upper},
    "lcfirst": lambda text: text[:1].lower() + text[1:],
    "ucfirst": lambda text: text[:1].upper() + text[1:],
}
_PLURAL = re.compile(r"plural:(.*)")
_FLAG_OF_YEAR = re.compile(r"[a-z]{3}-[12]\d{3}")
_FRACTION = re.compile(r"\d{1,3}[/⁄]\d{1,3}")


def renderers(lang: str, added: Sequence[tuple[str, str]] = ()) -> dict[str, Renderer]:
    """Lower-case template name -> renderer, for one language.

    Args:
        added: of `read_templates`.
    """
    known = {**EVERYWHERE, **BY_LANGUAGE.get(lang, {})}
    for name, text in added:
        known[name] = known[text[1:]] if text.startswith("=") else to.filled(text)
    return known


def read_templates(path: str, lang: str, *, limits: Limits = DEFAULT_LIMITS) -> tuple[tuple[str, str], ...]:
    """A user's templates, which win over the built-in ones: lines `name TAB text`, `#` for a comment.

    The text holds arguments as `{1}` or `{name}`; `=convert` renders as the template `convert` does, and an
    empty text removes the template.

    Raises:
        InputError: a line is not UTF-8, is a header, has no tab, or names an unknown template after `=`;
            or as `read_lines`.
    """
    known = set(renderers(lang))
    added = []
    for number, raw in read_lines(path, limits=limits):
        where = f"{path}, line {number}"
        try:
            line = decoded(raw)
        except BadRecord as bad:
            raise InputError(bad.reason, where=where, hint="Save the file as UTF-8") from None
        name, tab, text = line.partition("\t")
        key = name.strip().replace("_", " ").lower()
        if not key or key.startswith("#"):
            continue
        if is_header((name, text), (headers.TEMPLATE, headers.TEXT)):
            raise InputError("this is a header line", where=where, hint="Delete it, or begin it with #")
        if not tab or (text.startswith("=") and text[1:] not in known):
            raise InputError(
                f"is no template: {line[:80]!r}",
                where=where,
                hint="Write `name`, a tab, and a text with {1} or {name}, or = and a template's name",
            )
        known.add(key)
        added.append((key, text))
    return tuple(added)


def renderer(site: Site) -> Callable[[str, str], str | None]:
    """Return what renders one template of a site: (name, arguments) -> text, or None if none is known.

    The name is as written, up to the first bar; the arguments begin with a bar, or are empty.
    """
    prefixes = tuple(sorted(f"{name}:" for name, number in site.namespaces.items() if number == _NAMESPACE))
    return _renderer(site.lang, site.templates, prefixes)


def _family(key: str, lang: str) -> Renderer | None:
    """What renders a template of a family that has too many names to list."""
    if _PRONUNCIATION.fullmatch(key):
        return to.nothing
    if _NAMED_FOR_LANGUAGE.fullmatch(key):
        return to.first
    if _FRACTION.fullmatch(key):
        return quantities.fraction_of_name
    if lang == "fr" and _ORDINAL.fullmatch(key):
        return to.ordinal
    if lang == "ja" and key.endswith("範囲"):
        return to.first  # a mark of doubt that wraps prose: `要出典範囲`
    return None


def _without_year(key: str) -> str:
    """`{{DEU-1949}}`: the code of a country, and the year of its flag."""
    return key[:3] if _FLAG_OF_YEAR.fullmatch(key) else ""


@cache
def _renderer(
    lang: str, added: tuple[tuple[str, str], ...], prefixes: tuple[str, ...]
) -> Callable[[str, str], str | None]:
    known = renderers(lang, added)

    @lru_cache(maxsize=10_000)
    def of(name: str) -> tuple[str, Renderer | None]:
        key = " ".join(name.replace("_", " ").split()).lower()
        for prefix in _SUBSTITUTED if ":" in key else ():
            key = key.removeprefix(prefix).lstrip()
        for prefix in prefixes if ":" in key else ():
            key = key.removeprefix(prefix).lstrip()
        return key, known.get(key) or _family(key, lang) or known.get(_without_year(key))

    def render(name: str, raw: str) -> str | None:
        key, found = of(name)
        if found is to.nothing:
            return ""
        if found is not None:
            return found(arguments(key, raw))
        if key.startswith(_MAGIC_WORDS):
            return ""
        if plural := _PLURAL.fullmatch(key):
            forms = arguments(key, raw)
            return forms[1] if plural[1].strip() == "1" or not forms[2] else forms[2]
        if ":" in key and (function := _FUNCTION.fullmatch(name)):
            return _CASES.get(function[1].lower(), str)(function[2].strip())
        return None

    return render
