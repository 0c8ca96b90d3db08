/* SPDX-License-Identifier: MIT */
/* floor_http.c - the floor of the socket's figures: the smallest libmicrohttpd program on a Unix socket, with the
 * library's own epoll thread. It answers every GET with a text of 43 bytes, and takes what is put and forgets it.
 *
 * usage: floor_http SOCKET */
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char text[] = "a small text that is the same for everybody";

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **state)
{
	static int seen;
	(void)cls, (void)url, (void)version, (void)upload;
	if (!*state) { /* a reply to the first call of a request would close the connection */
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	struct MHD_Response *r = MHD_create_response_from_buffer(sizeof text - 1, text,
								 MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ok = MHD_queue_response(c, strcmp(method, "PUT") == 0 ? 201 : 200, r);
	MHD_destroy_response(r);
	return ok;
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	sigset_t stop;
	int sig, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (argc != 2 || strlen(argv[1]) >= sizeof a.sun_path) {
		fputs("usage: floor_http SOCKET\n", stderr);
		return 2;
	}
	memcpy(a.sun_path, argv[1], strlen(argv[1]));
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0)
		return 1;
	struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
						answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
						MHD_OPTION_END);
	if (!d)
		return 1;
	sigwait(&stop, &sig);
	MHD_stop_daemon(d);
	return 0;
}
