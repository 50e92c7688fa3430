"""The linker in a spaCy pipeline."""

import pytest

spacy = pytest.importorskip("spacy")
import kgcorpus.linking.spacy_component  # noqa: E402, F401  registers the component


def pipeline(corpus, lang="en"):
    nlp = spacy.blank(lang)
    nlp.add_pipe("kgcorpus_linker", config={"corpus": str(corpus)})
    return nlp


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
