"""Detection of disambiguation pages by their templates."""

import re

from kgcorpus.wiki.site import Site

# English names are understood by most wikis.
_ENGLISH = (
    "disambiguation|disambig|disamb|dab|dmbox|disambiguation page|human name disambiguation"
    "|hndis|hndisambig|place name disambiguation|geodis|geo-dis|geodab|number disambiguation"
    "|numberdis|letter-number combination disambiguation"
    "|letter–number combination disambiguation|letternumbercombdisambig|letter disambiguation"
    "|mathematical disambiguation|mathematics disambiguation|mathdab|math disambiguation"
    "|school disambiguation|schooldis|hospital disambiguation|hospitaldis|road disambiguation"
    "|roaddis|call sign disambiguation|callsigndis|airport disambiguation|airport dab"
    "|military unit disambiguation|mil-unit-dis|species latin name disambiguation"
    "|species latin name abbreviation disambiguation|latindab|latin name disambiguation"
    "|taxonomic authority disambiguation|taxonomy disambiguation|genus disambiguation"
    "|biology disambiguation|plant common name|chinese title disambiguation"
    "|phonetics disambiguation|portal disambiguation|station disambiguation"
    "|political party disambiguation|church disambiguation|synagogue disambiguation"
    "|music disambiguation|opus disambiguation|caselaw disambiguation|case law disambiguation"
)
_BY_LANGUAGE = {
    "de": "begriffsklärung|bkl",
    "es": "desambiguación|desambiguacion|desambig|desamb|des|disambig|desambiguación apellido",
    "fr": (
        r"homonymie|homonyme|homonymes|homonymie de\b[^{}|]*|internationalisation|paronymie"
        "|arrondissements homonymes|personnes homonymes|titres homonymes|toponymie|villes homonymes"
        "|bâtiments homonymes|prénoms homonymes|patronymie|unités homonymes"
        "|édifices religieux homonymes|sportifs homonymes|saints homonymes"
    ),
    "it": "disambigua|disambig|omonimia|sigla2|sigla3",
    "ja": (
        "aimai|曖昧さ回避|[^{}|]*の曖昧さ回避|[^{}|]*曖昧さ回避|同名の[^{}|]*|人名|地名|山の曖昧さ回避|学校名の曖昧さ回避"
    ),
    "ko": "동음이의|동음이의어|동명이인|[^{}|]* 동음이의",
    "nl": "dp|doorverwijspagina|dpintro|dp2|dpc|dp-3letter",
    "vi": "định hướng|trang định hướng|đổi hướng nghĩa|định hướng tên|định hướng địa danh",
    "zh": (
        "消歧义|消歧義|消歧义页|消歧義頁|消含糊|消含糊頁|消除歧义|消除歧義|[^{}|]*消歧义|[^{}|]*消歧義|人名消歧义|地名消歧义"
    ),
}


# The name ends before it is compared, so that no name is tried at every one of its characters.
_TEMPLATE_NAME = re.compile(r"\{\{([^{}|]*+)(?=\||\}\})")


def _pattern(names: str) -> re.Pattern[str]:
    return re.compile(names, re.IGNORECASE)


_PATTERNS = {lang: _pattern(f"{_ENGLISH}|{names}") for lang, names in _BY_LANGUAGE.items()}
_DEFAULT = _pattern(_ENGLISH)


def is_disambiguation(wikitext: str, site: Site) -> bool:
    """Whether the page says that it lists the meanings of a name."""
    if "__DISAMBIG__" in wikitext:
        return True
    pattern = _PATTERNS.get(site.lang, _DEFAULT)
    names = {name.strip() for name in _TEMPLATE_NAME.findall(wikitext.replace("_", " "))}
    return any(map(pattern.fullmatch, names))
