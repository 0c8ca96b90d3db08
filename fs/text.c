/* SPDX-License-Identifier: MIT */
/* text.c - rendered texts: made when a process looks the name up, so that the size which the kernel is
 * told is true, and handed to its next open. L3; loop thread only.
 *
 * The id of most texts ends in a hash of the text. Two readers who looked up different texts have
 * different files then: neither's size nor cached pages can become the other's. */
#include <errno.h>
#include <string.h>

#include "fs/handle_i.h"
#include "lib/crc32c.h"
#include "lib/mem.h"

bool row_has_text(const struct row *r)
{
	return r->node && r->node->read &&
	       (r->node->kind == FS_RENDERED || r->node->kind == FS_VALUE ||
		r->node->kind == FS_LINES);
}

static int render(struct tree *t, const struct place *p, const struct actor *who, struct buf *out,
		  struct err *e)
{
	struct fs_ctx c;
	int r = place_bind(t, p, who, &c, e);
	if (r < 0)
		return r;
	buf_clear(out);
	r = c.node->read(&c, out, e);
	if (r >= 0 && out->fail)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "the text of '%s' is too long", c.name);
	return r < 0 ? r : 0;
}

static uint32_t version_of(const struct row *r, const struct buf *text)
{
	uint32_t bits = 24u - r->version_shift;
	uint32_t h = crc32c(text->data, text->len);
	h = (h ^ h >> bits) & ((1u << bits) - 1);
	return h ? h : 1;
}

static struct place without_version(const struct place *p)
{
	struct place base = *p;
	base.version = 0;
	return base;
}

static bool is_of(const struct rendering *c, fs_id base, const struct actor *who)
{
	return c->base == base && c->pid == who->pid && c->uid == who->uid;
}

/* The rendering that this process looked up, else the one that is given up for it: an empty or the oldest. */
static struct rendering *cache_of(struct tree *t, fs_id base, const struct actor *who)
{
	uint64_t h = (base ^ (uint64_t)who->pid * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	struct rendering *set = &t->cache[(h >> 32) % (RENDER_CACHE / RENDER_WAYS) * RENDER_WAYS], *old = set;
	for (struct rendering *c = set; c < set + RENDER_WAYS; c++) {
		if (is_of(c, base, who))
			return c;
		if (old->base && (!c->base || c->at_ns < old->at_ns))
			old = c;
	}
	return old;
}

/* A text that was looked up stays as it was told until its open, however old: between the two the kernel asks
 * for its size when that took long, and it tries an open that finds its text gone only once more. */
static bool is_good(const struct tree *t, const struct rendering *c, uint32_t version)
{
	return version ? c->version == version
		       : c->changes == t->changes && clock_mono_ns() - c->at_ns <= RENDER_REUSE_NS;
}

static int look_up(struct tree *t, const struct place *p, const struct actor *who,
		   const struct rendering **ret, struct err *e)
{
	struct place base = without_version(p);
	fs_id id = place_id(&base);
	struct rendering *c = cache_of(t, id, who);
	if (!is_of(c, id, who) || !is_good(t, c, p->version)) {
		c->base = 0;
		int r = render(t, &base, who, &c->text, e);
		if (r < 0)
			return r;
		c->base = id;
		c->uid = who->uid;
		c->pid = who->pid;
		c->version = p->row->versioned ? version_of(p->row, &c->text) : 0;
		c->at_ns = clock_mono_ns();
		c->changes = t->changes;
	}
	*ret = c;
	return 0;
}

/* The text as another open file of the same id has it: an inherited or reopened descriptor. */
static const struct buf *text_of_open_file(struct tree *t, fs_id id)
{
	for (struct index_link *l = index_find(&t->handles_by_id, id); l; l = index_again(l)) {
		const struct handle *h = container_of(l, struct handle, by_id);
		if (h->have_snap)
			return &h->snap;
	}
	return NULL;
}

int text_for_open(struct tree *t, const struct place *p, const struct actor *who, struct buf *out,
		  struct err *e)
{
	struct place base = without_version(p);
	struct rendering *c = cache_of(t, place_id(&base), who);
	if (is_of(c, place_id(&base), who) && c->version == p->version) {
		buf_done(out);
		*out = c->text; /* the next lookup makes a new one */
		buf_init(&c->text, RENDER_MAX);
		c->base = 0;
		return 0;
	}
	int r = render(t, &base, who, out, e);
	if (r < 0 || !p->row->versioned || !p->version || version_of(p->row, out) == p->version)
		return r;
	const struct buf *other = text_of_open_file(t, place_id(p));
	buf_clear(out);
	if (!other)
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "'%s' changed", place_name(p));
	return buf_add(out, other->data, other->len) < 0
		       ? err_set(e, ERR_SYS_MEMORY, "no memory for a text")
		       : 0;
}

int text_size(struct tree *t, const struct place *p, const struct actor *who, struct place *ret,
	      uint64_t *ret_size, struct err *e)
{
	const struct rendering *c;
	*ret = *p;
	const struct buf *open = p->version ? text_of_open_file(t, place_id(p)) : NULL;
	if (open) {
		*ret_size = open->len;
		return 0;
	}
	int r = look_up(t, p, who, &c, e);
	if (r < 0)
		return r;
	*ret_size = c->text.len;
	if (!p->version)
		ret->version = c->version;
	else if (c->version != p->version && !index_find(&t->handles_by_id, place_id(p)))
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "'%s' changed", place_name(p));
	return 0;
}
