"""The linker as a spaCy component: `nlp.add_pipe("kgcorpus_linker", config={"corpus": OUT})`."""

from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from kgcorpus.contracts.languages import base_language_of
from kgcorpus.linking.linker import Linker

LABEL = "ENTITY"
# spaCy's code of a pipeline for no language in particular, and the one of ISO 639-3.
_MULTI_LANGUAGE = ("xx", "mul", "")
Span.set_extension("kg_confidence", default=None, force=True)


class SpacyLinker:
    """Sets `doc.ents` with `kb_id_` (a QID) and `_.kg_confidence`.

    An entity that the pipeline has found already keeps its label where the linker marks the same span, and
    stays where the linker marks nothing.
    """

    def __init__(self, linker: Linker) -> None:
        self._linker = linker

    def __call__(self, doc: Doc) -> Doc:
        """Link one document; a name that ends inside a token of spaCy's takes the whole token."""
        labels = {(entity.start, entity.end): entity.label_ for entity in doc.ents}
        found: list[Span] = []
        for mention in self._linker.link(doc.text):
            span = doc.char_span(mention.start, mention.end, alignment_mode="expand")
            if span is None:
                continue
            label = labels.get((span.start, span.end), LABEL)
            linked = Span(doc, span.start, span.end, label=label, kb_id=mention.entity)
            linked._.kg_confidence = mention.confidence
            found.append(linked)
        found = filter_spans(found)
        taken = {token for span in found for token in range(span.start, span.end)}
        doc.ents = found + [
            entity for entity in doc.ents if taken.isdisjoint(range(entity.start, entity.end))
        ]
        return doc


@Language.factory("kgcorpus_linker", default_config={"corpus": "out", "lang": None, "overrides": []})
def make_linker(nlp: Language, name: str, corpus: str, lang: str | None, overrides: list[str]) -> SpacyLinker:
    """Make the component.

    Args:
        nlp: the pipeline.
        name: the component's, which spaCy gives.
        corpus: a build's folder.
        lang: the texts' language as the build has it, also where spaCy has no class for it; None: the
            pipeline's language, or the build's base language in a multi-language pipeline (`xx`).
        overrides: `linking.key=value`, as the commands' `--set`.

    Raises:
        InputError, UsageError: as `Linker.open`.
    """
    folder = Path(corpus)
    own = None if nlp.lang in _MULTI_LANGUAGE else nlp.lang
    return SpacyLinker(Linker.open(folder, lang or own or base_language_of(folder), overrides=overrides))
