"""Names of columns in header lines, in English and in the languages of the papers, Portuguese and Russian.

The lists are compared with fields in the form that `folded` returns.
"""

import re
import unicodedata

_OTHER_THAN_LETTERS = re.compile(r"[\W_]+")


def folded(field: str) -> str:
    """Return a field without case, accents, spaces and marks: `#type_QID` gives `typeqid`."""
    if field.isascii():
        if field.isalnum():
            return field.casefold()
    else:
        field = "".join(c for c in unicodedata.normalize("NFKD", field) if not unicodedata.combining(c))
    return _OTHER_THAN_LETTERS.sub("", field).casefold()


def _words(text: str) -> frozenset[str]:
    return frozenset(map(folded, text.split()))


ID = _words(
    """id ids qid qids pid entity entityid item itemid node node1 nodeid subject wikidata wikidataid
    wikidataqid wikibaseitem uri iri key property propertyid relation relationid predicate kennung entität
    objektid eigenschaft identifiant entité élément propriété identificador entidad propiedad
    identificativo entità proprietà identificatie entiteit eigenschap entidade propriedade идентификатор
    ид сущность свойство 識別子 実体 エンティティ プロパティ 标识 标识符 識別碼 实体 實體 属性 屬性 식별자
    개체 속성 mã định_danh thực_thể thuộc_tính"""
)
# `iso`, `lan`, `lg` and `lng` have the form of a code, so the parser of labels would read them as one.
LANGUAGE = _words(
    """lang langs language languages languagecode languagetag langcode lc locale iso isocode lan lg lng
    sprache sprachen sprachcode sprachkürzel langue langues codelangue codedelangue codelang idioma
    idiomas lengua códigoidioma códigodeidioma lingua lingue codicelingua taal talen taalcode língua
    línguas язык кодязыка 言語 言語コード 语言 語言 语言代码 語言代碼 언어 언어코드 ngôn_ngữ mã_ngôn_ngữ"""
)
NAME = _words(
    """label labels name names title alias aliases text value prefterm preflabel entitylabel itemlabel
    propertylabel relationlabel rdfslabel bezeichnung bezeichnungen beschriftung namen libellé libellés
    étiquette nom noms intitulé etiqueta nombre rótulo etichetta nome nomi naam namen etiket benaming
    метка название имя ラベル 名前 名称 标签 標籤 名稱 名字 레이블 라벨 이름 명칭 nhãn tên"""
)
CLASS = _words(
    """type types class classes typeid typeqid typesqid classid classqid instanceof p31 category
    categories kind node2 klasse klassen typ typen kategorie classe catégorie clase tipo categoría
    categoria type categorie класс тип категория クラス 種類 型 タイプ カテゴリ 类 類 类型 類型 类别 類別
    클래스 유형 종류 lớp loại kiểu"""
)
TEXT = _words(
    """text texts desc description descriptions abstract summary content value definition itemdescription
    propertydescription entitydescription beschreibung zusammenfassung texte résumé descripción texto
    resumen descrizione testo beschrijving tekst samenvatting descrição описание текст 説明 テキスト 本文
    描述 说明 說明 文本 설명 텍스트 본문 mô_tả văn_bản"""
)
TITLE = _words(
    """title titles page pages pagetitle name names article label titel seite seiten artikel seitentitel
    titre titres título página artículo titolo pagina articolo voce lemma artigo заголовок страница статья
    タイトル 題名 ページ 記事 标题 標題 页面 頁面 条目 條目 제목 문서 tiêu_đề trang"""
)
TEMPLATE = _words(
    """name names template templates templatename vorlage modèle plantilla modello sjabloon predefinição
    шаблон テンプレート 模板 틀 bản_mẫu"""
)
END = _words(
    """head headid headentity subject subjectid tail tailid tailentity object objectid node1 node2 entity1
    entity2 source sourceid target targetid src srcid dst dstid subj obj headname tailname subjekt objekt
    kopf schwanz quelle ziel kopfentität sujet objet tête queue cible sujeto objeto cabeza cola origen
    destino soggetto oggetto testa coda origine destinazione onderwerp hoofd staart bron doel sujeito
    субъект объект голова хвост источник цель 主語 目的語 主体 客体 主语 宾语 主體 客體 头实体 尾实体
    頭實體 尾實體 주어 목적어 주체 객체 chủ_ngữ tân_ngữ chủ_thể khách_thể"""
)
LINK = _words(
    """relation relationid relationname relationtype relationship predicate predicateid pred property
    propertyid prop rel relid reltype edge edgeid edgetype label prädikat beziehung eigenschaft kante
    prédicat propriété lien predicado relación propiedad predicato relazione proprietà predicaat relatie
    eigenschap relação propriedade предикат отношение свойство связь 述語 関係 プロパティ 谓词 謂詞 谓语
    关系 關係 属性 屬性 술어 관계 속성 vị_ngữ quan_hệ thuộc_tính"""
)
