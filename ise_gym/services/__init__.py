"""The world around an agent: a small web, mail, team chat and calendars, reachable only from inside one box.

Server and state live on the harness side; the box holds nothing but the open port (see `ise_gym.workspace.box.ports`).
So the state can't be read, changed or stopped by what runs in the box, except through the service's own interface.
"""

from __future__ import annotations

from ise_gym.services.host import ServiceHost, services_of, start_services
from ise_gym.services.spec import KINDS, ServiceSpec, make_spec

__all__ = ["KINDS", "ServiceHost", "ServiceSpec", "make_spec", "services_of", "start_services"]
