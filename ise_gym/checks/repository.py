"""What git is told when a check asks it, so that a repository's own settings and files show nothing that is not so.

Settings given by the environment win over those of the repository. What has no setting (the index, names that hide a
branch, lists of files to leave out) is looked at before: see `undisguised`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ise_gym.checks.verdicts import Unreadable
from ise_gym.workspace.base import Workspace


def _settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give git settings which win over every file's (git 2.31)."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


GIT_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_SHALLOW_FILE": "",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file",
    **_settings(
        {
            "core.fsmonitor": "false",
            "core.sshCommand": "false",
            "core.pager": "cat",
            "core.untrackedCache": "false",
            "core.commitGraph": "false",
            "core.fileMode": "true",
            "core.excludesFile": "/dev/null",
            "log.showSignature": "false",
            "log.mailmap": "false",
            "gpg.program": "false",
            "color.ui": "false",
            "column.ui": "never",
            "diff.renames": "true",
            "format.pretty": "medium",
            "status.showUntrackedFiles": "normal",
        }
    ),
}
"""No setting of a repository runs a program or changes what git prints, and looking leaves no trace in it."""

_GIT = re.compile(
    r"(?<![\w./-])(?:/usr/bin/)?git(?: -C (\S{1,4096}))?(?: -\S{1,200}){0,8} ([a-z][a-z-]{0,30})(?![\w-])"
)
_STATE = frozenset({"status", "diff", "diff-files", "diff-index", "ls-files"})
"""Commands that compare files with the index."""

_LOOK = r"""
say() { printf '%s' "$*" >&2; exit 3; }
cd -P -- "$1" 2>/dev/null || exit 0
mapfile -t at <<< "$(git rev-parse --git-dir --git-common-dir --show-toplevel 2>/dev/null)"
[ -n "${at[0]}" ] || exit 0
[ ${#at[@]} -le 3 ] || say "a path of the repository has several lines"
folders=("${at[0]}") top=${at[2]}
[ "${at[1]}" = "${at[0]}" ] || folders+=("${at[1]}")
refs=$'\n'$(git for-each-ref --format='%(refname)' 2>/dev/null)$'\n'
while read -r ref; do
  name=${ref#refs/heads/}
  [ "$name" = "$ref" ] && continue
  case $refs in
    *$'\n'refs/"$name"$'\n'* | *$'\n'refs/tags/"$name"$'\n'*) say "another name hides the branch $name" ;;
  esac
  for folder in "${folders[@]}"; do
    [ -L "$folder/$name" ] && say "a link hides the branch $name"
    [ -f "$folder/$name" ] || continue
    grep -qaE '^(ref:|[0-9a-f]{40})' "$folder/$name" && say "a file hides the branch $name"
  done
done <<< "$refs"
[ "$2" = state ] || exit 0
[ -n "$top" ] || exit 0
case $PWD/ in "$top"/*) ;; *) say "the repository's files lie elsewhere" ;; esac
for folder in "${folders[@]}"; do
  [ -s "$folder/info/attributes" ] && say "info/attributes changes how files are compared"
  [ -f "$folder/info/exclude" ] || continue
  [ "${folder:0:1}" = / ] || folder=$PWD/$folder
  IFS= read -r -N 4096 patterns < "$folder/info/exclude"
  if [ ${#patterns} -lt 4096 ]; then  # mostly it is as git made it: comments
    case $'\n'$patterns in *$'\n'[!#$'\n']*) ;; *) continue ;; esac
  fi
  IFS= read -r hidden < <(git -C "$top" ls-files -o -i -X "$folder/info/exclude" 2>/dev/null)
  [ -n "$hidden" ] && say "info/exclude hides $hidden"
done
git config --get-regexp '^filter[.]' > /dev/null && say "a filter changes how files are compared"
fresh=/tmp/index.${SRANDOM:-$RANDOM}.${SRANDOM:-$RANDOM}
[ ! -e "$fresh" ] && [ ! -L "$fresh" ] && set -o pipefail && git -C "$top" ls-files -s -z |
  GIT_INDEX_FILE=$fresh git -C "$top" update-index -z --index-info || say "the index can't be read"
printf '%s' "$fresh"
"""
"""Prints the path of an index that holds what the repository's says, but nothing of when it last looked at files."""


def undisguised(
    workspace: Workspace, argv: Sequence[str], folder: str, environment: Mapping[str, str], timeout: float
) -> dict[str, str]:
    """Look at the repositories that a command asks git about; returns variables for the command.

    Raises:
        Unreadable: a repository shows something else than is there.
    """
    asked: dict[str, bool] = {}
    for where, subcommand in _GIT.findall(" ".join(argv)):
        asked[where or "."] = asked.get(where or ".", False) or subcommand in _STATE
    found = {}
    for where, state in asked.items():
        looked = workspace.exec(
            ["/bin/bash", "-c", _LOOK, "look", where, "state" if state else ""],
            cwd=folder,
            env=dict(environment),
            timeout=timeout,
            merge=False,
            sweep=True,
        )
        if not looked.ok:
            said = looked.stderr.decode("utf-8", "replace").strip()[:200]
            raise Unreadable(f"the repository {where} can't be trusted: {said or 'git does not answer'}")
        if looked.output and len(asked) == 1:
            found["GIT_INDEX_FILE"] = looked.output.decode("utf-8", "replace")
    return found
