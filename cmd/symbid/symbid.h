/* SPDX-License-Identifier: MIT */
/* symbid.h - what the daemon's two processes share. L4. */
#pragma once

#include "runtime/config.h"

struct daemon {
	const char *mount; /* NULL: no mount */
	char *state;
	struct config *config;
	int ready_fd; /* -1: nobody waits */
	int fuse_fd, spawn_fd;
	int keep_fd; /* memory that outlives the worker, for the mount */
	_Alignas(8) char init[8192]; /* the kernel's INIT request */
	int init_len;
	unsigned restarts;
};

/* The worker process: serves until SIGTERM; returns its exit status. */
int worker_main(struct daemon *d);
