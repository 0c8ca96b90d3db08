/* SPDX-License-Identifier: MIT */
/* box_i.h - between box.c and box_view.c. L1. */
#pragma once

#include "sandbox/box.h"

/* In pid 1 of a new box: make its file system and make it the root. dir is the working directory, opened, or -1: go by
 * s->cwd, which may be NULL for none. NULL, or the step that failed with errno. */
const char *box_view(const struct spawn_start *s, int dir);
/* The i-th path of the machine, relative to its root, that a box shows as it is, read-only; NULL behind the last. */
const char *box_view_seen(size_t i);
/* The agent's part of Symbi's tree, s->view, as a tree of its own, detached (open_tree); -1 with errno. That a directory
 * is this agent's is in its owner: the name may be another's by now, which is ESTALE. */
int box_take_symbi(const struct spawn_start *s);
/* May cwd be a working directory there? */
bool box_place_ok(const char *cwd);
/* Is our root a directory that is no mount point? pivot_root refuses there; false where the kernel does not say. */
bool box_in_chroot(void);
/* Between clone and exec: what may be written is cwd and what is temporary, by Landlock of this ABI (1 or more). false
 * with errno. */
bool box_landlock(const char *cwd, uint32_t abi);
