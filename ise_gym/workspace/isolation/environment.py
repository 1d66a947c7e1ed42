"""The environment that every command sees, the same in every backend and on every machine.

Why: clocks, locales, pagers, hash seeds and user names are what makes the same commands give different
output on another day or host. What can be pinned is pinned here.
"""

from __future__ import annotations

from ise_gym.workspace.values import HOME

USER = "user"
UID = 1000
HOSTNAME = "workspace"

SEED_TIME = 1_704_067_200
"""Modification time of seeded files: 2024-01-01T00:00:00Z, in seconds since the epoch."""

BOX_ENV: dict[str, str] = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "USER": USER,
    "LOGNAME": USER,
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": str(SEED_TIME),
    "GIT_AUTHOR_NAME": "User",
    "GIT_AUTHOR_EMAIL": "user@workspace.local",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "User",
    "GIT_COMMITTER_EMAIL": "user@workspace.local",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
