#!/bin/bash
# Every library that CMakeLists.txt asks pkg-config for, and every Debian package that is named, can be had: a fresh
# machine installs nothing but what cmake/debian.packages lists.
set -eu
cd "${SYMBI_SOURCE_DIR:-$(dirname "$0")/../..}"
command -v dpkg-query >/dev/null || { echo "not a Debian system"; exit 77; }
bad=0
modules=$(sed -n 's/^ *symbi_[a-z]*(.* PKG \([^)]*\)).*/\1/p' CMakeLists.txt; sed -n 's/.*pkg_check_modules(.* \([^ )]*\)).*/\1/p' cmake/*.cmake)
for module in $modules; do
  case $module in *'$'*) continue ;; esac
  file=$(pkg-config --variable=pcfiledir "$module" 2>/dev/null) || { echo "pkg-config does not know $module"; bad=1; continue; }
  package=$(dpkg-query -S "$file/$module.pc" 2>/dev/null | sed 's/:.*//')
  grep -q "^build $package$" cmake/debian.packages ||
    { echo "$module comes from ${package:-no package}, which cmake/debian.packages does not list under build"; bad=1; }
done
exit $bad
