"""One typed tree for a build's configuration; YAML, `${VAR:-default}` and `--set a.b=c` fill it."""

import copy
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.ids import read_id
from kgcorpus.contracts.languages import LANGUAGE_CODE, language_key, spellings
from kgcorpus.contracts.remote import is_remote, is_text, require_served
from kgcorpus.contracts.secrets import redact_all, remember
from kgcorpus.contracts.stages import format_of
from kgcorpus.contracts.yaml_reader import parse_yaml, read_yaml
from kgcorpus.presets import preset


def _quoted(value: Any) -> Any:
    """Refuse what YAML reads as a number or a truth value where a code or an id belongs."""
    if value is False:
        raise ValueError('YAML takes a bare no for false: write "no", in quotes')
    if isinstance(value, bool | int | float):
        raise ValueError(f"YAML takes it for {value!r}: write it in quotes")
    return value


def _language_code(value: str) -> str:
    if not LANGUAGE_CODE.fullmatch(value):
        raise ValueError(f"{value!r} is not a language code: write one such as en, pt-BR or zh-Hant")
    return value


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _served(value: str) -> str:
    try:
        return require_served(value)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _not_a_url(value: str) -> str:
    if is_remote(_served(value)):
        raise ValueError(f"{value}: a URL is not read here. Name a local path")
    return value


# A path or a URL; a path, or the id of a model on the hub.
Place = Annotated[str, AfterValidator(_served)]
LocalPlace = Annotated[str, AfterValidator(_not_a_url)]
Lang = Annotated[str, BeforeValidator(_quoted), AfterValidator(_language_code)]
# An entity or a relation of the graph.
Id = Annotated[str, BeforeValidator(_quoted), AfterValidator(read_id)]
Files = Annotated[tuple[Place, ...], BeforeValidator(_listed)]
# What Spark and numba count in 32 bits.
_Count = Annotated[int, Field(le=2**31 - 1)]


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused; a key without a value is as if absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_keys_without_a_value(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        means_something = {
            name for name, field in cls.model_fields.items() if type(None) in get_args(field.annotation)
        }
        return {
            name: value
            for name, value in data.items()
            if value is not None or name in means_something or name not in cls.model_fields
        }


class GraphConfig(Section):
    """The knowledge graph's files: plain, .gz, .bz2, .xz or .zst, no headers; of a list all are read as one.

    Each field also takes Wikidata's own dump, known by its name (`.json`, packed or not), and draws from it
    what the field is for. Name the dump in every field that it shall fill.
    """

    triples: Files = Field(
        (),
        description="lines `h r t`, tab-separated (Wikidata5M's transductive, inductive, all_triplet)",
    )
    labels: Files = Field(
        (), description="lines `QID lang label alias...`, or Wikidata5M's `QID alias...` (English)"
    )
    relations: Files = Field(
        (), description="lines `PID lang label description alias...`, or Wikidata5M's `PID name alias...`"
    )
    descriptions: Files = Field((), description="lines `QID text` (wikidata5m_text.txt)")
    types: Files = Field(
        (), description="lines `QID typeQID...`; default: the triples of `jaket.category_relation`"
    )


class WikipediaConfig(Section):
    """One wiki's dump: a file, or a list of its part files."""

    lang: Lang = Field(description="language code")
    dump: Files = Field(min_length=1, description="pages-articles XML: plain, .bz2, .gz, .xz or .zst")
    index: Files = Field(
        (),
        description="multistream index of each dump file (...-multistream-index.txt.bz2), in their order; "
        "with it a file is read by many tasks at once",
    )
    titles: Files = Field(
        (),
        description="lines `title QID`; or the SQL dumps page, page_props and redirect of this wiki, or "
        "Wikidata's wb_items_per_site (.sql, packed or not); without any no link of this dump is resolved",
    )
    templates: Files = Field(
        (),
        description="lines `name TAB text` for templates that carry text: `{1}` and `{name}` in it are "
        "arguments, `=convert` renders as the template of that name; they win over the built-in ones",
    )
    other_language: bool = Field(
        False, description="accept a dump whose `<dbname>` is that of a wiki in another language than `lang`"
    )
    variant: str | None = Field(
        None,
        description="variant of the language that `-{...}-` is read in, such as `zh-tw`; default: the first "
        "that a rule names, in MediaWiki's order",
    )

    @model_validator(mode="after")
    def _variant_is_one_of_the_language(self) -> "WikipediaConfig":
        if self.variant is not None:
            from kgcorpus.wiki.wikitext.variants import variants_of

            known = variants_of(self.lang)
            if self.variant not in known:
                listed = f"choose one of {', '.join(known)}" if known else "leave it out"
                raise ValueError(f"{self.variant!r} is not a variant of {self.lang!r}: {listed}")
        return self

    @model_validator(mode="after")
    def _every_dump_has_an_index_or_none_has(self) -> "WikipediaConfig":
        if self.index and len(self.index) != len(self.dump):
            raise ValueError(f"{len(self.index)} index files for {len(self.dump)} dump files")
        return self


class TextConfig(Section):
    """One file of running text.

    A `.jsonl` file has a document on each line, with the fields `text` and optionally `lang`, `title` and
    `links: [{start, end, qid or title}]`. The position of a file in the list is part of its page ids, which
    decide the splits: append new files at the end.
    """

    lang: Lang = Field(description="language code; of JSON lines that name none")
    path: Place = Field(description="UTF-8 text or JSON lines: plain, .gz, .bz2, .xz or .zst")
    documents: Literal["lines", "paragraphs"] | None = Field(
        None,
        description="a document on each line, or documents separated by blank lines (CC100); default: "
        "inferred from the first 10,000 lines, and logged",
    )
    share: float | None = Field(
        None, gt=0, le=1, description="share of the documents that are kept, chosen by hash; default: all"
    )
    sentences: int | None = Field(
        None,
        gt=0,
        description="sentences that are kept at most, in whole documents chosen by hash; a document's line "
        "counts as one, as in CC100. The file is read twice; default: all",
    )

    @model_validator(mode="after")
    def _share_or_sentences(self) -> "TextConfig":
        if self.share is not None and self.sentences is not None:
            raise ValueError("share and sentences both set the size of the sample: leave one of them out")
        return self

    @model_validator(mode="after")
    def _json_lines_have_their_own_form(self) -> "TextConfig":
        if self.documents and format_of(self.path):
            raise ValueError(f"documents is for plain text, but {self.path} holds JSON lines by its name")
        return self


class ExtractionConfig(Section):
    """What of an article's markup becomes text."""

    keep: tuple[Literal["cell", "caption"], ...] = Field(
        (), description="blocks that stay beside paragraphs, list items and headings"
    )


class LimitsConfig(Section):
    """What an input may ask for before it is taken for an attack or a fault."""

    decompression_ratio: _Count = Field(
        100, gt=0, description="unpacked bytes a packed byte, past the first 64 MiB of a file"
    )
    record_mib: int = Field(32, gt=0, le=1024, description="MiB of one page, line, SQL row or JSON entity")


class PassagesConfig(Section):
    """How sentences are joined to passages. METHODS: records are passages."""

    tokenizer: LocalPlace | None = Field(
        None, description="folder or hub id whose tokens are counted; default: the importance encoder's"
    )
    trelm: _Count = Field(256, gt=0, description="tokens of a TRELM passage")
    jaket: _Count = Field(512, gt=0, description="tokens of a JAKET passage")
    plain: tuple[_Count, ...] = Field((128, 512), description="tokens of the plain-text passages")
    min_entities: _Count = Field(
        0, ge=0, description="linked entities a TRELM or JAKET passage needs (ERNIE: 3)"
    )
    min_page_characters: _Count = Field(0, ge=0, description="characters a page needs (ERNIE: 100)")


class LinkingConfig(Section):
    """Names without a hyperlink: TAGME's constants (Ferragina and Scaiella, 2010), and what is weighed."""

    dictionary: bool = Field(
        False, description="mark names by dictionary in `linked_sentences`, after links and same page"
    )
    method: Literal["weighed", "tagme"] = Field(
        "weighed", description="how entities are chosen and trusted: learned weights, or as TAGME published"
    )
    min_link_probability: float = Field(
        0.001, ge=0, le=1, description="links over occurrences that a surface needs"
    )
    window: _Count = Field(8, gt=0, description="tokens of the longest name; an ideograph is one")
    nested_ratio: float = Field(
        5.0, gt=0, description="a shorter name wins at this many times the longer one's link probability"
    )
    voters: _Count = Field(10, ge=0, description="names on either side that vote")
    epsilon: float = Field(
        0.3, ge=0, le=1, description="tagme: of candidates this near to the highest vote the commonest wins"
    )
    tau: float = Field(0.02, ge=0, le=1, description="commonness that a candidate needs")
    rho: float = Field(0.1, ge=0, le=1, description="tagme: confidence that a mention needs")
    min_confidence: float = Field(
        0.2, ge=0, le=1, description="weighed: probability of being right that a mention needs"
    )
    vote_weight: float = Field(1.0, gt=0, description="weighed: what the votes count beside the commonness")
    vote_floor: float = Field(0.01, gt=0, description="weighed: the mean vote that is as good as none")
    graph_weight: float = Field(
        1.0, ge=0, le=1, description="what relatedness by the graph's neighbours counts beside that by links"
    )
    name_probability: float = Field(
        0.2, ge=0, le=1, description="link probability of a label, alias or title that is never linked"
    )
    title_links: float = Field(
        2.0, ge=0, description="links that a page counts for under its own whole title: the main meaning"
    )
    name_links: float = Field(
        0.5, gt=0, description="links that a label, alias or title counts for, beside those of the pages"
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
    dtype: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the encoder")
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="where it runs; the last bits differ, so it is part of the fingerprint"
    )


class CyclesConfig(Section):
    """Which of the counted cycles are kept."""

    dedup: Literal["diamond", "cycle", "set"] = Field(
        "diamond", description="what counts as one length-4 sample: a complete graph of 4 gives 6, 3 or 1"
    )
    wings_per_edge: _Count = Field(
        32, gt=0, description="common neighbours of an edge that may form diamonds"
    )
    pairs_per_edge: _Count = Field(16, gt=0, description="diamonds kept for one diagonal")
    per_pair: _Count = Field(
        4, gt=0, description="labelled versions of a cycle kept where pairs have several relations"
    )
    per_combination: _Count = Field(
        50_000, gt=0, description="cycles kept, in expectation, for one set of relations"
    )


class XlrConfig(Section):
    """XLR's questions (KMLM, 4.5); their pairs leave the triples and cycles of training, not its text."""

    train: _Count = Field(0, ge=0, description="questions to fine-tune on (the paper: 3,000)")
    validation: _Count = Field(0, ge=0, description="questions to choose a model by (1,000)")
    test: _Count = Field(0, ge=0, description="questions to report (1,050)")

    @property
    def asked(self) -> int:
        """Questions in all."""
        return self.train + self.validation + self.test


class RulesConfig(Section):
    """Which rules behind the cycles are measured."""

    min_support: _Count = Field(10, gt=0, description="pairs of entities a rule must hold for")


class TrelmConfig(Section):
    """TRELM's records."""

    facts_per_entity: _Count = Field(16, gt=0, description="facts a mention carries at most, drawn by hash")
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
        description="sources of a description, the first that has one",
    )
    description_tokens: _Count = Field(64, gt=0, description="tokens of a description")
    description_window: Literal["mention", "first"] = Field(
        "mention",
        description="which tokens of a longer description are kept: those around the entity's mention, or "
        "(the paper's) the first ones, and a mention that does not lie among them counts as none",
    )
    category_relation: Id = Field(
        "P31",
        description="relation from an entity to its category: gives `entities.types` where `graph.types` is "
        "not set, and its triples are left out of `jaket_edges`",
    )
    min_neighbours: _Count = Field(5, ge=0, description="an entity is kept with this many neighbours, or")
    min_mentions: _Count = Field(5, ge=0, description="with this many mentions")


class SparkConfig(Section):
    """How the build runs; never part of a fingerprint. A submitted master and conf win."""

    master: str = Field("local[*]", description="Spark master")
    partitions: _Count = Field(8, gt=0, description="partitions of a shuffle")
    memory: str = Field("4g", description="driver memory in local mode")
    colours: _Count = Field(
        1,
        gt=0,
        description="parts the graph is cut into for cycles: 1 in memory, more for less memory a task",
    )
    conf: dict[str, str] = Field(default_factory=dict, description="further Spark settings")


class BuildConfig(Section):
    """Everything `kgcorpus build-corpus` reads."""

    seed: int = Field(0, ge=0, le=2**63 - 1, description="the seed of every draw")
    languages: tuple[Lang, ...] = Field(
        ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh"),
        min_length=1,
        description="languages of labels; the first is the base: descriptions are in it, and code-switched "
        "sentences mix it with each of the others",
    )
    base_language: Lang | None = Field(
        None, description="the base language; it moves to the front of `languages`; null: the first of them"
    )
    graph: GraphConfig = GraphConfig()
    wikipedia: tuple[WikipediaConfig, ...] = Field((), description="dumps")
    text: tuple[TextConfig, ...] = Field((), description="running text without links")
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
    def tokenizer(self) -> str | None:
        """The tokenizer that measures passages."""
        return self.passages.tokenizer or self.importance.encoder


M = TypeVar("M", bound=BaseModel)


Source = str | Path | Mapping[str, Any] | BaseModel | None


def load(
    model: type[M],
    source: Source,
    *,
    overrides: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> M:
    """Read a YAML file into `model`, apply `a.b=c` overrides, validate.

    Args:
        source: a YAML file, the name of one in conf/ (`preset`), a mapping of the same keys, or a
            configuration; None for the defaults only.
        overrides: `dotted.key=value`, the value in YAML.
        variables: what `${VAR}` stands for (default: the environment).

    Raises:
        UsageError: unreadable file, bad YAML, unknown key (naming the nearest), wrong value.
    """
    data = settings(source, overrides=overrides, variables=variables)
    return validated(model, data, where=str(source) if isinstance(source, str | Path) else "configuration")


def settings(
    source: Source, *, overrides: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a source's keys with the overrides, not yet validated; arguments and errors as of `load`."""
    match source:
        case None:
            data = {}
        case BaseModel():
            data = source.model_dump(mode="json")
        case Mapping():
            data = copy.deepcopy(dict(source))
        case _:
            data = _mapping(preset(Path(source)), os.environ if variables is None else variables)
    for override in overrides:
        _apply(data, override)
    remember(data)
    return data


def load_resolved(folder: Path, *, overrides: Sequence[str] = ()) -> BuildConfig:
    """Read the config.yaml of a build, which may come from others: `${VAR}` in it is text.

    Raises:
        UsageError: as `load`.
    """
    data = _mapping(folder / "config.yaml", None)
    for override in overrides:
        _apply(data, override)
    return validated(BuildConfig, data, where=str(folder / "config.yaml"))


def validated(model: type[M], data: Mapping[str, Any], *, where: str) -> M:
    """`data` as a `model`.

    Raises:
        UsageError: unknown key (naming the nearest), wrong value, or a value that is not UTF-8.
    """
    for value in _strings(data):
        if not is_text(value):
            raise UsageError(
                f"the value {value!a} holds bytes that are not UTF-8",
                where=where,
                mend="Rename the file or folder",
            )
    try:
        return model.model_validate(data)
    except ValidationError as error:
        told = "; ".join(_explain(model, item) for item in _roots(error.errors()))
        raise UsageError(told, where=where) from None


def _strings(data: Any) -> Iterator[str]:
    """All strings within mappings and lists."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        yield from (text for value in data.values() for text in _strings(value))
    elif isinstance(data, list | tuple):
        yield from (text for value in data for text in _strings(value))


def put(data: dict[str, Any], key: str, value: Any, *, where: str) -> None:
    """Set a dotted key.

    Raises:
        UsageError: one of its parents is no section.
    """
    *parents, last = key.split(".")
    node = data
    for name in parents:
        if node.get(name) is None:
            node[name] = {}
        child = node[name]
        if not isinstance(child, dict):
            raise UsageError(f"{key}: {name} is not a section", where=where)
        # An alias of YAML makes one object of two sections.
        node[name] = node = dict(child)
    node[last] = value


def to_yaml(config: BaseModel) -> str:
    """The configuration as resolved, fit to be published: without `spark`, and without secrets in URLs."""
    values = redact_all(config.model_dump(mode="json", exclude={"spark"}))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def is_publishable(data: Any) -> bool:
    """Whether a configuration that was read back holds no Spark settings, and no secrets in URLs."""
    spark = data.get("spark") if isinstance(data, Mapping) else None
    return not (isinstance(spark, Mapping) and spark.get("conf")) and redact_all(data) == data


def _mapping(file: Path, variables: Mapping[str, str] | None) -> dict[str, Any]:
    data = read_yaml(file, variables)
    if data is not None and not isinstance(data, dict):
        raise UsageError("must be a mapping of keys to values", where=str(file))
    return data or {}


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set needs key=value, not {override!r}")
    put(data, key, parse_yaml(value, where=f"--set {key}"), where="--set")


def _roots(errors: Sequence[Any]) -> list[Any]:
    """The errors without those that only follow: a list lacks an item because the item is wrong."""
    inner = {error["loc"][:n] for error in errors for n in range(len(error["loc"]))}
    return [error for error in errors if error["loc"] not in inner]


def _explain(model: type[BaseModel], error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{path}: {error['msg']}"
    near = difflib.get_close_matches(path, list(_keys(model)), n=1, cutoff=0.5)
    return f"unknown key {path}" + (f", did you mean {near[0]}?" if near else "")


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")
