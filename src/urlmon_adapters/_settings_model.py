"""How sections of settings are described, filled from named values, and reported on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from urlmon.domain.secrets import Secret
from urlmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from urlmon_adapters._environment import Environment

_S = TypeVar("_S", bound="SettingsModel")


class SettingsModel(BaseModel):
    """The base of every section: frozen, and silent about values when it refuses them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
    )

    def secrets(self) -> Iterator[Secret]:
        """Yield every secret in here."""
        for name in type(self).model_fields:
            value: object = getattr(self, name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Secret):
                    yield each
                elif isinstance(each, SettingsModel):
                    yield from each.secrets()


def known_settings(kind: type[SettingsModel]) -> dict[str, FieldInfo]:
    """Return every setting that `kind` reads, by its name in the environment.

    A field that is left out of `repr` holds a secret.
    """
    known: dict[str, FieldInfo] = {}
    for info in kind.model_fields.values():
        section = _section(info)
        if section is not None:
            known |= known_settings(section)
        elif isinstance(info.validation_alias, str):
            known[info.validation_alias] = info
    return known


def build(kind: type[_S], environment: Environment) -> _S:
    """Build settings from gathered values.

    Raises:
        ConfigurationError: Something is missing or cannot be used; tells all at once.
    """
    problems = dict(environment.problems)
    try:
        settings = kind.model_validate(_tree(kind, environment.values))
    except ValidationError as exc:
        settings = None
        known = known_settings(kind)
        for error in exc.errors(include_url=False, include_context=False, include_input=False):
            # A rule over all sections has no place.
            name = str(error["loc"][-1]) if error["loc"] else kind.__name__
            problems.setdefault(name, _problem(name, known.get(name), error))
    if settings is None or problems:
        raise ConfigurationError(*problems.values())
    return settings


def _section(info: FieldInfo) -> type[SettingsModel] | None:
    for each in (info.annotation, *get_args(info.annotation)):
        if isinstance(each, type) and issubclass(each, SettingsModel):
            return each
    return None


def _tree(kind: type[SettingsModel], values: Mapping[str, str]) -> dict[str, object]:
    """Arrange values as `kind` nests them; leave out an optional section without any."""
    tree: dict[str, object] = {}
    for name, info in kind.model_fields.items():
        section = _section(info)
        if section is not None:
            inner = _tree(section, values)
            if inner or info.is_required():
                tree[name] = inner
        elif info.validation_alias in values:
            tree[str(info.validation_alias)] = values[str(info.validation_alias)]
    return tree


def _problem(name: str, info: FieldInfo | None, error: ErrorDetails) -> str:
    """Say what is wrong with a setting, what it is for, and how it looks when right."""
    wrong = "is missing" if error["type"] == "missing" else error["msg"]
    wrong = wrong.removeprefix("Value error, ")
    if info is None:  # a rule over several settings names them itself
        return wrong
    wrong = wrong.replace("Input should", "must").partition(", unable to parse")[0]
    example = info.examples[0] if info.examples else info.default
    return f"{name} {wrong} ({info.description}; for example {name}={example})"
