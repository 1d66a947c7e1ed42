"""Configuration objects; the miniature needs no fields."""

from pydantic import BaseModel


class PromptConfig(BaseModel):
    greeting: str = "You file notes."


class ModelConfig(BaseModel):
    model_id: str = ""


class MediaConfig(BaseModel):
    enabled: bool = True
