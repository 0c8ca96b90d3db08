#!/bin/bash
# The tests of the spawner in every place it may have to live in: as an ordinary user, with cgroup v1 only, in a chroot,
# and without any cgroup (tests/sandbox/places.h). In the first place, as they are started, they run with the quick
# tests. One after the other: they count the processes of the user that they share.
set -u
failed=0
for prog in cgroup drivers box layers spawn spawn_end spawn_limits spawn_lost; do
  TEST_PLACE=others timeout 300 "${TEST_BUILD_DIR:?}/tests/test_$prog" || failed=1
done
exit $failed
