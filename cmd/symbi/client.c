/* SPDX-License-Identifier: MIT */
/* client.c - HTTP to the daemon's Unix socket, by libcurl. L4; one thread. */
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/unixsock.h"

#define ERROR_MAX (64u << 10) /* bytes of an error's body */
#define RETRIES   20          /* while a worker is replaced */
#define RETRY_US  50000

struct client {
	CURL *curl;
	char *socket;
	int dir; /* of a socket whose path is too long for an address; -1 */
};

/* ---- what comes back ---- */

struct exchange {
	struct client *c;
	struct reply *r;
	struct buf error; /* the body of a failure */
	bool failed;      /* the body could not be kept */
};

static bool header_u64(const char *line, size_t len, const char *name, uint64_t *ret)
{
	char text[32];
	size_t n = strlen(name);
	if (len < n + 2 || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(len - n - 2), line + n + 2);
	text[strcspn(text, "\r\n")] = 0;
	const char *digits = strrchr(text, '/'); /* Content-Range: bytes 0-9/10 */
	return parse_u64(digits ? digits + 1 : text, 0, UINT64_MAX, ret, NULL) == 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;
	uint64_t v;
	if (len > 5 && strncmp(line, "HTTP/", 5) == 0)
		x->r->sized = false;
	if (header_u64(line, len, "Symbi-Run", &v))
		x->r->run = v;
	if (header_u64(line, len, "Content-Range", &v) ||
	    (!x->r->sized && header_u64(line, len, "Content-Length", &v))) {
		x->r->total = v;
		x->r->sized = true;
	}
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;
	long status = 0;
	curl_easy_getinfo(x->c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 300)
		return buf_add(&x->error, data, len) == 0 ? len : 0;
	x->r->got += len;
	if (!x->r->file)
		x->failed = buf_add(x->r->body, data, len) < 0;
	else /* what waits on a pipe wants it now */
		x->failed = fwrite(data, 1, len, x->r->file) != len || fflush(x->r->file) != 0;
	return x->failed ? 0 : len;
}

/* ---- failures ---- */

static int said_no(const struct exchange *x, const char *path, struct err *e)
{
	json_t *j = json_loadb(x->error.data, x->error.len, 0, NULL);
	const char *code = json_string_value(json_object_get(j, "code"));
	const char *message = json_string_value(json_object_get(j, "message"));
	const char *name = json_string_value(json_object_get(j, "errno"));
	enum err_code known = code ? err_code_find(code) : ERR_NONE;
	if (known == ERR_NONE || !message) {
		json_decref(j);
		return err_set(e, ERR_API_REQUEST, "'%s': the daemon answered with status %u", path,
			       x->r->status);
	}
	err_set(e, known, "%s", message);
	e->line = (unsigned)json_integer_value(json_object_get(j, "line"));
	for (int eno = 1; name && eno < 134; eno++) {
		const char *n = strerrorname_np(eno);
		if (n && strcmp(n, name) == 0)
			e->eno = eno;
	}
	json_decref(j);
	return -e->eno;
}

static int no_reply(const struct client *c, CURLcode code, bool failed, struct err *e)
{
	long eno = 0;
	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &eno);
	if (failed)
		return err_sys(e, ERR_SYS_IO, errno ? errno : EIO, "the reply cannot be written");
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return err_sys(e, ERR_COMM_FAILED, EINTR, "the request was given up");
	if (code == CURLE_COULDNT_CONNECT && eno == EACCES) {
		err_set(e, ERR_FS_MODE,
			"you may not connect to '%s'; the setting socket.mode or socket.group "
			"decides who may",
			c->socket);
		return -EACCES;
	}
	if (code == CURLE_COULDNT_CONNECT)
		return err_set(e, ERR_API_NO_DAEMON,
			       "no daemon listens on '%s'; `symbi up` starts one", c->socket);
	return err_set(e, ERR_COMM_FAILED, "'%s': %s", c->socket, curl_easy_strerror(code));
}

/* ---- requests ---- */

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	return *(const volatile sig_atomic_t *)arg != 0;
}

void client_stop_on(struct client *c, const volatile sig_atomic_t *flag)
{
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, flag ? 0L : 1L);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, flag);
}

int client_open(struct client **ret, const char *socket, struct err *e)
{
	char name[UNIXSOCK_PATH_MAX];
	struct client *c = calloc(1, sizeof *c);
	if (!c || !(c->socket = strdup(socket))) {
		free(c);
		return err_set(e, ERR_SYS_MEMORY, "no memory");
	}
	c->dir = -1;
	int r = unixsock_name(socket, name, &c->dir, e);
	if (r == -ENOENT)
		r = err_set(e, ERR_API_NO_DAEMON,
			    "no daemon listens on '%s'; `symbi up` starts one", socket);
	curl_global_init(CURL_GLOBAL_NOTHING); /* no TLS here; counted, so that a second time is free */
	c->curl = r == 0 ? curl_easy_init() : NULL;
	if (r == 0 && !c->curl)
		r = err_set(e, ERR_SYS_MEMORY, "libcurl cannot be started");
	if (r < 0) {
		client_close(c);
		return r;
	}
	curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, name);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	*ret = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	if (c->dir >= 0)
		close(c->dir);
	free(c->socket);
	free(c);
}

static int url_of(struct client *c, const char *path, struct buf *out)
{
	buf_adds(out, "http://symbi/fs");
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		char *name = n ? curl_easy_escape(c->curl, p, (int)n) : NULL;
		if (name)
			buf_printf(out, "/%s", name);
		curl_free(name);
		p += n + (p[n] == '/');
	}
	return out->fail;
}

/* Nothing of a reply has come, and doing it twice is doing it once. */
static bool may_repeat(const char *method, CURLcode code, const struct reply *r)
{
	return (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
		code == CURLE_SEND_ERROR) &&
	       r->status == 0 && r->got == 0 && strcmp(method, "POST") != 0;
}

static CURLcode perform(struct exchange *x, const char *method)
{
	CURL *h = x->c->curl;
	CURLcode code = CURLE_OK;
	for (int i = 0; i < RETRIES; i++) {
		long status = 0;
		code = curl_easy_perform(h);
		curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
		x->r->status = (unsigned)status;
		if (code == CURLE_OK || !may_repeat(method, code, x->r))
			break;
		usleep(RETRY_US);
	}
	return code;
}

static void set_method(CURL *h, const char *method, const char *body, size_t len)
{
	curl_easy_setopt(h, CURLOPT_HTTPGET, 1L); /* whatever was before */
	curl_easy_setopt(h, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
	if (body) {
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

int client_do(struct client *c, const char *method, const char *path, const char *header,
	      const char *body, size_t len, struct reply *r, struct err *e)
{
	struct exchange x = {.c = c, .r = r};
	autobuf struct buf url;
	buf_init(&url, 64 << 10);
	if (url_of(c, path, &url) < 0)
		return err_sys(e, ERR_API_REQUEST, ENAMETOOLONG, "the path");
	buf_init(&x.error, ERROR_MAX);
	/* No "Expect": the daemon is here and its limits are known. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	if (header)
		headers = curl_slist_append(headers, header);
	set_method(c->curl, method, body, len);
	curl_easy_setopt(c->curl, CURLOPT_URL, url.data);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, &x);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &x);
	CURLcode code = perform(&x, method);
	curl_slist_free_all(headers);
	int result = 0;
	if (code != CURLE_OK)
		result = no_reply(c, code, x.failed, e);
	else if (r->status >= 300 && r->status != 416)
		result = said_no(&x, path, e);
	buf_done(&x.error);
	return result;
}

int client_get(struct client *c, const char *path, struct buf *out, struct err *e)
{
	struct reply r = {.body = out};
	return client_do(c, "GET", path, NULL, NULL, 0, &r, e);
}

const char *client_path(const struct where *w, const char *text)
{
	size_t n = strlen(w->at.mount);
	if (strncmp(text, w->at.mount, n) == 0 && (text[n] == '/' || !text[n]))
		text += n;
	while (*text == '/')
		text++;
	return text;
}
