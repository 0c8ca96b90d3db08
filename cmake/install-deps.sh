#!/bin/sh
# install-deps.sh GROUP...: makes sure that the Debian packages of these groups (cmake/debian.packages) are there.
# Installs what is missing as root or by sudo; where neither can be had it says what is missing and ends with 1.
set -eu
list=$(dirname "$0")/debian.packages
[ $# -gt 0 ] || { echo "usage: $0 GROUP...   (build run test fuzz ...; see $list)" >&2; exit 2; }
command -v dpkg-query >/dev/null || {
  echo "$0: this is not a Debian system; install the counterparts of the packages in $list" >&2
  exit 1
}

missing=
for group; do
  for package in $(sed -n "s/^$group  *//p" "$list"); do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
elif command -v sudo >/dev/null && [ -t 0 ]; then
  as_root=sudo
else
  echo "$0: these packages are missing, and installing them needs root:" >&2
  echo "  apt-get install -y$missing" >&2
  exit 1
fi
echo "installing:$missing" >&2
# The lists may be older than the packages on the mirror; a failing update shows when the install fails.
$as_root apt-get -q update >/dev/null </dev/null || :
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing </dev/null >/dev/null
