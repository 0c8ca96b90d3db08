/* SPDX-License-Identifier: MIT */
/* cgroup_file.c - reading and writing the files of a group; the disk behind a device number. L1. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/cgroup_i.h"

static int open_file(int dir, const char *group, const char *file, int flags)
{
	char path[128];
	if (dir < 0)
		return errno = ENOENT, -1;
	snprintf(path, sizeof path, "%s%s%s", group, *group ? "/" : "", file);
	return openat(dir, path, flags | O_CLOEXEC);
}

int cg_write(int dir, const char *group, const char *file, const char *text)
{
	autoclose int fd = open_file(dir, group, file, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

int cg_write_num(int dir, const char *group, const char *file, uint64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	return cg_write(dir, group, file, text);
}

ssize_t cg_read(int dir, const char *group, const char *file, char *out, size_t cap)
{
	autoclose int fd = open_file(dir, group, file, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	out[n > 0 ? n : 0] = 0;
	return n;
}

/* The number that s begins with; 0 when it begins with none. */
static uint64_t number(const char *s)
{
	uint64_t n = 0;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + (uint64_t)(*s++ - '0');
	return n;
}

uint64_t cg_read_num(int dir, const char *group, const char *file)
{
	char text[64];
	return cg_read(dir, group, file, text, sizeof text) > 0 ? number(text) : 0;
}

uint64_t cg_read_key(int dir, const char *group, const char *file, const char *key)
{
	char text[4096];
	size_t len = strlen(key);
	if (cg_read(dir, group, file, text, sizeof text) <= 0)
		return 0;
	for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, key, len) == 0 && p[len] == ' ')
			return number(p + len + 1);
	return 0;
}

bool cg_writable(int dir, const char *group, const char *file)
{
	autoclose int fd = open_file(dir, group, file, O_WRONLY);
	return fd >= 0;
}

unsigned cg_each_pid(int dir, const char *group, void (*fn)(void *arg, pid_t pid), void *arg)
{
	autoclose int fd = open_file(dir, group, "cgroup.procs", O_RDONLY);
	char text[4096];
	unsigned n = 0;
	size_t held = 0;
	for (ssize_t got; fd >= 0 && (got = read(fd, text + held, sizeof text - 1 - held)) > 0;) {
		char *at = text, *end;
		text[held += (size_t)got] = 0;
		for (; (end = strchr(at, '\n')); at = end + 1, n++)
			fn(arg, (pid_t)number(at));
		held -= (size_t)(at - text);
		memmove(text, at, held);
	}
	return n;
}

bool cg_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = text; (p = strstr(p, word)); p += len)
		if ((p == text || strchr(" \n", p[-1])) && strchr(" \n", p[len]))
			return true;
	return false;
}

/* ---- disks ---- */

/* File systems without a device of their own (btrfs) name it in mountinfo. */
static bool source_of(dev_t dev, char out[static 24])
{
	char line[4096], source[1024];
	unsigned major, minor;
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		const char *dash = strstr(line, " - ");
		struct stat st;
		if (!dash || sscanf(line, "%*s %*s %u:%u", &major, &minor) != 2 ||
		    makedev(major, minor) != dev || sscanf(dash + 3, "%*s %1023s", source) != 1 ||
		    stat(source, &st) < 0 || !S_ISBLK(st.st_mode))
			continue;
		snprintf(out, 24, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

void cg_disk_of(dev_t dev, char out[static 24])
{
	char path[96];
	snprintf(out, 24, "%u:%u", major(dev), minor(dev));
	if (major(dev) == 0 && !source_of(dev, out)) {
		*out = 0;
		return;
	}
	/* Limits are about whole disks: a partition's disk is the directory above it. */
	snprintf(path, sizeof path, "/sys/dev/block/%s/partition", out);
	bool part = access(path, F_OK) == 0;
	snprintf(path, sizeof path, "/sys/dev/block/%s%s/dev", out, part ? "/.." : "");
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 23);
	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
}
