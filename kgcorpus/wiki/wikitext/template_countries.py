"""Templates that are named by the code of a country and show a flag with its name: `{{CHN}}` -> `中国`."""

from collections.abc import Mapping

from kgcorpus.wiki.wikitext import rendering as to
from kgcorpus.wiki.wikitext.arguments import Renderer

# ISO 3166, and where it differs, the code of the International Olympic Committee.
_CODES = (
    "usa chn jpn kor prk gbr fra deu|ger ita rus ind bra can aus esp prt|por nld|ned bel "
    "che|sui aut swe pol mex arg tur tha vnm|vie twn idn|ina egy zaf|rsa ukr"
)
# `_` is a space; in the order of the codes.
_NAMES = {
    "de": """Vereinigte_Staaten China Japan Südkorea Nordkorea Vereinigtes_Königreich Frankreich Deutschland
    Italien Russland Indien Brasilien Kanada Australien Spanien Portugal Niederlande Belgien Schweiz
    Österreich Schweden Polen Mexiko Argentinien Türkei Thailand Vietnam Taiwan Indonesien Ägypten
    Südafrika Ukraine""",
    "en": """United_States China Japan South_Korea North_Korea United_Kingdom France Germany Italy Russia
    India Brazil Canada Australia Spain Portugal Netherlands Belgium Switzerland Austria Sweden
    Poland Mexico Argentina Turkey Thailand Vietnam Taiwan Indonesia Egypt South_Africa Ukraine""",
    "es": """Estados_Unidos China Japón Corea_del_Sur Corea_del_Norte Reino_Unido Francia Alemania Italia
    Rusia India Brasil Canadá Australia España Portugal Países_Bajos Bélgica Suiza Austria Suecia
    Polonia México Argentina Turquía Tailandia Vietnam Taiwán Indonesia Egipto Sudáfrica Ucrania""",
    "fr": """États-Unis Chine Japon Corée_du_Sud Corée_du_Nord Royaume-Uni France Allemagne Italie Russie
    Inde Brésil Canada Australie Espagne Portugal Pays-Bas Belgique Suisse Autriche Suède Pologne
    Mexique Argentine Turquie Thaïlande Viêt_Nam Taïwan Indonésie Égypte Afrique_du_Sud Ukraine""",
    "it": """Stati_Uniti Cina Giappone Corea_del_Sud Corea_del_Nord Regno_Unito Francia Germania Italia
    Russia India Brasile Canada Australia Spagna Portogallo Paesi_Bassi Belgio Svizzera Austria
    Svezia Polonia Messico Argentina Turchia Thailandia Vietnam Taiwan Indonesia Egitto Sudafrica
    Ucraina""",
    "ja": """アメリカ合衆国 中国 日本 韓国 北朝鮮 イギリス フランス ドイツ イタリア ロシア インド
    ブラジル カナダ オーストラリア スペイン ポルトガル オランダ ベルギー スイス オーストリア
    スウェーデン ポーランド メキシコ アルゼンチン トルコ タイ ベトナム 台湾 インドネシア
    エジプト 南アフリカ ウクライナ""",
    "ko": """미국 중국 일본 대한민국 조선민주주의인민공화국 영국 프랑스 독일 이탈리아 러시아 인도
    브라질 캐나다 오스트레일리아 스페인 포르투갈 네덜란드 벨기에 스위스 오스트리아 스웨덴
    폴란드 멕시코 아르헨티나 튀르키예 태국 베트남 중화민국 인도네시아 이집트 남아프리카_공화국
    우크라이나""",
    "vi": """Hoa_Kỳ Trung_Quốc Nhật_Bản Hàn_Quốc Bắc_Triều_Tiên Anh_Quốc Pháp Đức Ý Nga Ấn_Độ Brasil Canada
    Úc Tây_Ban_Nha Bồ_Đào_Nha Hà_Lan Bỉ Thụy_Sĩ Áo Thụy_Điển Ba_Lan México Argentina Thổ_Nhĩ_Kỳ
    Thái_Lan Việt_Nam Đài_Loan Indonesia Ai_Cập Nam_Phi Ukraina""",
    "zh": """美国 中国 日本 韩国 朝鲜 英国 法国 德国 意大利 俄罗斯 印度 巴西 加拿大 澳大利亚 西班牙
    葡萄牙 荷兰 比利时 瑞士 奥地利 瑞典 波兰 墨西哥 阿根廷 土耳其 泰国 越南 中华民国
    印度尼西亚 埃及 南非 乌克兰""",
}


def countries(lang: str) -> Mapping[str, Renderer]:
    """Template name -> renderer; none for languages without names here."""
    names = (name.replace("_", " ") for name in _NAMES.get(lang, "").split())
    pairs = zip(_CODES.split(), names, strict=False)
    return {code: to.constant(name) for codes, name in pairs for code in codes.split("|")}
