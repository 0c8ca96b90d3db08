/* SPDX-License-Identifier: MIT */
/* fuzz_door.c - what a program says to the door of its network: whatever the bytes are, a request that is taken lies within
 * them, says the same when its rest comes later, and its head as a server gets it holds one request. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/door_parse.h"
#include "sandbox/net_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ready(const char *d, size_t size, const struct door_request *q)
{
	struct net_host again;
	char text[NET_TARGET_TEXT];
	uint16_t port;
	if (q->used > size || !q->port || !q->host.name[0])
		abort();
	net_target_text(&q->host, q->port, text);
	if (net_target_read(text, strlen(text), 0, &again, &port) < 0 || port != q->port ||
	    strcmp(again.name, q->host.name) != 0 || again.is_address != q->host.is_address)
		abort(); /* the spelling that is compared is a fixed point */
	if (q->kind != DOOR_HTTP)
		return;
	autobuf struct buf head;
	buf_init(&head, 3 * DOOR_HEAD_MAX);
	if (door_head(d, q, &head) < 0)
		abort();
	char *end = memmem(head.data, head.len, "\r\n\r\n", 4);
	if (!end || end + 4 != head.data + head.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct door_request q, part;
	if (size < 1 || size > 2 * DOOR_HEAD_MAX)
		return 0;
	bool greeted = data[0] & 1;
	size--;
	char *d = malloc(size ? size : 1); /* exact, so that a byte too many is seen */
	if (!d)
		abort();
	memcpy(d, data + 1, size);
	enum door_step step = door_parse(d, size, greeted, &q);
	if (step == DOOR_READY)
		check_ready(d, size, &q);
	if (step == DOOR_READY && door_parse(d, q.used, greeted, &part) != DOOR_READY)
		abort();
	if (step == DOOR_READY && door_parse(d, q.used - 1, greeted, &part) == DOOR_READY)
		abort();
	if (step == DOOR_BAD && !q.why)
		abort();
	free(d);
	char text[NET_RULE_TEXT], twice[NET_RULE_TEXT], *rule = strndup((const char *)data, size);
	if (rule && net_rule_normal(rule, text, NULL) == 0 &&
	    (net_rule_normal(text, twice, NULL) < 0 || strcmp(text, twice) != 0))
		abort();
	free(rule);
	return 0;
}
