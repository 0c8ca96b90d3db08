/* SPDX-License-Identifier: MIT */
/* engine.h - an OCI bundle run by an engine: the parts of symbi-engine. L4; one thread.
 *
 * The API is Docker's Engine API of version 1.40 and later, which podman's service speaks too; requests name no version,
 * so each engine answers by its newest. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "lib/buf.h"
#include "lib/err.h"

struct engine; /* a connection to one */

/* socket: its path. NULL with e when libcurl cannot start or nobody answers there. The caller closes it. */
struct engine *engine_open(const char *socket, struct err *e);
void engine_close(struct engine *g);
/* Is it podman? */
bool engine_is_podman(const struct engine *g);
/* One request. body: NULL, or len bytes of `type`. *status is what it answered, answer (NULL: not wanted) what with it.
 * -ECONNREFUSED and the like COMM_001 when nobody answers; an answer of any status is 0. */
int engine_ask(struct engine *g, const char *method, const char *path, const void *body, size_t len, const char *type,
	       long *status, struct buf *answer, struct err *e);
/* The same, where any status but 2xx is an error, SPAWN_001 with the engine's own words; `what` was wanted. */
int engine_do(struct engine *g, const char *what, const char *method, const char *path, json_t *body, struct err *e);

/* The name of an image with the directories and links of the bundle dir's root, made where the engine has it not. */
int image_of_root(struct engine *g, const char *dir, char ret[static 64], struct err *e);
/* Is this image there? None is ever fetched. 0 or an error that says how to get it. */
int image_is_there(struct engine *g, const char *name, struct err *e);
/* The bundle's config.json; NULL with e. The caller drops it. */
json_t *bundle_read(const char *dir, struct err *e);
/* The image that it names to be its root; NULL: none, image_of_root is. Borrowed from config. */
const char *bundle_image(const json_t *config);
/* What to ask for a container by: the bundle's configuration in the engine's words. NULL with e. */
json_t *container_of_bundle(const struct engine *g, const json_t *config, const char *dir, const char *image, struct err *e);
