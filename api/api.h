/* SPDX-License-Identifier: MIT */
/* api.h - the tree on a Unix socket, as HTTP. L3; loop thread only, but for api_listen and
 * api_unlisten, which the parent calls.
 *
 * A caller is who the kernel says it is (SO_PEERCRED, SO_PEERGROUPS at connect), and may do exactly
 * what it may do on the mount. GET, HEAD, PUT, POST, DELETE of /fs/PATH; a directory lists as JSON;
 * reads that wait are answered when there is something, without a thread; what fails answers
 * {code, errno, message, path, line}. The parent keeps the listening socket, so that it outlives a
 * worker: callers who connect meanwhile wait in its queue. */
#pragma once

#include <sys/types.h>

#include "fs/tree.h"
#include "lib/loop.h"

#define API_BODY_MAX     FS_DOC_MAX  /* bytes of a request's body */
#define API_PATH_MAX     4096        /* bytes of a decoded path */
#define API_PIECE        (64u << 10) /* bytes read at a time for a long reply */
#define API_IDLE_SECONDS 60          /* a connection that does nothing is closed */

/* ---- parent ---- */

/* Make and listen on the socket `path` with permission bits `mode` and group `group` ((gid_t)-1: the
 * process's own). The directory is made when absent. A socket file on which nobody listens is
 * replaced; -EADDRINUSE when somebody does, and for a file that is no socket. */
int api_listen(const char *path, mode_t mode, gid_t group, int *ret_fd, struct err *e);
/* Close fd and remove its file. */
void api_unlisten(const char *path, int fd);

/* ---- worker ---- */

struct api_server;

struct api_opts {
	int listen_fd;                     /* borrowed, non-blocking */
	unsigned max_connections;          /* in all */
	unsigned max_connections_per_user; /* root and the daemon's own user may have all */
};

int api_open(struct api_server **ret, struct tree *t, struct loop *l, const struct api_opts *o,
	     struct err *e);
/* Ends every request; those that are being carried out lose their reply. Before tree_free. */
void api_close(struct api_server *s);
