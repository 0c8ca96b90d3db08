/* SPDX-License-Identifier: MIT */
/* paths.h - where things are when nobody says. L0; any thread. */
#pragma once

#include <limits.h>

struct paths {
	char mount[256]; /* root: /symbi; else $XDG_RUNTIME_DIR/symbi, or /tmp/symbi-UID/symbi */
	char state[256]; /* root: /var/lib/symbi; else $XDG_STATE_HOME or ~/.local/state, /symbi */
	char shared[256]; /* root: /run/symbi/mnt; else none, "" */
	char socket[256]; /* root: /run/symbi/symbi.sock; else $XDG_RUNTIME_DIR/symbi.sock, or /tmp/symbi-UID/ */
};
void paths_default(struct paths *ret);

/* The program `name` of ours: it lies beside this process's. 0, or -errno when it is not there or cannot be executed; ret
 * says where it should be all the same, "" when not even that is known. */
int paths_beside(const char *name, char ret[static PATH_MAX]);
