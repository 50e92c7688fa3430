"""The places labelled by hand fit the texts and the graph that they are of."""

import gzip
from collections import Counter
from pathlib import Path

from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import refuse
from kgcorpus.linking.labelled import digest_of, read_labelled
from kgcorpus.wiki.documents import read_linked_documents

TEST = Path(__file__).with_name("vital.tsv")
CALIBRATION = Path(__file__).parents[2] / "benchmarks" / "gold" / "linking" / "vital-calibration.tsv"
# The order of `text` in conf/vital.yaml, which page ids follow.
LANGUAGES = ("en", "fr", "es")


def places_of(path):
    return list(read_labelled(path))


def test_the_sample_has_a_hundred_places_a_band_and_shares_none_with_the_calibration():
    test, calibration = places_of(TEST), places_of(CALIBRATION)
    assert Counter(place.band for place in test) == dict.fromkeys(("rare", "medium", "frequent"), 100)
    assert len(calibration) == 600
    spans = [{place[:5] for place in places} for places in (test, calibration)]
    assert (len(spans[0]), len(spans[1])) == (300, 600)
    assert not spans[0] & spans[1]


def test_every_place_is_in_its_text_and_its_entity_in_the_graph(real_data):
    places = [*places_of(TEST), *places_of(CALIBRATION)]
    wanted = {(place.lang, place.page_id) for place in places}
    texts = {
        (lang, row["page_id"]): row["text"]
        for ordinal, lang in enumerate(LANGUAGES)
        for row in read_linked_documents(
            str(real_data / "vital-summaries" / f"{lang}.jsonl.xz"),
            lang=lang,
            ordinal=ordinal,
            sites={},
            tally=Tally(),
            on_bad=refuse,
        )
        if (lang, row["page_id"]) in wanted
    }
    with gzip.open(real_data / "kg-real" / "triples.txt.gz", "rt") as lines:
        graph = {end for line in lines for end in (line.split()[0], line.split()[2])}
    for place in places:
        text = texts[place.lang, place.page_id]
        assert digest_of(text)[:12] == place.digest
        assert text[place.start : place.end].strip()
        assert place.end <= len(text)
        assert place.qid is None or place.qid in graph
