/* SPDX-License-Identifier: MIT */
/* kv_ballast.c - room on the disk that is kept for the state store. What is deleted frees its bytes only once the store says so,
 * and the store needs some to say it: without this a full disk would stay full. L0; the store thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/kv_i.h"
#include "lib/mem.h"

#define BALLAST	   (4 << 20) /* bytes */
#define ROOM_TIMES 8	     /* it is laid aside only where there is so much more */

static void path_of(const struct kv *kv, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/ballast", kv->dir);
}

void kv_ballast_lay(struct kv *kv)
{
	char path[PATH_MAX];
	struct statvfs fs;
	if (kv->ballast || statvfs(kv->dir, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)BALLAST * ROOM_TIMES)
		return;
	path_of(kv, path);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	kv->ballast = fd >= 0 && fallocate(fd, 0, 0, BALLAST) == 0;
	if (fd >= 0 && !kv->ballast)
		unlink(path); /* a file system that cannot */
}

bool kv_ballast_drop(struct kv *kv)
{
	char path[PATH_MAX];
	path_of(kv, path);
	kv->ballast = false;
	return unlink(path) == 0;
}
