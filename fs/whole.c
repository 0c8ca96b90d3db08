/* SPDX-License-Identifier: MIT */
/* whole.c - walking, opening, removing and listing by path, for the sockets, with the checks that the kernel
 * makes on the mount. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

/* Walk to path's parent; *ret_last points at the last component inside path. */
static int walk_parent(struct tree *t, const struct actor *who, const char *path,
		       struct fs_attr *ret, const char **ret_last, struct err *e)
{
	int r = tree_getattr(t, who, FS_ROOT_ID, ret, e);
	while (*path == '/')
		path++;
	for (const char *slash; r == 0 && (slash = strchr(path, '/')); path = slash + 1) {
		char name[256];
		if ((size_t)(slash - path) >= sizeof name)
			return err_sys(e, ERR_FS_NOT_FOUND, ENAMETOOLONG, "a name in the path");
		snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
		if (!S_ISDIR(ret->mode))
			return err_sys(e, ERR_FS_INVALID, ENOTDIR, "'%s'", name);
		r = access_check(t, who, ret, NULL, X_OK, e);
		if (r == 0)
			r = tree_lookup(t, who, ret->id, name, ret, e);
	}
	if (r == 0)
		r = access_check(t, who, ret, NULL, X_OK, e);
	*ret_last = path;
	return r;
}

int tree_walk(struct tree *t, const struct actor *who, const char *path, struct fs_attr *ret,
	      struct err *e)
{
	const char *last;
	int r = walk_parent(t, who, path, ret, &last, e);
	if (r < 0 || !*last)
		return r;
	return tree_lookup(t, who, ret->id, last, ret, e);
}

/* What the mount takes as an editor's scratch file helps nobody here. */
static int check_new_name(struct tree *t, fs_id dir, const char *name, struct err *e)
{
	if (!*name)
		return err_sys(e, ERR_FS_INVALID, EISDIR, "a directory");
	struct place d;
	const struct row *docs = place_of(t, dir, &d, NULL) == 0 ? place_docs(t, &d) : NULL;
	if (!docs || docs->node->store->is_name(name) || name[0] == '.')
		return 0;
	return err_set(e, ERR_AGENT_NAME, "'%s' is not the name of %s: NAME.yaml, .yml, .json or .toml", name,
		       docs->node->store->thing);
}

int tree_open_path(struct tree *t, const struct actor *who, const char *path, int flags,
		   struct fs_attr *ret, struct handle **ret_h, bool *ret_created, struct err *e)
{
	struct fs_attr dir;
	const char *last;
	if (ret_created)
		*ret_created = false;
	if (!(flags & O_CREAT)) {
		int r = tree_walk(t, who, path, ret, e);
		return r < 0 ? r : tree_open(t, who, ret->id, flags, ret_h, e);
	}
	int r = walk_parent(t, who, path, &dir, &last, e);
	if (r == 0)
		r = check_new_name(t, dir.id, last, e);
	if (r < 0)
		return r;
	if (ret_created)
		*ret_created = tree_lookup(t, who, dir.id, last, ret, NULL) < 0;
	return tree_create(t, who, dir.id, last, 0644, flags, ret, ret_h, e);
}

/* ---- removing ---- */

/* Unlike rm -r on the mount nobody comes by here on the way to an agent's directory, so that what is
 * only shown can be refused. */
static int check_removable(struct tree *t, const struct fs_attr *a, const char *name, struct err *e)
{
	struct place p;
	int r = place_of(t, a->id, &p, e);
	if (r < 0 || p.row->part == PART_SPEC || p.row->part == PART_CALL ||
	    p.row->part == PART_FILE || p.row->part == PART_FOLDER || p.row->part == PART_SECRET ||
	    p.row->part == PART_SECRETS || p.row->id == t->agent_row)
		return r;
	return err_set(e, ERR_FS_NOT_SUPPORTED, "'%s' is part of the tree", name);
}

void tree_delete(struct tree *t, struct fs_req *req, const char *path)
{
	struct err e = {0};
	struct fs_attr dir, a;
	const char *last;
	int r = walk_parent(t, &req->who, path, &dir, &last, &e);
	if (r == 0)
		r = tree_lookup(t, &req->who, dir.id, last, &a, &e);
	if (r == 0)
		r = check_removable(t, &a, last, &e);
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	if (S_ISDIR(a.mode))
		tree_rmdir(t, req, dir.id, last);
	else
		tree_unlink(t, req, dir.id, last);
}

/* ---- listings ---- */

struct listing_json {
	struct tree *t;
	const struct actor *who;
	struct buf *out;
	size_t want;
	uint64_t cookie; /* of the last entry; 0 none yet */
	bool full;
};

static bool list_json(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie)
{
	struct listing_json *l = arg;
	if (l->out->len >= l->want) {
		l->full = true;
		return false;
	}
	/* A listing renders nothing; whoever reads this one wants sizes. */
	struct fs_attr full = *a;
	if (a->kind != FS_DIR && a->kind != FS_STORE && a->kind != FS_FILE && a->kind != FS_SECRET &&
	    tree_getattr(l->t, l->who, a->id, &full, NULL) < 0)
		return true; /* went away meanwhile */
	a = &full;
	buf_adds(l->out, l->cookie ? "," : "");
	l->cookie = cookie;
	buf_adds(l->out, "{\"name\":");
	buf_json_string(l->out, name, strlen(name));
	buf_printf(l->out,
		   ",\"type\":\"%s\",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u,\"size\":%llu,"
		   "\"mtime\":%llu.%03u}\n",
		   S_ISDIR(a->mode) ? "dir" : "file", a->mode & 07777, a->uid, a->gid,
		   (unsigned long long)a->size, (unsigned long long)(a->mtime_ms / 1000),
		   (unsigned)(a->mtime_ms % 1000));
	return l->out->fail == 0;
}

int tree_list_part(struct tree *t, const struct actor *who, fs_id dir, uint64_t *cookie,
		   struct buf *out, size_t want, struct err *e)
{
	struct fs_attr a;
	struct listing_json l = {
		.t = t, .who = who, .out = out, .want = out->len + want, .cookie = *cookie};
	int r = tree_getattr(t, who, dir, &a, e);
	if (r == 0)
		r = access_check(t, who, &a, NULL, R_OK, e);
	if (r == 0)
		r = tree_readdir(t, who, dir, *cookie, list_json, &l, e);
	if (r == 0 && out->fail)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the listing");
	*cookie = l.cookie;
	return r < 0 ? r : l.full;
}
