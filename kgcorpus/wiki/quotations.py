"""Sentences that continue after a quotation ending in `.`, `?` or `!`, in scripts without case.

With case, a small letter shows it: `"Why?" said he.` Elsewhere a particle or a verb of speech does, behind
the few words of a clause that ends in its verb.
"""

import re

CLOSING_QUOTES = frozenset("\"'”’»›」』｣")

_ARABIC = (
    "قال قالت قالوا يقول تقول سأل سألت سأله سألته سألها أجاب أجابت أجابه رد ردت ردّ صاح صاحت صرخ صرخت هتف هتفت"
    " همس همست أضاف أضافت تساءل تساءلت كتب كتبت أعلن أعلنت صرح صرحت صرّح تابع تابعت علق علّق نادى"
)
_HEBREW = (
    "אמר אמרה אמרו שאל שאלה שאלו ענה ענתה ענו השיב השיבה"
    " צעק צעקה קרא קראה לחש לחשה הוסיף הוסיפה כתב כתבה הכריז"
)
_CHINESE_VERB = "(?:[说說问問答喊叫嚷道]|回答|反问|反問|解释|解釋|补充|補充)[道着著]?"
# Excludes `不知道` (does not know), `没人回答` (nobody answered) and `据说` (it is said).
_CHINESE_SUBJECT = r"[^\W\d_不没沒未無无知据據听聽]{0,6}?"
_KOREAN_VERB = "(?:말했|말하|물었|묻|물어|되물|대답|답했|답하|외쳤|외치|소리쳤|소리치|속삭|중얼|덧붙|반문)"
_RUNNING_ON = {
    "ar": rf"\s++(?:{'|'.join(_ARABIC.split())})(?!\w)",
    "fa": r"\s++(?:\w++\s++){0,2}?(?:گفت|گفتند|پرسید|پرسیدند|پاسخ داد|جواب داد|فریاد زد)(?!\w)",
    "he": rf"\s++(?:{'|'.join(_HEBREW.split())})(?!\w)",
    "hi": r"\s++(?:\S++\s++){0,2}?(?:कहा|पूछा|बोला|बोली|बोले|चिल्लाया)(?![\w\u0900-\u0963])",
    "ja": r"\s*+(?:と|って)",
    "ko": (
        r"\s++(?:(?:이?라(?:고|며|면서|는|던|도)|하고|하며|하면서|하는|란|고|며)(?!\w)"
        rf"|\w*[이가은는서]\s++(?:\w++\s++)?{_KOREAN_VERB})"
    ),
    "zh": rf"{_CHINESE_SUBJECT}{_CHINESE_VERB}(?=[，,。：:！!])",
}
_PATTERNS = {lang: re.compile(pattern) for lang, pattern in _RUNNING_ON.items()}


def runs_on(text: str, end: int, language: str) -> bool:
    """Whether the sentence runs on behind a quotation.

    Args:
        end: position behind the closing quotation mark.
        language: base code.
    """
    pattern = _PATTERNS.get(language)
    return pattern is not None and pattern.match(text, end) is not None
