/* SPDX-License-Identifier: MIT */
/* oci_bundle.c - a bundle as the OCI runtime specification 1.0 has it: DIR/config.json, DIR/rootfs, and beside them
 * DIR/told, which symbi-init writes. What the program sees is what it sees in a box (box_view.c). L1. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "lib/paths.h"
#include "sandbox/box_i.h"
#include "sandbox/oci.h"

#define INIT_AT	   "run/symbi/init" /* in the container, with what it writes: */
#define TOLD_AT	   "run/symbi/told"
#define STREAMS_AT "run/symbi/streams"

void oci_group_name(const char *dir, char ret[static 32])
{
	snprintf(ret, 32, "symbi-oci-%08x", crc32c(dir, strlen(dir)));
}

/* ---- pieces of json: built without looking, one look at the end by the caller ---- */

static json_t *texts(const char *const *list)
{
	json_t *a = json_array();
	for (; *list; list++)
		json_array_append_new(a, json_string(*list));
	return a;
}
#define TEXTS(...) texts((const char *const[]){__VA_ARGS__, NULL})

static void add_mount(json_t *to, const char *type, const char *source, const char *at, json_t *options)
{
	json_array_append_new(to, json_pack("{ss+ ss ss so}", "destination", "/", at, "type", type, "source",
					    source, "options", options));
}

/* ---- the root: directories, links and files that are its own; the rest is bound in ---- */

static int show(int root, json_t *mounts, const char *path)
{
	char host[PATH_MAX];
	mode_t left;
	if (!box_show_link(root, path, &left))
		return -errno;
	if (!left)
		return 0;
	snprintf(host, sizeof host, "/%s", path);
	add_mount(mounts, "bind", host, path, TEXTS("rbind", "ro", "nosuid", "nodev", "rprivate"));
	return (left == S_IFDIR ? box_make_dirs(root, path, true) : box_put(root, path, "")) ? 0 : -errno;
}

/* The working directory by its path: whoever could put another in its place is the daemon (sandbox_workdir). */
static int workdir_is(const struct spawn_start *s)
{
	struct stat a, b;
	if (s->cwd_fd < 0)
		return 0;
	if (fstat(s->cwd_fd, &a) < 0 || lstat(s->cwd, &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -ESTALE;
}

/* gVisor's has no size: what is in it counts as the program's memory. */
static void add_temporary(json_t *m, const struct spawn_start *s, const struct oci_runtime *r, const char *name,
			  const char *path, const char *exec)
{
	char size[32], inodes[32];
	const char *written = s->no_temp ? "ro" : "rw";
	snprintf(size, sizeof size, "size=%llu", (unsigned long long)box_temp_bytes(s));
	snprintf(inodes, sizeof inodes, "nr_inodes=%d", BOX_TEMP_INODES);
	add_mount(m, "tmpfs", name, path,
		  r->gvisor ? TEXTS("nosuid", "nodev", exec, written, "mode=1777")
			    : TEXTS("nosuid", "nodev", exec, written, "mode=1777", size, inodes));
}

static void add_kernels(json_t *m, const struct spawn_start *s, const struct oci_runtime *r)
{
	/* gVisor's own /proc shows its own processes only, and takes no options. */
	add_mount(m, "proc", "proc", "proc",
		  r->gvisor ? TEXTS("nosuid", "nodev", "noexec")
			    : TEXTS("nosuid", "nodev", "noexec", "hidepid=invisible", "subset=pid"));
	add_mount(m, "tmpfs", "dev", "dev", TEXTS("nosuid", "noexec", "mode=755", "size=64k"));
	add_temporary(m, s, r, "shm", "dev/shm", "noexec");
	add_temporary(m, s, r, "tmp", "tmp", "exec");
}

/* Its view of the tree, mounted at DIR/symbi in the shim's mount namespace, so that the runtime takes what was looked at
 * here and not what has the name by then. 0 or -errno. */
static int add_symbi(int root, json_t *m, const struct spawn_start *s, const struct oci_runtime *r, const char *dir)
{
	char path[PATH_MAX];
	if (!s->view)
		return 0;
	autoclose int tree = box_take_symbi(s);
	snprintf(path, sizeof path, "%s" OCI_SYMBI, dir);
	if (r->engine && tree >= 0) { /* not in our namespace of mounts: it takes the view by its name */
		add_mount(m, "bind", s->view, SANDBOX_SYMBI + 1, TEXTS("bind", "rw", "rprivate"));
		return box_make_dirs(root, SANDBOX_SYMBI + 1, true) ? 0 : -errno;
	}
	if (tree < 0 || mkdir(path, 0755) < 0 || move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	add_mount(m, "bind", path, SANDBOX_SYMBI + 1, TEXTS("bind", "rw", "nosuid", "nodev", "noexec", "rprivate"));
	return box_make_dirs(root, SANDBOX_SYMBI + 1, true) ? 0 : -errno;
}

/* DIR/rootfs and the mounts over it. NULL with errno. */
static json_t *make_root(const struct spawn_start *s, const struct oci_runtime *r, const char *dir)
{
	char path[PATH_MAX], init[PATH_MAX];
	const char *seen;
	json_t *m = json_array();
	snprintf(path, sizeof path, "%s/rootfs", dir);
	int at = mkdir(path, 0755) < 0 ? -errno : 0;
	autoclose int root = at < 0 ? -1 : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at == 0 && root < 0)
		at = -errno;
	for (size_t i = 0; at == 0 && !s->engine_image && (seen = box_view_seen(i)); i++)
		at = show(root, m, seen);
	static const char *const own[] = {"dev", "tmp", "var", "run", "proc", "run/symbi"};
	for (size_t i = 0; at == 0 && i < ARRAY_LEN(own); i++)
		if (!box_make_dirs(root, own[i], true))
			at = -errno;
	if (at == 0 && fchmodat(root, "tmp", 01777, 0) < 0) /* runc gives what it mounts there the mode of what is below */
		at = -errno;
	if (at == 0 && symlinkat("/tmp", root, "var/tmp") < 0)
		at = -errno;
	if (at == 0 && !box_make_etc(root, s))
		at = -errno;
	if (at == 0)
		at = workdir_is(s);
	if (at == 0)
		at = paths_beside("symbi-init", init);
	if (at == 0 && strncmp(s->cwd, "/tmp/", 5) != 0 && /* else it lies in what is mounted there */
	    !box_make_dirs(root, s->cwd + 1, true))
		at = -errno;
	if (at == 0)
		at = add_symbi(root, m, s, r, dir);
	if (at == 0 && (!box_put(root, INIT_AT, "") || !box_put(root, TOLD_AT, "") ||
			(r->engine && !box_put(root, STREAMS_AT, ""))))
		at = -errno;
	add_kernels(m, s, r);
	add_mount(m, "bind", s->cwd, s->cwd + 1, TEXTS("bind", "rw", "nosuid", "nodev", "rprivate"));
	add_mount(m, "bind", init, INIT_AT, TEXTS("bind", "ro", "nosuid", "nodev", "rprivate"));
	snprintf(path, sizeof path, "%s/told", dir);
	add_mount(m, "bind", path, TOLD_AT, TEXTS("bind", "rw", "nosuid", "nodev", "noexec", "rprivate"));
	snprintf(path, sizeof path, "%s/" OCI_STREAMS, dir);
	if (r->engine)
		add_mount(m, "bind", path, STREAMS_AT, TEXTS("bind", "rw", "nosuid", "nodev", "noexec", "rprivate"));
	if (at == 0)
		return m;
	json_decref(m);
	errno = -at;
	return NULL;
}

/* ---- process ---- */

static json_t *rlimits(const struct spawn_start *s)
{
	struct spawn_rlimit most[SPAWN_RLIMITS];
	json_t *a = json_array();
	size_t n = spawn_rlimits(s, most);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_pack("{ss sI sI}", "type", most[i].name, "soft",
						   (json_int_t)most[i].value.rlim_cur, "hard",
						   (json_int_t)most[i].value.rlim_max));
	return a;
}

/* Which variables are not the program's, though runtimes and engines add them. */
static void added_variables(const struct spawn_start *s, char out[static 64])
{
	static const char *const added[] = {"HOME", "HOSTNAME", "PATH", "TERM", "container"};
	size_t at = 0;
	out[0] = 0;
	for (size_t i = 0; i < ARRAY_LEN(added); i++) {
		size_t n = strlen(added[i]);
		bool own = false;
		for (char **p = s->envp; *p; p++)
			own |= strncmp(*p, added[i], n) == 0 && (*p)[n] == '=';
		if (!own)
			at += (size_t)snprintf(out + at, 64 - at, "%s%s", at ? "," : "", added[i]);
	}
}

static json_t *process(const struct spawn_start *s, const struct oci_runtime *r)
{
	char added[64];
	added_variables(s, added);
	json_t *args = TEXTS("/" INIT_AT, "/" TOLD_AT, r->engine ? "/" STREAMS_AT : "-", added, s->program);
	for (char **p = s->argv; *p; p++)
		json_array_append_new(args, json_string(*p));
	return json_pack("{sb s{sI sI si} so so ss s{s[] s[] s[] s[] s[]} sb so}", "terminal", 0, "user", "uid",
			 (json_int_t)s->uid, "gid", (json_int_t)s->gid, "umask", 077, "args", args, "env",
			 texts((const char *const *)s->envp), "cwd", s->cwd, "capabilities", "bounding", "effective",
			 "inheritable", "permitted", "ambient", "noNewPrivileges", 1, "rlimits", rlimits(s));
}

/* ---- system calls: those of a box (box_filter.c), in the words of OCI ----
 *
 * Its comparisons are of 64 bits, the kernel's arguments of 32: so all of them go through a mask. */

static void allow_masked(json_t *rules, const char *call, int arg, uint64_t mask, uint64_t value)
{
	json_array_append_new(rules, json_pack("{s[s] ss s[{si sI sI ss}]}", "names", call, "action", "SCMP_ACT_ALLOW",
					       "args", "index", arg, "value", (json_int_t)mask, "valueTwo",
					       (json_int_t)value, "op", "SCMP_CMP_MASKED_EQ"));
}

static void allow_two(json_t *rules, const char *call, int a, unsigned a_value, int b, unsigned b_value)
{
	json_array_append_new(
		rules, json_pack("{s[s] ss s[{si sI sI ss}{si sI sI ss}]}", "names", call, "action", "SCMP_ACT_ALLOW", "args",
				 "index", a, "value", (json_int_t)0xffffffff, "valueTwo", (json_int_t)a_value, "op",
				 "SCMP_CMP_MASKED_EQ", "index", b, "value", (json_int_t)0xffffffff, "valueTwo",
				 (json_int_t)b_value, "op", "SCMP_CMP_MASKED_EQ"));
}

static void allow_sockets(json_t *rules)
{
	static const unsigned inet[] = {AF_INET, AF_INET6};
	unsigned level;
	int name;
	allow_masked(rules, "socket", 0, 0xffffffff, AF_UNIX);
	allow_masked(rules, "socketpair", 0, 0xffffffff, AF_UNIX);
	for (size_t i = 0; i < ARRAY_LEN(inet) * ARRAY_LEN(box_protocols); i++)
		allow_two(rules, "socket", 0, inet[i % 2], 2, box_protocols[i / 2]);
	for (size_t i = 0; box_socket_option(i, &level, &name); i++)
		if (name < 0)
			allow_masked(rules, "setsockopt", 1, 0xffffffff, level);
		else
			allow_two(rules, "setsockopt", 1, level, 2, (unsigned)name);
}

/* All but TIOCSTI and TIOCLINUX: a number that differs from both in a bit that they share, or, in the bits that they
 * do not, from each. */
static void allow_ioctl(json_t *rules)
{
	uint64_t differ = TIOCSTI ^ TIOCLINUX;
	for (unsigned i = 0; i < 32; i++)
		if (!(differ & 1ull << i))
			allow_masked(rules, "ioctl", 1, 1ull << i, ~(uint64_t)TIOCSTI & 1ull << i);
	for (uint64_t v = differ; v; v = (v - 1) & differ)
		if (v != (TIOCSTI & differ) && v != (TIOCLINUX & differ))
			allow_masked(rules, "ioctl", 1, differ, v);
	allow_masked(rules, "ioctl", 1, differ, 0);
}

static json_t *seccomp(void)
{
	static const char *const always[] = {
#define CALL(name) #name,
#include "sandbox/syscalls.def"
		NULL};
	json_t *rules = json_array();
	json_array_append_new(rules, json_pack("{so ss}", "names", texts(always), "action", "SCMP_ACT_ALLOW"));
	allow_masked(rules, "clone", 0, CLONE_NEW_ANY, 0);
	allow_sockets(rules);
	allow_masked(rules, "personality", 0, 0xffffffff, 0);
	allow_masked(rules, "personality", 0, 0xffffffff, 0xffffffff);
	allow_ioctl(rules);
	return json_pack("{ss si so}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet", ENOSYS, "syscalls", rules);
}

/* ---- the whole ---- */

static json_t *in_linux(const struct spawn_start *s, const struct oci_runtime *r, const char *dir)
{
	static const char *const kinds[] = {"pid", "mount", "network", "ipc", "uts", "cgroup"};
	char group[32];
	json_t *spaces = json_array(), *l;
	for (size_t i = 0; i < ARRAY_LEN(kinds) - r->gvisor; i++) /* gVisor has no cgroups to be in */
		json_array_append_new(spaces, strcmp(kinds[i], "network") == 0 && s->netns >= 0
						      ? json_pack("{ss so}", "type", kinds[i], "path",
								  json_sprintf("/proc/%d/fd/%d", getpid(), s->netns))
						      : json_pack("{ss}", "type", kinds[i]));
	l = json_pack("{so so so}", "namespaces", spaces, "maskedPaths",
		      TEXTS("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
			    "/proc/sched_debug", "/proc/scsi", "/sys/firmware"),
		      "readonlyPaths", TEXTS("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"));
	if (!r->gvisor)
		json_object_set_new(l, "seccomp", seccomp());
	if (r->own_group) {
		oci_group_name(dir, group);
		json_object_set_new(l, "cgroupsPath", json_sprintf("/%s", group));
		json_object_set_new(l, "resources", json_pack("{s[{sb ss}]}", "devices", "allow", 0, "access", "rwm"));
	}
	return l;
}

static int make_told(const struct spawn_start *s, const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/told", dir);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 || fchown(fd, (uid_t)s->uid, (gid_t)s->gid) < 0 ? -errno : 0;
}

int oci_bundle(const struct spawn_start *s, const struct oci_runtime *r, const char *dir, struct err *e)
{
	char path[PATH_MAX];
	if (!box_place_ok(s->cwd))
		return err_sys(e, ERR_SPAWN_FAILED, EINVAL, "its working directory cannot be '%s'", s->cwd);
	json_t *mounts = make_told(s, dir) < 0 ? NULL : make_root(s, r, dir);
	if (!mounts)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "its container in '%s'", dir);
	json_t *config = json_pack("{ss so s{ss sb} ss so so}", "ociVersion", "1.0.2", "process", process(s, r), "root",
				   "path", "rootfs", "readonly", 1, "hostname", "symbi", "mounts", mounts, "linux",
				   in_linux(s, r, dir));
	if (s->engine_image)
		json_object_set_new(config, "annotations", json_pack("{ss}", OCI_IMAGE, s->engine_image));
	snprintf(path, sizeof path, "%s/config.json", dir);
	int ok = config ? json_dump_file(config, path, JSON_COMPACT) : -1;
	json_decref(config);
	if (ok < 0) /* an argument or variable that is no UTF-8, which JSON cannot say, or a full disk */
		return err_set(e, ERR_SPAWN_FAILED,
			       "its container's config.json cannot be written: arguments, environment and paths must be "
			       "UTF-8, and the disk not full");
	return 0;
}
