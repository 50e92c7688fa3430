"""The linker in a spaCy pipeline."""

import pytest

from kgcorpus.contracts.errors import UsageError

spacy = pytest.importorskip("spacy")
import kgcorpus.linking.spacy_component  # noqa: E402, F401  registers the component


def pipeline(corpus, lang="en", *, config=None):
    nlp = spacy.blank(lang)
    nlp.add_pipe("kgcorpus_linker", config={"corpus": str(corpus), **(config or {})})
    return nlp


@pytest.mark.parametrize(
    ("lang", "config"),
    [("xx", {}), ("xx", {"lang": "en"}), ("fr", {"lang": "en"}), ("xx", {"lang": "EN-gb"})],
)
def test_the_texts_language_is_the_settings_or_the_builds(corpus, lang, config):
    doc = pipeline(corpus, lang, config=config)("Both Mercury and Venus are hot.")
    assert [entity.kb_id_ for entity in doc.ents] == ["Q308", "Q313"]


def test_a_pipeline_in_a_language_without_names_is_refused(corpus):
    with pytest.raises(UsageError, match="no name in the language fr"):
        pipeline(corpus, "fr")


def test_entities_carry_their_qid(corpus):
    doc = pipeline(corpus)("Both Mercury and Venus are hot.")
    assert [(entity.text, entity.kb_id_) for entity in doc.ents] == [("Mercury", "Q308"), ("Venus", "Q313")]
    assert all(0 < entity._.kg_confidence <= 1 for entity in doc.ents)


def test_labels_of_earlier_components_stay(corpus):
    nlp = pipeline(corpus)
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "PLANET", "pattern": "Venus"}, {"label": "WORD", "pattern": "hot"}])
    doc = nlp("Both Mercury and Venus are hot.")
    assert [(entity.text, entity.label_, entity.kb_id_) for entity in doc.ents] == [
        ("Mercury", "ENTITY", "Q308"),
        ("Venus", "PLANET", "Q313"),
        ("hot", "WORD", ""),
    ]
