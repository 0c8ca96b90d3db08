/* SPDX-License-Identifier: MIT */
/* vm_warm.c - keeps a guest as it is when it waits for what to run, so that later ones begin there: the first start of a size
 * saves it, before anything of its agent's has come in. L1; a shim's single thread.
 *
 *   IMAGE/warm/KEY.ram   the guest's memory, with holes where it never wrote
 *   IMAGE/warm/KEY       the rest of the machine, as QEMU's migration stream; there when both are whole
 * KEY stands for QEMU's file, the build and the machine. Nobody but root and the daemon's user can write there. QEMU's memory is a
 * file in memory of its own (memfd), filled by us; of what is kept it gets a descriptor as long as it saves, or reads. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "sandbox/spawn_msg.h"
#include "sandbox/vm.h"

#define WAIT_MS	   30000 /* for QEMU's answer */
#define ROUND_US   1000
#define KEEP_BYTES (2ull << 30) /* of the disk stay free */

/* ---- files ---- */

void vm_warm_path(const struct vm_image *image, const struct vm_command *c, char ret[static VM_WARM_PATH])
{
	struct stat st = {0};
	char about[4096];
	size_t n;
	stat(VM_QEMU, &st);
	n = (size_t)snprintf(about, sizeof about, "%d %lld %lld %lld", VM_VERSION, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
			     (long long)st.st_mtim.tv_nsec);
	for (size_t i = 0; i < c->n && n < sizeof about; i++) /* a guest that waits has not seen its shares yet */
		if (strncmp(c->argv[i], "local,", 6) != 0)
			n += (size_t)snprintf(about + n, sizeof about - n, " %s", c->argv[i]);
	snprintf(ret, VM_WARM_PATH, "%s/" VM_WARM "/%08x", image->dir, crc32c(about, n < sizeof about ? n : sizeof about));
}

static int open_kept(const char *path)
{
	struct stat st;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 077))
		return -1;
	return take_fd(&fd);
}

/* What is no hole. */
static bool copy(int from, int to)
{
	off_t end = 0, at;
	while ((at = lseek(from, end, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0 || lseek(to, at, SEEK_SET) < 0)
			return false;
		while (at < end)
			if (sendfile(to, from, &at, (size_t)(end - at)) <= 0)
				return false;
	}
	return errno == ENXIO; /* no more data */
}

int vm_warm_open(const char *path, int ram)
{
	char name[VM_WARM_PATH + 8];
	struct stat kept, st;
	snprintf(name, sizeof name, "%s.ram", path);
	autoclose int state = open_kept(path);
	autoclose int from = state < 0 ? -1 : open_kept(name);
	if (from < 0 || fstat(from, &kept) < 0 || fstat(ram, &st) < 0 || kept.st_size != st.st_size || !copy(from, ram))
		return -1;
	return take_fd(&state);
}

int vm_warm_create(const char *path)
{
	char name[VM_WARM_PATH + 8];
	struct statvfs fs;
	snprintf(name, sizeof name, "%.*s", (int)(strrchr(path, '/') - path), path);
	if ((mkdir(name, 0700) < 0 && errno != EEXIST) || statvfs(name, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize < KEEP_BYTES)
		return -1;
	snprintf(name, sizeof name, "%s.new", path);
	autoclose int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* One that was cut short is begun anew; one that is being written is its writer's. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 0) < 0)
		return -1;
	return take_fd(&fd);
}

static bool keep_memory(int ram, const char *path)
{
	char new[VM_WARM_PATH + 16], name[VM_WARM_PATH + 8];
	struct stat st;
	snprintf(name, sizeof name, "%s.ram", path);
	snprintf(new, sizeof new, "%s.ram.new", path);
	autoclose int to = open(new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to >= 0 && fstat(ram, &st) == 0 && ftruncate(to, st.st_size) == 0 && copy(ram, to) && fdatasync(to) == 0 &&
	    rename(new, name) == 0)
		return true;
	unlink(new);
	return false;
}

void vm_warm_forget(const char *path)
{
	char name[VM_WARM_PATH + 8];
	snprintf(name, sizeof name, "%s.ram", path);
	unlink(path);
	unlink(name);
}

/* ---- QMP: a line of JSON each way; events come between ---- */

/* One answer into line. 0 when it is no error. */
static int answer(int qmp, char *line, size_t cap)
{
	size_t n = 0;
	for (char c; n + 1 < cap;) {
		struct pollfd p = {.fd = qmp, .events = POLLIN};
		if (poll(&p, 1, WAIT_MS) <= 0 || read(qmp, &c, 1) != 1)
			return -1;
		line[n++] = c;
		line[n] = 0;
		if (c != '\n')
			continue;
		if (strncmp(line, "{\"return\"", 9) == 0)
			return 0;
		if (strncmp(line, "{\"error\"", 8) == 0)
			return -1;
		n = 0;
	}
	return -1;
}

/* With a descriptor, -1: none. */
static bool ask(int qmp, const char *what, int fd)
{
	char line[8192];
	return spawn_send(qmp, what, strlen(what), NULL, 0, &fd, fd >= 0) == 0 && answer(qmp, line, sizeof line) == 0;
}

static bool moved(int qmp)
{
	static const char query[] = "{\"execute\":\"query-migrate\"}";
	char line[8192];
	for (int i = 0; i < WAIT_MS * 1000 / ROUND_US; i++) {
		if (spawn_send(qmp, query, sizeof query - 1, NULL, 0, NULL, 0) < 0 || answer(qmp, line, sizeof line) < 0 ||
		    strstr(line, "\"failed\""))
			return false;
		if (strstr(line, "\"completed\""))
			return true;
		usleep(ROUND_US);
	}
	return false;
}

#define SHARED_STAYS                                                                                                                 \
	"{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":" \
	"true}]}}"

bool vm_warm_save(int qmp, int state, int ram, const char *path)
{
	char new[VM_WARM_PATH + 8];
	snprintf(new, sizeof new, "%s.new", path);
	bool ok = ask(qmp, "{\"execute\":\"qmp_capabilities\"}", -1) && ask(qmp, SHARED_STAYS, -1) &&
		  ask(qmp, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"kept\"}}", state) &&
		  ask(qmp, "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:kept\"}}", -1) && moved(qmp);
	unlink(path); /* never the one of one guest beside the other of another */
	ok = ok && keep_memory(ram, path) && fdatasync(state) == 0 && rename(new, path) == 0; /* it stands still since it has moved */
	if (!ok)
		unlink(new);
	return ask(qmp, "{\"execute\":\"cont\"}", -1);
}

bool vm_warm_resume(int qmp, int state)
{
	static const char all[] = "{\"execute\":\"qmp_capabilities\"}" SHARED_STAYS
				  "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"kept\"}}"
				  "{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"fd:kept\"}}";
	char line[8192];
	if (spawn_send(qmp, all, sizeof all - 1, NULL, 0, &state, 1) < 0) /* at once: each turn of QEMU's loop costs */
		return false;
	for (int i = 0; i < 4; i++)
		if (answer(qmp, line, sizeof line) < 0)
			return false;
	return true;
}
