#!/usr/bin/env bash
# Brings a machine with nothing but Python >= 3.11 to where `make demo` and `make test` run:
# system packages, a virtual environment, Python packages. Safe to run again: done work is skipped.
#
#   ./setup.sh VENV [pip extras] [more system packages]      e.g.  ./setup.sh .venv train,llm chromium
#
# PYTHON       the interpreter that makes the virtual environment (default: python3)
# LOWEST=1     the lowest versions that pyproject.toml allows, and what runs the tests (see `make oldest`)
# TORCH_PIP    extra arguments for installing torch, e.g. an index of CPU builds
set -euo pipefail
cd "$(dirname "$0")"
venv=${1:-.venv} extras=${2:-train,llm} wanted=("${@:3}")
python=${PYTHON:-python3}

say() { printf '\033[1m%s\033[0m\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 2; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  || die "$python is missing or older than 3.11; install Python 3.11 or newer, or set PYTHON=/path/to/python3.11"

# The sandbox needs bubblewrap, and in the box the system's own bash, git and python3.
missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v git >/dev/null || missing+=(git)
[ -x /usr/bin/python3 ] || missing+=(python3)
for package in "${wanted[@]}"; do
  case $package in
    chromium) command -v chromium >/dev/null && command -v chromedriver >/dev/null || missing+=(chromium chromium-driver) ;;
    *) command -v "$package" >/dev/null || missing+=("$package") ;;
  esac
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing system packages: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  elif [ "$(id -u)" = 0 ] && command -v dnf >/dev/null; then
    say "Installing system packages: ${missing[*]}"
    dnf install -y -q "${missing[@]}"
  else
    die "missing: ${missing[*]}. Install with your package manager, e.g. 'sudo apt-get install ${missing[*]}', and run again"
  fi
fi

if [ ! -x "$venv/bin/python" ]; then
  say "Making a virtual environment in $venv"
  "$python" -m venv "$venv" || die "could not make a virtual environment; on Debian install python3-venv"
fi
stamp="$venv/.ise-gym-$(printf '%s' "$extras${LOWEST:+-lowest}" | tr -c 'a-z0-9\n' -)-$(cat pyproject.toml constraints.txt setup.sh | cksum | cut -d' ' -f1)"
if [ ! -e "$stamp" ]; then
  pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
  case ",$extras," in
    *,train,*|*,all,*)
      if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
        say "Installing torch (the largest part)"
        # shellcheck disable=SC2086  # TORCH_PIP holds several arguments
        pip install "$(grep '^torch==' constraints.txt)" ${TORCH_PIP:-}
      fi ;;
  esac
  say "Installing ise_gym[$extras]"
  if [ -n "${LOWEST:-}" ]; then
    pip install uv pytest pytest-xdist hypothesis scipy
    "$venv/bin/uv" pip install -q --python "$venv/bin/python" --upgrade --resolution lowest-direct -e ".[$extras]"
  else
    pip install -c constraints.txt -e ".[$extras]"
  fi
  touch "$stamp"
fi
