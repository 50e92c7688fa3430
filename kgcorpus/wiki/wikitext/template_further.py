"""Templates that carry text in wikis of further languages, counted on samples of their dumps."""

from functools import partial

from kgcorpus.wiki.wikitext import dates, quantities
from kgcorpus.wiki.wikitext import rendering as to
from kgcorpus.wiki.wikitext.arguments import Renderer

FURTHER: dict[str, tuple[tuple[str, Renderer], ...]] = {
    "bn": (
        ("রূপান্তর", quantities.convert),
        ("আইএসবিএন", to.before("আইএসবিএন ")),
        ("আনুমানিক", to.before("আনু. ")),
        ("উক্তি", to.paragraph),
        ("smallsup", to.first),
        ("ওয়েব আর্কাইভ|অকার্যকর সংযোগ|বই উদ্ধৃতি|ওয়েব উদ্ধৃতি|উদ্ধৃতি|মূল নিবন্ধ|মূল|আরও দেখুন", to.nothing),
        ("আধ্বব|তথ্যসূত্র প্রয়োজন|সত্যতা|সূত্র তালিকা|অডিও|কার দ্বারা|স্পষ্ট করা প্রয়োজন", to.nothing),
    ),
    "el": (
        ("απόσπασμα|παράθεμα", to.paragraph),
        ("μονάδα", quantities.measure),
        (
            "πηγή|παραπομπή|εκκρεμεί παραπομπή|πηγές|δφα|προφορά|ασαφές|κύριο|κύριο λήμμα|βικιλεξικό",
            to.nothing,
        ),
        ("en|fr|de|it|es|βικιθήκη2|ουδετερότητα|αα|μετάφραση", to.nothing),
    ),
    "hy": (
        ("քաղվածք|ն", to.paragraph),
        ("անգլ", to.before("անգլ.՝ ")),
        ("հատված", to.paragraph),
        ("հիմնական|հիմնական հոդված|ծանցանկ|փաստ|ած|աճ|արտաքին հղումներ|չաշխատող արտաքին հղում", to.nothing),
        ("մհա|արտասանություն|դրոշավորում|բնակ|նվազում|չշփոթել|մասին", to.nothing),
    ),
    # Portuguese, Russian and Polish: by the documentation of the templates, without counts.
    "pl": (
        ("j|język", to.nothing),
        ("cytat|cytat d", to.paragraph),
        ("nw|nowrap|liczba|formatnum", to.first),
        ("fakt|kto|kiedy|gdzie|jaki|przypis|r|odn|refn|ipa|osobny artykuł|main", to.nothing),
    ),
    "pt": (
        ("fmtn|fmtnum|número", to.first),
        ("converter|conversor", quantities.convert),
        ("século|séc|séculos", to.before("século ")),
        ("dtlink|dni|data|morte|nascimento|data de nascimento", partial(dates.day_first, "pt")),
        ("ac|a.c.", to.filled("{1} a.C.")),
        ("dc|d.c.", to.filled("{1} d.C.")),
        ("citação|quotação|quote", to.paragraph),
        ("carece de fontes|carece fontes|quando|quem|onde|afi|ipa|áudio|principal|ver também", to.nothing),
    ),
    "ru": (
        (
            "нп|нп1|нп2|нп3|нп4|нп5|не переведено|не переведено 2|не переведено 3|не переведено 5|iw",
            to.translated,
        ),
        ("s|nobr|число|аббр|abbr|подсказка|comment|флагификация", to.first),
        ("num", to.joined(" ")),
        ("цитата|начало цитаты|врезка цитаты", to.paragraph),
        ("дата|дата рождения|дата смерти", partial(dates.day_first, "ru")),
        (
            "нет аи|уточнить|где|кто?|когда?|какой?|какие?|почему?|мфа|ipa|sfn|sfn0|ref+|флаг|ref-ru",
            to.nothing,
        ),
    ),
    "uk": (
        ("нп|не перекладено|iw", to.translated),
        ("рік у театрі|рік у кіно|рік у літературі|рік у музиці", to.first),
        ("к.", to.constant("Київ")),
        ("м.", to.constant("Москва")),
        ("градус цельсія", to.constant("°C")),
        ("цитата|початок цитати", to.paragraph),
        ("key|comment", to.first),
        ("дн|дн2|дс|дата народження|дата смерті", partial(dates.day_first, "uk")),
        ("джерело|недоступне посилання|ref+|коли|коли?|яка?|немає в джерелі|фес|еу|сх|ref-uk", to.nothing),
    ),
}
