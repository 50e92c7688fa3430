"""Function words by language: as names of films or genes they are rarely meant unless they are linked."""

_WORDS = {
    "en": """a about after all also an and any are as at be been before being both but by can could did
        do does for from had has have he her here hers him his how i if in into is it its just like
        made many may me more most much must my no not now of off on one only or other our out over
        own same she should so some such than that the their them then there these they this those
        through to too under until up us very was we were what when where which while who why will
        with would you your""",
    "de": """aber alle als also am an auch auf aus bei bin bis da das dass dem den der des die dies du
        durch ein eine einem einen einer er es für hat hatte ich ihm ihn ihr im in ist ja kann man
        mein mit nach nicht noch nun nur ob oder ohne sein seine sich sie sind so über um und uns
        unter vom von vor war was wenn werden wer wie wir wird wo zu zum zur""",
    "fr": """à au aucun aussi autre aux avec ce ces cette comme dans de des donc du elle elles en est et
        eu il ils je la le les leur lui ma mais me même mes moi mon ne nos notre nous on ont ou où
        par pas plus pour qu que qui sa sans se ses si son sont sous sur ta te tes toi ton tous tout
        très tu un une vos votre vous y""",
    "es": """a al como con cuando de del desde donde dos e el ella ellas ellos en entre era es esa ese
        eso esta este esto fue ha hasta hay la las le les lo los más me mi mí muy ni no nos o otra
        otro para pero por porque que qué quien se ser si sí sin sobre son su sus también te tu tú
        un una uno unos y ya yo""",
    "it": """a ad ai al alla alle anche che chi ci come con cui da dal dalla dei del della delle di do e
        è ed era fra gli ha hanno ho i il in io la le lei lo loro lui ma mi mia mio ne nei nel nella
        no noi non o per perché più quale quella quello questa questo se sei si sì sia sono su sua
        sul sulla suo tra tu tuo un una uno vi voi""",
    "nl": """aan al als altijd ben bij daar dan dat de der deze die dit doch door dus een en er ge geen
        haar had heb hebben heeft hem het hij hoe hun iets ik in is ja je kan maar me meer men met
        mijn na naar niet nog nu of om omdat ons ook op over te tegen toch toen tot u uit uw van
        veel voor want was wat we wel werd wie wij wil worden zal ze zich zij zijn zo zonder zou""",
    "vi": """anh bị các cái cho chỉ có con cô của cùng cũng do đã đang để đến đi điều đó được em gì hay
        hơn không khi là lại làm lên mà mỗi một năm này nên ngày nhiều như những nhưng nó ở phải qua
        ra rất rồi sau sẽ số sự tại thì theo thể trên trong trước từ và vào vẫn về với vì việc""",
    "ja": """あの ある いる から が か くる この これ さん する そう その それ ため だ ついて て で
        です と など なる に の は へ また まで ます も もの や より ら れる を""",
    "ko": """것 그 그녀 그는 나 너 년 등 또 때 또는 및 수 우리 위 이 저 중 후""",
    "zh": """不 与 之 也 了 于 人 从 他 以 们 但 你 來 個 其 則 到 又 和 因 在 她 对
        就 很 我 或 所 把 是 時 有 此 沒 為 的 着 等 能 與 被 要 說 這 那 都""",
}

FUNCTION_WORDS = {lang: frozenset(words.split()) for lang, words in _WORDS.items()}
