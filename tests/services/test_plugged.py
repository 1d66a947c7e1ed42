"""Services of one's own: what they declare of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from ise_gym.proving.service_mutants import Form, damaged_services
from ise_gym.services.host import ServiceHost
from ise_gym.services.site import Request, Response
from ise_gym.services.spec import ServiceKind, ServiceSpec, make_spec


class LedgerModel(BaseModel):
    host: str = ""


class Ledger:
    def __init__(self, data: Mapping[str, Any], state: dict[str, Any] | None = None) -> None:
        self.state: dict[str, Any] = state or {"lines": []}

    def answer(self, request: Request) -> Response:
        self.state["lines"].append(request.body.decode())
        return Response(200)

    def damages(self, earlier: Mapping[str, Any]) -> Iterator[Form[dict[str, Any]]]:
        if len(self.state["lines"]) > len(earlier.get("lines", ())):
            yield "the last line was not booked", lambda state: state["lines"].pop()


LEDGER = ServiceKind(LedgerModel, Ledger)
KIND = f"{__name__}:LEDGER"


def test_the_damages_that_a_site_declares_are_tried_and_taken_back() -> None:
    host = ServiceHost([ServiceSpec(KIND, {"host": "ledger.example"})])
    before = host.save()
    host.answer(Request("POST", "ledger.example", "/", body=b"12 kettles"))
    tried = [
        (what, list(host.sites["ledger.example"].state["lines"])) for what in damaged_services(host, before)
    ]
    assert tried == [("the last line was not booked", [])]
    assert host.sites["ledger.example"].state["lines"] == ["12 kettles"]


def test_one_that_answers_http_needs_a_name_to_answer_to() -> None:
    with pytest.raises(ValueError, match="its data need the key 'host'"):
        make_spec(KIND, {})
