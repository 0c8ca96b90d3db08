/* SPDX-License-Identifier: MIT */
/* cmd_run.c - run an agent once, or the agent of a spec file with other limits. L4. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"
#include "runtime/agent_spec.h"

#define INPUT_MAX    (1u << 20) /* what the daemon takes */
#define EXIT_TIMEOUT 124        /* as timeout(1) */
#define EXIT_SIGNAL  128

static volatile sig_atomic_t interrupted; /* the signal, or 0 */

struct run {
	struct where where;
	const char *what; /* agent or spec file */
	const char *tier, *memory, *cpu, *timeout, *input;
	bool native;
	/* checked */
	uint64_t memory_mb, timeout_ms;
	double cores;
	struct client *client;
	char agent[NAME_LEN_MAX + 1];
	char file[NAME_LEN_MAX + 16]; /* agents/NAME.json of an agent that is ours; "": it is not */
};

/* ---- the words of the command ---- */

static bool is_spec_file(const char *what)
{
	enum value_format f;
	return strchr(what, '/') || value_format_of(what, &f) == 0;
}

static int read_words(const struct command *c, struct run *r)
{
	struct err e;
	enum sandbox_tier tier;
	bool changes = r->native || r->tier || r->memory || r->cpu || r->timeout;
	if (changes && !is_spec_file(r->what))
		return opts_wrong(c,
				  "limits and tier are those of the agent '%s'; give its spec file "
				  "to run it with others",
				  r->what);
	if (r->native && r->tier)
		return opts_wrong(c, "--native and --sandbox-tier say the same; give one");
	if (r->tier && sandbox_tier_parse(r->tier, &tier) < 0)
		return opts_wrong(c, "--sandbox-tier '%s'; one of None, Tier1, Tier2, Tier3",
				  r->tier);
	if (r->native || r->tier)
		r->tier = sandbox_tier_name(r->native ? TIER_NONE : tier);
	if (r->memory && parse_u64(r->memory, 1, 16777216, &r->memory_mb, &e) < 0)
		return opts_wrong(c, "--max-memory wants megabytes: %s", e.msg);
	if (r->cpu && parse_double(r->cpu, 0.01, 4096, &r->cores, &e) < 0)
		return opts_wrong(c, "--max-cpu wants a number of cores: %s", e.msg);
	if (r->timeout &&
	    parse_duration_ms(r->timeout, 1, 366ull * 86400000, &r->timeout_ms, &e) < 0)
		return opts_wrong(c, "--timeout wants seconds or a duration: %s", e.msg);
	return 0;
}

/* ---- the agent of a spec file ---- */

/* The file is judged as it stands, so that a message names its line. */
static int check_spec(const char *path, enum value_format f, const struct buf *text, struct err *e)
{
	struct agent_spec *s = NULL;
	int r = agent_spec_parse(f, text->data, text->len, TIER_NONE, &s, NULL, e);
	agent_spec_free(s);
	if (r < 0)
		err_wrap(e, "%s", path);
	return r;
}

static void change_spec(const struct run *r, json_t *spec)
{
	/* Of one run, under another name, when it is told. */
	static const char *const dropped[] = {"name",     "id",    "execution_mode",
					      "interval", "topic", "restart"};
	char timeout[32];
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		json_object_del(spec, dropped[i]);
	if (r->tier) {
		json_object_del(spec, "tier");
		json_object_set_new(spec, "security_tier", json_string(r->tier));
	}
	json_t *limits = json_object_get(spec, "resource_limits");
	if (!json_is_object(limits)) {
		limits = json_object();
		json_object_set_new(spec, "resource_limits", limits);
	}
	if (r->memory)
		json_object_set_new(limits, "memory_mb", json_integer((json_int_t)r->memory_mb));
	if (r->cpu)
		json_object_set_new(limits, "cpu_cores", json_real(r->cores));
	if (r->timeout) {
		format_duration_ms(r->timeout_ms, timeout);
		json_object_set_new(limits, "execution_timeout", json_string(timeout));
	}
}

/* The text of the changed spec, as JSON; NULL when memory is short. */
static char *spec_text(const struct run *r, enum value_format f, const struct buf *text,
		       struct err *e)
{
	struct value *v = NULL;
	autobuf struct buf b;
	buf_init(&b, VALUE_TEXT_MAX * 8);
	if (value_parse(f, text->data, text->len, &v, NULL, e) < 0)
		return NULL;
	int bad = value_dump_json(v, &b);
	value_free(v);
	json_t *spec = bad ? NULL : json_loadb(b.data, b.len, 0, NULL);
	if (!spec) {
		err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
		return NULL;
	}
	change_spec(r, spec);
	char *out = json_dumps(spec, JSON_INDENT(1));
	json_decref(spec);
	return out;
}

/* run-BASENAME-XXXXXXXX: nobody else's, and it says where it comes from. */
static void make_name(struct run *r)
{
	uint32_t random;
	char base[41];
	size_t n = 0;
	const char *slash = strrchr(r->what, '/');
	sys->random(&random, sizeof random);
	for (const char *p = slash ? slash + 1 : r->what; *p && n < sizeof base - 1; p++) {
		if (*p == '.' && value_format_of(p, &(enum value_format){0}) == 0)
			break;
		base[n++] = name_ok(p, 1) || *p == '-' || *p == '.' ? *p : '_';
	}
	base[n] = 0;
	snprintf(r->agent, sizeof r->agent, "run-%s-%08x", base, random);
	snprintf(r->file, sizeof r->file, "agents/%s.json", r->agent);
}

static int put_spec(struct run *r, struct err *e)
{
	enum value_format f;
	autobuf struct buf text, none;
	buf_init(&text, VALUE_TEXT_MAX);
	buf_init(&none, 1 << 20);
	if (value_format_of(r->what, &f) < 0)
		return err_set(e, ERR_AGENT_NAME,
			       "'%s' is no spec: NAME.yaml, .yml, .json or .toml", r->what);
	int bad = say_slurp(r->what, VALUE_TEXT_MAX, &text, e);
	if (bad == 0)
		bad = check_spec(r->what, f, &text, e);
	if (bad < 0)
		return bad;
	autofree char *spec = spec_text(r, f, &text, e);
	if (!spec)
		return -e->eno;
	make_name(r);
	struct reply reply = {.body = &none};
	bad = client_do(r->client, "PUT", r->file, "If-None-Match: *", spec, strlen(spec), &reply,
			e);
	if (bad < 0)
		r->file[0] = 0;
	return bad;
}

static void remove_spec(struct run *r)
{
	struct err e = {0};
	autobuf struct buf none;
	buf_init(&none, 1 << 20);
	struct reply reply = {.body = &none};
	if (r->file[0] && client_do(r->client, "DELETE", r->file, NULL, NULL, 0, &reply, &e) < 0)
		say_failed(&e);
}

/* ---- the run ---- */

static int get_file(struct run *r, uint64_t run, const char *name, FILE *out, struct buf *body,
		    struct err *e)
{
	char path[NAME_LEN_MAX + 64];
	struct reply reply = {.file = out, .body = body};
	snprintf(path, sizeof path, "agents/%s/runs/%llu/%s", r->agent, (unsigned long long)run,
		 name);
	return client_do(r->client, "GET", path, NULL, NULL, 0, &reply, e);
}

/* The exit status that the run's own says; failure is what the daemon said of it. */
static int status_of_run(const char *status, const struct err *failure)
{
	char text[16];
	uint64_t n;
	if (failure->code == ERR_SCHED_TIMEOUT || failure->code == ERR_SCHED_IDLE) {
		say_failed(failure);
		return EXIT_TIMEOUT;
	}
	if (where_value(status, "exit", text, sizeof text) &&
	    parse_u64(text, 1, 255, &n, NULL) == 0 && failure->code == ERR_AGENT_FAILED)
		return (int)n; /* the program has said why itself */
	say_failed(failure);
	if (where_value(status, "signal", text, sizeof text) &&
	    parse_u64(text, 1, 64, &n, NULL) == 0)
		return EXIT_SIGNAL + (int)n;
	return CLI_FAILED;
}

/* Put the question and wait; then hand on what the program wrote, whether it failed or not. */
static int ask(struct run *r, const struct buf *input)
{
	struct err failure = {0}, e = {0};
	char path[NAME_LEN_MAX + 16];
	autobuf struct buf status;
	buf_init(&status, 1 << 20);
	struct reply reply = {.file = stdout};
	snprintf(path, sizeof path, "agents/%s/run", r->agent);
	int bad = client_do(r->client, "POST", path, NULL, input->data, input->len, &reply,
			    &failure);
	if (!reply.run) /* it never became a run */
		return bad < 0 ? say_failed(&failure) : 0;
	if (bad < 0 && get_file(r, reply.run, "output", stdout, NULL, &e) < 0)
		return say_failed(&failure);
	if (get_file(r, reply.run, "stderr", stderr, NULL, &e) < 0 ||
	    (bad < 0 && get_file(r, reply.run, "status", NULL, &status, &e) < 0))
		return say_failed(&e);
	return bad < 0 ? status_of_run(status.data, &failure) : 0;
}

/* Told to stop: the agent of a spec file goes, and what it runs with it. */
static void on_signal(int sig)
{
	interrupted = sig;
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static int read_input(const struct run *r, struct buf *out, struct err *e)
{
	if (!r->input && isatty(STDIN_FILENO))
		return 0;
	return say_slurp(r->input ? r->input : "-", INPUT_MAX, out, e);
}

static int run(struct run *r)
{
	struct err e = {0};
	autobuf struct buf input;
	buf_init(&input, INPUT_MAX);
	int bad = where_find(&r->where, &e);
	if (bad == 0)
		bad = read_input(r, &input, &e);
	if (bad == 0)
		bad = client_open(&r->client, r->where.at.socket, &e);
	if (bad == 0) {
		catch_signals();
		client_stop_on(r->client, &interrupted);
	}
	if (bad == 0 && is_spec_file(r->what))
		bad = put_spec(r, &e);
	else if (bad == 0)
		snprintf(r->agent, sizeof r->agent, "%s", r->what);
	int status = bad < 0 ? say_failed(&e) : ask(r, &input);
	if (r->client) {
		client_stop_on(r->client, NULL);
		remove_spec(r);
	}
	client_close(r->client);
	return interrupted ? EXIT_SIGNAL + interrupted : status;
}

int cmd_run(const struct command *c, int argc, char **argv)
{
	struct run r = {0};
	const struct opt opts[] = {WHERE_SOCKET_OPTS(r.where),      {"native", NULL, &r.native},
				   {"sandbox-tier", &r.tier, NULL}, {"max-memory", &r.memory, NULL},
				   {"max-cpu", &r.cpu, NULL},       {"timeout", &r.timeout, NULL},
				   {"input", &r.input, NULL},       {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, 1);
	if (at < 0)
		return CLI_USAGE;
	r.what = argv[at];
	if (read_words(c, &r) != 0)
		return CLI_USAGE;
	return run(&r);
}
