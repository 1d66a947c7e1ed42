"""A message; its content may be given as plain words."""

from pydantic import BaseModel, field_validator

from .content import TextBlock, ToolResultBlock, ToolUseBlock


class Message(BaseModel):
    role: str
    content: list[TextBlock | ToolUseBlock | ToolResultBlock] = []
    reasoning_content: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _words(cls, value):
        return [TextBlock(text=value)] if isinstance(value, str) else value

    @property
    def text(self):
        return "\n".join(block.text for block in self.content if isinstance(block, TextBlock))
