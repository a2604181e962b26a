"""What every table of a project's file has in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the file: unknown keys are refused, so that a misspelt one is not silently the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")
