"""A stage reads the configuration fields that it declares, and no others."""

import pickle

import pytest

from kgcorpus.config import BuildConfig, PassagesConfig
from kgcorpus.contracts.declared import config_json, declared
from kgcorpus.contracts.errors import KgcorpusError

WIKIS = [{"lang": "de", "dump": "d.xml"}, {"lang": "fr", "dump": "f.xml", "other_language": True}]
CONFIG = BuildConfig.model_validate({"wikipedia": WIKIS, "passages": {"trelm": 99}})
SEEN = declared(CONFIG, ("passages", "wikipedia.lang", "trelm.facts_per_entity"), reader="pages")


def test_a_declared_section_is_the_section_itself() -> None:
    assert SEEN.passages is CONFIG.passages
    assert isinstance(SEEN.passages, PassagesConfig)


def test_a_declared_field_is_read_through_sections_and_lists() -> None:
    assert SEEN.trelm.facts_per_entity == 16
    assert [wiki.lang for wiki in SEEN.wikipedia] == ["de", "fr"]


@pytest.mark.parametrize(
    ("read", "path"),
    [
        (lambda config: config.cycles.per_pair, "cycles"),
        (lambda config: config.seed, "seed"),
        (lambda config: config.trelm.long_tail_quantile, "trelm.long_tail_quantile"),
        (lambda config: config.wikipedia[1].other_language, "wikipedia.other_language"),
        (lambda config: config.tokenizer, "tokenizer"),
        (lambda config: config.model_dump(), "model_dump"),
        (lambda config: hasattr(config, "cycles"), "cycles"),
        (lambda config: pickle.loads(pickle.dumps(config)).cycles, "cycles"),
    ],
)
def test_reading_an_undeclared_field_raises(read, path: str) -> None:
    with pytest.raises(KgcorpusError, match=f"pages: the stage reads {path}, which it does not declare"):
        read(SEEN)


def test_a_field_that_does_not_exist_raises() -> None:
    with pytest.raises(AttributeError, match="per_entity"):
        _ = SEEN.trelm.per_entity  # type: ignore[attr-defined]


def test_the_view_is_read_only() -> None:
    with pytest.raises(AttributeError):
        SEEN.trelm.facts_per_entity = 1


def test_json_of_the_declared_fields_has_lists_for_tuples() -> None:
    found = config_json(CONFIG, ("wikipedia.lang", "passages"))
    assert found["wikipedia.lang"] == ["de", "fr"]
    assert (found["passages"]["trelm"], found["passages"]["plain"]) == (99, [128, 512])
