"""The configuration tells a user what is wrong, and where."""

import contextlib
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from kgcorpus.config import BuildConfig, GraphConfig, load, load_resolved, settings, to_yaml, validated
from kgcorpus.contracts import yaml_reader
from kgcorpus.contracts.errors import UsageError
from kgcorpus.wiki.site import LANGUAGE_CODES

ROOT = Path(__file__).resolve().parents[1]
# Nine aliases of the line before, nine times: merge keys, a list, values of a mapping.
BOMBS = [
    "\n".join([first, *(f"a{i}: &a{i} {form(', '.join(9 * [f'*a{i - 1}']))}" for i in range(1, 10))])
    for first, form in (
        ("a0: &a0 {k: 1}", "{{<<: [{}]}}".format),
        ("a0: &a0 [x]", "[{}]".format),
        ("a0: &a0 [x]", "{{k: [{}]}}".format),
    )
]


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
        ("languages: [en, en]", r"yaml: languages names one twice: en, en"),
        ("{languages: [en], base_language: de}", "de is not among languages"),
        ("languages: [english]", "languages.0: .*'english' is not a language code: write one such as"),
        (
            "jaket: {category_relation: 31}",
            "category_relation: YAML reads it as 31: write it in quotes",
        ),
        ("jaket: {category_relation: ' '}", "jaket.category_relation: .*is empty"),
        ("cycles: {pairs_per_edge: 0}", "cycles.pairs_per_edge"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "not valid YAML"),
        ("seed: ${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("seed: 1\ngraph: {}\nseed: 2", r"c\.yaml:3: the key seed occurs twice"),
        ("cycles:\n  per_pair: 1\n  per_pair: 1", r"c\.yaml:3: the key per_pair occurs twice"),
        ("text: [{lang: de, lang: en, path: x}]", r"c\.yaml:1: the key lang occurs twice"),
        ("seed: 1\n[a]: 2", "not valid YAML"),
        ("seed: 1\nlanguages: [en, '${NOT_SET}']", r"c\.yaml:2: the variable NOT_SET is not set"),
        ("languages: [en, no]", 'languages.1: .*write "no", in quotes'),
        ("text: [{lang: no, path: x}]", 'text.0.lang: .*write "no", in quotes'),
        ("seed: 9223372036854775808", "seed: .*less than or equal to 9223372036854775807"),
        ("linking: {window: 2147483648}", "linking.window: .*less than or equal to 2147483647"),
        ("passages: {plain: [128, 99999999999]}", "passages.plain.1: .*less than or equal"),
        ("wikipedia: [{lang: en, dump: }]", "wikipedia.0.dump: Field required"),
    ],
)
def test_a_wrong_config_is_refused_with_the_field_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=message) as error:
        load(BuildConfig, path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["languages: [no]", "text: [{lang: no, path: x}]"])
def test_a_bare_no_is_told_once_and_alone(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r'^[^;]*: write "no", in quotes$'):
        load(BuildConfig, write(tmp_path, text))


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


def test_a_comment_may_name_any_variable(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 3  # ${NOPE}\n# ${NOPE}\ngraph: {triples: [${GIVEN}/b, '#${GIVEN}']}")
    config = load(BuildConfig, path, variables={"GIVEN": "there"})
    assert (config.seed, config.graph.triples) == (3, ("there/b", "#there"))


@pytest.mark.parametrize("form", ["{}", '"{}"', "'{}'"], ids=["plain", "double", "single"])
@given(value=st.text(st.characters(codec="utf-8")))
@example("it's")
@example('q"x')
@example("a: b # c")
@example("one\ntwo: [")
@example("*alias")
@example("${OTHER}")
def test_a_variable_is_data_and_never_syntax(
    tmp_path_factory: pytest.TempPathFactory, form: str, value: str
) -> None:
    path = write(tmp_path_factory.mktemp("c"), f"text: [{{lang: en, path: {form.format('./${V}')}}}]")
    assert load(BuildConfig, path, variables={"V": value}).text[0].path == f"./{value}"


def test_a_variable_may_be_a_number_or_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: ${SEED}\ncycles: {per_pair: ${MANY:-7}}\nimportance: {encoder: ${E:-}}")
    config = load(BuildConfig, path, variables={"SEED": "12"})
    assert (config.seed, config.cycles.per_pair, config.importance.encoder) == (12, 7, None)


def test_a_builds_own_config_is_read_without_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "secret")
    (tmp_path / "config.yaml").write_text("graph: {triples: ['${KEY}']}")
    assert load_resolved(tmp_path).graph.triples == ("${KEY}",)


def test_an_override_of_one_section_leaves_its_alias_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "graph: {triples: &t [a], labels: *t}\ntext: [&x {lang: en, path: p}, *x]")
    config = load(BuildConfig, path, overrides=["graph.triples=b"])
    assert (config.graph.triples, config.graph.labels, len(config.text)) == (("b",), ("a",), 2)


def test_merge_keys_of_one_level_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "text: [&x {lang: en, path: p}, {<<: *x, path: q}]")
    assert [(t.lang, t.path) for t in load(BuildConfig, path).text] == [("en", "p"), ("en", "q")]


def test_a_config_is_no_named_pipe_and_has_an_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_text("#" * (2 << 20) + "\n")
    for name, message in (("pipe", "no regular file but a pipe"), ("long", "longer than 2 MiB")):
        with pytest.raises(UsageError, match=message):
            load(BuildConfig, tmp_path / name)
    assert load(BuildConfig, Path("/dev/null")) == BuildConfig()


@given(st.text(st.sampled_from("a&*<:{}[],!'\"#|>?-=~$%@` \n\t01.\ufeff\ue000"), max_size=60))
def test_any_text_is_a_config_or_a_plain_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    with contextlib.suppress(UsageError):
        settings(write(tmp_path_factory.mktemp("c"), text), variables={"a": "b"})


@pytest.mark.parametrize("key", BuildConfig.model_fields)
def test_a_key_without_a_value_is_as_if_absent(tmp_path: Path, key: str) -> None:
    assert load(BuildConfig, write(tmp_path, f"{key}:")) == BuildConfig()


def test_an_override_goes_into_an_empty_section(tmp_path: Path) -> None:
    config = load(BuildConfig, write(tmp_path, "cycles:\ngraph:"), overrides=["cycles.per_pair=2"])
    assert config == BuildConfig.model_validate({"cycles": {"per_pair": 2}})


@pytest.mark.parametrize("field", GraphConfig.model_fields)
def test_one_file_of_the_graph_needs_no_list(tmp_path: Path, field: str) -> None:
    config = load(BuildConfig, write(tmp_path, f"graph: {{{field}: a.txt}}"))
    assert getattr(config.graph, field) == ("a.txt",)


def test_every_wikipedia_has_a_language() -> None:
    codes = tuple(sorted(LANGUAGE_CODES))
    assert BuildConfig(languages=codes).languages == codes


@pytest.mark.parametrize("code", ["pt-BR", "zh-Hant", "zh-Hant-HK", "es-419", "sr_Latn", "de-1996"])
def test_codes_of_bcp_47_are_languages(code: str) -> None:
    overrides = [f"languages=[fr, {code}]", f"wikipedia=[{{lang: {code}, dump: x}}]"]
    config = load(BuildConfig, None, overrides=overrides)
    assert (config.languages, config.wikipedia[0].lang) == (("fr", code), code)


@pytest.mark.parametrize(
    "overrides",
    [["languages=[pt-br, pt-BR]"], ["languages=[zh-Hant]", "text=[{lang: zh-hant, path: x}]"]],
)
def test_two_spellings_of_a_language_are_refused(overrides: list[str]) -> None:
    with pytest.raises(UsageError, match=r"one twice|name one language: write one"):
        load(BuildConfig, None, overrides=overrides)


@pytest.mark.parametrize("key", ["languages", "graph.triples", "passages.plain"])
def test_a_set_has_no_order_and_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match=r"--set .*: is not valid YAML: the tag tag:yaml.org,2002:set"):
        load(BuildConfig, None, overrides=[f"{key}=!!set {{en, de}}"])


def test_every_count_has_an_end() -> None:
    def endless(model: type, prefix: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            if hasattr(field.annotation, "model_fields"):
                found += endless(field.annotation, f"{prefix}{name}.")
            elif field.annotation is int and not any(hasattr(limit, "le") for limit in field.metadata):
                found.append(prefix + name)
        return found

    assert endless(BuildConfig, "") == []


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
        "languages: !!set {en, de}",
        "languages: !!omap [en: de]",
        "seed: " + "9" * 4_000_000,
        "seed: 0x" + "f" * 101,
        "seed: 1" + ":59" * 300_000,
        "graph: &g {triples: *g}",
        "graph: &g {<<: *g}",
        *BOMBS,
    ],
)
def test_yaml_makes_no_object_and_breaks_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        load(BuildConfig, write(tmp_path, text.replace("{made}", str(tmp_path / "made"))))
    assert not (tmp_path / "made").exists()


def test_too_many_values_are_refused_before_the_file_is_parsed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(yaml_reader, "_MOST_VALUES", 100)
    # Not closed: a parser that comes to the end finds another fault.
    with pytest.raises(UsageError, match=r"c\.yaml:50: has more than 100 values"):
        load(BuildConfig, write(tmp_path, "languages: [\n" + "en, de,\n" * 1000))


def test_a_dump_is_one_file_or_a_list_and_an_index_goes_with_each() -> None:
    def config(*wikis: dict[str, object]) -> BuildConfig:
        return BuildConfig.model_validate({"wikipedia": wikis})

    (wiki,) = config({"lang": "en", "dump": "a.bz2", "titles": "t.tsv"}).wikipedia
    assert (wiki.dump, wiki.index, wiki.titles) == (("a.bz2",), (), ("t.tsv",))
    with pytest.raises(ValueError, match="1 index files for 2 dump files"):
        config({"lang": "en", "dump": ["a", "b"], "index": "i"})
    with pytest.raises(ValueError, match="only some dumps of en have an index"):
        config({"lang": "en", "dump": "a", "index": "i"}, {"lang": "en", "dump": "b"})


def test_the_base_language_moves_to_the_front():
    config = load(BuildConfig, None, overrides=["languages=[ltg, lv, en]", "base_language=lv"])
    assert config.languages == ("lv", "ltg", "en")
    assert validated(BuildConfig, yaml.safe_load(to_yaml(config)), where="") == config
    assert load(BuildConfig, None, overrides=["languages=[ltg, lv, en]"]).languages[0] == "ltg"
