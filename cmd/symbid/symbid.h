/* SPDX-License-Identifier: MIT */
/* symbid.h - what the daemon's two processes share. L4. */
#pragma once

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "fs/fuse.h"
#include "runtime/places.h"

#define CONFIG_FILES_MAX 16
#define WORKER_FAILED    3 /* exit status of a worker that said why it could not start */

struct daemon {
	/* as asked for */
	const char *mount_option, *state_option, *socket_option; /* NULL: not given */
	struct places places;
	const char *mount; /* NULL: no mount; else, as the two below, in `places` */
	struct fuse_place place;
	const char *state;
	const char *socket;
	const char *log; /* NULL: standard error as it is */
	const char *config_files[CONFIG_FILES_MAX];
	unsigned config_count;
	bool allow_native, no_fuse;
	struct config *config;
	int ready_fd; /* -1: nobody waits */
	/* kept by the parent for all workers; -1: none */
	int lock_fd, fuse_fd, spawn_fd, listen_fd;
	int keep_fd; /* memory for what the mount's callers have open (fs/keep.h) */
	_Alignas(8) char init[8192]; /* the kernel's INIT request */
	int init_len;
	pid_t parent, worker, spawner;
	struct rlimit files; /* as it was, for the spawner and what it starts */
	int say_fd;          /* the worker's end: it says that it is ready, or why it is not */
	unsigned restarts;
};

/* ---- options.c ---- */
/* Read the command line and then every source of settings. Returns the exit status when that is all
 * there is to do (help, a usage error), else -1. */
int options_read(struct daemon *d, int argc, char **argv, struct err *e);

/* ---- start.c: what is made once, before the first worker ---- */
/* Make the state directory; refuse one that others could change. */
int prepare_state(const struct daemon *d, struct err *e);
/* The directory's lock, spawner, mount and socket. On failure what was made is undone. */
int start_all(struct daemon *d, struct err *e);
void stop_all(struct daemon *d);
int start_spawner(struct daemon *d, struct err *e);
/* Point standard error to the log file, made anew when it was moved away. 0 or -errno. */
int open_log(const struct daemon *d, struct err *e);

/* ---- parent.c ---- */
/* Keep a worker and the spawner alive until a signal asks to stop. Returns the exit status. */
int parent_run(struct daemon *d, struct err *e);

/* ---- worker.c ---- */
/* The worker process: serves until SIGTERM; returns its exit status. */
int worker_main(struct daemon *d);

/* ---- notify.c ---- */
/* Tell the service manager ("READY=1"); without NOTIFY_SOCKET nothing happens. */
void notify_manager(const char *text);
