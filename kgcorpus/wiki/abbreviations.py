"""The abbreviations of each language, and the words that start its sentences."""

from kgcorpus.contracts.languages import nearest
from kgcorpus.wiki.abbreviation_kinds import Abbreviations

_ENGLISH_MONTHS = "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"

DEFAULT = Abbreviations(before_number=f"No Nos Vol vol vols p pp Fig fig {_ENGLISH_MONTHS}")

ABBREVIATIONS: dict[str, Abbreviations] = {
    "en": Abbreviations(
        never_last="""Messrs Mme Mlle Ft Hon Gen Brig Col Maj Capt Cpt Cpl Lt Sgt Cmdr Cdr Adm Gov Sen
        Rep Pres Supt Insp Rev Fr Br Bp Msgr viz ca approx dept Univ Inst Assn eds ed cir c.f incl excl
        esp resp""",
        before_number=f"""Apt apt No Nos no nos Vol vol Vols vols p P pp Pp Fig fig Figs figs Ch ch Chap
        chap Chaps Sec sec Sect sect Secs Art Arts Para para Pt pt Pl Op op App app Bk Eq eq eqs Eqs Ref
        ref refs Ex ex § v vv n nn f ff c r b d fl est Est tel Tel ext rev lines l ll cap
        {_ENGLISH_MONTHS}""",
        maybe_last="""Ave Blvd Rd St Hwy Esq U.S U.S.A U.K U.N U.S.S.R D.C a.m p.m A.M P.M M.D B.A M.A
        R.N D.D.S L.A N.Y N.Y.C""",
        eras="B.C B.C.E C.E A.D",
        units="ft in lb lbs oz mi yd yds sq min hr hrs km m cm mm kg g mph gal qt cu mil mn bn",
        openers="""The This These Those That A An It Its He His Him She Her They Their We Our I You Your
        My There Here In Into On At As By For From Of To With Without Within Under Over Upon Up Out
        After Before Between Among Amid During Through Throughout Against About Above Across Along
        Around Behind Below Beyond Despite Except Following Inside Like Near Since Until Unlike Via When
        Whenever While Where Whereas Whether Which Who Whose Why What How If Because Although Though
        However Therefore Thus Then Hence Moreover Furthermore Meanwhile Nevertheless Nonetheless
        Otherwise Instead Also Additionally Eventually Finally Initially Later Originally Previously
        Recently Subsequently Similarly Today Currently Now Once Only Even Still Yet So But And Or Nor
        Both Each Every Either Neither Some Several Many Most Much More Other Others Another Any All No
        None Not One Two Three Such Same Soon Perhaps Please Is Are Was Were Do Does Did Has Have Had
        Can Could Will Would""",
        date_openers="""In By From Around About Circa Since Until After Before Between During Near On
        Early Late""",
    ),
    "de": Abbreviations(
        never_last="""med phil jur rer nat rer.nat h.c Hr Hrn Fr Frl Mag Dipl Ing Dres Lic Hl hl Hll hll
        St Frhr Freih Kgl kgl Gebr Hrsg hrsg bzw vgl evtl ggf ggfs gegr inkl exkl zzgl abzgl bspw sog
        geb gest verh verw ehem eigtl allg insb insbes einschl entspr vorm bez bezgl ca lat engl frz
        franz griech ital span russ österr dt mhd ahd arab hebr mind max z.B Z.B d.h D.h z.T z.Z z.Zt
        z.Hd u.U i.d.R i.A i.V i.S i.S.d i.S.v i.V.m i.e.S i.w.S m.E m.a.W o.g v.a u.v.a s.a a.d v.d d.i
        o.B betr Betr resp Red Bearb Übers Univ Min.-Dir""",
        before_number="""Nr Nrn Nrs Abb Art Artt Abs Bd Bde Bdn Kap Kl Aufl Tab Ziff Anm Vers Lfg Jg Jgg
        Sp Zl Tel Fol Taf Kat Ausst Op op No Vol Rn Rdnr Urt Beschl H S s p pp f ff Z § Jan Jän Feb Febr
        Mrz Apr Jun Jul Aug Sep Sept Okt Nov Dez Mo Di Mi Do Sa So""",
        maybe_last="""u.a o.ä o.Ä u.ä u.Ä e.V i.R a.D a.M i.Br d.J d.Ä Mio Mrd Mill Tsd Bio Brd a.O
        a.a.O a.Rh a.N Str Jh Jhd Jhs Jhdt Jhdts Jht U.S Fa Forts""",
        eras="v.Chr n.Chr v.Chr.Geb n.Chr.Geb v.u.Z n.u.Z u.Z v.d.Z",
        units="Std Stdn Min Sek sec min km m cm kg Pfd Ztr Stk Kor Tl",
        wholes="u.s.w u.v.m u.a.m s.o s.u u.dgl u.d.M ü.d.M",
        openers="""Der Die Das Dem Den Des Er Es Sie Wir Ich Du Ihr Ihm Ihn Ihre Ihren Ihrer Ihnen Sein
        Seine Seinen Seiner Seinem Im In Ins Am An Ans Auf Aus Außer Außerdem Bei Beim Bis Bisher Mit
        Nach Nachdem Seit Seitdem Von Vom Vor Vorher Zu Zum Zur Zuerst Zudem Zunächst Zuletzt Zuvor Zwar
        Zwischen Dieser Diese Dieses Diesem Diesen Jener Jene Jenes Ein Eine Einen Einem Einer Eines
        Auch Als Also Aber Alle Allerdings Anschließend Da Dabei Dadurch Dafür Dagegen Daher Damals
        Damit Danach Daneben Dann Daran Darauf Daraufhin Daraus Darin Darüber Darum Darunter Davon Davor
        Dazu Denn Dennoch Derzeit Deshalb Deswegen Doch Dort Dorthin Durch Ebenfalls Ebenso Entlang Erst
        Etwa Für Ferner Folglich Gegen Gegenüber Gleichzeitig Heute Hier Hierbei Hierfür Hierzu Hinter
        Insgesamt Inzwischen Jede Jeder Jedes Jedoch Jetzt Kein Keine Man Manche Mehrere Meist Neben
        Nicht Nie Noch Nun Nur Ob Obwohl Oder Oft Ohne Schließlich Schon So Sobald Sofern Sogar Solche
        Somit Sondern Sonst Sowohl Später Statt Stattdessen Trotz Trotzdem Über Um Und Unter Viele
        Vielmehr Während Wann War Waren Warum Was Weder Wegen Weil Weiter Weiterhin Weitere Welche
        Wenige Wenn Wer Wie Wieder Wo Wobei Worauf Wurde Wurden Zurzeit Zusammen Zusätzlich Aufgrund
        Dank Laut Innerhalb Außerhalb Einige Andere Beide Bereits Mittlerweile Nachts Ist Sind Hat""",
        date_openers="""Im Um Seit Ab Nach Vor Bis Zwischen Von Gegen In Anfang Ende Mitte Etwa Ca Erst
        Bereits""",
        has_capital_nouns=True,
    ),
    "fr": Abbreviations(
        never_last="""M MM Mme Mmes Mlle Mlles Mgr dr Drs prof Pr Prs Me Mes Ste Sts Stes SS Gal Gén gén
        Cdt Lt Cap Cne Adj Col Vve Bd bd boul av Av env éd coll dir ill trad réf ca apr p.ex c.-à-d
        c.à.d ex N.B N.-D P.-S litt qq not adj adv subst masc fém""",
        before_number="""n no nos nº vol Vol vols t T p P pp art Art arts chap Chap ch sect fig Fig figs
        pl Pl f fo fol s sq sqq ss v vv al tél op Op l liv § ann app tab cf spéc janv févr fév avr juil
        juill sept oct nov déc""",
        maybe_last="Cie S.A S.A.R.L S.N.C.F U.S É.-U R.-U Md Mds Mrd mill",
        eras="av.J.-C apr.J.-C av.JC apr.JC av.n.è apr.n.è av.è.c de_n.è n.è A.C",
        units="h min sec s km m mm cm kg g hab ha j fr",
        openers="""Le La Les L' Un Une Des Du De Ce Cet Cette Ces C' Cela Ceci Celui Celle Ceux Il Elle
        Ils Elles On Nous Vous Je J' Tu Son Sa Ses Leur Leurs Mon Ma Mes Notre Nos Votre Vos En Au Aux À
        A Dans Par Pour Sur Sous Avec Sans Selon Depuis Dès Après Avant Pendant Durant Lors Lorsque
        Lorsqu' Quand Si S' Mais Et Ou Or Donc Car Ni Puis Puisque Ensuite Enfin Ainsi Alors Aussi
        Cependant Toutefois Pourtant Néanmoins Malgré Comme Tout Toute Tous Toutes Plusieurs Certains
        Certaines Quelques Chaque Aucun Aucune Aujourd' Actuellement Qui Que Qu' Quoi Quel Quelle Où Ici
        Là Entre Vers Chez Contre Grâce Plus Très Trop Peu Parmi Parce Outre Hors Jusqu' Désormais
        Finalement Également Parfois Souvent Toujours Jamais Déjà Bien Non Oui Ne N' Y D' Afin Face
        Suite Est Sont Était Étant Deux""",
        date_openers="En Vers Au Aux Dès Depuis Avant Après Entre Autour À L' Du Jusqu' Le Fin Début",
    ),
    "es": Abbreviations(
        never_last="""sr sra srta sres sras srtas dr dra prof Dña Dª Drs Dres profa lic Licda arq Gral
        Cnel Cap Tte Sgto Alm Mons Sto Sta Sn Fr Fray ing Gob Pdte Hnos Hno Hna Excmo Excma Ilmo Ilma
        Pbro Rvdo Vda Av Avda Avd Ctra Pza Plza Dpto Depto Prov aprox aproximad p.ej v.gr ca Admón dto
        admón íd ibíd cit op.cit trad esp ss.mm""",
        before_number="""n nº núm núms Núm n.º No art Art arts cap Cap caps vol Vol vols t T p P pp pág
        págs Pág fig Fig figs s S sig sigs sec secc tel Tel tfno lám fol f ff v vv ed eds inc párr c cc
        ap tít § ene feb abr may jun jul ago sep sept oct nov dic""",
        maybe_last="""Ud Uds Vd Vds Ltda Ltd Cía Cia S.A S.L S.A.U S.R.L S.A.S EE.UU EE._UU FF.AA CC.OO
        JJ.OO SS.MM RR.HH CC.AA DD.HH U.S E.U mill mills mdd""",
        eras="a.C d.C a.J.C d.J.C a.de_C d.de_C a.n.e d.n.e n.e e.c a.e.c d.e.c",
        units="min seg h hs km m cm mm kg g hab ha mar",
        openers="""El La Los Las Lo Un Una Unos Unas Este Esta Estos Estas Esto Ese Esa Esos Esas Eso
        Aquel Aquella Aquellos Su Sus Mi Mis Él Ella Ellos Ellas Nosotros Yo Tú Usted En De Del Desde
        Hasta Con Sin Por Para Según Sobre Tras Durante Entre Ante Bajo Hacia Contra Mediante A Al Y E O
        U Pero Aunque Sino Si Sí No Ni Como Cómo Cuando Cuándo Donde Dónde Que Qué Quien Quién Cual Cuál
        Porque Pues También Tampoco Además Así Después Luego Entonces Antes Más Menos Muy Hoy Ayer Ahora
        Actualmente Allí Aquí Posteriormente Finalmente Inicialmente Anteriormente Igualmente Ya Aún
        Todavía Se Le Les Me Te Nos Es Era Eran Fue Fueron Ser Son Está Están Estaba Estuvo Ha Han Había
        Hay Hubo Tiene Tienen Tuvo Murió Nació Vivió Ganó Fundó Hizo Llegó Falleció Estudió Trabajó
        Publicó Participó Empezó Comenzó Recibió Pertenece Formó Todo Toda Todos Todas Otro Otra Otros
        Otras Cada Algunos Algunas Muchos Muchas Varios Ningún Uno Dos Tres Mientras Debido Gracias
        Junto Tanto Dicho Dicha""",
        date_openers="""En Hacia Desde Hasta Alrededor Sobre Antes Después Entre Por Cerca Del A Ya
        Durante Tras""",
    ),
    "it": Abbreviations(
        never_last="""gen sig sigg sig.ra sig.na sig.rina dott dott.ssa dr prof prof.ssa proff avv arch
        geom rag mons cfr Gen Col Cap Magg Ten Serg ing cav comm On on Rev Card Frat SS Ss S.Ten ad_es
        ad.es p.es es V.le P.za C.so Fraz Loc Prov ca trad ediz cit op.cit N.B lett all""",
        before_number="""n nn nr N num núm art artt Art cap capp Cap vol voll Vol p P pp pag pagg Pag
        fig figg Fig sec secc Sec sez s S sg sgg seg segg par tav tavv Tav t f ff fasc fol c C cc tel
        Tel v vv Op op rist ed lib § genn feb febb febbr mar apr mag magg giu giugn lug lugl ago set
        sett ott nov dic""",
        maybe_last="S.p.A S.r.l S.a.s S.n.c S.S Soc Cia F.lli U.S mln mld",
        eras="a.C d.C a.Cr d.Cr a.e.v e.v p.C",
        units="km m cm mm kg g min h ab ha mil",
        openers="""Il Lo La L' I Gli Le Un Uno Una Un' Questo Questa Questi Queste Quest' Quello Quella
        Quelli Ciò Egli Ella Esso Essa Essi Esse Lui Lei Loro Noi Io Tu Nel Nello Nella Nell' Nei Negli
        Nelle Al Allo Alla All' Ai Agli Alle Dal Dallo Dalla Dall' Dai Dagli Dalle Del Dello Della Dell'
        Dei Degli Delle Sul Sullo Sulla Sull' Sui Sulle Con Per Tra Fra Di Da A In Su E Ed O Ma Però Se
        Non Né Come Quando Dove Che Chi Cosa Perché Anche Inoltre Infatti Tuttavia Dopo Prima Poi Quindi
        Così Già Ora Oggi Ieri Attualmente Successivamente Infine Inizialmente Secondo Durante Mentre
        Sebbene Benché Nonostante Grazie Suo Sua Suoi Sue Mio Tutti Tutte Tutto Tutta Ogni Molti Molte
        Alcuni Alcune Altri Altre Due Tre Qui Lì Si Ci Vi È Era Erano Fu Furono Sono Ha Hanno Aveva Ebbe
        Morì Nacque Visse Divenne Venne Vinse Fece Viene Studiò Lavorò Scrisse Fondò Iniziò Giocò
        Appartiene C' Dunque Invece Soltanto Solo Nessuno Contro Verso Presso Oltre Entro Sotto Sopra
        Senza Insieme""",
        date_openers="""Nel Nello Nella Nell' Dal Dalla Dall' Intorno Verso Circa Prima Dopo Fino
        Attorno Entro In Già Tra Fra Del Al Sul Attualmente All' Agli Negli""",
    ),
    "nl": Abbreviations(
        never_last="""Dhr dhr Mevr mevr Mw mw Drs drs dr Ir ir Ing ing Mej Mr mr prof Ds ds Jhr jhr Mgr
        mgr Jkvr Gebr gebr Burg Kard Gen Kol Kapt Lt Lat Eng Du Fr bijv bv zgn vgl resp incl excl ong
        oorspr ca evt wrsch Hr mld.v d.w.z dwz z.g z.g.n z.g.a m.b.t i.v.m t.o.v t.a.v n.a.v m.u.v o.b.v
        o.l.v o.i.v d.m.v t.b.v t.g.v i.p.v i.t.t i.h.b i.s.m i.t.v m.a.w m.n m.i n.l nl o.a a.h.w
        a.d.h.v a.d d.d v.l.n.r t.n.v o.m Z.K.H H.K.H H.M Z.M St v.d t.h.v n.o t.w""",
        before_number="""nr Nr nrs Nrs no No blz Blz p P pp pag art Art artt hfdst Hfdst h H dl Dl dln
        vol Vol afb Afb fig Fig kol jg jrg r s v vv aant afl tel Tel t par § ed bd Bd c f ff cap Op
        op.cit jan feb febr mrt apr jun jul aug sep sept okt nov dec anno""",
        maybe_last="N.V B.V V.O.F C.V e.a U.S V.S V.K e.v mln mld dzd",
        eras="v.Chr n.Chr v.C n.C v.o.j n.o.j v.g.j v.Cr",
        units="km m cm mm kg g min sec u st inw ha",
        wholes="e.d e.d.m e.v.a enz o.i.d",
        openers="""De Het Een Dit Dat Deze Die Hij Zij Ze We Wij Ik U Je Jij Er In Op Aan Bij Met Na
        Naar Van Voor Tot Uit Over Om Tijdens Sinds Vanaf Vanuit Door Tussen Onder Boven Binnen Buiten
        Tegen Zonder Als Toen Omdat Hoewel Terwijl Want Maar En Of Ook Daarna Daarnaast Daarom Daarbij
        Daardoor Daartoe Daarvoor Dan Dus Nu Nadat Vervolgens Later Eerst Volgens Zijn Haar Hun Mijn
        Onze Ons Veel Alle Alles Elk Elke Iedere Sommige Andere Niet Geen Nog Zo Zoals Zowel Hier
        Hierbij Hierdoor Daar Wat Wie Waar Waarom Hoe Wanneer Welke Naast Ondanks Wegens Vandaag
        Momenteel Verder Zelfs Echter Bovendien Tegenwoordig Uiteindelijk Inmiddels Reeds Al Beide Meer
        Meestal Men Werd Was Waren Is Heeft Had Twee Drie Slechts Toch Tevens Sindsdien Aanvankelijk Ten
        Te 't""",
        date_openers="""In Rond Omstreeks Vanaf Sinds Na Voor Tot Tussen Van Tijdens Begin Eind Rondom
        Om Uit Al""",
    ),
    "vi": Abbreviations(
        never_last="""TP Tp T.P TX Tx TT Tt Q P H X F Ths ThS TS GS PGS BS CN KS LS NSND NSƯT NGND nxb
        Nxb NXB Th.S G.S P.G.S T.S B.S K.S Đ/c ĐH VD vd v.d""",
        before_number="tr Tr tập số Số t T k đ Đ sđd Tel ĐT No Vol vol p pp Fig fig",
        maybe_last="U.S U.S.A U.K D.C",
        eras="tr.CN s.CN T.CN tr.C.N",
        units="km m cm mm kg g ha",
        wholes="v.v v.v.v",
        openers="""Ông Bà Anh Chị Cô Chú Bác Em Cậu Hắn Nó Họ Tôi Ta Mình Chúng Các Những Một Hai Ba Bốn
        Đây Đó Này Kia Khi Trong Ngoài Trên Dưới Sau Trước Từ Đến Tại Ở Với Và Nhưng Tuy Vì Do Bởi Nếu
        Năm Vào Theo Cùng Hiện Nay Ngày Tháng Người Được Bị Là Có Không Cũng Đã Đang Sẽ Để Về Nhờ Dù Mặc
        Mỗi Mọi Nhiều Vậy Thế Việc Sự Cuộc Bên Cả Chính Cuối Đầu Qua Giữa Như Sinh Mất Rồi Còn Nơi Hôm
        Lúc Thời Tuổi Tình Gia Thành Đồng Gần Hơn Rất Chỉ Lần Loài Cây Bộ Công Trường Đội Phim Sách Bài
        Khoảng Tuyến Địa""",
        date_openers="Năm Vào Từ Khoảng Trước Sau Đến Thế",
    ),
    "pt": Abbreviations(
        never_last="""gen sr sra srta srs sras dr drs dra dras prof profa Profª eng Eng arq Gen Cel Cap
        Ten Maj Sgt Alm Sto Sta Av Pe Frei Exmo Exma Ilmo Rev Dep Sen Pres Gov V.Exa V.Ex p.ex aprox
        Trav Pça Rod Est ca op.cit trad""",
        before_number="""n nº núm No art Art arts cap Cap caps vol Vol vols t T p P pp pág págs Pág fig
        Fig figs s sec séc sécs Séc tel Tel f fl fls ed v vv inc § jan fev abr mai jun jul ago set out
        nov dez""",
        maybe_last="Ltda Cia Cía S.A S.A.D E.U.A EE.UU U.S E.P.E",
        eras="a.C d.C a.E.C d.E.C E.C",
        units="min seg h km m cm mm kg g hab ha mar mi bi mil",
        openers="""O A Os As Um Uma Uns Umas Este Esta Estes Estas Isto Esse Essa Esses Essas Isso
        Aquele Aquela Seu Sua Seus Suas Ele Ela Eles Elas Nós Eu Você Em No Na Nos Nas De Do Da Dos Das
        Desde Até Com Sem Por Para Pelo Pela Segundo Sobre Após Durante Entre Sob Ao À Aos Às E Ou Mas
        Embora Porém Se Sim Não Nem Como Quando Onde Que Quem Qual Porque Também Além Assim Depois Então
        Antes Mais Muito Hoje Atualmente Ali Aqui Posteriormente Finalmente Inicialmente Já Ainda É Era
        Eram Foi Foram São Está Estava Há Houve Tem Teve Morreu Nasceu Viveu Ganhou Fundou Fez Chegou
        Faleceu Estudou Trabalhou Todo Toda Todos Todas Outro Outra Outros Cada Alguns Muitos Vários
        Dois Três Enquanto Devido Graças Num Numa Neste Nesta""",
        date_openers="Em No Na Por Desde Até Cerca Entre Após Antes Depois Durante Do Ao Já",
    ),
    "ru": Abbreviations(
        never_last="""ул пр просп пл кв корп обл оз о им акад проф доц ген полк подп кап лейт серж св
        свв тов гр адм см ср напр т.е т.к т.н т.о и.о в.н.с пос дер пер наб бул гос нац рус укр англ нем
        фр лат греч итал исп ред сост изд муж жен ум род прибл ок""",
        before_number="""рис табл гл стр с С ст т Т п пп ч Ч кн вып № д разд прим янв фев февр мар апр
        авг сен сент окт ноя нояб дек""",
        maybe_last="США др пр н.ст ст.ст тыс млн млрд трлн",
        eras="н.э до_н.э Р.Х до_Р.Х от_Р.Х",
        years="г гг в вв",
        units="руб коп чел км м см мм кг г мин ч сек долл экз л га",
        wholes="т.д т.п т.дд и_др и_пр",
        openers="""В Во На Он Она Они Оно Это Эта Этот Эти С Со К Ко По Из За От До Для При После Перед
        Но А И Или Также Однако Затем Потом Позже Если Когда Как Что Кто Его Её Ее Их Был Была Были Было
        Не Ни Все Всё Всего Так Там Тогда Тут Здесь Под Над Об О У Через Между Согласно Среди Кроме Уже
        Ещё Впервые Сейчас Ныне Сегодня Родился Родилась Умер Умерла Учился Окончил Окончила Работал Жил
        Стал Благодаря Я Мы Вы Ты Мой Наш Свой Свою Поэтому Хотя Чтобы Где Есть Несколько Многие
        Некоторые Другие Один Два Три""",
        date_openers="В Во С Со К Ко До После Около Между От На По Начиная",
    ),
    "ar": Abbreviations(
        never_last="ق.م ب.م د أ أ.د م ص ج ط", before_number="ص ج ط ت", wholes="ص.ب و.م.أ م.ت.ف"
    ),
}


def abbreviations_of(lang: str) -> Abbreviations:
    """The abbreviations of a language, by its whole code, then its base (`pt-BR`: `pt`), else `DEFAULT`."""
    return nearest(ABBREVIATIONS, lang, DEFAULT)
