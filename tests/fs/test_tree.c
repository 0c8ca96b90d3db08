/* SPDX-License-Identifier: MIT */
/* test_tree.c - the tree by its own API: every row of its tables is found, has its mode, and reads; what is not there is
 * refused with a reason. */
#include "runtime/files.h"
#include "tests/fs/client.h"

#define AGENT "tier: None\nruntime: sh\ncode: cat\n"

static int setup(void **state)
{
	struct client *c = calloc(1, sizeof *c);
	client_init(c, true);
	client_agent(c, "a.yaml", AGENT);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	client_done(*state);
	free(*state);
	return 0;
}

/* A row's path with its objects put in. */
static void path_of(const struct fs_node *n, const char *key, char out[static 128])
{
	static const struct {
		const char *word, *is;
	} words[] = {{"{agent}", "a"}, {"{spec}", "a.yaml"}, {"{run}", "1"}, {"{call}", "mine"},
		     {"{folder}", "folder"}, {"{file}", "a.md"}};
	snprintf(out, 128, "%s", n->path);
	for (size_t i = 0; i <= ARRAY_LEN(words); i++) {
		const char *word = i < ARRAY_LEN(words) ? words[i].word : "{key}";
		char *at = strstr(out, word), rest[128];
		if (!at)
			continue;
		snprintf(rest, sizeof rest, "%s", at + strlen(word));
		snprintf(at, 128 - (size_t)(at - out), "%s%s", i < ARRAY_LEN(words) ? words[i].is : key, rest);
	}
}

static void reads_whole_and_in_parts(struct client *c, const char *path, uint64_t size, bool sized)
{
	struct buf whole, part;
	struct handle *h = client_opened(c, path, O_RDONLY);
	buf_init(&whole, 32 << 20);
	buf_init(&part, 32 << 20);
	assert_true(client_pread(c, h, 0, 16 << 20, &whole) >= 0);
	if (sized && whole.len != size)
		fail_msg("%s has %zu bytes, its size says %llu", path, whole.len, (unsigned long long)size);
	for (size_t at = 0; at < whole.len; at += 7)
		assert_int_equal(client_pread(c, h, at, 7, &part), whole.len - at < 7 ? whole.len - at : 7);
	assert_int_equal(part.len, whole.len);
	assert_true(!whole.len || memcmp(whole.data, part.data, whole.len) == 0);
	assert_int_equal(client_pread(c, h, whole.len, 10, NULL), 0);
	assert_int_equal(client_pread(c, h, whole.len + 1, 10, NULL), 0);
	assert_int_equal(client_pread(c, h, INT64_MAX, 10, NULL), 0);
	assert_int_equal(client_pread(c, h, UINT64_MAX, 10, NULL), 0);
	handle_release(h);
	buf_done(&whole);
	buf_done(&part);
}

static void refuses(struct client *c, const struct actor *who, const char *path, int flags,
		    int want)
{
	struct handle *h;
	struct err e = {0};
	int r = client_open(c, who, path, flags, &h, &e);
	if (r != want)
		fail_msg("%s: open with flags %d by uid %u: %d, not %d", path, flags, who->uid, r, want);
	assert_true(e.code != ERR_NONE && e.msg[0]);
}

static void check_row(struct client *c, const struct fs_node *n, const char *path)
{
	struct fs_attr a, again;
	struct err e = {0};
	struct handle *h = NULL;
	if (tree_walk(c->t, &root_actor, path, &a, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	assert_int_equal(a.mode & 07777, n->mode);
	assert_int_equal(a.kind, n->kind);
	assert_int_equal(S_ISDIR(a.mode), n->kind == FS_DIR);
	if (strncmp(path, "views/", 6) != 0)
		assert_int_equal(a.uid, geteuid());
	assert_int_equal(tree_getattr(c->t, &root_actor, a.id, &again, &e), 0);
	assert_int_equal(again.mode, a.mode);
	if (n->kind == FS_DIR) {
		assert_int_equal(client_open(c, &root_actor, path, O_RDONLY, &h, &e), -EISDIR);
		return;
	}
	bool waits = n->kind == FS_STREAM || n->kind == FS_CALL;
	if (n->mode & 0400 && !waits)
		reads_whole_and_in_parts(c, path, a.size, strcmp(path, "metrics") != 0);
	if (!(n->mode & 0222)) { /* root may open anything, as everywhere */
		h = client_opened(c, path, O_WRONLY);
		assert_true(client_pwrite(c, h, "x\n", &e) < 0);
		assert_true(e.code != ERR_NONE && e.msg[0]);
		handle_release(h);
	}
	if (!(n->mode & 0007))
		refuses(c, &stranger, path, O_RDWR, strstr(path, ".d/") ? -ENOENT : -EACCES);
}

static void put_document(struct client *c, const char *path, const char *text)
{
	struct err e = {0};
	struct handle *h = client_opened(c, path, O_WRONLY | O_CREAT);
	if (client_pwrite(c, h, text, &e) <= 0 || client_flush(c, h, &e) != 0)
		fail_msg("%s: %s", path, e.msg);
	handle_release(h);
}

static void nothing(void *arg, const struct err *e)
{
	(void)arg, (void)e;
}

static void make_files(struct client *c)
{
	uint32_t serial;
	struct runtime_done done = {nothing, NULL};
	put_document(c, "rag/docs/a.md", "# A title\n\nand what is below it\n");
	put_document(c, "agents/a/knowledge/a.md", "what a knows\n");
	uint32_t agent = (uint32_t)agent_serial(agent_find(c->engine.rt, "a", 1));
	assert_int_equal(file_make(c->engine.rt, &root_actor, agent, "folder", S_IFDIR | 0755, &serial, done, NULL), 0);
	assert_int_equal(file_make(c->engine.rt, &root_actor, 0, "folder", S_IFDIR | 0755, &serial, done, NULL), 0);
}

static void every_row_is_found_with_its_mode_and_reads(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	char out[64], path[128];
	unsigned rows = 0;
	assert_int_equal(engine_run(&c->engine, "a", "question", out, sizeof out, &e), 0);
	assert_string_equal(out, "question");
	handle_release(client_opened(c, "agents/a/run.d/mine", O_WRONLY | O_CREAT));
	handle_release(client_opened(c, "rag/query.d/mine", O_WRONLY | O_CREAT));
	put_document(c, "policies/a.yaml", "version: \"1.0\"\npolicies: []\n");
	put_document(c, "policies/shadow/a.yaml", "version: \"1.0\"\npolicies: []\n");
	put_document(c, "sandbox/profiles/a.yaml", "process:\n  process_priority: 5\n");
	make_files(c);
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *n = *table; n->path; n++) {
			/* There while an act waits, and with a master key: tests/mount/test_approvals.sh, test_secrets.sh. */
			if (strstr(n->path, "{approval}") || strstr(n->path, "{secret"))
				continue;
			const char *const one[] = {"", NULL};
			for (const char *const *key = n->keys ? n->keys : one; *key; key++, rows++) {
				path_of(n, *key, path);
				check_row(c, n, path);
			}
		}
	assert_true(rows > 40);
}

struct listed {
	struct client *c;
	fs_id dir;
	unsigned n;
	uint64_t cookies[64];
	char names[64][64];
};

static bool list_keep(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie)
{
	struct listed *l = arg;
	struct fs_attr found;
	struct err e = {0};
	assert_int_equal(tree_lookup(l->c->t, &root_actor, l->dir, name, &found, &e), 0);
	assert_int_equal(found.kind, a->kind);
	assert_int_equal(found.mode, a->mode);
	assert_true(l->n < 64);
	l->cookies[l->n] = cookie;
	snprintf(l->names[l->n++], sizeof l->names[0], "%s", name);
	return true;
}

static bool list_one(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie)
{
	(void)a, (void)cookie;
	snprintf(arg, 64, "%s", name);
	return false;
}

static void what_is_listed_is_there_and_a_listing_can_be_resumed_anywhere(void **state)
{
	struct client *c = *state;
	static const char *const dirs[] = {"", "agents", "agents/a", "agents/a/limits", "agents/a/usage", "wait",
					   "wait/agents", "views", "views/a", "views/a/self", "views/a/self/limits",
					   "views/a/wait", "rag", "rag/docs"};
	make_files(c);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		struct fs_attr a;
		struct err e = {0};
		struct listed *l = calloc(1, sizeof *l);
		char next[64];
		assert_int_equal(tree_walk(c->t, &root_actor, dirs[i], &a, &e), 0);
		l->c = c;
		l->dir = a.id;
		assert_int_equal(tree_readdir(c->t, &root_actor, a.id, 0, list_keep, l, &e), 0);
		assert_true(l->n > 0);
		for (unsigned k = 0; k + 1 < l->n; k++) {
			assert_int_equal(tree_readdir(c->t, &root_actor, a.id, l->cookies[k], list_one, next, &e), 0);
			assert_string_equal(next, l->names[k + 1]);
		}
		for (unsigned k = 0; k < l->n; k++) /* `.check` is there and is not listed */
			assert_string_not_equal(l->names[k], ".check");
		free(l);
	}
}

static void what_is_not_there_is_refused(void **state)
{
	struct client *c = *state;
	static const struct {
		const char *path;
		int eno;
	} bad[] = {
		{"nothing", ENOENT},	     {"agents/b", ENOENT},	  {"agents/b.yaml", ENOENT},
		{"agents/a.json", ENOENT},   {"agents/a/nothing", ENOENT}, {"agents/a/runs/1", ENOENT},
		{"agents/a/runs/x", ENOENT}, {"agents/a/runs/01", ENOENT}, {"agents/a/runs/99999999999", ENOENT},
		{"agents/a/limits/x", ENOENT}, {"agents/a/run.d/x", ENOENT}, {"version/x", ENOTDIR},
		{"agents/a/status/x", ENOTDIR}, {"wait/agents/b", ENOENT},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct fs_attr a;
		struct err e = {0};
		int r = tree_walk(c->t, &root_actor, bad[i].path, &a, &e);
		if (r != -bad[i].eno)
			fail_msg("%s: %d, not %d", bad[i].path, r, -bad[i].eno);
		assert_true(e.code != ERR_NONE && e.msg[0]);
	}
}

static void ids_of_what_is_gone_or_never_was_are_stale(void **state)
{
	struct client *c = *state;
	static const char *const paths[] = {"agents/a", "agents/a.yaml", "agents/a/status", "agents/a/run",
					    "agents/a/limits/memory_mb", "wait/agents/a"};
	fs_id ids[ARRAY_LEN(paths)];
	struct fs_attr a;
	struct err e = {0};
	struct handle *h;
	struct reply p;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_int_equal(tree_walk(c->t, &root_actor, paths[i], &a, &e), 0);
		ids[i] = a.id;
	}
	reply_init(&p, &root_actor);
	tree_delete(c->t, &p.req, "agents/a.yaml");
	assert_int_equal(reply_wait(c, &p), 0);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_int_equal(tree_getattr(c->t, &root_actor, ids[i], &a, &e), -ESTALE);
		assert_int_equal(tree_open(c->t, &root_actor, ids[i], O_RDONLY, &h, &e), i ? -ESTALE : -EISDIR);
	}
	assert_int_equal(tree_lookup(c->t, &root_actor, ids[0], "status", &a, &e), -ESTALE);
	for (unsigned row = 0; row < 256; row++) /* a serial where none belongs */
		tree_getattr(c->t, &root_actor, (fs_id)row << 56 | 0x7fffffffu, &a, &e);
	for (unsigned row = 0; row < 256; row++) /* an agent's file without an agent */
		if (tree_getattr(c->t, &root_actor, (fs_id)row << 56 | 1, &a, &e) == 0)
			assert_true(a.kind == FS_DIR || tree_open(c->t, &root_actor, a.id, O_RDONLY, &h, &e) < 0 ||
				    (handle_release(h), true));
	assert_true(tree_getattr(c->t, &root_actor, 0, &a, &e) < 0);
	assert_true(tree_getattr(c->t, &root_actor, UINT64_MAX, &a, &e) < 0);
	assert_true(tree_getattr(c->t, &root_actor, 0xff, &a, &e) < 0);
}

/* The kernel asks for the size of a text that it looked up when its open comes late, and gives up at the second text
 * that is gone. */
static void what_was_looked_up_stays_until_its_open(void **state)
{
	struct client *c = *state;
	struct fs_attr told, a;
	struct err e = {0};
	struct handle *h = NULL;
	struct buf text;
	assert_int_equal(tree_walk(c->t, &root_actor, "agents/a/status", &told, &e), 0);
	client_agent(c, "another.yaml", "tier: None\ncommand: [wc]\n");
	assert_int_equal(client_echo(c, "agents/a/ctl", "suspend\n", &e), 0);
	usleep(60000);
	assert_int_equal(tree_getattr(c->t, &root_actor, told.id, &a, &e), 0);
	assert_int_equal(a.size, told.size);
	assert_int_equal(tree_open(c->t, &root_actor, told.id, O_RDONLY, &h, &e), 0);
	buf_init(&text, 1 << 16);
	assert_int_equal(client_pread(c, h, 0, 65536, &text), told.size);
	buf_done(&text);
	handle_release(h);
	assert_int_equal(tree_walk(c->t, &root_actor, "agents/a/status", &a, &e), 0);
	assert_true(a.id != told.id);
	assert_int_equal(tree_open(c->t, &root_actor, told.id, O_RDONLY, &h, &e), -ESTALE);
}

static void modes_hold_for_other_users(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct handle *h = NULL;
	struct reply p;
	assert_int_equal(client_open(c, &stranger, "agents/a/status", O_RDONLY, &h, &e), 0);
	handle_release(h);
	assert_int_equal(client_open(c, &stranger, "agents/a/ctl", O_WRONLY, &h, &e), -EACCES);
	assert_int_equal(client_open(c, &stranger, "agents/a/limits/memory_mb", O_WRONLY, &h, &e), -EACCES);
	assert_int_equal(client_open(c, &stranger, "agents/a/run", O_RDWR, &h, &e), -EACCES);
	assert_int_equal(client_open(c, &stranger, "agents/a.yaml", O_WRONLY | O_TRUNC, &h, &e), -EACCES);
	reply_init(&p, &stranger);
	tree_delete(c->t, &p.req, "agents/a.yaml");
	assert_true(reply_wait(c, &p) == -EACCES || p.r == -EPERM);
	assert_true(p.e.msg[0]);
	assert_true(client_has(c, "agents/a.yaml"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row_is_found_with_its_mode_and_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_listed_is_there_and_a_listing_can_be_resumed_anywhere, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_of_what_is_gone_or_never_was_are_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_looked_up_stays_until_its_open, setup, teardown),
		cmocka_unit_test_setup_teardown(modes_hold_for_other_users, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
