/* SPDX-License-Identifier: MIT */
/* test_view.c - the views of agents by the tree's own API: every row that has a name in one is there, is only to be read
 * and tells of that agent; no other row is; nobody but the agent and root comes in; what is open is limited and counted. */
#include "fs/tree_i.h"
#include "tests/fs/client.h"

static struct actor inside(struct client *c, const char *name)
{
	struct actor who = {0};
	agent_view_ids(agent_find(c->engine.rt, name, strlen(name)), &who.uid, &who.gid);
	return who;
}

static int setup(void **state)
{
	struct client *c = calloc(1, sizeof *c);
	struct err e = {0};
	char out[64];
	client_init(c, true);
	client_agent(c, "a.yaml", "tier: None\nruntime: sh\ncode: cat\n");
	client_agent(c, "b.yaml", "tier: None\nruntime: sh\ncode: cat\n");
	assert_int_equal(engine_run(&c->engine, "a", "question", out, sizeof out, &e), 0);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	client_done(*state);
	free(*state);
	return 0;
}

/* "self/runs/{run}/input" in the view of a. */
static void path_in(const char *path, const char *key, char out[static 128])
{
	snprintf(out, 128, "views/a/%s", path);
	char *at = strstr(out, "{run}");
	if (at)
		memmove(at + 1, at + 5, strlen(at + 5) + 1), *at = '1';
	at = strstr(out, "{key}");
	if (at)
		snprintf(at, 128 - (size_t)(at - out), "%s", key);
}

static void is_there_to_be_read(struct client *c, const struct fs_node *n, const char *path)
{
	struct actor who = inside(c, "a");
	struct fs_attr a;
	struct err e = {0};
	struct handle *h = NULL;
	struct buf text;
	if (tree_walk(c->t, &root_actor, path, &a, &e) < 0) /* it comes by the bind, and VIEWS is closed to it */
		fail_msg("%s: %s", path, e.msg);
	assert_int_equal(a.mode & 07777, n->kind == FS_DIR ? 0500 : 0400);
	assert_int_equal(a.uid, who.uid);
	if (n->kind == FS_DIR)
		return;
	if (tree_open(c->t, &who, a.id, O_RDONLY, &h, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	handle_release(h);
	if (n->kind != FS_STREAM) {
		client_cat(c, path, &text);
		assert_int_equal(text.len, a.size);
		buf_done(&text);
	}
	assert_int_equal(tree_open(c->t, &who, a.id, O_RDWR, &h, &e), -EACCES);
	h = client_opened(c, path, O_WRONLY);
	assert_int_equal(client_pwrite(c, h, "1\n", &e), -EACCES);
	handle_release(h);
}

static void what_has_a_name_there_is_there_to_be_read(void **state)
{
	static const char *const one[] = {"", NULL};
	struct client *c = *state;
	char path[128];
	unsigned rows = 0;
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *n = *table; n->path; n++)
			for (const char *const *key = n->keys ? n->keys : one; n->view && *key; key++, rows++) {
				if (strstr(n->view, "{secret")) /* by a rule, and with a master key: tests/mount/test_secrets.sh */
					continue;
				path_in(n->view, *key, path);
				is_there_to_be_read(c, n, path);
			}
	assert_true(rows > 30);
}

static void what_has_none_is_not(void **state)
{
	struct client *c = *state;
	static const char *const more[] = {"views", "views/a", "agents/a", "self/ctl", "self/run", "self/stdin",
					   "self/run.d", "self/pid", "wait/agents", "wait/agents/a", "self/runs/2",
					   "self/limits/x", "..", "."};
	struct fs_attr a;
	struct err e;
	char path[160];
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *n = *table; n->path; n++) {
			snprintf(path, sizeof path, "views/a/%s", n->path);
			if (!n->view || strcmp(n->view, n->path) != 0)
				if (strchr(n->path, '/') == NULL && strcmp(n->path, "README") != 0)
					assert_int_equal(tree_walk(c->t, &root_actor, path, &a, &e), -ENOENT);
		}
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		snprintf(path, sizeof path, "views/a/%s", more[i]);
		if (tree_walk(c->t, &root_actor, path, &a, &e) >= 0)
			fail_msg("%s is there", path);
	}
}

static bool contains(struct client *c, const char *path, const char *text)
{
	struct buf b;
	client_cat(c, path, &b);
	bool found = strstr(b.data, text) != NULL;
	buf_done(&b);
	return found;
}

static void it_tells_of_its_agent_alone(void **state)
{
	struct client *c = *state;
	assert_true(contains(c, "views/a/self/status", "name a\n"));
	assert_true(contains(c, "views/b/self/status", "name b\n"));
	assert_true(contains(c, "views/a/self/events", "\"agent\":\"a\""));
	assert_false(contains(c, "views/a/self/events", "\"agent\":\"b\""));
	client_expect(c, "views/a/self/runs/1/output", "question");
	struct handle *h = client_opened(c, "views/a/wait/events", O_RDONLY);
	struct err e = {0};
	struct buf text;
	buf_init(&text, 1 << 16);
	assert_int_equal(client_echo(c, "agents/b/limits/memory_mb", "100\n", &e), 0);
	assert_int_equal(client_echo(c, "agents/a/limits/memory_mb", "101\n", &e), 0);
	for (int i = 0; i < 1000 && client_pread(c, h, 0, 4096, &text) == -EAGAIN; i++) {
		uv_run(&runtime_loop(c->engine.rt)->uv, UV_RUN_NOWAIT);
		usleep(10000);
	}
	assert_non_null(memmem(text.data, text.len, "\"agent\":\"a\"", 11));
	assert_null(memmem(text.data, text.len, "\"agent\":\"b\"", 11));
	buf_done(&text);
	handle_release(h);
}

static void errors_are_its_own(void **state)
{
	struct client *c = *state;
	struct fs_attr a;
	struct err e = {0};
	err_set(&e, ERR_FS_MODE, "not this one");
	assert_int_equal(tree_walk(c->t, &root_actor, "views/a/self", &a, &e), 0);
	tree_failed(c->t, &root_actor, a.id, "status", "open", &e);
	assert_true(contains(c, "views/a/errors", "\"path\":\"self/status\""));
	assert_true(contains(c, "views/a/errors", "not this one"));
	client_expect(c, "views/b/errors", "");
	assert_false(contains(c, "errors", "not this one"));
	client_expect(c, "agents/a/error", "");
	/* They go with their agent. */
	struct reply p;
	reply_init(&p, &root_actor);
	tree_delete(c->t, &p.req, "agents/a.yaml");
	assert_int_equal(reply_wait(c, &p), 0);
	assert_int_equal(tree_getattr(c->t, &root_actor, a.id, &a, &e), -ESTALE);
	client_agent(c, "a.yaml", "tier: None\nruntime: sh\ncode: cat\n");
	client_expect(c, "views/a/errors", "");
}

static void nobody_else_comes_in(void **state)
{
	struct client *c = *state;
	struct actor a = inside(c, "a"), b = inside(c, "b");
	struct handle *h;
	struct err e = {0};
	struct fs_attr at;
	assert_int_equal(client_open(c, &stranger, "views/a/README", O_RDONLY, &h, &e), -EACCES);
	if (geteuid() != 0)
		return; /* all agents are of the same user; what is bound is what tells them apart */
	assert_int_not_equal(a.uid, b.uid);
	assert_int_equal(tree_walk(c->t, &root_actor, "views/b/README", &at, &e), 0);
	assert_int_equal(tree_open(c->t, &a, at.id, O_RDONLY, &h, &e), -EACCES);
	assert_int_equal(tree_open(c->t, &b, at.id, O_RDONLY, &h, &e), 0);
	handle_release(h);
}

static void open_files_of_one_are_limited(void **state)
{
	struct client *c = *state;
	struct actor a = inside(c, "a");
	struct handle *h[VIEW_OPEN_MAX + 1] = {0};
	struct fs_attr at;
	struct err e = {0};
	for (int round = 0; round < 2; round++) { /* what is closed counts no more */
		assert_int_equal(tree_walk(c->t, &root_actor, "views/a/wait/events", &at, &e), 0);
		for (unsigned i = 0; i < VIEW_OPEN_MAX; i++)
			assert_int_equal(tree_open(c->t, &a, at.id, O_RDONLY, &h[i], &e), 0);
		assert_int_equal(tree_open(c->t, &a, at.id, O_RDONLY, &h[VIEW_OPEN_MAX], &e), -EDQUOT);
		assert_true(e.msg[0]);
		handle_release(client_opened(c, "views/b/self/status", O_RDONLY));
		handle_release(client_opened(c, "agents/a/status", O_RDONLY));
		for (unsigned i = 0; i < VIEW_OPEN_MAX; i++)
			handle_release(h[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_has_a_name_there_is_there_to_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_none_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(it_tells_of_its_agent_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_are_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_else_comes_in, setup, teardown),
		cmocka_unit_test_setup_teardown(open_files_of_one_are_limited, setup, teardown),
	};
	return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
