/* SPDX-License-Identifier: MIT */
/* image_unpack.c - kernels and modules as distributions compress them. L4. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "lib/mem.h"

static const struct packing {
	const char *magic;
	size_t len;
	char *argv[5];
	bool sized; /* in a kernel the size stands behind it, which its program would stumble over */
} packings[] = {
	{"\x1f\x8b", 2, {"gzip", "-dcq"}, false},
	{"\xfd" "7zXZ", 5, {"xz", "-dc", "--single-stream"}, true},
	{"\x28\xb5\x2f\xfd", 4, {"zstd", "-dcq"}, true},
	{"\x02\x21\x4c\x18", 4, {"lz4", "-dcq"}, true},
	{"\x5d\0\0", 3, {"lzma", "-dc"}, true},
	{"BZh", 3, {"bzip2", "-dcq"}, true},
};

static const struct packing *packing_of(const char *data, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(packings); i++)
		if (len > packings[i].len && memcmp(data, packings[i].magic, packings[i].len) == 0)
			return &packings[i];
	return NULL;
}

bool unpack_known(const char *data, size_t len)
{
	return packing_of(data, len) != NULL;
}

static int put_all(int fd, const char *data, size_t len)
{
	for (ssize_t n; len > 0; data += n, len -= (size_t)n)
		if ((n = write(fd, data, len)) <= 0)
			return -EIO;
	return 0;
}

extern char **environ;

/* Its exit status, or -errno. */
static int run(char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t acts;
	pid_t pid;
	int status;
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, in, 0);
	posix_spawn_file_actions_adddup2(&acts, out, 1);
	int r = posix_spawnp(&pid, argv[0], &acts, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	if (r != 0)
		return -r;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

int unpack(const char *data, size_t len, int to, const char *name, struct err *e)
{
	const struct packing *p = packing_of(data, len);
	autoclose int in = memfd_create("packed", MFD_CLOEXEC);
	if (!p)
		return err_set(e, ERR_SEC_TIER, "'%s' is compressed in an unknown way", name);
	if (in < 0 || put_all(in, data, len) < 0 || lseek(in, 0, SEEK_SET) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", name);
	int r = run(p->argv, in, to);
	if (r == -ENOENT)
		return err_set(e, ERR_SEC_TIER, "there is no %s, by which '%s' is compressed: install it", p->argv[0], name);
	return r ? err_set(e, ERR_SEC_TIER, "%s cannot decompress '%s'", p->argv[0], name) : 0;
}

/* ---- kernels ---- */

#define PVH_NOTE 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

static bool notes_have_pvh(const char *p, size_t len)
{
	Elf64_Nhdr n;
	for (size_t size; len >= sizeof n; p += size, len -= size) {
		memcpy(&n, p, sizeof n);
		size = sizeof n + ((size_t)n.n_namesz + 3) / 4 * 4 + ((size_t)n.n_descsz + 3) / 4 * 4;
		if (size > len)
			return false;
		if (n.n_type == PVH_NOTE && n.n_namesz == 4 && memcmp(p + sizeof n, "Xen", 4) == 0)
			return true;
	}
	return false;
}

static bool has_pvh(const char *elf, size_t len)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;
	if (len < sizeof h)
		return false;
	memcpy(&h, elf, sizeof h);
	for (size_t i = 0; i < h.e_phnum && h.e_phoff < len && (i + 1) * sizeof p <= len - h.e_phoff; i++) {
		memcpy(&p, elf + h.e_phoff + i * sizeof p, sizeof p);
		if (p.p_type == PT_NOTE && p.p_offset < len && p.p_filesz <= len - p.p_offset &&
		    notes_have_pvh(elf + p.p_offset, p.p_filesz))
			return true;
	}
	return false;
}

static int check_kernel(int fd, const char *path, struct err *e)
{
	struct stat st;
	char *elf = fstat(fd, &st) == 0 && st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (elf == MAP_FAILED)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	bool is_elf = st.st_size > EI_CLASS && memcmp(elf, ELFMAG, SELFMAG) == 0 && elf[EI_CLASS] == ELFCLASS64;
	bool pvh = is_elf && has_pvh(elf, (size_t)st.st_size);
	munmap(elf, (size_t)st.st_size);
	if (pvh)
		return 0;
	return err_set(e, ERR_SEC_TIER, "'%s' is no kernel that a microVM can start: %s", path,
		       is_elf ? "it was built without CONFIG_PVH" : "it is not of x86-64");
}

static uint32_t number_at(const char *data, size_t at)
{
	uint32_t n;
	memcpy(&n, data + at, sizeof n);
	return n;
}

/* A bzImage says where its payload lies from version 2.8 of its header on. */
static int unpack_bzimage(const char *data, size_t len, int to, const char *path, struct err *e)
{
	uint16_t version;
	memcpy(&version, data + 0x206, sizeof version);
	size_t sectors = data[0x1f1] ? (unsigned char)data[0x1f1] : 4;
	size_t at = (sectors + 1) * 512 + number_at(data, 0x248), size = number_at(data, 0x24c);
	if (version < 0x208 || at > len || size > len - at || size < 8)
		return err_set(e, ERR_SEC_TIER, "'%s' is no kernel of this kind of machine, or damaged", path);
	const struct packing *p = packing_of(data + at, size);
	return unpack(data + at, size - (p && p->sized ? 4 : 0), to, path, e);
}

int unpack_kernel(const char *path, int to, struct err *e)
{
	struct stat st;
	int r;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "kernel '%s'", path);
	size_t len = (size_t)st.st_size;
	char *data = len > 0x1000 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (data == MAP_FAILED)
		return err_set(e, ERR_SEC_TIER, "'%s' is no kernel", path);
	if (memcmp(data, ELFMAG, SELFMAG) == 0)
		r = put_all(to, data, len) < 0 ? err_sys(e, ERR_SYS_IO, errno, "'%s'", path) : 0;
	else if (memcmp(data + 0x202, "HdrS", 4) == 0)
		r = unpack_bzimage(data, len, to, path, e);
	else
		r = err_set(e, ERR_SEC_TIER, "'%s' is no kernel", path);
	munmap(data, len);
	return r < 0 ? r : check_kernel(to, path, e);
}
