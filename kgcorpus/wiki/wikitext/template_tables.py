"""Templates that contain text, as data: names in lower case, separated by bars, and their renderer.

`nothing` is for templates known to carry no text of the sentence, which no report needs to name.
"""

from kgcorpus.wiki.wikitext import dates, quantities
from kgcorpus.wiki.wikitext import rendering as to
from kgcorpus.wiki.wikitext.arguments import Renderer


def table_of(*groups: tuple[str, Renderer]) -> dict[str, Renderer]:
    """Name -> renderer."""
    return {name: renderer for names, renderer in groups for name in names.split("|")}


EVERYWHERE = table_of(
    # Marks, references, pronunciations and layout.
    (
        "citation needed|cn|fact|clarify|who|when|which|where|by whom|according to whom|dubious|vague",
        to.nothing,
    ),
    (
        "page needed|verify source|better source|better source needed|failed verification|update after",
        to.nothing,
    ),
    (
        "specify|original research inline|full citation needed|dead link|webarchive",
        to.nothing,
    ),
    (
        "sfn|sfnp|sfnm|efn|efn-ua|efn-lr|refn|r|rp|ref|#tag|ref label|note|note label",
        to.nothing,
    ),
    (
        "cite|cite web|cite book|cite journal|cite news|cite encyclopedia|cite av media|citation|cite dvd",
        to.nothing,
    ),
    (
        "ipa|ipac-en|ipa-en|ipa-all|ipac-de|respell|pronunciation|pron-en|pron|audio|listen|h:title",
        to.nothing,
    ),
    (
        "clear|-|clr|anchor|visible anchor|coord|coor|shy|wbr|zwj|zwnj|nbh|abbr nl|toclimit|main|see also",
        to.nothing,
    ),
    ("inflation-fn|inflation-year|ref-en|doi|pmid|pmc|jstor|arxiv|bibcode|lccn", to.nothing),
    (
        "reflist|notelist|commons|commonscat|commons category|portal|stub|authority control|refbegin|refend",
        to.nothing,
    ),
    (
        "subscription or libraries|subscription required|registration required|flagdeco|flagicon image",
        to.nothing,
    ),
    (
        "ribbon devices|color sample|map caption|weasel inline|div col|div col end|clearboth",
        to.nothing,
    ),
    ("ipa2|ipablink|ipaslink|audio-ipa|hatnote|about|otheruses|further|seealso|see|clear right", to.nothing),
    (
        "normdaten|wikibooks|wikiquote|wiktionary|wikivoyage|wikiatlas|notetag|cref|cref2|col-begin",
        to.nothing,
    ),
    (
        "nowrap begin|nowrap end|col-break|col-end|multicol|multicol-break|multicol-end",
        to.nothing,
    ),
    # Wrapped prose.
    (
        "nowrap|nobr|nowr|nobreak|no break|no wrap|j|nobold|noitalic|normal|em|strong|strike|b|i|s",
        to.first,
    ),
    (
        "smallcaps|sc|smallcaps2|aut|small caps|big|small|smaller|large|larger|resize|midsize|huge|allcaps",
        to.first,
    ),
    ("nowraplinks|center|centre|left|right|longitem|key|smallsup|oq|strong|format price|blend", to.first),
    ("lower|raise|fontsize|font size|wikt-lang", to.last),
    ("lit|literal translation|literally", to.literally),
    ("url", to.web_address),
    ("ietf rfc", to.before("RFC ")),
    ("var|mvar|math|bigmath|overline|underline|u|code|mono|tt|kbd|samp|key press|keypress|nowiki", to.first),
    ("nastaliq|abbr|tooltip|hover title|sic|not a typo|as written|notatypo|proper name|chem name", to.first),
    (
        "flag|flagcountry|flagu|flagland|flag country|flag+link|noflag|angle bracket|italic|title style",
        to.first,
    ),
    (
        "clarify span|citation needed span|cns|citation needed (lead)|disputed span|weasel inline span",
        to.first,
    ),
    (
        "em dash list|highlight|background color|strikethrough|del|ins|ul|cslist|pslist|okspace|longitem",
        to.first,
    ),
    ("in lang|annotated link|section link|slink|vanchor|anchorname|visible|lc|uc|lcfirst|ucfirst", to.first),
    (
        "quote|quotation|cquote|bquote|blockquote|rquote|quote box|verse translation|centered pull quote",
        to.paragraph,
    ),
    ("poemquote|poem quote|verse|pull quote|blockquotation|talkquote", to.paragraph),
    ('\'"|"\'|"', to.quoted("“", "”")),
    ("bibleverse|bibleref2|bibleref|bibleverse-lb|quran-usc|cite quran|qref", to.verse),
    ("hlist|flatlist|comma separated entries", to.listed("")),
    ("enum", to.listed("and")),
    ("ubl|unbulleted list|vunblist|plainlist|ublist|bulleted list|blist|ordered list", to.items),
    ("isbn", to.before("ISBN ")),
    ("issn", to.before("ISSN ")),
    ("oclc", to.before("OCLC ")),
    ("harvtxt|harvcoltxt", to.author_year("(", ")")),
    ("harvnb|harvp", to.author_year()),
    ("harv|harvcol", to.author_year(whole=True)),
    # Languages.
    ("lang|langue|llang|script|rtl-lang|bdo|script/arabic|script/hebrew|langnf", to.language_tag),
    ("langx|lang-x", to.with_original),
    ("lang-zh|zh|zh-full|chinese", to.chinese),
    ("korean|lang-ko|ko-hhrm", to.korean),
    ("transl|transliteration|translit|xlit|linktext|pipe|angbr|unicode|polytonic|script/greek", to.last),
    ("color|font color|fontcolor|colored link|colour|angbr ipa|script/hieroglyphs|native name", to.last),
    (
        "script/cuneiform|cuneiform|script/coptic|script/ethiopic|script/armenian|runic|script/nastaliq",
        to.last,
    ),
    (
        "gr|grc|hebrew|hebrew font|arabic|ar|asiantitle|armenian|aramaic|gothic|sanskrit|iast|iso 15919",
        to.last,
    ),
    ("nihongo|nihongo2|nihongo3|nihongo krt|nihongo foot|nihongo core", to.nihongo),
    ("ruby|ruby-ja|furigana|ruby-zh|ruby-zh-p", to.reading),
    ("ill|ill2|ill-wd|interlanguage link|interlanguage link multi|link-interwiki|ill-wd2", to.missing_link),
    # Numbers.
    ("convert|cvt|conv|converted|convert/flip|convinfobox", quantities.convert),
    ("val", quantities.value),
    ("gaps|gapnum", quantities.gaps),
    ("ordinal", quantities.ordinal),
    ("e|esp", quantities.power_of_ten),
    ("10^|10ˣ", quantities.ten_to),
    ("x10^", quantities.power_of_ten),
    ("sup|superscript", quantities.superscript),
    ("sub|subscript", quantities.subscript),
    ("su|subsup", quantities.both_scripts),
    ("formatnum|num|nts|nombre|ntsh|number|numero|ordinal to word|number table sorting|decimals", to.first),
    ("frac|fraction|sfrac|fract|vulgar fraction", quantities.fraction),
    ("chem|chem2|ce|chemical formula", to.chemical),
    ("simplenuclide|nuclide|physics particle", to.joined("")),
    ("rnd|round|order of magnitude", to.first),
    # Dates.
    ("circa|c.|ca.|ca|circa2", to.circa),
    ("floruit|fl.|fl", to.before("fl. ")),
    ("reign|r.", to.reign),
    ("b.|born-in", to.before("b. ")),
    ("d.|died-in", to.before("d. ")),
    ("as of|asof", dates.as_of),
    ("birth date|birth date and age|birth-date|birth-date and age|bda|dob|birth year and age", dates.date),
    (
        "death date|death-date|start date|start date and age|end date|film date|dts|dtsh|date table sorting",
        dates.date,
    ),
    ("death date and age|death-date and age|dda", dates.date_and_age),
    ("age|age in years|age in years nts|ageindays", dates.age),
    ("formatdate|date|dateformat", to.joined(" ")),
    # Ships.
    ("ship", to.ship),
    ("sclass|sclass-|sclass2|sclass2-|sclass3", to.ship_class),
    (
        "hms|uss|hmas|hmcs|hmnzs|rms|ss|ms|mv|sms|css|usns|uscgc|ins|hnlms|hdms|hnoms|hswms|hmt|hmhs",
        to.ship_of,
    ),
    (
        "usat|usav|usrc|ussr|hmsas|pns|ara|arc|arm|bap|brp|bns|roks|jds|js|gts|mts|rv|rrs|mt|my|sv|tss|ps|ts",
        to.ship_of,
    ),
    # Characters.
    (
        "snd|spnd|spaced ndash|spaced en dash|en dash space|dash|snds|spndsp|spaced endash|ndsp",
        to.constant(" – "),
    ),
    ("ndash|en dash|endash|nsndns|nsndn", to.constant("–")),
    ("mdash|mdashb|em dash|emdash|spaced mdash|smd|spaced em dash", to.constant("—")),
    (
        "spaces|space|nbsp|sp|thinsp|thin space|hair space|0|figure space|pad|hsp|nnbsp|quad|indent",
        to.constant(" "),
    ),
    ("·|•|bullet|dot|middot|dotsep|*|\\|·w|•w", to.constant(" · ")),
    ("!", to.constant("|")),
    ("!!", to.constant("||")),
    ("!-", to.constant("|-")),
    ("!+", to.constant("|+")),
    ("(!", to.constant("{|")),
    ("!)", to.constant("|}")),
    ("((", to.constant("&#123;&#123;")),
    ("))", to.constant("&#125;&#125;")),
    ("(", to.constant("&#123;")),
    (")", to.constant("&#125;")),
    ("(-|lbrace|lbracket", to.constant("&#91;")),
    (")-|rbracket", to.constant("&#93;")),
    ("=|equals", to.constant("=")),
    ("'|apostrophe|`", to.constant("&#39;")),
    ("''", to.constant("&#39;&#39;")),
    ("'s", to.constant("&#39;s")),
    ("\"'|\" '", to.constant("&quot;&#39;")),
    ("'\"|' \"", to.constant("&#39;&quot;")),
    ("okina|‘okina", to.constant("ʻ")),
    ("hamza|ʾ", to.constant("ʾ")),
    ("ayin|ʿ", to.constant("ʿ")),
    ("pi", to.constant("π")),
    ("co2", to.constant("CO2")),
    ("h2o", to.constant("H2O")),
    ("infin", to.constant("∞")),
    ("degree|deg|degrees", to.filled("{1}°{2}")),
    ("minus", to.constant("−")),
    ("times|x", to.constant("×")),
    ("tmath|prime|′", to.filled("{1}′")),
    ("sqrt|radic", to.filled("√{1}")),
    ("abs", to.filled("|{1}|")),
    ("plusmn|±", to.before("±")),
    ("eqm", to.constant("⇌")),
    ("pop density|population density", quantities.density),
    ("height", quantities.height),
    ("railgauge|track gauge", to.first),
    ("us patent", to.before("U.S. Patent ")),
    ("ec number", to.before("EC ")),
    ("lbb|lbc", to.lifeboat),
    ("music", to.music),
    ("sharp|music sharp", to.constant("♯")),
    ("flat|music flat", to.constant("♭")),
    ("natural", to.constant("♮")),
    ("us$|usd|us dollar", to.money("US$")),
    ("a$|aud|au$", to.money("A$")),
    ("c$|cad|ca$", to.money("C$")),
    ("nz$|nzd", to.money("NZ$")),
    ("s$|sgd", to.money("S$")),
    ("hk$|hkd", to.money("HK$")),
    ("nt$|twd", to.money("NT$")),
    ("£|gbp|pound sterling|£sd", to.money("£")),
    ("€|eur|euro", to.money("€")),
    ("¥|jpy|yen|jpy link", to.money("¥")),
    ("cny|rmb|cn¥", to.money("CN¥")),
    ("inr|indian rupee|₹|inrconvert|rupee", to.money("₹")),
    ("krw|won|₩", to.money("₩")),
    ("chf", to.money("CHF ")),
    ("currency", to.filled("{1} {2}")),
)
