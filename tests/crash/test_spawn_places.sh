#!/bin/bash
# The tests of the spawner in every place it may have to live in: as an ordinary user, with cgroup v1 only, in a chroot,
# and without any cgroup (tests/sandbox/places.h). In the first place, as they are started, they run with the quick
# tests. One after the other: they count the processes of the user that they share.
set -u
failed=0 ran=0
for prog in cgroup drivers box layers spawn spawn_end spawn_limits spawn_lost; do
  TEST_PLACE=others timeout 300 "${TEST_BUILD_DIR:?}/tests/test_$prog" && rc=0 || rc=$?
  case $rc in
  0) ran=1 ;;
  77) ;; # none of the places can be had here
  *) failed=1 ;;
  esac
done
[ $failed = 0 ] || exit 1
[ $ran = 1 ] || exit 77
