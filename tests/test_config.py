"""The configuration tells a user what is wrong, and where."""

from pathlib import Path

import pytest
import yaml

from kgcorpus.config import BuildConfig, load, to_yaml
from kgcorpus.contracts.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]


def write(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cycles: {wings_per_egde: 3}", "did you mean cycles.wings_per_edge"),
        ("sed: 3", "did you mean seed"),
        ("wikipedia: [{lang: en, dmp: x}]", "wikipedia.0.dump"),
        ("languages: [en, en]", "names one twice"),
        ("languages: [EN]", "languages.0"),
        ("cycles: {pairs_per_edge: 0}", "cycles.pairs_per_edge"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "not valid YAML"),
        ("seed: ${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_wrong_config_is_refused_with_the_field_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=message) as error:
        load(BuildConfig, path)
    assert str(path) in str(error.value)


def test_overrides_go_into_nested_sections(tmp_path: Path) -> None:
    config = load(
        BuildConfig, write(tmp_path, "seed: 3"), overrides=["cycles.per_pair=2", "languages=[de, en]"]
    )
    assert (config.seed, config.cycles.per_pair, config.languages) == (3, 2, ("de", "en"))


@pytest.mark.parametrize("override", ["seed", "=3", "seed.deep=3"])
def test_a_wrong_override_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(UsageError):
        load(BuildConfig, write(tmp_path, "seed: 3"), overrides=[override])


def test_variables_are_expanded_with_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, 'graph: {triples: ["${WHERE:-here}/a", "${GIVEN}/b"]}')
    config = load(BuildConfig, path, variables={"GIVEN": "there"})
    assert config.graph.triples == ("here/a", "there/b")


def test_a_missing_file_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="no such config file"):
        load(BuildConfig, Path("nowhere.yaml"))


def test_the_resolved_config_loads_to_itself(tmp_path: Path) -> None:
    config = load(BuildConfig, None, overrides=["seed=9", "wikipedia=[{lang: en, dump: x}]"])
    assert load(BuildConfig, write(tmp_path, to_yaml(config))) == config


def test_every_field_says_what_it_is() -> None:
    def undocumented(model: type, prefix: str) -> list[str]:
        missing = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
            inner = [kind for kind in kinds if hasattr(kind, "model_fields")]
            missing += [prefix + name] if not inner and not field.description else []
            missing += [path for kind in inner for path in undocumented(kind, f"{prefix}{name}.")]
        return missing

    assert undocumented(BuildConfig, "") == []


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_is_valid(path: Path) -> None:
    from trainer.config import TrainingConfig

    is_build = any(key in yaml.safe_load(path.read_text()) for key in ("graph", "wikipedia", "text"))
    load(BuildConfig if is_build else TrainingConfig, path)


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.mkdir [{made}]",
        "seed: !!python/name:os.system",
        "seed: " + "[" * 5000,
        "seed: 2001-99-99",
        "a: &a [x, x]\nb: &b [*a, *a]\nseed: *b",
    ],
)
def test_yaml_makes_no_object_and_breaks_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        load(BuildConfig, write(tmp_path, text.replace("{made}", str(tmp_path / "made"))))
    assert not (tmp_path / "made").exists()


def test_a_dump_is_one_file_or_a_list_and_an_index_goes_with_each() -> None:
    def config(*wikis: dict[str, object]) -> BuildConfig:
        return BuildConfig.model_validate({"wikipedia": wikis})

    (wiki,) = config({"lang": "en", "dump": "a.bz2", "titles": "t.tsv"}).wikipedia
    assert (wiki.dump, wiki.index, wiki.titles) == (("a.bz2",), (), ("t.tsv",))
    with pytest.raises(ValueError, match="1 index files for 2 dump files"):
        config({"lang": "en", "dump": ["a", "b"], "index": "i"})
    with pytest.raises(ValueError, match="only some dumps of en have an index"):
        config({"lang": "en", "dump": "a", "index": "i"}, {"lang": "en", "dump": "b"})
