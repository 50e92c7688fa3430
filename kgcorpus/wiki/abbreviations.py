"""Abbreviations whose full stop does not end a sentence, by language; lower case, without the last stop.

Those that mostly stand before a small letter (`etc.`, `usw.`) need no entry: a small letter never begins a
sentence.
"""


def _words(*lists: str) -> frozenset[str]:
    return frozenset(word for words in lists for word in words.split())


_INTERNATIONAL = (
    "mr mrs ms dr prof st mt ft jr sr vs cf ca al co ltd inc corp bros e.g i.e ph.d m.d b.a m.a b.sc m.sc"
)

# Never the end of a sentence.
ABBREVIATIONS: dict[str, frozenset[str]] = {
    "de": _words(
        _INTERNATIONAL,
        """hr fr bzw d.h z.b u.a o.ä u.ä vgl evtl ggf inkl exkl bspw sog geb gest verh hl hll hrsg jhd
        jhs v.chr n.chr chr mio mrd str tsd u v z b d h o a dipl mag lat engl frz griech ital span
        österr ehem eigtl allg insb insbes einschl entspr vorm nachm kgl freiherr bez jh""",
    ),
    "en": _words(
        _INTERNATIONAL,
        """hon gen col maj capt cpt lt sgt cmdr adm gov sen rep pres supt fr br viz approx dept univ
        inst assn eds messrs mme mlle rev ed est cir op""",
    ),
    "es": _words(
        _INTERNATIONAL,
        """sra sres dra d dña lic arq gral cnel cap tte mons sto sta s ss ed eds p.ej aprox av avda c
        ee.uu ee uu dpto admón cía hnos ing gob""",
    ),
    "fr": _words(
        _INTERNATIONAL,
        """m mm mme mlle pr ste mgr me env av apr j.-c éd hab boul p.ex litt cdt lt gén cap ap""",
    ),
    "it": _words(
        _INTERNATIONAL,
        """sig sigg sig.ra dott dott.ssa prof.ssa avv arch geom rag mons cfr ss gen col cap ten magg
        ing ad.es c""",
    ),
    "nl": _words(
        _INTERNATIONAL,
        """dhr mevr mw drs ir ing mej ds bijv bv d.w.z dwz e.d o.a m.b.t i.v.m t.o.v t.a.v n.a.v z.g
        zgn circa vgl resp incl excl mln mld v.chr n.chr chr ong gen kol kapt lt oorspr lat eng
        o.l.v i.t.t""",
    ),
    "vi": _words(_INTERNATIONAL, "tp ts ths pgs gs bs ks tx nxb tcn scn"),
}
DEFAULT = _words(_INTERNATIONAL)

# Before a number only: `No. 5`, `Art. 3`, `12 mar. 1950`; else these are words or end one.
BEFORE_NUMBER = _words(
    "no nos nr nrn vol vols bd bde p pp pp s f ff pag pagg pág págs blz",
    "fig figs figg abb afb art arts artt § abs",
    "ch chap kap cap caps hfdst sec sect lid nº n nn núm núms num v vv t c ca op tel kl aufl ed r",
    "jan feb mar apr may jun jul aug sep sept oct nov dec mrz mär mai okt dez janv févr avr juil déc",
    "ene abr ago dic genn gen febbr mag giu lug sett ott mrt mei",
)

# With a capital they open a sentence but do not continue a name: after `U.S.` or `Jr.` they decide.
OPENERS: dict[str, frozenset[str]] = {
    "de": _words(
        "Der Die Das Er Es Sie Im In Am Bei Mit Nach Seit Diese Dieser Dieses Ein Eine Auch Als Zu Wir"
    ),
    "en": _words(
        """The This These Those It He She They We There In On At As By For From After Before During
        When While Although However Since His Her Its Their A An But"""
    ),
}
# These can also be the last word.
MAY_END = _words("jr sr co ltd inc corp bros al ph.d m.d b.a m.a b.sc m.sc")
