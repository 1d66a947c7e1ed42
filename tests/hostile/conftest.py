"""The backends of hostile tests are those of the workspace's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "workspace"
if str(_FOLDER) not in sys.path:
    sys.path.append(str(_FOLDER))
_spec = importlib.util.spec_from_file_location("workspace_conftest", _FOLDER / "conftest.py")
assert _spec is not None and _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)

daemon, pool, jail, bubble = _shared.daemon, _shared.pool, _shared.jail, _shared.bubble
