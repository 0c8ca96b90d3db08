/* SPDX-License-Identifier: MIT */
/* image_modules.c - finds a kernel's modules with all that they need, as they say themselves: modules.dep is only there where
 * a package was installed. L4. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "lib/mem.h"

#define DEPTH_MAX 32

struct found {
	char *path;
	char name[64];
	bool taken;
};

struct modules {
	char dir[PATH_MAX];
	struct found *all;
	size_t n, cap;
	unsigned depth;
};

/* The name of a module's file, NAME.ko or NAME.ko.xz. false: it is none. */
static bool name_of(const char *file, char ret[static 64])
{
	const char *end = strstr(file, ".ko");
	if (!end || end - file >= 64 || (end[3] && end[3] != '.'))
		return false;
	snprintf(ret, 64, "%.*s", (int)(end - file), file);
	for (char *p = ret; *p; p++)
		if (*p == '-')
			*p = '_';
	return true;
}

static struct modules *walking; /* nftw has no argument */

static int remember(const char *path, const struct stat *st, int type, struct FTW *f)
{
	struct modules *m = walking;
	struct found one = {0};
	(void)st;
	if (type != FTW_F || !name_of(path + f->base, one.name))
		return 0;
	if (m->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 1024;
		struct found *more = realloc(m->all, m->cap * sizeof *more);
		if (!more)
			return -1;
		m->all = more;
	}
	one.path = strdup(path);
	m->all[m->n++] = one;
	return one.path ? 0 : -1;
}

struct modules *modules_open(const char *dir, struct err *e)
{
	struct modules *m = calloc(1, sizeof *m);
	if (!m) {
		err_set(e, ERR_SYS_MEMORY, "no memory for the modules of '%s'", dir);
		return NULL;
	}
	snprintf(m->dir, sizeof m->dir, "%s", dir);
	walking = m;
	if (nftw(dir, remember, 32, FTW_PHYS) == 0)
		return m;
	err_sys(e, ERR_SYS_IO, errno, "modules '%s'", dir);
	modules_close(m);
	return NULL;
}

void modules_close(struct modules *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->all[i].path);
	free(m->all);
	free(m);
}

static struct found *look_up(struct modules *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->all[i].name, name) == 0)
			return &m->all[i];
	return NULL;
}

static bool built_in(const struct modules *m, const char *name)
{
	char path[PATH_MAX + 20], line[PATH_MAX], one[64];
	bool yes = false;
	snprintf(path, sizeof path, "%s/modules.builtin", m->dir);
	FILE *f = fopen(path, "re");
	while (f && !yes && fgets(line, sizeof line, f)) {
		const char *slash = strrchr(line, '/');
		line[strcspn(line, "\n")] = 0;
		yes = slash && name_of(slash + 1, one) && strcmp(one, name) == 0;
	}
	if (f)
		fclose(f);
	return yes;
}

/* ---- one module ---- */

/* The whole file, decompressed; freed by the caller. */
static int read_module(const char *path, char **ret, size_t *ret_len, struct err *e)
{
	struct stat st;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autoclose int plain = memfd_create("module", MFD_CLOEXEC);
	if (fd < 0 || plain < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "module '%s'", path);
	for (int pass = 0;; pass++) {
		int from = pass ? plain : fd;
		if (fstat(from, &st) < 0)
			return err_sys(e, ERR_SYS_IO, errno, "module '%s'", path);
		size_t len = (size_t)st.st_size;
		char *data = malloc(len + 1);
		if (!data || pread(from, data, len, 0) != (ssize_t)len) {
			free(data);
			return err_sys(e, ERR_SYS_IO, errno, "module '%s'", path);
		}
		if (pass || !unpack_known(data, len)) {
			*ret = data;
			*ret_len = len;
			return 0;
		}
		int r = unpack(data, len, plain, path, e);
		free(data);
		if (r < 0)
			return r;
	}
}

/* The section .modinfo: strings one behind the other. */
static const char *info_of(const char *elf, size_t len, size_t *ret)
{
	Elf64_Ehdr h;
	Elf64_Shdr s, names;
	if (len < sizeof h || memcmp(elf, ELFMAG, SELFMAG) != 0)
		return NULL;
	memcpy(&h, elf, sizeof h);
	if (h.e_shoff > len || h.e_shnum > (len - h.e_shoff) / sizeof s || h.e_shstrndx >= h.e_shnum)
		return NULL;
	memcpy(&names, elf + h.e_shoff + h.e_shstrndx * sizeof s, sizeof names);
	for (size_t i = 0; i < h.e_shnum; i++) {
		memcpy(&s, elf + h.e_shoff + i * sizeof s, sizeof s);
		size_t name = names.sh_offset + s.sh_name;
		if (name + 9 > len || s.sh_offset > len || s.sh_size > len - s.sh_offset || memcmp(elf + name, ".modinfo", 9) != 0)
			continue;
		*ret = s.sh_size;
		return elf + s.sh_offset;
	}
	return NULL;
}

/* "a,b-c" behind depends=; "" when it needs nothing. */
static int depends_of(const struct module *one, char ret[static 1024], const char *path, struct err *e)
{
	size_t len = 0;
	const char *p = info_of(one->data, one->len, &len), *end = p + len;
	ret[0] = 0;
	if (!p)
		return err_set(e, ERR_SEC_TIER, "'%s' is no module of this kind of machine", path);
	for (const char *nul; p < end && (nul = memchr(p, 0, (size_t)(end - p))); p = nul + 1)
		if (strncmp(p, "depends=", 8) == 0)
			snprintf(ret, 1024, "%s", p + 8);
	return 0;
}

int modules_each(struct modules *m, const char *name, int (*fn)(void *arg, const struct module *), void *arg, struct err *e)
{
	char depends[1024], file[72], plain[64];
	struct found *f = look_up(m, name);
	if (!f && built_in(m, name))
		return 0;
	if (!f || m->depth > DEPTH_MAX)
		return err_set(e, ERR_SEC_TIER, "the kernel of '%s' has no module '%s'", m->dir, name);
	if (f->taken)
		return 0;
	f->taken = true;
	struct module one = {.name = f->name};
	int r = read_module(f->path, &one.data, &one.len, e);
	if (r == 0)
		r = depends_of(&one, depends, f->path, e);
	m->depth++;
	for (char *word, *left = depends; r == 0 && (word = strsep(&left, ","));) {
		snprintf(file, sizeof file, "%.60s.ko", word);
		if (*word && name_of(file, plain))
			r = modules_each(m, plain, fn, arg, e);
	}
	m->depth--;
	if (r == 0)
		r = fn(arg, &one);
	free(one.data);
	return r;
}
