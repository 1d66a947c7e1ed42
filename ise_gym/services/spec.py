"""What a scenario says about its services, checked where it enters.

A `ServiceSpec` is plain JSON, so that it can be stored, compared and sent to a worker; the models below say what the
JSON of each kind may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ise_gym.errors import nearest
from ise_gym.foreign.values import Json
from ise_gym.registry import Registered
from ise_gym.services.git import GitModel
from ise_gym.services.jobs import CronModel
from ise_gym.services.models import FaultModel, Host, Moment, Slug
from ise_gym.services.packages import PackagesModel


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PageModel(_Model):
    """One page: exactly one of body (HTML inside the layout), html (a whole document), text, csv, json, location."""

    path: Annotated[str, Field(pattern=r"^/[^\s#]*$")]
    title: str = ""
    body: str | None = None
    html: str | None = None
    text: str | None = None
    csv: str | None = None
    json_: Any = Field(default=None, alias="json")
    location: str | None = None
    listed: bool = True

    @model_validator(mode="after")
    def _one_content(self) -> PageModel:
        kinds = ("body", "html", "text", "csv", "json_", "location")
        if len([kind for kind in kinds if kind in self.model_fields_set]) != 1:
            raise ValueError("needs exactly one of body, html, text, csv, json, location")
        return self


class WebModel(_Model):
    """One web site: a host name with pages."""

    host: Host
    title: str
    layout: Literal["plain", "shop", "news", "docs"] = "plain"
    pages: list[PageModel] = Field(min_length=1)
    faults: list[FaultModel] = Field(default_factory=list)


class MailModel(_Model):
    """What the mail server does with some recipients: refuse them for good, or once and accept them later."""

    domain: Host
    refused: list[str] = Field(default_factory=list)
    greylisted: list[str] = Field(default_factory=list)


class ChatMessageModel(_Model):
    """One message; ``id`` is given by order."""

    author: Slug
    text: str
    time: Moment


class ChannelModel(_Model):
    """One channel and what was said in it, oldest first."""

    name: Slug
    topic: str = ""
    members: list[Slug] = Field(default_factory=list)
    messages: list[ChatMessageModel] = Field(default_factory=list)


class ChatModel(_Model):
    """One team's chat. ``expired`` tokens are refused; ``refresh`` is the secret that buys ``token``."""

    host: Host
    me: Slug
    token: str
    now: Moment
    expired: list[str] = Field(default_factory=list)
    refresh: str = ""
    users: list[dict[str, str]] = Field(default_factory=list)
    channels: list[ChannelModel] = Field(min_length=1)
    faults: list[FaultModel] = Field(default_factory=list)


class EventModel(_Model):
    """One event; times are local, end after start."""

    uid: Slug
    summary: str
    start: Moment
    end: Moment
    location: str = ""
    attendees: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _order(self) -> EventModel:
        if self.end <= self.start:
            raise ValueError("end must come after start")
        return self


class OneCalendarModel(_Model):
    """One calendar; an ``exclusive`` one (a room, say) refuses events that overlap."""

    name: Slug
    exclusive: bool = False
    events: list[EventModel] = Field(default_factory=list)


class CalendarModel(_Model):
    """A calendar server."""

    host: Host
    calendars: list[OneCalendarModel] = Field(min_length=1)
    faults: list[FaultModel] = Field(default_factory=list)


@dataclass(frozen=True)
class ServiceKind:
    """A kind of service.

    Attributes:
        model: what its data look like.
        site: for one that answers HTTP under a host name of its own: what makes its `ise_gym.services.site.Site` from
            the data and the state to go on from (None at first), or where that is (``module:Name``).
    """

    model: type[BaseModel]
    site: Callable[..., Any] | str = ""

    def open(self, data: Mapping[str, Json], state: object) -> Any:
        """Make the site."""
        made = self.site
        if isinstance(made, str):
            module, _, name = made.partition(":")
            made = getattr(import_module(module), name)
        return made(data, state)


WEB = ServiceKind(WebModel, "ise_gym.services.web:WebSite")
CHAT = ServiceKind(ChatModel, "ise_gym.services.chat:ChatSite")
CALENDAR = ServiceKind(CalendarModel, "ise_gym.services.calendars:CalendarSite")
PACKAGES = ServiceKind(PackagesModel, "ise_gym.services.packages:PackageSite")
MAIL, CRON, GIT = ServiceKind(MailModel), ServiceKind(CronModel), ServiceKind(GitModel)

KINDS: Registered[ServiceKind] = Registered("service")
"""The kinds of service; see `ise_gym.registry`."""


@dataclass(frozen=True)
class ServiceSpec:
    """One service of a scenario: its kind and its data (JSON that the kind's model accepts)."""

    kind: str
    data: Mapping[str, Any]

    @property
    def host(self) -> str:
        """The host name (mail and cron: the domain) that it answers to."""
        return str(self.data.get("host") or self.data.get("domain"))


def make_spec(kind: str, data: Mapping[str, object]) -> ServiceSpec:
    """Check a service's data.

    Raises:
        ValueError: no such kind, or data that its model refuses; the first problem is named.
    """
    if kind not in KINDS:
        raise ValueError(f"no service is named '{kind}'.{nearest(kind, KINDS)}")
    try:
        KINDS[kind].model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{kind} service: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    if KINDS[kind].site and not data.get("host"):
        raise ValueError(
            f"{kind} service: it answers HTTP, so its data need the key 'host', a name to answer to"
        )
    return ServiceSpec(kind, data)


def known_keys(kind: str) -> set[str]:
    """Return the top-level keys of a kind's data.

    >>> sorted(known_keys("mail"))
    ['domain', 'greylisted', 'refused']
    """
    return {field.alias or name for name, field in KINDS[kind].model.model_fields.items()}
