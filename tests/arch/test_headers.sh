#!/bin/bash
# Every header compiles alone, with the flags of the build.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
command -v "${CC:=gcc}" >/dev/null || { echo "no C compiler '$CC'"; exit 77; }
# shellcheck disable=SC2046 # a list of packages: those that the layers name
flags=$(pkg-config --cflags $(sed -n 's/^symbi_[a-z]*(.* PKG \([^)]*\)).*/\1/p' CMakeLists.txt))
bad=0
while read -r file; do
  # shellcheck disable=SC2086 # a list of flags
  "$CC" -std=gnu17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -I. $flags -x c -include "$file" /dev/null || bad=1
done < <(find lib policies vectors sandbox runtime fs api cmd -name '*.h' 2>/dev/null)
exit $bad
