"""The sections that name and limit a build's inputs."""

from typing import Literal

from pydantic import Field, model_validator

from kgcorpus.config.fields import Count, Files, Lang, Place, Section
from kgcorpus.contracts.stages import format_of


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
        "with it a file is read by many tasks at once, and only a damaged stream is set aside",
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

    A `.jsonl` file has a document on each line, with the field `text` and optionally `lang`, `title`, `qid`
    (the document's own entity) and `links: [{start, end, qid or title}]`; a `.parquet` file has it in each
    row. The position of a file in the list is part of its page ids, which decide the splits: append new files
    at the end.
    """

    lang: Lang = Field(description="language code; of JSON lines that name none")
    path: Place = Field(
        description="UTF-8 text or JSON lines, plain, .gz, .bz2, .xz or .zst; or Parquet (.parquet)"
    )
    documents: Literal["lines", "paragraphs"] | None = Field(
        None,
        description="a document on each line, or documents separated by blank lines (CC100); default: "
        "inferred from the first 10,000 lines, and logged",
    )
    columns: dict[Literal["text", "lang", "title", "qid", "links"], str | None] = Field(
        {},
        description="columns of a .parquet file or keys of JSON lines, e.g. {text: body, links: null} (null: "
        "none), or paths to nested ones, e.g. {text: sections.**.value}; default: the fields' own names",
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
    link_title: bool = Field(
        False,
        description="JSON lines and Parquet: link the first occurrence of a document's title in its text to "
        "the document's `qid` (without one, to the title)",
    )

    @model_validator(mode="after")
    def _share_or_sentences(self) -> "TextConfig":
        if self.share is not None and self.sentences is not None:
            raise ValueError("share and sentences both set the size of the sample: leave one of them out")
        return self

    @model_validator(mode="after")
    def _json_lines_have_their_own_form(self) -> "TextConfig":
        if self.documents and (ending := format_of(self.path)):
            kind = "is Parquet" if ending == ".parquet" else "holds JSON lines"
            raise ValueError(f"documents is for plain text, but {self.path} {kind} by its name")
        if self.link_title and not format_of(self.path):
            raise ValueError(f"link_title is for JSON lines, but {self.path} is plain text by its name")
        if self.columns and not format_of(self.path):
            raise ValueError(
                f"columns is for .parquet files and JSON lines, but {self.path} is neither by its name"
            )
        for field, column in self.columns.items():
            if "**" in ((names := (column or "").split("."))[0], names[-1]):
                raise ValueError(
                    f"columns.{field} is {column!r}, but `**` is neither first nor last in a path"
                )
        if self.columns.get("text", "") is None:
            raise ValueError("columns.text is null, but every document needs a text: name its column")
        return self


class ExtractionConfig(Section):
    """What of an article's markup becomes text."""

    keep: tuple[Literal["cell", "caption"], ...] = Field(
        (), description="blocks that stay beside paragraphs, list items and headings"
    )


class LimitsConfig(Section):
    """Resource limits of inputs; larger ones are rejected."""

    decompression_ratio: Count = Field(
        100, gt=0, description="unpacked bytes a packed byte, past the first 64 MiB of a file"
    )
    record_mib: int = Field(32, gt=0, le=1024, description="MiB of one page, line, SQL row or JSON entity")
