#!/bin/sh
# Fetches packages of Debian's that would change this machine if they were
# installed: who manages /etc/resolv.conf. Tests unpack them where only a node
# of the lab sees them (packages.ts). Once, into VM_CACHE (~/.cache/pvpn-vm).
set -eu
cache=${VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pvpn-vm}
packages=$cache/packages-1 # another number for another choice
wanted='systemd-resolved libsystemd-shared libnss-resolve
  dbus-daemon dbus-system-bus-common resolvconf openresolv'

die() {
  printf 'packages: %s\n' "$*" >&2
  exit 1
}

# Into the current folder. apt-get checks their signatures.
download() {
  # shellcheck disable=SC2086 # a word for each
  timeout 300 apt-get download $wanted
}

[ ! -e "$packages" ] || exit 0
command -v apt-get >/dev/null ||
  die "they are Debian's, and there is no apt-get to fetch them"
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # another one may be at it
[ ! -e "$packages" ] || exit 0
new=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
cd "$new"
# The lists may be missing, or too old to have what the server has.
download >log 2>&1 || { apt-get update && download; } >>log 2>&1 ||
  die "cannot fetch them: $(tail -n 1 log)"
mv "$new" "$packages"
