/* SPDX-License-Identifier: MIT */
/* vm_image.c - finds the image that microVMs start from, which `symbi sandbox image build` makes. L1; any thread. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/paths.h"
#include "sandbox/vm.h"

#define TO_MAKE "`symbi sandbox image build` makes one of the machine's kernel package"

/* Whoever can write it decides what every microVM runs. */
static int safe(const char *path, mode_t type, struct err *e)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_set(e, ERR_SEC_TIER, "there is no image for microVMs ('%s'): " TO_MAKE, path);
	if ((st.st_mode & S_IFMT) != type || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		return err_set(e, ERR_SEC_TIER, "'%s' of the image for microVMs can be written by others than root: " TO_MAKE, path);
	return 0;
}

static int read_facts(struct vm_image *i, const char *path, struct err *e)
{
	int version = 0;
	FILE *f = fopen(path, "re");
	int n = f ? fscanf(f, "symbi-vm %d\nkernel %79s\naccel %7s\n", &version, i->kernel, i->accel) : 0;
	if (f)
		fclose(f);
	if (n == 3 && version == VM_VERSION && (strcmp(i->accel, "tcg") == 0 || strcmp(i->accel, "kvm") == 0))
		return 0;
	return err_set(e, ERR_SEC_TIER, "the image for microVMs in '%s' is of another build: " TO_MAKE, i->dir);
}

void vm_image_place(char ret[static PATH_MAX])
{
	struct paths p;
	const char *said = getenv(VM_IMAGE_ENV);
	paths_default(&p);
	if (said && *said)
		snprintf(ret, PATH_MAX, "%s", said);
	else
		snprintf(ret, PATH_MAX, "%s/vm", p.state);
}

int vm_image_find(struct vm_image *ret, struct err *e)
{
	static const char *const names[] = {VM_KERNEL, VM_INITRD, VM_FACTS};
	char path[PATH_MAX + 16];
	char said[PATH_MAX];
	vm_image_place(said);
	if (!realpath(said, ret->dir))
		snprintf(ret->dir, sizeof ret->dir, "%s", said);
	int r = safe(ret->dir, S_IFDIR, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", ret->dir, names[i]);
		r = safe(path, S_IFREG, e);
	}
	return r < 0 ? r : read_facts(ret, path, e);
}
