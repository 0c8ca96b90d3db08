/* SPDX-License-Identifier: MIT */
/* options.c - the command line of symbid: one table for parsing and --help, and the settings from
 * every source in their order. L4. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree.h"
#include "lib/mem.h"
#include "lib/metric.h"
#include "lib/parse.h"
#include "symbid.h"

#define GO_ON (-1)

static int render_errors(struct buf *out)
{
	buf_adds(out, "# Errors\n\nPrinted by `symbid --print-errors` from `lib/err_codes.def`.\n\n"
		      "| code | errno | text |\n|-|-|-|\n");
	for (int c = 1; c < ERR_CODE_COUNT; c++)
		buf_printf(out, "| %s | %s | %s |\n", err_code_name((enum err_code)c),
			   strerrorname_np(err_code_errno((enum err_code)c)),
			   err_code_text((enum err_code)c));
	return out->fail;
}

static int print(int (*render)(struct buf *))
{
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	return render(&b) < 0 || fwrite(b.data, 1, b.len, stdout) != b.len;
}

/* Each returns GO_ON or an exit status; arg is what the option was given. */
static int set_mount(struct daemon *d, const char *arg)
{
	d->mount_option = arg;
	return GO_ON;
}

static int set_no_fuse(struct daemon *d, const char *arg)
{
	(void)arg;
	d->no_fuse = true;
	return GO_ON;
}

static int set_state(struct daemon *d, const char *arg)
{
	d->state_option = arg;
	return GO_ON;
}

static int set_socket(struct daemon *d, const char *arg)
{
	d->socket_option = arg;
	return GO_ON;
}

static int set_log(struct daemon *d, const char *arg)
{
	d->log = arg;
	return GO_ON;
}

static int add_config(struct daemon *d, const char *arg)
{
	if (d->config_count == CONFIG_FILES_MAX) {
		fprintf(stderr, "symbid: CONFIG_001 more than %d --config files\n",
			CONFIG_FILES_MAX);
		return 2;
	}
	d->config_files[d->config_count++] = arg;
	return GO_ON;
}

static int set_native(struct daemon *d, const char *arg)
{
	(void)arg;
	d->allow_native = true;
	return GO_ON;
}

static int set_ready_fd(struct daemon *d, const char *arg)
{
	uint64_t n;
	struct err e;
	if (parse_u64(arg, 3, 65535, &n, &e) < 0 || fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0) {
		fputs("symbid: TEXT_003 --ready-fd wants the number of an open descriptor\n",
		      stderr);
		return 2;
	}
	d->ready_fd = (int)n;
	return GO_ON;
}

static int print_tree(struct daemon *d, const char *arg)
{
	(void)d, (void)arg;
	return print(tree_render_doc);
}

static int print_errors(struct daemon *d, const char *arg)
{
	(void)d, (void)arg;
	return print(render_errors);
}

static int print_config(struct daemon *d, const char *arg)
{
	(void)d, (void)arg;
	return print(config_doc);
}

static int print_metrics(struct daemon *d, const char *arg)
{
	(void)d, (void)arg;
	return print(metric_render_doc);
}

static int print_version(struct daemon *d, const char *arg)
{
	(void)d, (void)arg;
	puts("symbid " SYMBI_VERSION);
	return 0;
}

static int print_help(struct daemon *d, const char *arg);

static const struct {
	const char *name, *arg; /* arg NULL: takes none */
	int (*fn)(struct daemon *d, const char *arg);
	const char *help;
} options[] = {
	{"mount", "DIR", set_mount, "where the tree is mounted"},
	{"no-fuse", NULL, set_no_fuse, "no mount: the tree is served on the socket alone"},
	{"socket", "PATH", set_socket, "the Unix socket that serves the tree as HTTP"},
	{"state", "DIR", set_state, "where everything is kept; one daemon per directory"},
	{"config", "FILE", add_config, "settings, TOML or YAML; may be repeated, later ones win"},
	{"allow-native", NULL, set_native, "agents of tier None may run, without isolation"},
	{"log", "FILE", set_log,
	 "append the log there instead of standard error; SIGHUP reopens it"},
	{"ready-fd", "N", set_ready_fd, "write \"ok\" or what went wrong there once that is known"},
	{"print-tree", NULL, print_tree, "print docs/TREE.md"},
	{"print-errors", NULL, print_errors, "print docs/ERRORS.md"},
	{"print-config", NULL, print_config, "print docs/CONFIG.md"},
	{"print-metrics", NULL, print_metrics, "print docs/METRICS.md"},
	{"version", NULL, print_version, "print the version"},
	{"help", NULL, print_help, "print this text"},
};

static int print_help(struct daemon *d, const char *arg)
{
	(void)d, (void)arg;
	puts("usage: symbid [OPTION...]\n\n"
	     "Serves in the foreground; `symbi up` starts it in the background. SIGTERM stops it "
	     "and\n"
	     "everything it runs, SIGHUP reads the settings again.\n");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		printf("  --%-14s%-6s %s\n", options[i].name, options[i].arg ? options[i].arg : "",
		       options[i].help);
	struct places p;
	if (places_find(&p, NULL, NULL, NULL, NULL, NULL) == 0)
		printf("\nHere: --mount %s --state %s --socket %s\n", p.mount, p.state, p.socket);
	return 0;
}

static int parse(struct daemon *d, int argc, char **argv)
{
	struct option known[ARRAY_LEN(options) + 1] = {0};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		known[i] = (struct option){options[i].name, options[i].arg != NULL, NULL, (int)i};
	for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		int r = o == '?' ? 2 : options[o].fn(d, optarg);
		if (r != GO_ON)
			return r;
	}
	if (optind == argc)
		return GO_ON;
	fprintf(stderr, "symbid: '%s' is not an option; see symbid --help\n", argv[optind]);
	return 2;
}

/* The kind of a source says which wins, not the order here. */
static int load_settings(struct daemon *d, struct err *e)
{
	int r = config_load_default(d->config, e);
	for (unsigned i = 0; r == 0 && i < d->config_count; i++)
		r = config_load_file(d->config, d->config_files[i], e);
	if (r == 0)
		r = config_load_env(d->config, environ, e);
	if (r == 0 && d->allow_native)
		r = config_set(d->config, "security.allow_native_execution", "true",
			       "--allow-native", e);
	for (const char *const *w = config_warnings(d->config); *w; w++)
		fprintf(stderr, "symbid: %s\n", *w);
	return r;
}

int options_read(struct daemon *d, int argc, char **argv, struct err *e)
{
	int r = parse(d, argc, argv);
	if (r != GO_ON)
		return r;
	r = load_settings(d, e);
	if (r == 0)
		r = places_find(&d->places, d->config, d->mount_option, d->state_option,
				d->socket_option, e);
	d->mount = d->no_fuse ? NULL : d->places.mount;
	d->place = (struct fuse_place){d->mount, *d->places.shared ? d->places.shared : NULL};
	d->state = d->places.state;
	d->socket = d->places.socket;
	return r < 0 ? 1 : GO_ON;
}
