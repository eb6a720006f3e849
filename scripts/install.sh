#!/bin/sh
# Installs exactly what package-lock.json pins, once even when two ask at the same time.
#
# Install scripts of packages are not run: none is needed, and Bun's own would start Bun, which a
# CPU without SSE4.2 cannot. What Bun's script does is done here: node_modules/.bin/bun works.
set -eu

root=$(CDPATH='' cd -P -- "$(dirname "$0")/.." && pwd)
cd "$root"
lock=.cache/install.lock
log=.cache/install.log
# A second caller waits so long for the first; npm ci with a cold cache takes a minute or two.
wait_seconds_max=600

fail() {
  printf 'frontdesk: %s\n' "$1" >&2
  exit 1
}

alive() {
  [ -d "/proc/$1" ] || kill -0 "$1" 2>/dev/null
}

installed() {
  cmp -s package-lock.json node_modules/.frontdesk-lock && [ -x node_modules/.bin/bun ]
}

command -v npm >/dev/null ||
  fail "npm is needed once, to install what is pinned; install Node.js 20 or later, which brings it"
mkdir -p .cache || fail "cannot write to $root"

waited=0
until mkdir "$lock" 2>/dev/null; do
  holder=$(cat "$lock/pid" 2>/dev/null || :)
  if [ -n "$holder" ] && ! alive "$holder"; then
    # Its owner died. A rename is atomic, so only one of those who wait removes it.
    mv "$lock" "$lock.$$" 2>/dev/null && rm -rf "$lock.$$"
    continue
  fi
  [ "$waited" -lt "$wait_seconds_max" ] || fail "another installation holds $root/$lock"
  [ "$waited" -gt 0 ] || printf 'frontdesk: waiting for another installation\n' >&2
  sleep 1
  waited=$((waited + 1))
done
trap 'rm -rf "$lock"' EXIT
trap 'exit 1' HUP INT TERM
echo $$ >"$lock/pid"

# The one we waited for may have done it.
if [ "$waited" -gt 0 ] && installed; then exit 0; fi

printf 'frontdesk: installing what package-lock.json pins (once) ...\n' >&2
if ! npm ci --include=dev --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1; then
  head -n 10 "$log" >&2
  fail "npm ci failed; the whole output is in $root/$log"
fi

# The real Bun, in place of the placeholder that its package brings.
for bun in node_modules/@oven/bun-*/bin/bun; do
  case $bun in
    *-android/*) continue ;;
  esac
  if [ -x "$bun" ]; then ln -sf "../${bun#node_modules/}" node_modules/.bin/bun; fi
done
cp package-lock.json node_modules/.frontdesk-lock
