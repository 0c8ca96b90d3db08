/* SPDX-License-Identifier: MIT */
/* bench_api.c - what one request on the socket costs its caller, beside the smallest libmicrohttpd program and, where
 * something is to be durable, the disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/measure.h"
#include "tests/bench/server.h"

static struct server ours, minimal;
static struct disk disk;
static int kept[2]; /* connections that stay open: ours, the floor's */
static unsigned serial;

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(a.sun_path, path, strnlen(path, sizeof a.sun_path - 1));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("%s", path);
	return fd;
}

/* The whole reply; dies when it is not one of success. */
static void read_reply(int fd)
{
	static char text[1 << 16];
	size_t len = 0, want = 0;
	while (!want || len < want) {
		ssize_t n = read(fd, text + len, sizeof text - 1 - len);
		if (n <= 0)
			die("the reply ends after %zu bytes", len);
		len += (size_t)n;
		text[len] = 0;
		char *body = strstr(text, "\r\n\r\n"), *size = strcasestr(text, "content-length:");
		if (body)
			want = (size_t)(body + 4 - text) +
			       (size && size < body ? strtoul(size + 15, NULL, 10) : 0);
	}
	errno = 0;
	if (strncmp(text, "HTTP/1.1 20", 11) != 0)
		die("%.100s", text);
}

static void request(int fd, const char *method, const char *path, const char *body)
{
	char text[1024];
	int n = snprintf(text, sizeof text,
			 "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", method, path,
			 strlen(body), body);
	if (write(fd, text, (size_t)n) != n)
		die("write to the socket");
	read_reply(fd);
}

static void get_kept(unsigned i)
{
	(void)i;
	request(kept[0], "GET", "/fs/version", "");
}

static void get_status(unsigned i)
{
	(void)i;
	request(kept[0], "GET", "/fs/status", "");
}

static void get_new(unsigned i)
{
	(void)i;
	int fd = connect_to(ours.socket);
	request(fd, "GET", "/fs/version", "");
	close(fd);
}

static void put(unsigned i)
{
	(void)i;
	char path[64];
	snprintf(path, sizeof path, "/fs/agents/made%07u.yaml", serial++);
	request(kept[0], "PUT", path, SPEC_TEXT);
}

static void floor_get(unsigned i)
{
	(void)i;
	request(kept[1], "GET", "/fs/version", "");
}

static void floor_new(unsigned i)
{
	(void)i;
	int fd = connect_to(minimal.socket);
	request(fd, "GET", "/fs/version", "");
	close(fd);
}

static void floor_put(unsigned i)
{
	(void)i;
	request(kept[1], "PUT", "/fs/agents/made.yaml", SPEC_TEXT);
}

static void floor_commit(unsigned i)
{
	(void)i;
	disk_commit(&disk, 512);
}

static const struct versus rows[] = {
	{"GET version, connection kept", get_kept, {floor_get}, GOAL_NONE, 0},
	{"GET status, connection kept", get_status, {floor_get}, GOAL_NONE, 0},
	{"GET version, connection made for it", get_new, {floor_new}, GOAL_NONE, 0},
	{"PUT an agent, durable (+ fdatasync)",
	 put,
	 {floor_put, floor_commit},
	 GOAL_RATIO_MAX,
	 1.5},
};

int main(int argc, char **argv)
{
	struct scratch s;
	scratch_init(&s);
	symbid_start(&ours, &s, "state");
	floor_http_start(&minimal, &s);
	disk_open(&disk, s.dir);
	kept[0] = connect_to(ours.socket);
	kept[1] = connect_to(minimal.socket);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (argc < 2 || strstr(rows[i].what, argv[1]))
			versus_print(&rows[i]);
	close(kept[0]);
	close(kept[1]);
	disk_close(&disk);
	server_stop(&minimal);
	server_stop(&ours);
	scratch_done(&s);
	return 0;
}
