/* SPDX-License-Identifier: MIT */
/* attr.c - attributes of a node, the renderings behind true sizes, and who may do what. L3; loop
 * thread only. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

static struct rendering *cache_slot(struct tree *t, fs_id id, pid_t pid)
{
	uint64_t h = (id ^ (uint64_t)pid * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	return &t->cache[(h >> 32) % RENDER_CACHE];
}

void rendering_keep(struct tree *t, fs_id id, pid_t pid, struct buf *text)
{
	struct rendering *c = cache_slot(t, id, pid);
	buf_done(&c->text);
	c->id = id;
	c->pid = pid;
	c->at_ns = clock_mono_ns();
	c->text = *text;
	buf_init(text, RENDER_MAX);
}

bool rendering_take(struct tree *t, fs_id id, pid_t pid, struct buf *text)
{
	struct rendering *c = cache_slot(t, id, pid);
	if (c->id != id || c->pid != pid)
		return false;
	bool fresh = clock_mono_ns() - c->at_ns < 1000000000u;
	c->id = 0;
	if (fresh) {
		buf_done(text);
		*text = c->text;
		buf_init(&c->text, RENDER_MAX);
	}
	return fresh;
}

int render_place(struct tree *t, const struct place *p, const struct actor *who, struct buf *out,
		 struct err *e)
{
	struct fs_ctx c;
	int r = place_bind(t, p, who, &c, e);
	if (r < 0 || !c.node->read)
		return r;
	r = c.node->read(&c, out, e);
	if (r >= 0 && out->fail)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "the text of '%s' is too long", c.name);
	return r;
}

static int attr_rendered(struct tree *t, const struct place *p, const struct actor *who,
			 struct fs_attr *a, struct err *e)
{
	autobuf struct buf text;
	buf_init(&text, RENDER_MAX);
	int r = render_place(t, p, who, &text, e);
	if (r < 0)
		return r;
	a->size = text.len;
	rendering_keep(t, a->id, who->pid, &text);
	return 0;
}

static int attr_log(struct tree *t, const struct place *p, const struct fs_ctx *c, struct fs_attr *a,
		    struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	int r = c->node->file(c, path, sizeof path, e);
	if (r < 0)
		return r;
	if (stat(path, &st) == 0) {
		a->size = (uint64_t)st.st_size;
		a->mtime_ms = a->ctime_ms = (uint64_t)st.st_mtim.tv_sec * 1000 +
					    (uint64_t)st.st_mtim.tv_nsec / 1000000;
	} else if (c->node->read) {
		return attr_rendered(t, p, &c->who, a, e);
	}
	return 0;
}

static int attr_spec(struct tree *t, const struct place *p, const struct fs_ctx *c,
		     struct fs_attr *a, struct err *e)
{
	if (c->agent) {
		a->mode = S_IFREG | agent_mode_bits(c->agent);
		a->size = agent_text_len(c->agent);
		a->mtime_ms = agent_mtime_ms(c->agent);
		a->ctime_ms = a->mtime_ms;
		return 0;
	}
	struct doc *d = doc_by_id(t, p->sub);
	if (!d)
		return err_set(e, ERR_FS_NOT_FOUND, "the document is gone");
	a->mode = S_IFREG | d->mode;
	a->uid = d->uid;
	a->gid = d->gid;
	a->size = d->text.len;
	a->mtime_ms = a->ctime_ms = d->mtime_ms;
	a->stable = false;
	return 0;
}

static void attr_owner(const struct fs_ctx *c, struct fs_attr *a)
{
	a->uid = c->agent ? agent_uid(c->agent) : geteuid();
	a->gid = c->agent ? agent_gid(c->agent) : getegid();
	if (c->agent)
		a->mtime_ms = a->ctime_ms = agent_ctime_ms(c->agent);
	if (c->run)
		a->mtime_ms = a->ctime_ms = run_mtime_ms(c->run);
}

int place_attr(struct tree *t, const struct place *p, const struct actor *who, struct fs_attr *a,
	       struct err *e)
{
	struct fs_ctx c;
	int r = place_bind(t, p, who, &c, e);
	if (r < 0)
		return r;
	bool dir = row_kind(p->row) == FS_DIR;
	*a = (struct fs_attr){.id = place_id(p), .kind = row_kind(p->row), .stable = true};
	a->mtime_ms = a->ctime_ms = t->boot_ms;
	attr_owner(&c, a);
	a->mode = p->row->node ? p->row->node->mode : 0755;
	a->mode |= dir ? S_IFDIR : S_IFREG;
	if (p->row->id == t->agents_row)
		a->mode = S_IFDIR | (geteuid() == 0 ? 01777 : 0755); /* everybody may have agents */
	switch (a->kind) {
	case FS_RENDERED:
	case FS_VALUE:
	case FS_LINES:
		return c.node->read ? attr_rendered(t, p, who, a, e) : 0;
	case FS_LOG:
		return attr_log(t, p, &c, a, e);
	case FS_STORE:
		return attr_spec(t, p, &c, a, e);
	case FS_CALL: {
		struct slot *s = slot_by_id(t, p->sub);
		a->stable = false;
		if (p->row->part == PART_CALL && !s)
			return err_set(e, ERR_FS_NOT_FOUND, "the exchange is gone");
		if (s && s->name)
			a->uid = s->uid;
		a->size = s && s->answer ? answer_size(t, s->answer) : 0;
		return 0;
	}
	case FS_DIR:
		if (p->row->part == PART_CALL)
			a->stable = false;
		return 0;
	case FS_STREAM:
	case FS_SINK:
		return 0;
	}
	return 0;
}

int access_check(struct tree *t, const struct actor *who, const struct fs_attr *a,
		 const struct fs_node *node, int want, struct err *e)
{
	return runtime_authorize(t->rt, who, node && node->action ? node->action : "tree.walk",
				 a->uid, a->gid, a->mode & 07777, want, e);
}

void tree_failed(struct tree *t, const struct actor *who, fs_id id, const char *name,
		 const char *op, const struct err *e)
{
	struct place p;
	autobuf struct buf path;
	buf_init(&path, PATH_MAX);
	struct agent *a = NULL;
	if (place_of(t, id, &p, NULL) == 0) {
		place_path(t, &p, &path);
		a = p.serial ? agent_by_serial(t->rt, p.serial) : NULL;
	}
	if (name)
		buf_printf(&path, "%s%s", path.len ? "/" : "", name);
	errors_record(t->rt, who, path.data, op, a, e);
}
