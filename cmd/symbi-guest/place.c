/* SPDX-License-Identifier: MIT */
/* place.c - what a microVM's program finds: the machine's read-only view, its working directory and its part of Symbi's tree
 * over 9p, as its box on the host shows them (box_view.c), and /proc, /dev, /tmp of this kernel. L4. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define PORT_TRIES 20000 /* of a millisecond */
#define STAGE	   "/stage"

/* Before there is a port nobody hears why: the host waits in vain, says so and ends us. */
static _Noreturn void lost(const char *step)
{
	int eno = errno;
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	dprintf(fd, "symbi-guest: %s: %s\n", step, strerror(eno));
	for (;;)
		pause();
}

/* ---- modules ---- */

/* The parameters of one on the kernel's command line, as "NAME.KEY=VALUE" there. */
static void parameters_of(const char *module, char ret[static 1024])
{
	static char line[4096];
	size_t n = strlen(module), at = 0;
	ret[0] = 0;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
	if (fd >= 0)
		close(fd);
	line[len > 0 ? len : 0] = 0;
	for (char *word, *left = line; (word = strsep(&left, " \n"));)
		if (strncmp(word, module, n) == 0 && word[n] == '.' && at < 900)
			at += (size_t)snprintf(ret + at, 1024 - at, "%s%.200s", at ? " " : "", word + n + 1);
}

/* /modules/list has a file's name a line, in the order of their needs. */
static void load_modules(void)
{
	char name[64], path[80], arguments[1024];
	FILE *f = fopen("/modules/list", "re");
	if (!f)
		lost("/modules/list");
	while (fscanf(f, "%63s", name) == 1) {
		snprintf(path, sizeof path, "/modules/%s", name);
		name[strcspn(name, ".")] = 0;
		parameters_of(name, arguments);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, arguments, 0) < 0 && errno != EEXIST))
			lost(path);
		close(fd);
	}
	fclose(f);
}

void place_open_port(struct guest *g)
{
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
	    mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=755") < 0)
		lost("/proc and /dev");
	load_modules();
	for (int i = 0; g->port < 0; i++) {
		g->port = open(VM_PORT, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (g->port < 0 && i == PORT_TRIES)
			lost(VM_PORT);
		if (g->port < 0)
			poll(NULL, 0, 1);
	}
}

/* ---- file systems ---- */

static const char *below(const char *root, const char *path)
{
	static char full[PATH_MAX];
	snprintf(full, sizeof full, "%s%s", root, path);
	return full;
}

static const char *in_root(const char *path)
{
	return below(ROOT, path);
}

static void must(const struct guest *g, int r, const char *step)
{
	if (r < 0)
		guest_fail(g, errno, step);
}

static void mount_shared(const struct guest *g, const char *tag, const char *at, unsigned long flags, const char *cache)
{
	char options[160];
	snprintf(options, sizeof options, "trans=virtio,version=9p2000.L,msize=262144,access=any,cache=%s", cache);
	must(g, mount(tag, in_root(at), "9p", MS_NOSUID | MS_NODEV | flags, options), tag);
}

static void mount_temporary(const struct guest *g, const char *at, unsigned long flags)
{
	char options[80];
	snprintf(options, sizeof options, "mode=1777,size=%llu,nr_inodes=%u", (unsigned long long)g->run.temp_bytes,
		 g->run.temp_inodes);
	must(g, mount("tmp", in_root(at), "tmpfs", MS_NOSUID | MS_NODEV | flags, options), at);
}

static void make_dev(const struct guest *g)
{
	static const struct {
		const char *path;
		unsigned minor;
	} nodes[] = {{"/dev/null", 3}, {"/dev/zero", 5}, {"/dev/full", 7}, {"/dev/random", 8}, {"/dev/urandom", 9}};
	static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
					       {"/proc/self/fd/0", "/dev/stdin"},
					       {"/proc/self/fd/1", "/dev/stdout"},
					       {"/proc/self/fd/2", "/dev/stderr"}};
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		must(g, mknod(below(STAGE, nodes[i].path), S_IFCHR | 0666, makedev(1, nodes[i].minor)), nodes[i].path);
		must(g, chmod(below(STAGE, nodes[i].path), 0666), nodes[i].path);
	}
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		must(g, symlink(links[i][0], below(STAGE, links[i][1])), links[i][1]);
	must(g, mkdir(below(STAGE, "/dev/shm"), 0755), "/dev/shm");
}

/* What every program's root has alike, made before there is one, and moved there. */
static const struct staged {
	const char *at, *type;
	unsigned long flags;
	const char *options;
} staged[] = {
	{"/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible,subset=pid"},
	{"/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"},
	{"/run", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"},
};

static void stage_files(const struct guest *g)
{
	must(g, mkdir(STAGE, 0755), STAGE);
	for (size_t i = 0; i < sizeof staged / sizeof *staged; i++) {
		const char *at = below(STAGE, staged[i].at);
		must(g, mkdir(at, 0755), at);
		must(g, mount(staged[i].type, at, staged[i].type, staged[i].flags, staged[i].options), at);
	}
	make_dev(g);
}

static void take_staged(const struct guest *g)
{
	char from[64];
	for (size_t i = 0; i < sizeof staged / sizeof *staged; i++) {
		snprintf(from, sizeof from, STAGE "%s", staged[i].at);
		must(g, mount(from, in_root(staged[i].at), NULL, MS_MOVE, NULL), staged[i].at);
	}
}

/* What lies below /tmp lies in what is mounted there, and is made; else the host's box has it. */
static void make_dirs(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof copy, "%s", in_root(path));
	for (char *p = copy + strlen(ROOT); (p = strchr(p + 1, '/')); *p = '/') {
		*p = 0;
		mkdir(copy, 0755);
	}
	mkdir(copy, 0755);
}

static void close_temporary(const struct guest *g, const char *at)
{
	must(g, mount(NULL, in_root(at), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL), at);
}

static void make_files(const struct guest *g)
{
	mount_shared(g, "root", "", MS_RDONLY, "loose");
	take_staged(g);
	mount_temporary(g, "/dev/shm", MS_NOEXEC);
	mount_temporary(g, "/tmp", 0);
	if (strncmp(g->cwd, "/tmp/", 5) == 0)
		make_dirs(g->cwd);
	mount_shared(g, "work", g->cwd, 0, "mmap");
	if (g->run.symbi)
		mount_shared(g, "symbi", "/symbi", MS_NOEXEC, "none");
	if (g->run.no_temp) {
		close_temporary(g, "/tmp");
		close_temporary(g, "/dev/shm");
	}
}

/* ---- the group ---- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	int eno = errno;
	if (fd >= 0)
		close(fd);
	errno = eno;
	return n < 0 ? -1 : 0;
}

static void limit(const struct guest *g, const char *file, uint64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	if (n)
		must(g, write_file(file, text), file);
}

static void make_group(const struct guest *g)
{
	must(g, mount("cg", "/cg", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "control groups");
	must(g, write_file("/cg/cgroup.subtree_control", "+memory +pids"), "control groups of memory and pids");
	must(g, mkdir(GROUP, 0755), "its group");
	/* Its limit speaks, as on a machine with more memory: not that of this guest, which is little more. */
	must(g, write_file("/proc/sys/vm/overcommit_memory", "1"), "overcommit");
}

static uint64_t count(const char *file, const char *key)
{
	char word[32];
	unsigned long long n, found = 0;
	FILE *f = fopen(file, "re");
	while (f && fscanf(f, "%31s %llu", word, &n) == 2)
		if (strcmp(word, key) == 0)
			found = n;
	if (f)
		fclose(f);
	return found;
}

void place_counts(struct vm_ended *ret)
{
	ret->oom_kills = count(GROUP "/memory.events", "oom_kill");
	ret->pids_refused = count(GROUP "/pids.events", "max");
}

/* ---- the whole ---- */

static void seed(const struct guest *g)
{
	struct {
		int bits, bytes;
		uint8_t data[VM_SEED];
	} s = {VM_SEED * 8, VM_SEED, {0}};
	memcpy(s.data, g->run.seed, VM_SEED);
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	must(g, fd < 0 || ioctl(fd, RNDADDENTROPY, &s) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0 ? -1 : 0, "its random numbers");
	close(fd);
}

static void set_clock(const struct guest *g)
{
	struct timespec now = {.tv_sec = (time_t)(g->run.time_ns / 1000000000u), .tv_nsec = (long)(g->run.time_ns % 1000000000u)};
	must(g, clock_settime(CLOCK_REALTIME, &now), "its clock");
}

static void loopback_up(const struct guest *g)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(g, fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &lo), "its loopback");
	close(fd);
}

void place_prepare(struct guest *g)
{
	must(g, sethostname("symbi", 5), "its name");
	loopback_up(g);
	make_group(g);
	stage_files(g);
}

void place_make(struct guest *g)
{
	seed(g);
	set_clock(g);
	limit(g, GROUP "/memory.max", g->run.memory_bytes);
	limit(g, GROUP "/pids.max", g->run.pids);
	make_files(g);
}

void place_leave(const struct guest *g)
{
	(void)g;
	sync();
}
