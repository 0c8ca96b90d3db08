/* SPDX-License-Identifier: MIT */
/* attr.c - attributes of a node, and who may do what. L3; loop thread only. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/caller.h"
#include "fs/tree_i.h"
#include "runtime/approvals.h"
#include "runtime/secrets.h"
#include "lib/mem.h"
#include "runtime/files.h"

static int attr_log(struct tree *t, const struct place *p, const struct fs_ctx *c,
		    struct fs_attr *a, struct err *e)
{
	struct place same;
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
		return text_size(t, p, &c->who, &same, &a->size, e);
	}
	return 0;
}

static int attr_spec(struct tree *t, const struct place *p, const struct fs_ctx *c,
		     struct fs_attr *a, struct err *e)
{
	struct stored st;
	if (p->serial && place_store(p)->by_serial(t->rt, p->serial, &st)) {
		a->mode = S_IFREG | st.mode;
		a->uid = st.uid;
		a->gid = st.gid;
		a->size = st.len;
		a->mtime_ms = a->ctime_ms = st.mtime_ms;
		a->hold = c->agent ? FS_HOLD_NAME : FS_HOLD_SHORT; /* nobody tells a kernel of the others */
		return 0;
	}
	struct doc *d = doc_by_id(t, p->sub);
	if (!d)
		return err_set(e, ERR_FS_NOT_FOUND, "the document is gone");
	a->mode = S_IFREG | d->st.mode;
	a->uid = d->st.uid;
	a->gid = d->st.gid;
	a->size = d->text.len;
	a->mtime_ms = a->ctime_ms = d->st.mtime_ms;
	a->hold = FS_HOLD_SHORT;
	return 0;
}

static void attr_file(const struct file *f, struct fs_attr *a)
{
	a->mode = f->mode;
	a->uid = f->uid;
	a->gid = f->gid;
	a->size = f->size;
	a->mtime_ms = a->ctime_ms = f->mtime_ms;
	a->hold = FS_HOLD_SHORT; /* nobody tells a kernel of changes */
}

struct answer *place_answer(struct tree *t, const struct place *p, const struct actor *who)
{
	if (p->row->part != PART_CALL)
		return slot_answer(t, who, p);
	struct slot *s = slot_by_id(t, p->sub);
	return s ? s->answer : NULL;
}

static int attr_call(struct tree *t, const struct place *p, const struct actor *who, bool size,
		     struct fs_attr *a, struct err *e)
{
	struct answer *answer = size ? place_answer(t, p, who) : NULL;
	a->size = answer ? answer_size(t, answer) : 0;
	if (p->row->part != PART_CALL)
		return 0;
	struct slot *s = slot_by_id(t, p->sub);
	if (!s)
		return err_set(e, ERR_FS_NOT_FOUND, "the exchange is gone");
	a->uid = s->st.uid;
	return 0;
}

/* A kernel may keep it until it is told otherwise; what does not change needs no telling. */
static bool is_held(enum fs_hold hold)
{
	return hold == FS_HOLD_NAME || hold == FS_HOLD_FIXED;
}

static void attr_owner(const struct fs_ctx *c, struct fs_attr *a)
{
	a->uid = c->agent ? agent_uid(c->agent) : c->tree->uid;
	a->gid = c->agent ? agent_gid(c->agent) : c->tree->gid;
	if (c->agent)
		a->mtime_ms = a->ctime_ms = is_held(a->hold) ? agent_created_ms(c->agent)
							     : agent_ctime_ms(c->agent);
	if (c->who.view)
		agent_view_ids(c->agent, &a->uid, &a->gid);
	if (c->secret)
		a->mtime_ms = a->ctime_ms = c->secret->mtime_ms;
	if (c->approval)
		a->mtime_ms = a->ctime_ms = c->approval->decided_ms ? c->approval->decided_ms : c->approval->asked_ms;
	if (c->run)
		a->mtime_ms = a->ctime_ms = run_mtime_ms(c->run);
}

/* What holds for a kind; documents and texts say more themselves. */
static enum fs_hold hold_of(const struct tree *t, const struct row *r)
{
	enum part child;
	if (r->node && r->node->fixed)
		return FS_HOLD_FIXED;
	/* The name of a view may be another agent's one day; what a view's id stands for stays as it is. */
	if (r->versioned || (r->in_view && r->part == PART_AGENT))
		return FS_HOLD_VERSION;
	switch (row_kind(r)) {
	case FS_DIR:
		if (r->files || r->secrets) /* nobody tells a kernel of its names */
			return FS_HOLD_SHORT;
		/* runs come and go by themselves */
		if (r->part == PART_RUN || r->part == PART_APPROVAL || t->rows[r->parent].part == PART_RUN)
			return FS_HOLD_SHORT;
		child = r->children ? t->rows[r->child[0]].part : PART_LITERAL;
		return child == PART_RUN || child == PART_CALL || child == PART_APPROVAL ? FS_HOLD_PLACE : FS_HOLD_NAME;
	case FS_LINES:
	case FS_STREAM: return FS_HOLD_NAME;
	case FS_RENDERED:
	case FS_VALUE:
	case FS_LOG:
	case FS_FILE:
	case FS_CALL: return FS_HOLD_SHORT;
	case FS_SECRET:
	case FS_STORE:
	case FS_SINK: break;
	}
	return FS_HOLD_NOT;
}

static int attr(struct tree *t, const struct place *p, const struct actor *who, bool size,
		struct fs_attr *a, struct err *e)
{
	struct fs_ctx c;
	struct place named = *p;
	int r = place_bind(t, p, who, &c, e);
	if (r < 0)
		return r;
	*a = (struct fs_attr){.kind = row_kind(p->row), .hold = hold_of(t, p->row)};
	a->mtime_ms = a->ctime_ms = t->boot_ms;
	attr_owner(&c, a);
	a->mode = row_mode(p->row);
	a->mode |= a->kind == FS_DIR ? S_IFDIR : S_IFREG;
	/* Everybody may have agents. Not sticky: the kernel would then keep root from `>` on what others own
	 * (fs.protected_regular); that only owners remove or replace is checked here. */
	if (p->row->id == t->agents_row)
		a->mode = S_IFDIR | (t->uid == 0 ? 0777 : 0755);
	if (p->row->lists) {
		t->rows[p->row->id].asked = true;
		a->mtime_ms = a->ctime_ms = p->row->changed_ms;
		a->mtime_ns = p->row->changes % 1000000;
	}
	if (c.file)
		attr_file(c.file, a);
	if (a->kind == FS_SECRET)
		a->size = c.secret->size;
	if (a->kind == FS_STORE)
		r = attr_spec(t, p, &c, a, e);
	else if (a->kind == FS_CALL)
		r = attr_call(t, p, who, size, a, e);
	else if (size && a->kind == FS_LOG)
		r = attr_log(t, p, &c, a, e);
	else if (size && row_has_text(p->row))
		r = text_size(t, p, who, &named, &a->size, e);
	a->id = place_id(&named);
	return r;
}

int place_attr(struct tree *t, const struct place *p, const struct actor *who, struct fs_attr *ret,
	       struct err *e)
{
	return attr(t, p, who, true, ret, e);
}

int place_attr_short(struct tree *t, const struct place *p, const struct actor *who,
		     struct fs_attr *ret, struct err *e)
{
	return attr(t, p, who, false, ret, e);
}

struct actor actor_with_groups(const struct actor *who, gid_t gid)
{
	struct actor a = *who;
	if (a.uid != 0 && a.gid != gid && !a.groups)
		a.groups = caller_groups(a.pid);
	return a;
}

/* The name by which policy knows what is at p: an agent's, a document's; NULL: the daemon's own. room: where it is put together. */
static const char *object_of(struct tree *t, const struct place *p, struct buf *room)
{
	struct stored st;
	if (p->row->secrets)
		return p->sub && place_secret(t, p) ? place_secret(t, p)->path : NULL;
	if (p->row->files && p->row->part != PART_LITERAL) {
		file_resource(t->rt, file_by_serial(t->rt, p->serial), room);
		return room->data;
	}
	if (place_store(p) && place_store(p) != &fs_store_agents)
		return place_store(p)->by_serial(t->rt, p->serial, &st) ? st.file : NULL;
	struct agent *agent = p->serial ? agent_by_serial(t->rt, p->serial) : NULL;
	return agent ? agent_name(agent) : NULL;
}

int access_check(struct tree *t, const struct actor *who, const struct fs_attr *a,
		 const struct fs_node *node, int want, struct err *e)
{
	struct actor member = *who;
	if (who->uid != a->uid) /* groups count for who does not own it */
		member = actor_with_groups(who, a->gid);
	struct place p;
	bool known = node && place_of(t, a->id, &p, NULL) == 0;
	/* To know itself an agent needs no rule; for a secret it does. */
	bool free_to = known && p.row->in_view && !p.row->secrets;
	if (known && p.row->in_view && p.row->secrets)
		member = place_actor(&p, &member);
	autobuf struct buf room;
	buf_init(&room, PATH_MAX);
	const char *action = node && node->action && !free_to ? node->action : "tree.walk";
	return runtime_authorize(t->rt, &member, action, known ? object_of(t, &p, &room) : NULL, a->uid, a->gid,
				 a->mode & 07777, want, e);
}

void tree_failed(struct tree *t, const struct actor *who, fs_id id, const char *name,
		 const char *op, const struct err *e)
{
	struct place p;
	autobuf struct buf path;
	buf_init(&path, PATH_MAX);
	struct agent *a = NULL;
	struct actor actor = *who;
	if (place_of(t, id, &p, NULL) == 0) {
		actor = place_actor(&p, who);
		place_path(t, &p, &path);
		if (p.serial && !p.row->in_view && place_is_agents(&p) && e->code != ERR_FS_NO_ANSWER) /* that says nothing about the agent */
			a = agent_by_serial(t->rt, p.serial);
	}
	if (name)
		buf_printf(&path, "%s%s", path.len ? "/" : "", name);
	t->changes++; /* `errors` */
	errors_record(t->rt, &actor, actor.view ? path_in_view(path.data) : path.data, op, a, e);
}
