/* SPDX-License-Identifier: MIT */
/* caller.c - processes by way of /proc. L3; any thread. */
#include "fs/caller.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"

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

bool caller_of(pid_t thread, struct caller *ret)
{
	bool threads;
	if (!read_stat(thread, ret, &threads))
		return false;
	if (!threads)
		return true;
	pid_t process = process_of_thread(thread);
	return process == thread || (process && read_stat(process, ret, &threads));
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
