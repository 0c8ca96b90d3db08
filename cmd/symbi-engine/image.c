/* SPDX-License-Identifier: MIT */
/* image.c - the image that a container's root is made from: an engine takes no directory. It holds directories and links
 * alone, what is in them is mounted, so one image serves all containers of a machine. L4; one thread.
 *
 * It is sent as a tar archive of POSIX.1-1988 (ustar); its name is the archive's CRC32C, as another set of links is another
 * image. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "lib/crc32c.h"
#include "lib/mem.h"

#define BLOCK	    512
#define ARCHIVE_MAX (1u << 20)
#define DEPTH	    2 /* of directories: /usr, /var/tmp; deeper ones are in what is mounted */

struct header { /* of an entry: numbers in octal digits */
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2], user[32],
		group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "ustar");

static int add(struct buf *tar, const char *path, mode_t mode, const char *link)
{
	struct header h = {.type = link ? '2' : '5', .magic = "ustar", .version = {'0', '0'}};
	unsigned sum = 0;
	if (strlen(path) + 1 >= sizeof h.name || (link && strlen(link) >= sizeof h.link))
		return 0; /* no such name is at the top of a root; a mount makes its place by itself */
	snprintf(h.name, sizeof h.name, "%s%s", path, link ? "" : "/");
	snprintf(h.mode, sizeof h.mode, "%07o", (unsigned)mode & 07777);
	snprintf(h.uid, sizeof h.uid, "%07o", 0);
	snprintf(h.gid, sizeof h.gid, "%07o", 0);
	snprintf(h.size, sizeof h.size, "%011o", 0);
	snprintf(h.mtime, sizeof h.mtime, "%011o", 0);
	if (link)
		memcpy(h.link, link, strlen(link));
	memset(h.sum, ' ', sizeof h.sum);
	for (size_t i = 0; i < sizeof h; i++)
		sum += ((const unsigned char *)&h)[i];
	snprintf(h.sum, sizeof h.sum, "%06o", sum);
	return buf_add(tar, &h, sizeof h);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* What is in the directory `path` of root: links, and directories down to a depth. /etc is a mount. */
static int add_all(const struct engine *g, struct buf *tar, int root, const char *path, int depth)
{
	struct dirent **list;
	int r = 0, n = scandirat(root, path, &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		char at[PATH_MAX], link[PATH_MAX];
		struct stat st;
		const char *name = list[i]->d_name;
		snprintf(at, sizeof at, "%s%s%s", strcmp(path, ".") == 0 ? "" : path, strcmp(path, ".") == 0 ? "" : "/", name);
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && r == 0 &&
		    fstatat(root, at, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			ssize_t len = S_ISLNK(st.st_mode) ? readlinkat(root, at, link, sizeof link - 1) : 0;
			link[len > 0 ? len : 0] = 0;
			if (engine_is_podman(g) && strcmp(at, "var/tmp") == 0)
				r = add(tar, at, 01777, NULL); /* it mounts something there: container.c */
			else if (len > 0)
				r = add(tar, at, 0777, link);
			else if (S_ISDIR(st.st_mode))
				r = add(tar, at, st.st_mode, NULL);
			if (r == 0 && S_ISDIR(st.st_mode) && depth > 1 && strcmp(at, "etc") != 0)
				r = add_all(g, tar, root, at, depth - 1);
		}
		free(list[i]);
	}
	if (n < 0)
		return -errno;
	free(list);
	return r;
}

int image_of_root(struct engine *g, const char *dir, char ret[static 64], struct err *e)
{
	char path[PATH_MAX];
	autobuf struct buf tar;
	static const char end[2 * BLOCK];
	long status = 0;
	buf_init(&tar, ARCHIVE_MAX);
	snprintf(path, sizeof path, "%s/rootfs", dir);
	autoclose int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? -errno : add_all(g, &tar, root, ".", DEPTH);
	if (r == 0)
		r = buf_add(&tar, end, sizeof end);
	if (r < 0)
		return err_sys(e, ERR_SPAWN_FAILED, -r, "'%s'", path);
	unsigned sum = crc32c(tar.data, tar.len);
	snprintf(ret, 64, "localhost/symbi-root-%08x", sum);
	snprintf(path, sizeof path, "/images/%s/json", ret);
	r = engine_ask(g, "GET", path, NULL, 0, NULL, &status, NULL, e);
	if (r < 0 || status == 200)
		return r;
	snprintf(path, sizeof path, "/images/create?fromSrc=-&repo=localhost/symbi-root-%08x", sum);
	r = engine_ask(g, "POST", path, tar.data, tar.len, "application/x-tar", &status, NULL, e);
	if (r == 0 && status / 100 != 2)
		r = err_set(e, ERR_SPAWN_FAILED, "the engine does not take an image: it answered %ld", status);
	return r;
}

int image_is_there(struct engine *g, const char *name, struct err *e)
{
	char path[PATH_MAX];
	long status = 0;
	snprintf(path, sizeof path, "/images/%s/json", name);
	int r = engine_ask(g, "GET", path, NULL, 0, NULL, &status, NULL, e);
	if (r < 0 || status == 200)
		return r;
	return err_set(e, ERR_SPAWN_FAILED, "the engine has no image '%s' (it answered %ld): fetch it first, `%s pull %s`", name, status,
		       engine_is_podman(g) ? "podman" : "docker", name);
}
