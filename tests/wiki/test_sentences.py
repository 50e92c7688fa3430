import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.sentences import split_sentences

LANGUAGES = ["en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh", "pt", "ru", "ar", "xx"]


def sentences(text, lang, **options):
    return [text[start:end] for start, end in split_sentences(text, lang, **options)]


# A bar stands where a sentence ends.
CASES = [
    ("en", "J. S. Bach was born.| He died in 1750.| Pi is 3.14."),
    ("en", "See e.g. Mr. Smith, i.e. No. 5.| He said no.| Then he left?!| Yes..."),
    ("en", 'He said "Go."| Then he left.| (It rained.)| "Why?" he asked.'),
    ("en", "The U.S. Army won in the U.S.| The city grew.| Plan B.| The end."),
    ("en", "King Jr. spoke.| So did King Jr.| It rained.| On Jan. 5 it rained.| Wait… what?"),
    ("de", "Am 3. Oktober 1990.| Die Stadt Ludwigs XIV. war z. B. um 50 v. Chr. klein.| Diese Art.| Hier."),
    ("de", "Dr. Meier, Nr. 7, usw. ging.| „Ja.“| Gut."),
    ("fr", "M. Dupont et Mme Curie sont nés à St. Malo.| C’est l’art.| Il vit."),
    ("es", "El Sr. López vive en EE. UU. hoy.| ¿Qué?| ¡Hola!| Fin."),
    ("it", "Il sig. Rossi e il dott. Bianchi nel 50 a.C. erano qui.| Ecco."),
    ("nl", "Dhr. Jansen, ca. 50 jaar.| Als lid.| De heer A. de Vries."),
    ("vi", "TP. Hồ Chí Minh lớn.| Ông là PGS. Nguyễn.| Hết."),
    ("ko", "안녕하세요.| 나는 3.5 kg이다.| 끝."),
    ("ja", "彼は「行く。」と言った。|雨だ！|そう？|はい。"),
    ("zh", "他说：“好。”|我走了。|真的吗？！|是。"),
    ("fr", "« Où vas-tu ? »| Elle sourit.| « Ici ! » répondit-il.| Le M. de Tours rit.| Il fait 2 m.| Bien."),
    (
        "en",
        '" Stop ! "| He ran.| They sell it.| iPhone sales rose.| In 44 B.C. Brutus struck.| See sec. XII.',
    ),
    ("zh", "他来了。|“谁？”|没人。|《为什么？》很好。|他说：「好。走吧。」|雨停了。|她（北京人。）笑了。"),
    ("ja", "彼は「行く。すぐ行く。」と言った。|『何？』という本。|はい。"),
    ("ko", "그는 2014. 5. 3. 서울에서 났다.| 그 후 떠났다."),
    ("de", "Zum 100. Geburtstag kam er.| Er wurde 3.| Das war gut.| Er mag.| Mag. Huber kam."),
    ("fr", "Le parti (ex. Union) gagna.| Les oiseaux, p. ex. Le merle, chantent.| Fin."),
    ("nl", "Hij woont in Alphen a.d. Rijn.| Zij ook."),
    ("nl", "Dat weet ik al.| Jansen et al. Smit schrijft.| Zie J. Van Damme.| In 50 v. Chr. Rome viel."),
    ("ru", "Он родился в 1990 г. в г. Москве и т. д.| Он поэт.| В XIX в. Россия росла."),
    ("pt", "O séc. XIX foi longo.| O total, aprox. 500 reais.| Trabalha na Galp S.A.| A empresa cresceu."),
    ("ar", "قال د. أحمد ذلك.| هل جاء؟| نعم."),
]


@pytest.mark.parametrize(("lang", "marked"), CASES)
def test_borders(lang, marked):
    expected = [sentence.strip() for sentence in marked.split("|")]
    assert sentences(marked.replace("|", ""), lang) == expected


def test_newlines_end_and_spans_without_letters_go():
    assert sentences("A title\nA text. 12. 13!\n\n* - 5\n b ", "en") == ["A title", "A text.", "b"]


def test_spans_without_letters_are_counted():
    tally = Tally()
    assert len(split_sentences("It rained. 1945!\n\n* * *\n12. It snowed.", "en", tally=tally)) == 2
    assert tally.drops == {"sentence_without_letter": 2}


def test_no_border_inside_a_link():
    text = "He saw Help! The Film. Then he left."
    start = text.index("Help")
    assert len(sentences(text, "en")) == 3
    assert sentences(text, "en", protected=[(start, start + 14)]) == [
        "He saw Help! The Film.",
        "Then he left.",
    ]


SPANS = st.lists(st.integers(0, 200), unique=True, max_size=12).map(
    lambda cuts: list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
)


@given(
    st.lists(
        st.sampled_from([". ", "! ", "。", "」", '"', "\n", "A", "b", "é", "3", "𝒳", " "])
        | st.text(max_size=4)
    ),
    st.sampled_from(LANGUAGES),
    SPANS,
)
def test_spans_are_sorted_trimmed_and_lose_no_letter(parts, lang, protected):
    text = "".join(parts)
    spans = split_sentences(text, lang, protected=protected)
    covered = set()
    for start, end in spans:
        assert text[start:end] == text[start:end].strip() != ""
        covered.update(range(start, end))
    assert sum(end - start for start, end in spans) == len(covered)
    assert spans == sorted(spans)
    assert all(at in covered for at, c in enumerate(text) if c.isalpha())
    for start, end in protected:
        # A protected span may end in spaces, which are trimmed from the sentence.
        ends = [at for _, at in spans[:-1] if start < at < end]
        assert not any(text[at:end].strip() for at in ends)


@pytest.mark.parametrize("lang", ["de", "zh"])
@pytest.mark.parametrize(
    "text",
    [
        *(". " * 50_000, "." * 100_000, "a" + " " * 100_000, "." + '"' * 100_000, "。" * 100_000),
        *("v. " * 32_000, ". )" * 32_000, '. " ' * 25_000, '。"' * 50_000, "1. " * 32_000),
        *(
            "「" * 100_000,
            "「" * 50_000 + "」" * 50_000,
            "「《" * 25_000 + "」》" * 25_000,
            "「。" * 50_000,
        ),
    ],
)
def test_hostile_input_takes_no_time(text, lang):
    start = time.process_time()
    split_sentences(text, lang)
    assert time.process_time() - start < 2


GOLD = sorted((Path(__file__).resolve().parents[2] / "benchmarks" / "gold" / "sentences").glob("*.txt"))


@pytest.mark.parametrize("path", GOLD, ids=lambda path: path.stem)
def test_the_gold_of_a_language(path):
    separator = "" if path.stem in ("ja", "zh") else " "
    lines = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    right = found = 0
    for gold in lines:
        made = sentences(separator.join(gold), path.stem)
        right += len(set(made) & set(gold))
        found += len(made)
        # A sentence alone is one sentence.
        if made == gold:
            assert all(sentences(sentence, path.stem) == [sentence] for sentence in made)
    wanted = sum(map(len, lines))
    assert wanted >= 60
    assert 2 * right / (found + wanted) >= 0.95


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("ko", "“어디 가?” 그가 물었다.|나는 갔다."),
        ("ko", '"정말?" 라고 그녀가 말했다.|끝.'),
        ("ko", '"가자!" 하고 외쳤다.|"왜?"|그는 집으로 갔다.'),
        ("ar", '"هل تأتي؟" سأل الرجل.|ثم ذهب.'),
        ("ar", '"سأذهب." قالت المرأة.|"لماذا؟"|وذهب الرجل.'),
        ("he", '"למה?" שאל האיש.|הוא הלך.'),
        ("fa", "«چرا؟» او پرسید.|سپس رفت."),
        ("en", '"Why?" said he.|"Why?"|He left.'),
        ("de", "„Warum?“ fragte er.|„Warum?“|Er ging."),
        ("es", "«¿Por qué?» preguntó él.|«¡No!»|Se fue."),
    ],
)
def test_a_quotation_goes_on_with_who_said_it(lang, text):
    assert sentences(text.replace("|", " "), lang) == text.split("|")


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("zh", "“为什么？”他问道。|他走了。"),
        ("zh", "“走吧！”小明喊道，“快点！”|他们走了。"),
        ("zh", "“你好。”他说。|“再见。”|道路很长。"),
        ("zh", "他问：“为什么？”|我不知道。|“谁？”|没人回答。"),
        ("ja", "「なぜ？」って聞いた。|「本当？」|彼は帰った。"),
    ],
)
def test_a_quotation_without_spaces_goes_on_with_who_said_it(lang, text):
    assert sentences(text.replace("|", ""), lang) == text.split("|")


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("ko", "Vol. II는 없다.|Vol. IX에서 시작했다."),
        ("ko", "No. B는 없다.|끝."),
        ("ja", "Vol. IIは無い。|終わり。"),
        ("ja", "Fig. Aを見る。|終わり。"),
    ],
)
def test_a_particle_behind_a_numeral_is_not_part_of_it(lang, text):
    separator = "" if lang == "ja" else " "
    assert sentences(text.replace("|", separator), lang) == text.split("|")
