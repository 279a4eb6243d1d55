#!/usr/bin/env bash
# Installs one coding agent or AI language server from npm, at the version the tests were written for.
# Prints the program's path.
#
#   npm.sh claude-code | claude-acp | codex | gemini-cli | tabby-agent | copilot-language-server
#
# Everything goes below $COUNTERSIGN_AGENTS (else /opt/countersign-agents as root, else the user's
# cache), in a folder named after agent and version: the system stays as it is, and running it again
# is free. Needs Node.js with npm.
set -euo pipefail

say() { printf 'npm.sh: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 3
}

default_prefix() {
  if [ -n "${COUNTERSIGN_AGENTS:-}" ]; then
    printf '%s\n' "$COUNTERSIGN_AGENTS"
  elif [ "$(id -u)" = 0 ]; then
    printf '/opt/countersign-agents\n'
  else
    printf '%s/countersign-agents\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
  fi
}

# package, version, program, how it shows that it starts (- where it has no such way)
pinned() {
  case $1 in
  claude-code) printf '@anthropic-ai/claude-code 2.1.197 claude --version\n' ;;
  claude-acp) printf '@agentclientprotocol/claude-agent-acp 0.100.0 claude-agent-acp --version\n' ;;
  codex) printf '@openai/codex 0.169.0 codex --version\n' ;;
  copilot-language-server) printf '@github/copilot-language-server 1.539.0 copilot-language-server --version\n' ;;
  gemini-cli) printf '@google/gemini-cli 0.61.0 gemini --version\n' ;;
  tabby-agent) printf 'tabby-agent 1.5.0 tabby-agent -\n' ;;
  *) die "no such agent: $1" ;;
  esac
}

# Whether the package is the version asked for and its program starts. HOME is none of the user's.
good() {
  local program=$1 manifest=$2 version=$3 probe=$4 home status=0
  [ -x "$program" ] && grep -qF "\"version\": \"$version\"" "$manifest" || return 1
  [ "$probe" != - ] || return 0
  home=$(mktemp -d)
  HOME=$home timeout 60 "$program" "$probe" </dev/null >/dev/null 2>&1 || status=1
  rm -rf "$home"
  return "$status"
}

main() {
  local agent=${1:?which agent?} package version name probe prefix program manifest
  read -r package version name probe < <(pinned "$agent")
  [ -n "${name:-}" ] || exit 3
  prefix=$(default_prefix)/$agent-$version
  program=$prefix/node_modules/.bin/$name
  manifest=$prefix/node_modules/$package/package.json
  if ! good "$program" "$manifest" "$version" "$probe"; then
    command -v npm >/dev/null || die "no npm: install Node.js 20 or newer, then run this again"
    mkdir -p "$(dirname "$prefix")" 2>/dev/null ||
      die "cannot write $(dirname "$prefix"); set COUNTERSIGN_AGENTS to a folder of yours"
    # Two runs at once must not unpack into each other.
    exec 9>"$prefix.lock"
    flock 9
    if ! good "$program" "$manifest" "$version" "$probe"; then
      say "installing $package@$version into $prefix"
      rm -rf "$prefix"
      mkdir -p "$prefix"
      timeout 600 npm install --prefix "$prefix" --no-audit --no-fund --no-save --loglevel=error \
        "$package@$version" >&2 || die "npm cannot install $package@$version"
      good "$program" "$manifest" "$version" "$probe" || die "the installed $name does not start or is not $version"
    fi
  fi
  printf '%s\n' "$program"
}

main "$@"
