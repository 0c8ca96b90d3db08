/* SPDX-License-Identifier: MIT */
/* places.c - mount, state directory and socket of a daemon. L2; any thread. */
#include "runtime/places.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/paths.h"

static int put(char out[PATH_MAX], const char *text, struct err *e)
{
	if (snprintf(out, PATH_MAX, "%s", text) < PATH_MAX)
		return 0;
	return err_sys(e, ERR_CONFIG_INVALID, ENAMETOOLONG, "the path '%.100s...'", text);
}

static const char *choose(const char *option, const struct config *c, const char *key,
			  const char *fallback)
{
	const char *set = c ? config_str(c, key) : "";
	return option ? option : *set ? set : fallback;
}

int places_find(struct places *ret, const struct config *c, const char *mount, const char *state,
		const char *socket, struct err *e)
{
	struct paths p;
	char beside[PATH_MAX + 16];
	paths_default(&p);
	int r = put(ret->mount, choose(mount, c, "paths.mount", p.mount), e);
	if (r == 0)
		r = put(ret->shared,
			choose(NULL, c, "paths.shared", strcmp(ret->mount, p.mount) ? "" : p.shared), e);
	if (r == 0)
		r = put(ret->state, choose(state, c, "paths.state", p.state), e);
	if (r < 0)
		return r;
	snprintf(beside, sizeof beside, "%s/symbi.sock", ret->state);
	bool own = strcmp(ret->state, p.state) != 0;
	return put(ret->socket, choose(socket, c, "socket.path", own ? beside : p.socket), e);
}
