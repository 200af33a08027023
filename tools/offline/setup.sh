#!/bin/sh
# Sets up Deno, denort and @std from npm, where JSR and Deno's download server
# are out of reach. Prints the variables to export. Needs npm and tar.
# With --ready it sets up nothing, and fails unless all is there already.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$here/node_modules/@deno/linux-x64-glibc
denort_sha256=f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6

die() {
  printf 'tools/offline: %s\n' "$*" >&2
  exit 1
}

# A stamp holds the hash of all that decides what is set up. It is written last
# and by renaming, so what was interrupted or has other pins is set up anew.
pins() {
  cat "$@" | sha256sum | cut -d' ' -f1
}
tools_stamp=$here/node_modules/.from-npm
vendor_stamp=$root/vendor/.from-npm
tools_pins=$(pins "$0" "$here/package-lock.json" "$here/denort.ts")
vendor_pins=$(pins "$root/deno.lock" "$here/vendor_std.ts" \
  "$here"/types/*/*.d.ts)

stamped() {
  [ -e "$1" ] && [ "$(cat "$1")" = "$2" ]
}
stamp() {
  echo "$2" >"$1.new"
  mv "$1.new" "$1"
}
tools_ready() {
  stamped "$tools_stamp" "$tools_pins" && [ -x "$bin/deno" ] &&
    [ -x "$bin/denort" ]
}

set_up_tools() {
  case $(uname -sm) in
    'Linux x86_64') ;;
    *) die "Deno from npm is pinned for Linux on x86_64 only, and this is" \
      "$(uname -sm): install Deno 2.7 or later" ;;
  esac
  getconf GNU_LIBC_VERSION >/dev/null 2>&1 ||
    die "Deno from npm is built for glibc, which this system does not have:" \
      "install Deno 2.7 or later"
  npm ci --prefix "$here" --ignore-scripts --no-audit --no-fund \
    --no-update-notifier --loglevel=error >&2
  made_from=$here/node_modules/@stdy/cli-linux-x64
  if [ ! -x "$bin/deno" ] || [ ! -e "$made_from/bin/steady" ]; then
    die 'npm has not installed the packages of tools/offline/package.json'
  fi
  run_script --allow-read --allow-write "$here/denort.ts" \
    "$made_from/bin/steady" "$bin/denort" "$denort_sha256"
  rm -rf "$made_from"
  stamp "$tools_stamp" "$tools_pins"
}

set_up_vendor() {
  # .new-*: what an interrupted setup left.
  rm -rf "$vendor_stamp" "$root"/vendor/.new-*
  run_script --allow-read --allow-write --allow-run=npm,tar \
    "$here/vendor_std.ts" >&2
  stamp "$vendor_stamp" "$vendor_pins"
}

run_script() {
  "$bin/deno" run --quiet --no-prompt --no-lock --no-config "$@"
}

# For single quotes of the shell.
quoted() {
  printf '%s\n' "$1" | sed "s/'/'\\\\''/g; s/^/'/; s/\$/'/"
}

# One setup at a time: the other one waits, and finds all ready.
exec 9<"$here"
if [ "${1-}" = --ready ]; then
  tools_ready && stamped "$vendor_stamp" "$vendor_pins" || exit 1
elif ! tools_ready || ! stamped "$vendor_stamp" "$vendor_pins"; then
  for command in npm tar flock; do
    command -v "$command" >/dev/null ||
      die "$command is missing: install it (as root, 'make deps' does)," \
        "or install Deno 2.7 or later"
  done
  flock 9
  tools_ready || set_up_tools
  stamped "$vendor_stamp" "$vendor_pins" || set_up_vendor
fi
echo "export PATH=$(quoted "$bin"):\$PATH DENORT_BIN=$(quoted "$bin/denort")"
