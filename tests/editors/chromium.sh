#!/usr/bin/env bash
# Finds or installs a Chromium and what drives it. Prints the program's path, then the folder of the
# driver's packages (for NODE_PATH), a line each.
#
#   chromium.sh [PREFIX]
#
# Chromium is the system's package; playwright-core comes from npm and downloads no browser of its own.
set -euo pipefail

readonly playwright=1.65.1

say() { printf 'chromium.sh: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 3
}

default_prefix() {
  if [ -n "${COUNTERSIGN_EDITORS:-}" ]; then
    printf '%s/playwright\n' "$COUNTERSIGN_EDITORS"
  elif [ "$(id -u)" = 0 ]; then
    printf '/opt/countersign-editors/playwright\n'
  else
    printf '%s/countersign-editors/playwright\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
  fi
}

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

install_browser() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "please install Chromium"
  say "installing Chromium"
  export DEBIAN_FRONTEND=noninteractive
  local packages=(chromium fonts-dejavu-core fonts-liberation)
  apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1 && return
  apt-get -qq update >&2 && apt-get install -qq -y --no-install-recommends "${packages[@]}" >&2
}

good() { grep -qF "\"version\": \"$playwright\"" "$1/node_modules/playwright-core/package.json" 2>/dev/null; }

main() {
  local prefix=${1:-$(default_prefix)}
  browser >/dev/null || install_browser
  if ! good "$prefix"; then
    command -v npm >/dev/null || die "no npm: install Node.js 20 or newer, then run this again"
    mkdir -p "$prefix" || die "cannot write $prefix; set COUNTERSIGN_EDITORS to a folder of yours"
    npm install --prefix "$prefix" --ignore-scripts --no-audit --no-fund --no-save --loglevel=error \
      "playwright-core@$playwright" >&2 || die "npm cannot install playwright-core@$playwright"
    good "$prefix" || die "the installed playwright-core is not $playwright"
  fi
  browser || die "no Chromium after its installation"
  printf '%s\n' "$prefix/node_modules"
}

main "$@"
