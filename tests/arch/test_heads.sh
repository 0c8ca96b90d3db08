#!/bin/bash
# Every source file starts with its licence and a sentence on what it is responsible for; headers have #pragma once.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"

find lib policies vectors sandbox runtime fs api cmd tests \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 2>/dev/null |
  xargs -0 awk '
  function complain(what) { print file ": " what; bad = 1 }
  function finish() { if (file ~ /\.h$/ && !once) complain("no #pragma once") }
  FNR == 1 {
    finish()
    file = FILENAME; once = 0; name = file; sub(/.*\//, "", name)
    if ($0 != "/* SPDX-License-Identifier: MIT */" && $0 != "// SPDX-License-Identifier: MIT")
      complain("the first line is not the licence")
    if (file ~ /^cmd\/.*\/main\.c$/) { split(file, part, "/"); name = part[2] }
  }
  FNR == 2 && index($0, "/* " name " - ") != 1 && index($0, "// " name " - ") != 1 {
    complain("the second line does not say what the file is for: /* " name " - ... */")
  }
  /^#pragma once$/ { once = 1 }
  END { finish(); exit bad }'
