#!/bin/bash
# Every library that CMakeLists.txt asks pkg-config for, and every Debian package that is named, can be had: a fresh
# machine installs nothing but what cmake/debian.packages lists.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
command -v dpkg-query >/dev/null || { echo "not a Debian system"; exit 77; }
bad=0
modules=$(sed -n 's/^ *symbi_[a-z]*(.* PKG \([^)]*\)).*/\1/p' CMakeLists.txt; sed -n 's/.*pkg_check_modules(.* \([^ )]*\)).*/\1/p' cmake/*.cmake)
files=
for module in $modules; do
  case $module in *'$'*) continue ;; esac
  where=$(pkg-config --variable=pcfiledir "$module" 2>/dev/null) || { echo "pkg-config does not know $module"; bad=1; continue; }
  files="$files $where/$module.pc"
done
# shellcheck disable=SC2086 # a list of files
while IFS=: read -r package _ file; do
  grep -q "^build $package$" cmake/debian.packages ||
    { echo "${file# } comes from $package, which cmake/debian.packages does not list under build"; bad=1; }
done < <(dpkg-query -S $files)
exit $bad
