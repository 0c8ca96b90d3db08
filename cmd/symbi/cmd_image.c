/* SPDX-License-Identifier: MIT */
/* cmd_image.c - `symbi sandbox image build`: makes what microVMs start from, of a kernel package. L4. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "image.h"
#include "lib/mem.h"
#include "sandbox/vm.h"

/* What a guest needs: its devices lie on a bus without a standard for finding them, its files and its port come over virtio. */
static const char *const wanted[] = {"virtio_mmio", "virtio_console", "9pnet_virtio", "9p"};

struct image {
	const char *from, *kernel, *accel, *to;
	char version[80], place[PATH_MAX], guest[PATH_MAX];
	struct cpio cpio;
	struct buf list; /* of modules, in their order */
};

/* ---- which kernel ---- */

/* What lies at path WORD of the root that was named. 0 when it is there. */
static int root_path(const struct image *m, char ret[static PATH_MAX], const char *path, const char *word)
{
	int n = snprintf(ret, PATH_MAX, "%s%s%s", strcmp(m->from, "/") == 0 ? "" : m->from, path, word);
	return n < PATH_MAX && access(ret, F_OK) == 0 ? 0 : -ENOENT;
}

/* The newest that has modules beside it. */
static void find_version(struct image *m)
{
	char path[PATH_MAX];
	if (root_path(m, path, "/boot", "") < 0)
		return;
	DIR *d = opendir(path);
	for (struct dirent *f; d && (f = readdir(d));) {
		const char *v = f->d_name + strlen("vmlinuz-");
		if (strncmp(f->d_name, "vmlinuz-", 8) == 0 && strlen(v) < sizeof m->version &&
		    root_path(m, path, "/lib/modules/", v) == 0 && strverscmp(v, m->version) > 0)
			snprintf(m->version, sizeof m->version, "%s", v);
	}
	if (d)
		closedir(d);
}

static int choose(struct image *m, struct err *e)
{
	if (m->kernel && strlen(m->kernel) < sizeof m->version)
		snprintf(m->version, sizeof m->version, "%s", m->kernel);
	else
		find_version(m);
	if (m->version[0])
		return 0;
	return err_set(e, ERR_SEC_TIER,
		       "there is no kernel with its modules in '%s' (/boot/vmlinuz-VERSION, /lib/modules/VERSION): install one, or take a "
		       "package apart (Debian: apt-get download linux-image-VERSION; dpkg-deb -x FILE.deb DIR) and name it, --from DIR",
		       m->from);
}

/* ---- the files of an image: each is there whole or not ---- */

/* Opens PLACE/NAME.new; commit gives it its name. */
static int create(const struct image *m, const char *name, struct err *e)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof path, "%s/%s.new", m->place, name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	return fd < 0 ? err_sys(e, ERR_SYS_IO, errno, "'%s'", path) : fd;
}

static int commit(const struct image *m, const char *name, struct err *e)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	snprintf(from, sizeof from, "%s/%s.new", m->place, name);
	snprintf(to, sizeof to, "%s/%s", m->place, name);
	return rename(from, to) < 0 ? err_sys(e, ERR_SYS_IO, errno, "'%s'", to) : 0;
}

static int make_kernel(struct image *m, struct err *e)
{
	char path[PATH_MAX];
	root_path(m, path, "/boot/vmlinuz-", m->version);
	autoclose int fd = create(m, VM_KERNEL, e);
	int r = fd < 0 ? fd : unpack_kernel(path, fd, e);
	return r < 0 ? r : commit(m, VM_KERNEL, e);
}

static int add_module(void *arg, const struct module *one)
{
	struct image *m = arg;
	char path[96];
	snprintf(path, sizeof path, "modules/%s.ko", one->name);
	cpio_add(&m->cpio, path, S_IFREG | 0444, one->data, one->len);
	return buf_printf(&m->list, "%s.ko\n", one->name);
}

static int add_modules(struct image *m, struct err *e)
{
	char dir[PATH_MAX];
	root_path(m, dir, "/lib/modules/", m->version);
	struct modules *all = modules_open(dir, e);
	int r = all ? 0 : -EIO;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(wanted); i++)
		r = modules_each(all, wanted[i], add_module, m, e);
	if (all)
		modules_close(all);
	return r;
}

static int make_initrd(struct image *m, struct err *e)
{
	static const char *const dirs[] = {"dev", "proc", "r", "cg", "modules"};
	autobuf struct buf guest;
	buf_init(&guest, 16u << 20);
	buf_init(&m->list, 65536);
	int r = say_slurp(m->guest, 16u << 20, &guest, e);
	int fd = r < 0 ? r : create(m, VM_INITRD, e);
	m->cpio = (struct cpio){.f = fd < 0 ? NULL : fdopen(fd, "w")};
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		cpio_add(&m->cpio, dirs[i], S_IFDIR | 0755, "", 0);
	cpio_add(&m->cpio, "init", S_IFREG | 0755, guest.data, guest.len);
	r = add_modules(m, e);
	cpio_add(&m->cpio, "modules/list", S_IFREG | 0444, m->list.data, m->list.len);
	cpio_end(&m->cpio);
	buf_done(&m->list);
	bool bad = ferror(m->cpio.f);
	if ((fclose(m->cpio.f) != 0 || bad) && r == 0)
		r = err_sys(e, ERR_SYS_IO, EIO, "'%s/" VM_INITRD ".new'", m->place);
	return r < 0 ? r : commit(m, VM_INITRD, e);
}

static int make_facts(struct image *m, struct err *e)
{
	autoclose int fd = create(m, VM_FACTS, e);
	if (fd < 0)
		return fd;
	if (dprintf(fd, "symbi-vm %d\nkernel %s\naccel %s\n", VM_VERSION, m->version, m->accel) < 0 || fsync(fd) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", m->place);
	return commit(m, VM_FACTS, e);
}

/* ---- the command ---- */

/* Those that were kept are of the image that was there. */
static int forget_guests(const struct image *m, struct err *e)
{
	char path[PATH_MAX + 16];
	int r = 0;
	snprintf(path, sizeof path, "%s/" VM_WARM, m->place);
	DIR *d = opendir(path);
	for (struct dirent *f; d && (f = readdir(d));)
		if (*f->d_name != '.' && unlinkat(dirfd(d), f->d_name, 0) < 0 && r == 0)
			r = err_sys(e, ERR_SYS_IO, errno, "'%s/%s'", path, f->d_name);
	if (d)
		closedir(d);
	return r;
}

static int make_place(struct image *m, struct err *e)
{
	char path[PATH_MAX + 16];
	if (m->to)
		snprintf(m->place, sizeof m->place, "%s", m->to);
	else
		vm_image_place(m->place);
	for (char *p = m->place; (p = strchr(p + 1, '/')); *p = '/') {
		*p = 0;
		mkdir(m->place, 0755);
	}
	if (mkdir(m->place, 0755) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", m->place);
	snprintf(path, sizeof path, "%s/" VM_FACTS, m->place); /* from here on there is no image until it is whole */
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	return forget_guests(m, e);
}

static int find_guest(struct image *m, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", m->guest, sizeof m->guest - 32);
	m->guest[n > 0 ? n : 0] = 0;
	char *slash = strrchr(m->guest, '/');
	snprintf(slash ? slash + 1 : m->guest, 16, "symbi-guest");
	return access(m->guest, R_OK) < 0 ? err_sys(e, ERR_SEC_TIER, errno, "'%s'", m->guest) : 0;
}

static int build(struct image *m, struct err *e)
{
	int r = choose(m, e);
	if (r == 0)
		r = find_guest(m, e);
	if (r == 0)
		r = make_place(m, e);
	if (r == 0)
		r = make_kernel(m, e);
	if (r == 0)
		r = make_initrd(m, e);
	return r == 0 ? make_facts(m, e) : r;
}

int sandbox_image(const struct command *c, int argc, char **argv)
{
	struct image m = {.from = "/", .accel = "tcg"};
	struct err e = {0};
	const struct opt none[] = {{NULL, NULL, NULL}};
	const struct opt opts[] = {{"from", &m.from, NULL}, {"kernel", &m.kernel, NULL}, {"accel", &m.accel, NULL},
				   {"to", &m.to, NULL}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, none, 1, OPTS_COMMAND);
	if (at < 0)
		return CLI_USAGE;
	if (strcmp(argv[at], "build") != 0)
		return opts_wrong(c, "'image %s' is not known; `symbi sandbox image build` is", argv[at]);
	if (opts_read(c, argc - at, argv + at, opts, 0, 0) < 0)
		return CLI_USAGE;
	if (strcmp(m.accel, "tcg") != 0 && strcmp(m.accel, "kvm") != 0)
		return opts_wrong(c, "--accel '%s'; one of tcg, kvm", m.accel);
	umask(022);
	if (build(&m, &e) < 0)
		return say_failed(&e);
	printf("kernel %s\nimage %s\naccel %s\n", m.version, m.place, m.accel);
	return 0;
}
