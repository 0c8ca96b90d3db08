/* SPDX-License-Identifier: MIT */
/* box_view.c - the file system of a box: an empty root, in it the system's programs read-only, a few files of /etc,
 * the working directory, and its own /proc, /dev and /tmp. What is not named here is not there. L1. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box_i.h"

#define READ_ONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* Seen as they are, where they are. None may hold what is secret from some users of the machine. */
static const char *const seen[] = {
	"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt",
	"etc/alternatives", "etc/ld.so.cache", "etc/localtime", "etc/ssl/certs", "etc/ssl/openssl.cnf",
};
static const char *const devices[] = {"null", "zero", "full", "random", "urandom"};
#define KVM "/dev/kvm" /* of a microVM that uses it */

const char *box_view_seen(size_t i)
{
	return i < ARRAY_LEN(seen) ? seen[i] : NULL;
}

/* ---- pieces; the working directory is the new root ---- */

/* Mount the tree at path at to. */
static bool attach(int tree, const char *to, uint64_t attributes, unsigned deep)
{
	struct mount_attr a = {.attr_set = attributes};
	return mount_setattr(tree, "", AT_EMPTY_PATH | deep, &a, sizeof a) == 0 &&
	       move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

static bool show(const char *path)
{
	char host[PATH_MAX];
	mode_t left;
	if (!box_show_link(AT_FDCWD, path, &left))
		return false;
	if (!left)
		return true;
	snprintf(host, sizeof host, "/%s", path);
	autoclose int tree = open_tree(AT_FDCWD, host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 || (left == S_IFDIR ? mkdir(path, 0755) : mknod(path, S_IFREG | 0444, 0)) < 0)
		return false;
	return attach(tree, path, READ_ONLY, AT_RECURSIVE);
}

static bool mount_temporary(const struct spawn_start *s, const char *path, unsigned long flags)
{
	char options[80];
	snprintf(options, sizeof options, "mode=1777,size=%llu,nr_inodes=%d", (unsigned long long)box_temp_bytes(s),
		 BOX_TEMP_INODES);
	return mount("tmp", path, "tmpfs", MS_NOSUID | MS_NODEV | flags, options) == 0;
}

static bool show_device(const char *host)
{
	autoclose int tree = open_tree(AT_FDCWD, host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree >= 0 && mknod(host + 1, S_IFREG | 0444, 0) == 0 &&
	       attach(tree, host + 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0);
}

static bool make_dev(const struct spawn_start *s)
{
	char host[32];
	if (mkdir("dev", 0755) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		snprintf(host, sizeof host, "/dev/%s", devices[i]);
		if (!show_device(host))
			return false;
	}
	if (s->kvm && !show_device(KVM))
		return false;
	return symlink("/proc/self/fd", "dev/fd") == 0 &&
	       symlink("/proc/self/fd/0", "dev/stdin") == 0 &&
	       symlink("/proc/self/fd/1", "dev/stdout") == 0 &&
	       symlink("/proc/self/fd/2", "dev/stderr") == 0 && mkdir("dev/shm", 0755) == 0 &&
	       mount_temporary(s, "dev/shm", MS_NOEXEC);
}

static bool make_temporary(const struct spawn_start *s)
{
	return mkdir("tmp", 0755) == 0 && mkdir("var", 0755) == 0 && mkdir("run", 0755) == 0 &&
	       symlink("/tmp", "var/tmp") == 0 &&
	       mount_temporary(s, "tmp", 0);
}

bool box_shows(const char *path, char ret[static 64])
{
	static const char *const made[] = {"dev", "proc", "tmp", "var", "run", "etc/passwd", "etc/group", "etc/hosts",
					   "etc/hostname", "etc/nsswitch.conf"};
	const char *p = path + 1;
	for (size_t i = 0; i < ARRAY_LEN(seen) + ARRAY_LEN(made); i++) {
		const char *name = i < ARRAY_LEN(seen) ? seen[i] : made[i - ARRAY_LEN(seen)];
		size_t n = 0;
		while (p[n] && p[n] == name[n])
			n++;
		if (!*p || (p[n] ? !name[n] && p[n] == '/' : !name[n] || name[n] == '/')) {
			snprintf(ret, 64, "/%s", name);
			return true;
		}
	}
	return false;
}

/* A working directory in place of the system, or of what the kernel shows, would be no working directory. */
bool box_place_ok(const char *cwd)
{
	static const char *const not[] = {"/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/sbin", "/lib", SANDBOX_SYMBI};
	if (*cwd != '/' || !cwd[1] || strstr(cwd, "/../") || strstr(cwd, "/./") || strstr(cwd, "//"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(not); i++) {
		size_t n = strlen(not[i]);
		if (strncmp(cwd, not[i], n) == 0 && (!cwd[n] || cwd[n] == '/'))
			return false;
	}
	return strcmp(cwd, "/tmp") != 0 && strcmp(cwd, "/var") != 0 && strcmp(cwd, "/run") != 0;
}

/* The working directory as a tree of its own. dir, when it is given, is of a namespace of mounts that was copied, in
 * which nothing can be taken any more; so it is opened again, and must be the same. */
static int take_workdir(const char *cwd, int dir)
{
	struct stat a, b;
	autoclose int fd = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC | (dir >= 0 ? O_NOFOLLOW : 0));
	if (fd < 0)
		return -1;
	if (dir >= 0 && (fstat(dir, &a) < 0 || fstat(fd, &b) < 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino)) {
		errno = ESTALE;
		return -1;
	}
	return open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

int box_take_symbi(const struct spawn_start *s)
{
	struct stat st;
	autoclose int fd = open(s->view, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != (s->uid >= 0 ? (uid_t)s->uid : geteuid())) {
		errno = ESTALE;
		return -1;
	}
	return open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static bool attach_symbi(int tree)
{
	return mkdir(SANDBOX_SYMBI + 1, 0755) == 0 &&
	       attach(tree, SANDBOX_SYMBI + 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0);
}

static bool attach_workdir(int tree, const char *cwd)
{
	return box_make_dirs(AT_FDCWD, cwd + 1, true) &&
	       attach(tree, cwd + 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
}

/* ---- the whole ---- */

/* In a chroot the root is a directory and no mount, and neither can it be made private nor put another in its place. So
 * its tree becomes the namespace's root; what lies around it is let go. setns(2) into one's own namespace leaves a
 * chroot. */
static bool leave_chroot(void)
{
	struct mount_attr private = {.propagation = MS_PRIVATE};
	autoclose int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (self < 0 || root < 0 || setns(self, CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	autoclose int tree = open_tree(root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	return tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &private, sizeof private) == 0 &&
	       move_mount(tree, "", root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0 &&
	       fchdir(tree) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
	       chdir("/") == 0;
}

bool box_in_chroot(void)
{
	struct statx st;
	return statx(AT_FDCWD, "/", 0, STATX_TYPE, &st) == 0 && (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool own_mounts(void)
{
	return box_in_chroot() ? leave_chroot() : mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

const char *box_view(const struct spawn_start *s, int dir)
{
	struct mount_attr closed = {.attr_set = READ_ONLY | MOUNT_ATTR_NOEXEC};
	if (s->cwd && !box_place_ok(s->cwd)) {
		errno = EINVAL;
		return "its working directory cannot be there";
	}
	if (!own_mounts())
		return "its mounts";
	autoclose int work = s->cwd ? take_workdir(s->cwd, dir) : -1;
	if (s->cwd && work < 0)
		return "its working directory";
	autoclose int symbi = s->view ? box_take_symbi(s) : -1;
	if (s->view && symbi < 0)
		return "its view of Symbi's tree";
	autoclose int image = s->image ? open_tree(AT_FDCWD, s->image, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) : -1;
	if (s->image && image < 0)
		return "its image";
	/* Anywhere will do: what was there is seen by nobody any more. */
	if (mount("symbi", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=1024") < 0 ||
	    chdir("/tmp") < 0)
		return "its root";
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		if (!show(seen[i]))
			return seen[i];
	if (!box_make_etc(AT_FDCWD, s))
		return "its /etc";
	if (!make_dev(s))
		return "its /dev";
	if (!make_temporary(s))
		return "its /tmp";
	if (image >= 0 && (mkdir(BOX_IMAGE + 1, 0755) < 0 || !attach(image, BOX_IMAGE + 1, READ_ONLY | MOUNT_ATTR_NOEXEC, 0)))
		return "its image";
	if (mkdir("proc", 0555) < 0 || mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
					     "hidepid=invisible,subset=pid") < 0)
		return "its /proc";
	if (work >= 0 && !attach_workdir(work, s->cwd))
		return "its working directory";
	if (symbi >= 0 && !attach_symbi(symbi))
		return "its " SANDBOX_SYMBI;
	struct mount_attr unwritten = {.attr_set = MOUNT_ATTR_RDONLY}; /* only now: the directory may lie in /tmp */
	if (s->no_temp && (mount_setattr(AT_FDCWD, "tmp", 0, &unwritten, sizeof unwritten) < 0 ||
			   mount_setattr(AT_FDCWD, "dev/shm", 0, &unwritten, sizeof unwritten) < 0))
		return "its /tmp cannot be closed";
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return "its root cannot be changed";
	if (mount_setattr(AT_FDCWD, "/", 0, &closed, sizeof closed) < 0)
		return "its root cannot be closed";
	return NULL;
}

/* ---- Landlock: by its ABI, as the C library's headers may be older than the kernel ---- */

#define LL_EXECUTE   (1u << 0)
#define LL_READ_FILE (1u << 2)
#define LL_READ_DIR  (1u << 3)
#define LL_READ      (LL_EXECUTE | LL_READ_FILE | LL_READ_DIR)
#define LL_WRITE     (1u << 1)
#define LL_ALL_1     ((1u << 13) - 1)
#define LL_REFER     (1u << 13) /* ABI 2 */
#define LL_TRUNCATE  (1u << 14) /* ABI 3 */
#define LL_SCOPES    3u         /* ABI 6: abstract Unix sockets and signals of others */

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

struct __attribute__((packed)) ll_beneath {
	uint64_t allowed;
	int32_t fd;
};

static bool allow(int rules, const char *path, uint64_t access)
{
	struct ll_beneath b = {.allowed = access};
	b.fd = open(path, O_PATH | O_CLOEXEC);
	bool ok = b.fd >= 0 && syscall(SYS_landlock_add_rule, rules, 1, &b, 0) == 0;
	if (b.fd >= 0)
		close(b.fd);
	return ok;
}

/* Its streams may be opened anew, as /dev/stdout. What is no file of a disk needs no rule and takes none. */
static void allow_stream(int rules, int fd, uint64_t access)
{
	struct ll_beneath b = {.allowed = access, .fd = fd};
	syscall(SYS_landlock_add_rule, rules, 1, &b, 0);
}

bool box_landlock(const struct spawn_start *s, uint32_t abi)
{
	static const char *const written[] = {"/tmp", "/dev/shm"};
	char dev[32];
	struct ll_ruleset r = {.fs = LL_ALL_1 | (abi >= 2 ? LL_REFER : 0) | (abi >= 3 ? LL_TRUNCATE : 0),
			       .scoped = abi >= 6 ? LL_SCOPES : 0};
	size_t size = abi >= 6 ? sizeof r : sizeof r.fs;
	autoclose int rules = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	bool ok = rules >= 0 && allow(rules, "/", LL_READ) && allow(rules, s->cwd, r.fs);
	if (ok && s->view) /* what may be written there its server knows */
		ok = allow(rules, SANDBOX_SYMBI, r.fs);
	if (ok && s->kvm)
		ok = allow(rules, KVM, LL_WRITE | LL_READ_FILE);
	for (size_t i = 0; ok && i < ARRAY_LEN(written); i++)
		ok = allow(rules, written[i], r.fs);
	for (size_t i = 0; ok && i < ARRAY_LEN(devices); i++) {
		snprintf(dev, sizeof dev, "/dev/%s", devices[i]);
		ok = allow(rules, dev, LL_WRITE | LL_READ_FILE | (r.fs & LL_TRUNCATE));
	}
	allow_stream(rules, 0, LL_READ_FILE);
	allow_stream(rules, 1, LL_WRITE | (r.fs & LL_TRUNCATE));
	allow_stream(rules, 2, LL_WRITE | (r.fs & LL_TRUNCATE));
	return ok && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}

bool box_landlock_reading(uint32_t abi)
{
	struct ll_ruleset r = {.fs = LL_ALL_1 | (abi >= 2 ? LL_REFER : 0) | (abi >= 3 ? LL_TRUNCATE : 0),
			       .scoped = abi >= 6 ? LL_SCOPES : 0};
	size_t size = abi >= 6 ? sizeof r : sizeof r.fs;
	autoclose int rules = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	return rules >= 0 && allow(rules, "/", LL_READ_FILE | LL_READ_DIR) &&
	       syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}
