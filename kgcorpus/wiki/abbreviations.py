"""Abbreviations whose full stop does not end a sentence, by language; lower case, without the stop."""

# Before a name, a number or the rest of an expression: a sentence does not end here.
ABBREVIATIONS: dict[str, frozenset[str]] = {
    lang: frozenset(words.split())
    for lang, words in {
        "en": """mr mrs ms dr prof sr jr st mt ft rev hon gen col maj capt cpt lt sgt cmdr adm gov sen rep pres
            supt fr br vs etc e.g i.e eg ie cf ca c viz al approx est dept univ inst assn bros no nos vol vols pp p
            ed eds fig figs sec ch op r b d fl jan feb mar apr jun jul aug sep sept oct nov dec ph.d m.d b.a m.a
            b.sc m.sc lit trans rec ave blvd rd messrs mme mlle art arts nr resp lat heb gk ger""",
        "de": """dr prof hr fr st bzw ca d.h z.b u.a o.ä u.ä usw etc vgl evtl ggf inkl exkl bspw sog geb gest verh
            hl hll nr nrn bd bde hrsg hg aufl s abb abs art jh jhd jhs v.chr n.chr chr mio mrd min max st std str tel
            tsd u v z b d h i a o m.a dipl ing mag jun sen lat engl frz griech ital span dt österr ehem eigtl allg
            insb insbes bes einschl entspr vorm nachm jan feb mrz apr jun jul aug sep sept okt nov dez sankt kgl""",
        "fr": """m mm mme mlle dr pr prof st ste mgr me cf ex env etc p pp vol vols t n no nos fig éd ed av apr
            j.-c av.j.-c ch chap art hab boul bd janv févr avr juil sept oct nov déc s.a ie c.-à-d p.ex trad dir coll
            litt lat angl all gén col cap lt cdt""",
        "es": """sr sra srta sres dr dra d da dña prof profa lic ing arq gral cnel cap tte mons fr sto sta s ss p pp
            pág págs vol vols núm núms nº cap caps art arts ed eds etc ej p.ej aprox av avda c a.c d.c ee.uu uu ee
            tel dpto admón cía hnos fig figs ca cf lat ene feb mar abr may jun jul ago sep sept oct nov dic""",
        "it": """sig sigg sig.ra sig.na dott dott.ssa prof prof.ssa ing avv arch geom rag on sen s ss san mons don
            fra p pp pag pagg vol voll n nn num cap capp art artt ed edd fig figg etc ecc es ad.es cfr ca c a.c d.c
            tel v vv lat gen col cap ten magg genn febbr apr giu lug ago sett ott nov dic""",
        "nl": """dhr mevr mw dr drs ir ing prof mr ds st sr jr bijv bv d.w.z dwz enz etc e.d o.a m.b.t i.v.m t.o.v
            t.a.v n.a.v z.g zgn ca circa nr nrs blz p pp vgl resp incl excl max min mln mld v.chr n.chr chr ong red
            afb hfdst art lid jan feb mrt apr jun jul aug sep sept okt nov dec gen kol kapt lt oorspr lat eng""",
        "vi": "tp ts ths pgs gs bs ks tt tx p q nxb v.v tr st cn sn dr mr mrs ms no vol vs".strip(),
        "ja": "mr mrs ms dr prof st jr sr no vol vs co ltd inc p pp etc",
        "ko": "mr mrs ms dr prof st jr sr no vol vs co ltd inc p pp etc",
        "zh": "mr mrs ms dr prof st jr sr no vol vs co ltd inc p pp etc",
    }.items()
}

# Words with a capital that open a sentence but seldom continue a name: after `U.S.` they decide.
OPENERS = frozenset(
    """The This These Those It He She They We There In On At As By For From After Before During When While
    Although However Since His Her Its Their Der Die Das Es Er Sie Im In Am Le La Les Il Elle El Los Las
    Lo Gli I De Het Hij Zij""".split()
)
