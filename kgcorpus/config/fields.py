"""Building blocks of every configuration: the frozen base class `Section`, and checked field types."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.hub_ids import SCHEME, is_model_id
from kgcorpus.contracts.ids import read_id
from kgcorpus.contracts.languages import LANGUAGE_CODE
from kgcorpus.contracts.remote import is_remote, require_served


def _quoted(value: Any) -> Any:
    """Refuse what YAML reads as a number or a truth value where a code or an id belongs."""
    if value is False:
        raise ValueError('YAML takes a bare no for false: write "no", in quotes')
    if isinstance(value, bool | int | float):
        raise ValueError(f"YAML reads it as {value!r}: write it in quotes")
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
    if value.startswith(SCHEME) and is_model_id(model := value.removeprefix(SCHEME)):
        return model
    if is_remote(_served(value)):
        raise ValueError(f"{value}: a URL is not read here. Name a local path")
    return value


# A path or a URL; a path, or the id of a model on the hub, `NAME@REVISION` or `hf://USER/NAME@REVISION`.
Place = Annotated[str, AfterValidator(_served)]
LocalPlace = Annotated[str, AfterValidator(_not_a_url)]
Lang = Annotated[str, BeforeValidator(_quoted), AfterValidator(_language_code)]
# An entity or a relation of the graph.
Id = Annotated[str, BeforeValidator(_quoted), AfterValidator(read_id)]
Files = Annotated[tuple[Place, ...], BeforeValidator(_listed)]
# What Spark and numba count in 32 bits.
Count = Annotated[int, Field(le=2**31 - 1)]


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
