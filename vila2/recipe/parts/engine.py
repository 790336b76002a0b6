"""The engine of a recipe: its name alone, or its name with options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    SerializationInfo,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from vila2.recipe.parts.values import DEFAULT_ENGINE, FOR_DIGEST, FreeValues, Part, Text

#: Options, by engine, that say where and how patiently it works, not what it answers. They are in no digest,
#: so a run goes on with another server.
NOT_DIGESTED_OPTIONS: Mapping[str, frozenset[str]] = {
    "openai": frozenset(
        {"url", "key_env", "concurrency", "timeout", "tries", "wait", "max_failed", "look_ahead"}
    )
}


class EngineSpec(Part):
    """An engine and its options. ``NAME`` in a recipe stands for ``{name: NAME}``.

    Attributes:
        name: name of the engine.
        options: options of the engine; it checks them itself.
    """

    name: Text = DEFAULT_ENGINE
    options: FreeValues = {}  # noqa: RUF012 - pydantic copies it

    @model_validator(mode="before")
    @classmethod
    def _name_or_mapping(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            return {"name": raw}
        if isinstance(raw, Mapping) and "options" not in raw:
            options = {key: value for key, value in raw.items() if key != "name"}
            return {key: raw[key] for key in ("name",) if key in raw} | {"options": options}
        return raw

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """Gives the name alone where there are no options, as in runs of earlier versions."""
        left_out = NOT_DIGESTED_OPTIONS.get(self.name, ()) if info.context == FOR_DIGEST else ()
        options = {name: value for name, value in self.options.items() if name not in left_out}
        return {"name": self.name, **options} if options else self.name


#: The engine where nothing names another.
DEFAULT_SPEC = EngineSpec()

#: An engine as a recipe has it.
EngineChoice = Annotated[
    EngineSpec,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {"name": {"type": "string", "minLength": 1}},
                    "required": ["name"],
                },
            ]
        }
    ),
]
