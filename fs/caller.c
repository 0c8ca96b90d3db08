/* SPDX-License-Identifier: MIT */
/* caller.c - processes by way of /proc. L3; loop thread only. */
#include "fs/caller.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"

/* The requests of one command come from the same few processes within microseconds, and reading /proc costs
 * as much as serving one. A pid is given out again only after all others were, which takes far longer. */
#define KNOWN_NS 10000000u
#define KNOWN    64 /* power of two */

static struct {
	pid_t thread;
	uint64_t at_ns;
	struct caller caller;
} known[KNOWN];

static bool read_proc(pid_t pid, const char *name, char *out, size_t cap)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	if (n <= 0)
		return false;
	out[n] = 0;
	return true;
}

/* Fields of /proc/PID/stat by the numbers that proc(5) gives them; the name (2) may hold anything. */
static bool read_stat(pid_t pid, struct caller *ret, bool *ret_threads)
{
	char text[1024];
	if (pid <= 0 || !read_proc(pid, "stat", text, sizeof text))
		return false;
	char *p = strrchr(text, ')');
	*ret = (struct caller){.pid = pid};
	*ret_threads = false;
	int field = 2;
	while (field < 22 && p && (p = strchr(p, ' '))) {
		p++;
		field++;
		if (field == 4)
			ret->parent = (pid_t)parse_leading_u64(p);
		else if (field == 20)
			*ret_threads = parse_leading_u64(p) > 1;
		else if (field == 22)
			ret->start = parse_leading_u64(p);
	}
	return field == 22;
}

static pid_t process_of_thread(pid_t thread)
{
	char text[512];
	if (!read_proc(thread, "status", text, sizeof text))
		return 0;
	const char *line = strstr(text, "\nTgid:");
	return line ? (pid_t)parse_leading_u64(line + 6 + strspn(line + 6, " \t")) : 0;
}

static bool look(pid_t thread, struct caller *ret)
{
	bool threads;
	if (!read_stat(thread, ret, &threads))
		return false;
	if (!threads)
		return true;
	pid_t process = process_of_thread(thread);
	return process == thread || (process && read_stat(process, ret, &threads));
}

bool caller_of(pid_t thread, struct caller *ret)
{
	unsigned i = (unsigned)thread % KNOWN;
	uint64_t now = clock_mono_ns();
	if (thread <= 0)
		return false;
	if (known[i].thread != thread || now - known[i].at_ns > KNOWN_NS) {
		known[i].thread = 0;
		if (!look(thread, &known[i].caller))
			return false;
		known[i].thread = thread;
		known[i].at_ns = now;
	}
	*ret = known[i].caller;
	return true;
}

const struct groups *caller_groups(pid_t thread)
{
	static char text[64 << 10];
	gid_t gids[1024];
	size_t n = 0;
	if (thread <= 0 || !read_proc(thread, "status", text, sizeof text))
		return NULL;
	const char *p = strstr(text, "\nGroups:");
	for (p = p ? p + 8 : ""; n < ARRAY_LEN(gids); n++) {
		p += strspn(p, " \t");
		if (*p < '0' || *p > '9')
			break;
		gids[n] = (gid_t)parse_leading_u64(p);
		p += strspn(p, "0123456789");
	}
	return groups_intern(gids, n);
}
