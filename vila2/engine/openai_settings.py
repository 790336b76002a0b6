"""The options of the engine ``openai``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vila2.recipe.parts.values import Count, FreeValues, Number, Part, Text


def _one_or_several(value: Any) -> Any:
    return [one.strip() for one in value.split(",") if one.strip()] if isinstance(value, str) else value


Url = Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")]


class OpenAISettings(Part):
    """Where the servers are, and how patiently they are asked."""

    url: Annotated[tuple[Url, ...], BeforeValidator(_one_or_several), Field(min_length=1)] = Field(
        description="Base URL of each server, such as http://localhost:8000/v1. All serve the same model"
    )
    model: Text | None = Field(
        default=None, description="Name of the model at the servers; by default the model that is asked for"
    )
    key_env: Text = Field(
        default="OPENAI_API_KEY", description="Name of the environment variable that holds the key, if any"
    )
    concurrency: Count = Field(default=64, description="Number of requests at a server at a time, at most")
    timeout: Annotated[Number, Field(gt=0)] = Field(
        default=300.0, description="Seconds after which a request counts as failed"
    )
    tries: Count = Field(
        default=5, description="Number of tries of a request that a working server fails to answer"
    )
    wait: Annotated[Number, Field(ge=0)] = Field(
        default=900.0,
        description="Seconds to wait for a server where none works, for example while they load the model",
    )
    max_failed: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="Share of requests that may stay without an answer; beyond it, with 20 or more asked, "
        "the job stops",
    )
    look_ahead: Count = Field(
        default=1024, description="Number of requests taken beyond the oldest one without an answer"
    )
    extra: FreeValues = Field(
        default={}, description="Further fields of every request, such as the server's own sampling settings"
    )
