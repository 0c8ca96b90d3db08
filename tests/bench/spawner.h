/* SPDX-License-Identifier: MIT */
/* spawner.h - a spawner of the benchmark's own with its client, and starts through both, with all limits of an agent; the same
 * by posix_spawn beside it. Main thread. */
#pragma once

#include "sandbox/sandbox.h"
#include "server.h"

#define BOXED_UID 64322 /* who runs in sandboxes, where we are root */

struct spawner {
	struct loop loop;
	struct spawn_client *client;
	pid_t pid;
	uint64_t next_id;
	unsigned started, ended;
	const char *cwd; /* of programs: the scratch directory */
	char *const *argv;
	enum sandbox_tier tier;
	const char *driver; /* NULL: the tier's best */
	struct scratch scratch;
};

void spawner_open(struct spawner *b);
void spawner_close(struct spawner *b);
/* Start argv once; it is counted in `started` and `ended`. Dies when it ends otherwise than by exit 0 or a kill. */
uint64_t spawner_start(struct spawner *b);
/* Until so many have ended. */
void spawner_wait(struct spawner *b, unsigned ended);
/* Microseconds for so many starts, all at once, until the last has ended. */
double spawner_us(struct spawner *b, unsigned count);
/* The same for argv[0], a path or a name in PATH, by posix_spawn. Negative when one did not exit 0. */
double process_us(char *const *argv, unsigned count);
/* The same once for argv in bubblewrap, which works in b's directory and sees /usr. */
double bubblewrap_us(const struct spawner *b, char *const *argv);
/* Build a C program of this text in the scratch directory with this flag of the compiler; its path is the caller's. */
char *spawner_build(const struct spawner *b, const char *name, const char *text, const char *flag);
