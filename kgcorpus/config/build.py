"""The configuration of a build: one section for each part of it, and `BuildConfig`, which has them all."""

from typing import Literal

from pydantic import Field, model_validator

from kgcorpus.config.fields import Count, Id, Lang, LocalPlace, Section
from kgcorpus.config.inputs import ExtractionConfig, GraphConfig, LimitsConfig, TextConfig, WikipediaConfig
from kgcorpus.contracts.languages import language_key, spellings
from kgcorpus.contracts.stages import format_of


class PassagesConfig(Section):
    """How sentences are joined to passages, the records of TRELM and JAKET."""

    tokenizer: LocalPlace | None = Field(
        None, description="folder or hub id whose tokens are counted; default: the importance encoder's"
    )
    trelm: Count = Field(256, gt=0, description="tokens of a TRELM passage")
    jaket: Count = Field(512, gt=0, description="tokens of a JAKET passage")
    plain: tuple[Count, ...] = Field((128, 512), description="tokens of the plain-text passages")
    min_entities: Count = Field(
        0, ge=0, description="linked entities a TRELM or JAKET passage needs (ERNIE: 3)"
    )
    min_page_characters: Count = Field(0, ge=0, description="characters a page needs (ERNIE: 100)")


class LinkingConfig(Section):
    """Mentions without a hyperlink, found by name (TAGME, Ferragina and Scaiella, 2010)."""

    dictionary: bool = Field(
        False, description="mark names by dictionary in `linked_sentences`, after links and same page"
    )
    method: Literal["weighed", "tagme"] = Field(
        "weighed", description="how entities are chosen: by learned weights (weighed), or as TAGME published"
    )
    min_link_probability: float = Field(
        0.001, ge=0, le=1, description="links divided by occurrences that a surface form needs"
    )
    window: Count = Field(8, gt=0, description="tokens of the longest name; a Chinese character is one token")
    nested_ratio: float = Field(
        5.0, gt=0, description="a shorter name wins at this many times the longer one's link probability"
    )
    voters: Count = Field(10, ge=0, description="mentions on either side whose entities vote for a candidate")
    epsilon: float = Field(
        0.3,
        ge=0,
        le=1,
        description="tagme: among candidates within this distance of the highest vote, the most common wins",
    )
    tau: float = Field(0.02, ge=0, le=1, description="commonness that a candidate needs")
    rho: float = Field(0.1, ge=0, le=1, description="tagme: confidence that a mention needs")
    min_confidence: float = Field(
        0.85,
        ge=0,
        le=1,
        description="weighed: probability of being right that a mention needs; at the default about nine of "
        "ten mentions are right, and a lower one gives more mentions",
    )
    vote_weight: float = Field(
        1.0, gt=0, description="weighed: weight of the votes relative to the commonness"
    )
    vote_floor: float = Field(0.1, gt=0, description="weighed: mean vote at which the votes change nothing")
    word_weight: float = Field(
        0.125,
        ge=0,
        description="weighed: weight of the rarity of the words around that describe a candidate",
    )
    graph_weight: float = Field(
        1.0,
        ge=0,
        le=1,
        description="weight of relatedness by the graph's neighbours; the rest is relatedness by links",
    )
    name_probability: float = Field(
        0.2, ge=0, le=1, description="link probability of a label, alias or title that is never linked"
    )
    title_links: float = Field(
        2.0, ge=0, description="links that a page's own title counts as, so that the main meaning wins"
    )
    name_links: float = Field(
        0.5,
        gt=0,
        description="links that a label, alias or title counts as, in addition to those of the pages",
    )


class ImportanceConfig(Section):
    """Semantic importance (TRELM, eq. 1)."""

    encoder: LocalPlace | None = Field(None, description="folder or hub id of the encoder, e.g. roberta-base")
    replacement: Literal["mask", "mask_each", "unk", "delete", "entity"] = Field(
        "mask", description="what replaces the mention"
    )
    pooling: Literal["mean", "cls"] = Field(
        "mean", description="sentence state: mean of the tokens, or [CLS]"
    )
    dtype: Literal["fp32", "bf16"] = Field("fp32", description="number format of the encoder")
    device: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="where the encoder runs; the last bits differ, so it is part of the fingerprint",
    )


class CyclesConfig(Section):
    """Which of the counted cycles are kept."""

    dedup: Literal["diamond", "cycle", "set"] = Field(
        "diamond", description="what counts as one length-4 sample: a complete graph of 4 gives 6, 3 or 1"
    )
    wings_per_edge: Count = Field(32, gt=0, description="common neighbours of an edge that may form diamonds")
    pairs_per_edge: Count = Field(16, gt=0, description="diamonds kept for one diagonal")
    per_pair: Count = Field(
        4, gt=0, description="labelled versions of a cycle kept where pairs have several relations"
    )
    per_combination: Count = Field(
        50_000, gt=0, description="expected number of cycles kept for one set of relations"
    )


class XlrConfig(Section):
    """XLR's questions (KMLM, 4.5); their pairs leave the triples and cycles of training, not its text."""

    train: Count = Field(0, ge=0, description="questions to fine-tune on (the paper: 3,000)")
    validation: Count = Field(0, ge=0, description="questions to choose a model by (1,000)")
    test: Count = Field(0, ge=0, description="questions to report (1,050)")

    @property
    def asked(self) -> int:
        """Questions in all."""
        return self.train + self.validation + self.test


class RulesConfig(Section):
    """Which rules behind the cycles are measured."""

    min_support: Count = Field(10, gt=0, description="pairs of entities a rule must hold for")


class TrelmConfig(Section):
    """TRELM's records."""

    facts_per_entity: Count = Field(16, gt=0, description="most facts of a mention, chosen by hash")
    long_tail_quantile: float | None = Field(
        None,
        ge=0,
        le=1,
        description="long-tail entities: those mentioned not more often than this quantile of the mentioned "
        "entities; null: less often than their mean",
    )


class JaketConfig(Section):
    """JAKET's entities."""

    descriptions: tuple[Literal["page_head", "text_table", "first_mention"], ...] = Field(
        ("page_head", "text_table", "first_mention"),
        description="where descriptions come from; the first source that has one is used",
    )
    description_tokens: Count = Field(64, gt=0, description="tokens of a description")
    description_window: Literal["mention", "first"] = Field(
        "mention",
        description="which tokens of a longer description are kept: those around the entity's mention, or "
        "(the paper's) the first ones; a mention outside them is dropped",
    )
    category_relation: Id = Field(
        "P31",
        description="relation from an entity to its category; gives `entities.types` if `graph.types` is not "
        "set. Its triples are not in `jaket_edges`",
    )
    min_neighbours: Count = Field(5, ge=0, description="an entity is kept with this many neighbours, or")
    min_mentions: Count = Field(5, ge=0, description="with this many mentions")


class SparkConfig(Section):
    """How the build runs; never part of a fingerprint. A submitted master and conf win."""

    master: str = Field("local[*]", description="Spark master")
    partitions: Count = Field(8, gt=0, description="partitions of a shuffle")
    memory: str = Field("4g", description="driver memory in local mode")
    colours: Count = Field(
        1,
        gt=0,
        description="parts that the graph is divided into for cycles; more parts need less memory per task",
    )
    conf: dict[str, str] = Field(default_factory=dict, description="further Spark settings")


class BuildConfig(Section):
    """Everything `kgcorpus build-corpus` reads."""

    seed: int = Field(0, ge=0, le=2**63 - 1, description="seed of every random choice")
    languages: tuple[Lang, ...] = Field(
        ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh"),
        min_length=1,
        description="languages of labels. The first is the base language: descriptions are in it, and "
        "code-switched sentences mix it with each of the others",
    )
    base_language: Lang | None = Field(
        None, description="the base language, one of `languages`; null: the first of them"
    )
    graph: GraphConfig = GraphConfig()
    wikipedia: tuple[WikipediaConfig, ...] = Field((), description="Wikipedia dumps")
    text: tuple[TextConfig, ...] = Field((), description="text files")
    extraction: ExtractionConfig = ExtractionConfig()
    passages: PassagesConfig = PassagesConfig()
    linking: LinkingConfig = LinkingConfig()
    importance: ImportanceConfig = ImportanceConfig()
    cycles: CyclesConfig = CyclesConfig()
    rules: RulesConfig = RulesConfig()
    xlr: XlrConfig = XlrConfig()
    trelm: TrelmConfig = TrelmConfig()
    jaket: JaketConfig = JaketConfig()
    spark: SparkConfig = SparkConfig()
    limits: LimitsConfig = LimitsConfig()
    on_bad_input: Literal["fail", "quarantine"] = Field(
        "fail", description="stop at the first bad line, or set it aside with its position"
    )
    repeated_inputs: Literal["refuse", "allow"] = Field(
        "refuse", description="stop if two files of one field have the same bytes, or read both"
    )
    max_bad_share: float = Field(
        0.01, ge=0, le=1, description="the bad share of the records that a stage reads, above which it stops"
    )

    @model_validator(mode="after")
    def _a_language_has_an_index_everywhere_or_nowhere(self) -> "BuildConfig":
        for lang in {wiki.lang for wiki in self.wikipedia}:
            if len({bool(wiki.index) for wiki in self.wikipedia if wiki.lang == lang}) > 1:
                raise ValueError(f"wikipedia: only some dumps of {lang} have an index")
        return self

    @model_validator(mode="after")
    def _base_language_comes_first(self) -> "BuildConfig":
        if self.base_language is not None:
            if self.base_language not in self.languages:
                raise ValueError(f"base_language {self.base_language} is not among languages")
            others = (lang for lang in self.languages if lang != self.base_language)
            object.__setattr__(self, "languages", (self.base_language, *others))
        return self

    @model_validator(mode="after")
    def _a_language_has_one_spelling(self) -> "BuildConfig":
        if len(spellings(self.languages)) < len(self.languages):
            raise ValueError(f"languages names one twice: {', '.join(self.languages)}")
        codes = self.all_languages
        known = spellings(codes)
        for code in codes:
            if (other := known[language_key(code)]) != code:
                raise ValueError(f"{code} and {other} name one language: write one of them")
        return self

    @property
    def all_languages(self) -> list[str]:
        """The languages of labels, dumps and texts, as configured; one may come several times."""
        return [*self.languages, *(wiki.lang for wiki in self.wikipedia), *(text.lang for text in self.text)]

    @property
    def json_spellings(self) -> tuple[str, ...]:
        """The configured codes with capitals or `_`, which lines of JSON may spell otherwise.

        Empty without a file of JSON lines, so that other builds do not depend on it.
        """
        if not any(format_of(text.path) for text in self.text):
            return ()
        return tuple(sorted({code for code in self.all_languages if code != language_key(code)}))

    @property
    def tokenizer(self) -> str | None:
        """The tokenizer that measures passages."""
        return self.passages.tokenizer or self.importance.encoder
