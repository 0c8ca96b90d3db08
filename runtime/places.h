/* SPDX-License-Identifier: MIT */
/* places.h - where a daemon mounts, keeps its state and listens: what the command line says, else the
 * settings paths.mount, paths.shared, paths.state and socket.path, else the defaults. The daemon and its command line
 * find each other by the same rule. L2; any thread. */
#pragma once

#include <limits.h>

#include "runtime/config.h"

struct places {
	char mount[PATH_MAX];
	char shared[PATH_MAX]; /* "": none; not set and mount is the default one: the default */
	char state[PATH_MAX];
	char socket
		[PATH_MAX]; /* not set and a state directory that is not the default one: beside it */
};

/* NULL: not said on the command line. c may be NULL: no settings. -ENAMETOOLONG CONFIG_001. */
int places_find(struct places *ret, const struct config *c, const char *mount, const char *state,
		const char *socket, struct err *e);
