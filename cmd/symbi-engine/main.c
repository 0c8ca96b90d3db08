/* SPDX-License-Identifier: MIT */
/* symbi-engine - has an engine with Docker's API make and start the container of an OCI bundle: to symbid's shim what an
 * OCI runtime's command is. L4.
 *
 * What went wrong is one line in the file LOG, and the exit status 1. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "lib/mem.h"

static int run(struct engine *g, const char *dir, const char *name, struct err *e)
{
	char image[64], path[256];
	json_t *config = bundle_read(dir, e);
	const char *named = config ? bundle_image(config) : NULL;
	int r = !config ? -1 : named ? image_is_there(g, named, e) : image_of_root(g, dir, image, e);
	json_t *ask = r < 0 ? NULL : container_of_bundle(g, config, dir, named ? named : image, e);
	json_decref(config);
	if (!ask)
		return -1;
	snprintf(path, sizeof path, "/containers/create?name=%s", name);
	r = engine_do(g, "making the container", "POST", path, ask, e);
	json_decref(ask);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/containers/%s/start", name);
	r = engine_do(g, "starting the container", "POST", path, NULL, e);
	if (r < 0) {
		snprintf(path, sizeof path, "/containers/%s?force=1", name);
		engine_do(g, "removing the container", "DELETE", path, NULL, NULL);
	}
	return r;
}

static void tell(const char *log, const struct err *e)
{
	autoclose int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dprintf(fd, "%s\n", e->msg) < 0)
		perror(log);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	if (argc != 10 || strcmp(argv[1], "--socket") != 0 || strcmp(argv[3], "--log") != 0 || strcmp(argv[5], "run") != 0 ||
	    strcmp(argv[6], "--bundle") != 0 || strcmp(argv[8], "--detach") != 0) {
		fputs("usage: symbi-engine --socket SOCKET --log FILE run --bundle DIR --detach NAME\n"
		      "Started by symbi-spawn; not to be run by hand.\n",
		      stderr);
		return 2;
	}
	struct engine *g = engine_open(argv[2], &e);
	int r = g ? run(g, argv[7], argv[9], &e) : -1;
	if (r < 0)
		tell(argv[4], &e);
	engine_close(g);
	return r < 0;
}
