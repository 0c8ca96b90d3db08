#!/bin/bash
# Every command of README.md is run as it stands there: its ```sh blocks, in order, in one shell, with a /symbi and a
# state of their own (a mount and pid namespace). A line that ends in "# → TEXT" must print just that, one that ends in
# "# exit status 1" must fail, every other one must succeed.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
bin=${TEST_BIN_DIR:-$PWD/build/release/bin}
[ "$(id -u)" = 0 ] || { echo "needs root: the commands use /symbi"; exit 77; }
[ -e /dev/fuse ] || { echo "there is no /dev/fuse"; exit 77; }

# Commands that other tests run: this one is run by tests/run.sh, the build made its programs.
elsewhere='^(examples/quickstart\.sh|tests/run\.sh|cmake --preset release|cmake --build --preset release)( |$)'

script=$(mktemp)
trap 'rm -f "$script"' EXIT
awk -v elsewhere="$elsewhere" '
  function quoted(s) { gsub(/\047/, "\047\\\047\047", s); return "\047" s "\047" }
  /^```sh$/ { on = 1; next }
  /^```/ { on = 0; next }
  !on { next }
  $0 ~ elsewhere { next }
  match($0, / +# → /) { cmd = substr($0, 1, RSTART - 1); want = substr($0, RSTART + RLENGTH)
                        print "prints " quoted(want) " " quoted(cmd); next }
  match($0, / +# exit status 1$/) { print "fails " quoted(substr($0, 1, RSTART - 1)); next }
  { print }' README.md >"$script"
[ "$(grep -c '^prints ' "$script")" -ge 10 ] || { echo "README.md has no commands to check"; exit 1; }

prelude='
set -eu
wrong() { echo "README.md: $1"; echo "  printed: $2"; tail -n 1 /symbi/errors 2>/dev/null; exit 1; }
prints() { local out; out=$(eval "$2" 2>&1) && [ "$out" = "$1" ] || wrong "$2" "$out"; }
fails() { local out; if out=$(eval "$1" 2>&1); then wrong "$1 did not fail" "$out"; fi; }
made=
for dir in /symbi /var/lib/symbi /run/symbi; do
  [ -d $dir ] || { mkdir -p $dir; made="$dir $made"; }
  mount -t tmpfs -o mode=0755 tmpfs $dir
done
cleanup() {
  build/release/bin/symbi down >/dev/null 2>&1 || :
  umount -l /symbi /var/lib/symbi /run/symbi 2>/dev/null || :
  [ -z "$made" ] || rmdir $made
}
trap cleanup EXIT
'
# The commands name build/release; under another preset they shall use the programs of that one.
sed -i "s|build/release/bin/|$bin/|g" "$script"
prelude=${prelude//build\/release\/bin/$bin}
propagation=private
unshare --mount --propagation private true 2>/dev/null || propagation=unchanged # in a chroot the root is no mount
unshare --mount --pid --fork --kill-child --mount-proc --propagation $propagation bash -c "$prelude$(cat "$script")" </dev/null
