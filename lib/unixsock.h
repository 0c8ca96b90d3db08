/* SPDX-License-Identifier: MIT */
/* unixsock.h - addresses of Unix sockets whose path is longer than an address can be. L0; any thread. */
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "lib/err.h"

#define UNIXSOCK_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path) /* bytes, the NUL included */

/* A name of `path` that fits into an address: itself, or /proc/self/fd/N/NAME with its directory opened
 * as *ret_dir, to be closed when the name is no longer needed (-1: none). The directory must exist.
 * -ENAMETOOLONG when the last component alone is too long. */
int unixsock_name(const char *path, char out[static UNIXSOCK_PATH_MAX], int *ret_dir,
		  struct err *e);
