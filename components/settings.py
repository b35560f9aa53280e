"""Settings of a component: typed, validated, with a JSON form that travels as an execution property."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from tfx_trust.components.errors import UsageError, unknown
from tfx_trust.components.report import explain

SettingsT = TypeVar("SettingsT", bound="Settings")


class Settings(pydantic.BaseModel):
    """Base of every component's settings: immutable, closed, documented field by field."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def of(cls: type[SettingsT], value: SettingsT | Mapping[str, Any] | str | None) -> SettingsT:
        """Settings from themselves, a mapping, JSON text, or nothing (the defaults).

        Raises
        ------
        UsageError
            If a field is unknown or its value not allowed; the message names field and value.
        """
        if isinstance(value, cls):
            return value
        try:
            if isinstance(value, str):
                return cls.model_validate_json(value)
            given = dict(value or {})
            for name in given:
                if name not in cls.model_fields:
                    raise unknown(f"setting of {cls.__name__}", name, cls.model_fields)
            return cls.model_validate(given)
        except pydantic.ValidationError as error:
            raise UsageError(f"{cls.__name__}: {explain(error)}") from None

    def to_json(self) -> str:
        """The canonical JSON text: equal settings give equal text, so that TFX's cache holds."""
        return self.model_dump_json()
