#!/usr/bin/env bash
# Finds or installs a Neovim that has inline completion (0.12 or newer). Prints the program's path.
#
#   neovim.sh [PREFIX]
#
# A good enough `nvim` on PATH wins. Otherwise Debian's own package of a newer suite is unpacked
# with its whole library closure (libc included) into PREFIX: the system stays as it is, no package
# is installed, and no root is needed. apt resolves, downloads and verifies against a private, empty
# package state; patchelf, from the same closure, points the program at the prefix's own loader, so
# that Neovim's child processes work too. Running it again is free.
#
# PREFIX cannot be moved afterwards: loader and wrapper hold absolute paths.
set -euo pipefail

readonly least=0.12
readonly suite=${NVIM_SUITE:-forky}

say() { printf 'neovim.sh: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 3
}

default_prefix() {
  if [ -n "${COUNTERSIGN_EDITORS:-}" ]; then
    printf '%s/neovim\n' "$COUNTERSIGN_EDITORS"
  elif [ "$(id -u)" = 0 ]; then
    printf '/opt/countersign-editors/neovim\n'
  else
    printf '%s/countersign-editors/neovim\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
  fi
}

# Whether the program runs and is new enough.
good() {
  local version
  version=$("$1" --version 2>/dev/null | sed -n '1s/^NVIM v\([0-9.]*\).*/\1/p') || return 1
  [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$least" "$version" | sort -V | head -n 1)" = "$least" ]
}

# The first mirror that this machine's own apt uses; deb822 or one-line sources.
mirror() {
  local uri
  uri=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk 'tolower($1) == "uris:" { print $2; exit }') || true
  [ -n "$uri" ] || uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z+]+:\/\//) { print $i; exit } }') || true
  [ -n "$uri" ] || return 1
  printf '%s\n' "$uri"
}

# Downloads the packages and everything they need, and unpacks all of it below PREFIX/root.
unpack() {
  local prefix=$1 state=$1/.apt uri package directory
  shift
  uri=$(mirror) || die "no apt source found; install Neovim $least or newer yourself"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts" "$prefix/root"
  : >"$state/status"
  cat >"$state/parts/$suite.sources" <<SOURCES
Types: deb
URIs: $uri
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  cat >"$state/apt.conf" <<CONF
Dir::State::lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$state/parts";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
APT::Sandbox::User "$(id -un)";
#clear APT::Update::Post-Invoke;
APT::Keep-Downloaded-Packages "true";
Debug::NoLocking "true";
CONF
  APT_CONFIG=$state/apt.conf apt-get -qq update >&2
  APT_CONFIG=$state/apt.conf apt-get -qq -y --no-install-recommends --download-only install "$@" >&2
  for package in "$state"/cache/archives/*.deb; do dpkg-deb -x "$package" "$prefix/root"; done
  (cd "$state/cache/archives" && ls -- *.deb) >"$prefix/packages.txt"
  rm -rf "$state"
  for directory in lib lib64; do # programs look for /lib*, packages hold /usr/lib*
    if [ -d "$prefix/root/usr/$directory" ] && [ ! -e "$prefix/root/$directory" ]; then
      ln -s "usr/$directory" "$prefix/root/$directory"
    fi
  done
}

install_into() {
  local prefix=$1 root=$1/root libraries loader
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die "this is not a Debian system; install Neovim $least or newer yourself"
  say "installing Neovim from Debian $suite into $prefix"
  rm -rf "$prefix"
  mkdir -p "$prefix/bin" || die "cannot write $prefix; set COUNTERSIGN_EDITORS to a folder of yours"
  unpack "$prefix" neovim patchelf
  libraries=$root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
  loader=$(find "$root/usr/lib64" "$libraries" -maxdepth 1 -name 'ld-linux*.so.*' 2>/dev/null | head -n 1)
  [ -n "$loader" ] || die "no program loader in $root"
  "$loader" --library-path "$libraries" "$root/usr/bin/patchelf" \
    --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$root/usr/bin/nvim"
  cat >"$prefix/bin/nvim" <<WRAPPER
#!/bin/sh
export VIMRUNTIME="$root/usr/share/nvim/runtime"
exec "$root/usr/bin/nvim" "\$@"
WRAPPER
  chmod +x "$prefix/bin/nvim"
}

main() {
  local prefix=${1:-$(default_prefix)} found
  if found=$(command -v nvim) && good "$found"; then
    printf '%s\n' "$found"
    return
  fi
  if ! good "$prefix/bin/nvim"; then
    mkdir -p "$(dirname "$prefix")" 2>/dev/null ||
      die "cannot write $(dirname "$prefix"); set COUNTERSIGN_EDITORS to a folder of yours"
    # Two runs at once must not unpack into each other.
    exec 9>"$prefix.lock"
    flock 9
    good "$prefix/bin/nvim" || install_into "$prefix"
    good "$prefix/bin/nvim" || die "the installed Neovim does not start or is older than $least"
  fi
  printf '%s\n' "$prefix/bin/nvim"
}

main "$@"
