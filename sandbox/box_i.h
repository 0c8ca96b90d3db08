/* SPDX-License-Identifier: MIT */
/* box_i.h - between box.c and box_view.c. L1. */
#pragma once

#include "sandbox/box.h"

/* In pid 1 of a new box: make its file system and make it the root. dir is the working directory, opened, or -1: go by
 * s->cwd, which may be NULL for none. NULL, or the step that failed with errno. */
const char *box_view(const struct spawn_start *s, int dir);
/* Between clone and exec: what may be written is cwd and what is temporary, by Landlock of this ABI (1 or more). false
 * with errno. */
bool box_landlock(const char *cwd, uint32_t abi);
