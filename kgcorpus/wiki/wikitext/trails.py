"""The letters behind `]]` that belong to a link, as each language of MediaWiki defines them (`$linkTrail`).

Quotation marks and dashes, which some languages define too, are left out: they belong to no name.
"""

from collections.abc import Mapping

from kgcorpus.contracts.languages import nearest

_FRENCH = "a-zàâçéèêîôûäëïöüùÇÉÂÊÎÔÛÄËÏÖÜÀÈÙ"
_RUSSIAN = "a-zабвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_UKRAINIAN = "a-zабвгґдеєжзиіїйклмнопрстуфхцчшщьєюяёъы"
_BELARUSIAN = "a-zабвгґджзеёжзійклмнопрстуўфхцчшыьэюяćčłńśšŭźž"
_GREEK = "a-zα-ωςΑ-ΡΣ-ΩάέήίόύώϊϋΐΰΆΈΉΊΌΎΏΪΫ"
_ARMENIAN = "a-zա-ֆև"
_GEORGIAN = "a-zა-ჰ"
_PERSIAN = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیآأئؤة"
_DEVANAGARI = "a-z\u0900-\u0963\u0966-\ua8e0-\ua8ff"
_BENGALI = "\u0980-\u09ff"

# Letters, as in a set of a regular expression, and the languages that have them.
_LETTERS = {
    "a-zàâçéèêîôû": "oc",
    "a-zàèòÀÈÒ": "ht",
    "a-zàáèéìíòóùúâêîôûäëïöü": "fy",
    "a-zàèéíòóúç·ïü'": "ca",
    "a-zàéèíîìóòúù": "it co eml fur lij lmo mt nap pms roa-tara scn vec",
    "a-zàáâèéêìíîïòóôûŵŷ": "cy",
    "a-záâãàéêẽçíòóôõq̃úüűũ": "pt gl mwl tet",
    "a-záäčďéíľĺňóôŕšťúýž": "sk",
    "a-záčďéěíňóřšťúůýž": "cs",
    "a-záðíóúýæø": "fo",
    "a-záðéíóúýþæö\\-": "is",
    "a-záéíóöőúüűÁÉÍÓÖŐÚÜŰ": "hu",
    "a-záéíóúñ": "es an ast ay cbk-zam eu ext gn lad nah qu",
    "a-zäö": "fi",
    "a-zäöüß": "de als bar dsb gsw hsb lb nds pdc pfl stq",
    "a-zäöüïëéèà": "nl li nds-nl srn vls zea",
    "a-zäöüßåāđē": "frr",
    "a-zäöõšüž": "et fiu-vro vep vro",
    "a-zåäöéÅÄÖÉ": "sv",
    "a-zåâêîôûçéè": "wa",
    "a-zæøå": "da kl nb nn no",
    "a-ząčęėįšųūž": "lt bat-smg sgs",
    "a-zA-ZāčēģīķļņšūžĀČĒĢĪĶĻŅŠŪŽ": "lv ltg",
    "a-zăâîşţșțĂÂÎŞŢȘȚ": "ro rmy roa-rup rup",
    "a-zçəğıöşü": "az",
    "a-zçêîşûẍḧÇÊÎŞÛẌḦ": "ku",
    "a-zčćđšž": "sh sl bs",
    "a-zčćđšžß": "hr",
    "a-zčšžäöČŠŽÄÖ": "olo",
    "a-zäçňöşüýžğÄÇŇÖŞÜÝŽĞ": "tk",
    "a-zçğıöşüâîûÇĞİÖŞÜÂÎÛ": "tr gag",
    "a-zęóąśłżźćńĘÓĄŚŁŻŹĆŃ": "pl csb szl",
    "a-zıʼ’'": "kaa",
    "a-zʻʼ": "uz",
    "a-zâçğıñöşüа-яёʺʹ": "crh",
    "a-zabvgdđežzijklmnoprstćufhcčšабвгдђежзијклљмнњопрстћуфхцчџш": "sr",
    _FRENCH: "fr atj bm ff gcr kab kbp ln mg nrm pcd sg ty vi wo",
    _RUSSIAN: "ru av bxr ce inh koi krc kv mdf mhr mn mrj myv tyv xal",
    _RUSSIAN + "Ӏӏ": "lez",
    _RUSSIAN + "Ӏ1": "lbe",
    _RUSSIAN + "ғӣқўҳҷ": "tg",
    _RUSSIAN + "ҕҥөһү": "sah",
    _RUSSIAN + "әӘөӨүҮҗҖңҢһҺ": "tt",
    "a-zа-яёәғіқңөұүһäçéğıïñöşüýʺʹٴابپتجحدرزسشعفقكلمنڭەوۇۋۆىيچھ": "kk",
    "a-zа-яёӝӟӥӧӵ": "udm",
    "a-zа-яĕçăӳ": "cv",
    "a-zабвгҕдежзӡикқҟлмнопҧрстҭуфхҳцҵчҷҽҿшыҩџьә": "ab",
    "a-zабвгдежзийклмнопрстуфхцчшщъыьэюя": "bg",
    "a-zабвгдѓежзѕијклљмнњопрстќуфхцчџш": "mk",
    _UKRAINIAN: "uk rue",
    _BELARUSIAN: "be be-tarask be-x-old",
    _GREEK: "el pnt",
    _ARMENIAN: "hy hyw",
    _GEORGIAN: "ka xmf",
    "a-zא-ת": "he yi",
    "a-zء-ي": "ar arz",
    _PERSIAN: "fa azb glk lrc mzn",
    "ئابپتجچحخدرڕزژسشعغفڤقکگلڵمنوۆهھەیێ": "ckb",
    "ابپتٹثجچحخدڈذرڑزژسشصضطظعغفقکگلمنںوؤہھیئےآأءۃ": "ur",
    _DEVANAGARI: "hi mai sa",
    "\u0900-\u0963\u0971-\u097f": "mr",
    _BENGALI: "bn bpy",
    "a-z\u0a01-\u0a03\u0a05-\u0a39\u0a3c-\u0a4d\u0a59-\u0a5e\u0a70-\u0a73": "pa",
    "\u0a80-\u0aff": "gu",
    "a-z\u0b00-\u0b7f": "or",
    "\u0b80-\u0bff": "ta",
    "\u0c01-\u0c6f": "te",
    "a-z\u0d02-\u0d7f": "ml",
    "": "ja ko zh gan ii wuu yue zh-classical lzh ami",
}
_BY_LANGUAGE: Mapping[str, str] = {
    **{
        lang: f"[{letters}]"
        for letters, languages in _LETTERS.items()
        if letters
        for lang in languages.split()
    },
    **dict.fromkeys(_LETTERS[""].split(), ""),
    "br": "(?:[cC]['’][hH]|[a-zA-ZàâçéèêîôûäëïöüùñÇÉÂÊÎÔÛÄËÏÖÜÀÈÙÑ])",
}


def trail_of(lang: str) -> str:
    """Return a regular expression of one letter of a link's trail; empty if the language has no trail."""
    return nearest(_BY_LANGUAGE, lang, "[a-z]")
