#!/bin/bash
# cpack -G DEB makes a package that holds everything, depends on the libraries that the programs use, and whose programs
# run when it is unpacked.
set -eu
# shellcheck source=tests/install/common.sh
. "$(dirname "$0")/common.sh"
for program in dpkg-deb dpkg-shlibdeps; do
  command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
cpack -G DEB --config "$build/CPackConfig.cmake" -B "$dir/deb" >"$dir/out" 2>&1 || die "$(cat "$dir/out")"
deb=$(echo "$dir"/deb/symbi_*.deb)
dpkg-deb -x "$deb" "$dir/root"
complete_in "$dir/root"
depends=$(dpkg-deb -f "$deb" Depends)
libraries=$(objdump -p "$dir/root/usr/bin/symbid" | sed -n 's/^ *NEEDED *//p')
# shellcheck disable=SC2046,SC2086 # lists of words
owners=$(dpkg-query -S $(printf '*/%s ' $libraries))
for library in $libraries; do
  found=
  for package in $(sed -n "s|^\([^:]*\):.*/$library$|\1|p" <<<"$owners"); do
    [[ $depends, != *"$package "* && $depends, != *"$package,"* ]] || found=yes
  done
  [ -n "$found" ] || die "the package does not depend on what brings $library: $depends"
done
for script in postinst prerm postrm; do
  dpkg-deb --ctrl-tarfile "$deb" | tar -tvf - | grep -q "^-rwxr-xr-x.* ./$script$" || die "no $script in the package"
done
runs_from "$dir/root"
