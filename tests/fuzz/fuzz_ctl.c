/* SPDX-License-Identifier: MIT */
/* fuzz_ctl.c - lines that are commands or values: agents/NAME/ctl, ctl, limits/KEY, and names of exchanges. A write with
 * a line that the check refuses is refused whole; a limit that was taken reads back as itself. The first byte chooses. */
#include "runtime/agent_spec.h"
#include "tests/fuzz/grown.h"

static const struct actor root;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	grown_make();
	return 0;
}

static int write_to(const char *path, int flags, const char *text, size_t len)
{
	struct fs_attr a;
	struct err e = {0};
	struct handle *h;
	if (tree_open_path(grown.t, &root, path, flags, &a, &h, NULL, &e) < 0) {
		assert(e.code != ERR_NONE && e.msg[0]);
		return -e.eno;
	}
	struct grown_req g = grown_req(&root), f = grown_req(&root);
	handle_write(h, &g.req, 0, text, len, false);
	int r = grown_wait(&g);
	assert(r < 0 || (size_t)r <= len); /* fewer: a line could not be carried out, those before it were */
	if (r >= 0 && (size_t)r == len) {
		handle_flush(h, &f.req);
		r = grown_wait(&f);
	}
	handle_release(h);
	return r;
}

/* Whether the check takes each line of text that is not empty, and all of it are lines. */
static bool all_right(const char *text, size_t len, int (*check)(const char *, size_t, struct err *))
{
	struct err e = {0};
	for (const char *nl; len && (nl = memchr(text, '\n', len)); len -= (size_t)(nl + 1 - text), text = nl + 1)
		if (nl > text && check(text, (size_t)(nl - text), &e) < 0) {
			assert(e.code != ERR_NONE && e.msg[0]);
			return false;
		}
	return len == 0;
}

static void command(const char *path, const char *text, size_t len, int (*check)(const char *, size_t, struct err *),
		    bool carry_out)
{
	if (!len || text[len - 1] != '\n')
		return;
	bool right = all_right(text, len, check);
	if (!right || carry_out) {
		int r = write_to(path, O_WRONLY, text, len);
		assert(right || r < 0);
	}
}

static void limit(const char *key, const char *text, size_t len)
{
	struct agent_limits trial = {0};
	struct err e = {0};
	char path[64], shown[256] = "";
	struct buf now, then;
	struct agent *a = agent_find(grown.rt, "a", 1);
	buf_init(&now, 4096);
	buf_init(&then, 4096);
	agent_render_limit(grown.rt, a, key, &now);
	snprintf(path, sizeof path, "agents/a/limits/%s", key);
	int r = write_to(path, O_WRONLY | O_TRUNC, text, len);
	agent_render_limit(grown.rt, a, key, &then);
	if (r < 0) { /* nothing half done */
		assert(then.len == now.len && memcmp(then.data, now.data, now.len) == 0);
	} else {
		snprintf(shown, sizeof shown, "%.*s", (int)(then.len ? then.len - 1 : 0), then.data ? then.data : "");
		assert(agent_limit_set(&trial, key, shown, &e) == 0);
	}
	buf_done(&now);
	buf_done(&then);
}

static void exchange(const char *name, size_t len)
{
	char path[400];
	snprintf(path, sizeof path, "agents/a/run.d/%.*s", (int)(len < 300 ? len : 300), name);
	struct fs_attr a;
	struct err e = {0};
	struct handle *h;
	struct grown_req g = grown_req(&root);
	if (tree_open_path(grown.t, &root, path, O_RDWR | O_CREAT, &a, &h, NULL, &e) < 0)
		return;
	assert(a.kind == FS_CALL);
	handle_read(h, &g.req, 0, 100, true);
	assert(grown_wait(&g) < 0); /* nothing was asked */
	handle_release(h);
	struct grown_req d = grown_req(&root);
	tree_delete(grown.t, &d.req, path);
	assert(grown_wait(&d) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t keys = 0;
	while (agent_limit_keys[keys])
		keys++;
	if (size < 1)
		return 0;
	unsigned what = data[0];
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	if (what % 4 == 0)
		command("agents/a/ctl", text, len, agent_ctl_check, true);
	else if (what % 4 == 1)
		command("ctl", text, len, runtime_ctl_check, false) ; /* `stop` ends who started us */
	else if (what % 4 == 2)
		limit(agent_limit_keys[what / 4 % keys], text, len);
	else if (!memchr(text, 0, len))
		exchange(text, len);
	grown_turn();
	return 0;
}
