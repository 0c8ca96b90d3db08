/* SPDX-License-Identifier: MIT */
/* rag_pdf.c - the text of a PDF file, by poppler's pdftotext in a sandbox of Tier1: no network, no files but a temporary one, no
 * rights, limits on memory and time. What parses files from anywhere must not do so in the process that holds everybody's
 * documents, so the library is not linked in. L2; loop thread, but for rag_pdf_read. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define PDF_IDS	    (0xffffffffull << 32) /* no agent has that serial */
#define PDF_SECONDS 60
#define PDF_MEMORY  (512u << 20)

bool rag_pdf_is_mine(uint64_t id)
{
	return id >= PDF_IDS;
}

void rag_pdf_path(const struct runtime *rt, uint64_t content, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/rag/text-%016" PRIx64, rt->state_dir, content);
}

static int open_output(const struct rag *r, struct err *e)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/rag/pdf.out", r->rt->state_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	unlink(path);
	return fd;
}

static void too_long(void *arg)
{
	struct rag *r = arg;
	sandbox_kill(r->rt->spawn, r->pdf.id, NULL);
}

static int start(struct rag *r, int in, int out, struct err *e)
{
	static const char *const argv[] = {"pdftotext", "-q", "-enc", "UTF-8", "-", "-", NULL};
	static const char *const envp[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/tmp", NULL};
	char base[PATH_MAX], cwd[PATH_MAX + 16];
	uid_t uid;
	run_base_dir(r->rt, base, sizeof base);
	uid = geteuid() == 0 ? BOXED_UID_FIRST : (uid_t)-1; /* no agent has serial 0 */
	snprintf(cwd, sizeof cwd, "%s/rag-pdf", base);
	autoclose int dir = sandbox_workdir(base, "rag-pdf", uid, uid, e);
	if (dir < 0)
		return dir;
	struct sandbox_spec spec = {.id = r->pdf.id,
				    .owner = "rag-pdf",
				    .argv = argv,
				    .envp = envp,
				    .cwd = cwd,
				    .cwd_fd = dir,
				    .stdin_fd = in,
				    .stdout_fd = out,
				    .stderr_fd = -1,
				    .uid = uid,
				    .gid = uid,
				    .limits = {.memory_bytes = PDF_MEMORY, .cpu_seconds = PDF_SECONDS, .pids = 16, .file_bytes = RAG_DOCUMENT_MAX},
				    .enforce = true,
				    .network = NETWORK_NONE};
	return sandbox_start(r->rt->spawn, TIER_1, &spec, e);
}

int rag_pdf_start(struct rag *r, uint64_t content, struct err *e)
{
	if (!r->rt->spawn || r->rt->spawn_lost)
		return err_set(e, ERR_RAG_UNREADABLE, "it is a PDF file, and nothing can be started to read it");
	autoclose int in = file_open(r->rt, content);
	if (in < 0)
		return err_sys(e, ERR_SYS_IO, errno, "its content");
	autoclose int out = open_output(r, e);
	if (out < 0)
		return out;
	/* Never used twice in a state directory, whatever worker asks. */
	r->pdf.id = PDF_IDS | (uint32_t)(clock_wall_ms() / 16 + r->pdf.n++);
	struct err why;
	if (start(r, in, out, &why) < 0)
		return err_set(e, ERR_RAG_UNREADABLE, "a PDF file is read by pdftotext (poppler-utils) in a sandbox of Tier1: %.300s", why.msg);
	r->pdf.fd = take_fd(&out);
	timer_set(&r->rt->timers, &r->pdf.timer, PDF_SECONDS * 1000, too_long, r);
	return 0;
}

static const char *why(const struct sandbox_result *s)
{
	switch (s->end) {
	case END_EXITED: return s->code == 1 ? "pdftotext cannot open it: damaged" : s->code == 3 ? "it is locked by a password" : "pdftotext failed";
	case END_MEMORY: return "pdftotext needed more than 512 MiB";
	case END_FILE_SIZE: return "its text is longer than 64 MiB";
	case END_KILLED:
	case END_CPU_TIME: return "pdftotext needed longer than a minute";
	case END_START_FAILED: return s->err.msg;
	case END_SIGNALED:
	case END_LOST: break;
	}
	return "pdftotext died of it";
}

void rag_pdf_ended(struct runtime *rt, uint64_t id, const struct sandbox_result *s)
{
	struct rag *r = rt->rag;
	struct err e;
	sandbox_ack(rt->spawn, id, NULL);
	if (!r || id != r->pdf.id || r->pdf.fd < 0)
		return; /* of an earlier worker's */
	timer_clear(&rt->timers, &r->pdf.timer);
	int fd = take_fd(&r->pdf.fd);
	if (s->end == END_EXITED && s->code == 0) {
		rag_ingest_text(r, fd, NULL);
		return;
	}
	close(fd);
	err_set(&e, ERR_RAG_UNREADABLE, "%s", why(s));
	rag_ingest_text(r, -1, &e);
}

/* What pdftotext wrote, with a heading for each page, kept beside the index: passages are read from it. */
int rag_pdf_read(const struct rag *r, uint64_t content, int fd, struct buf *out, struct err *e)
{
	struct stat st;
	char path[PATH_MAX];
	unsigned page = 1;
	bool has_text = false, at_start = true;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size > RAG_DOCUMENT_MAX)
		return err_set(e, ERR_RAG_UNREADABLE, "its text is longer than 64 MiB");
	autofree char *raw = malloc((size_t)st.st_size + 1);
	if (!raw)
		return err_set(e, ERR_SYS_MEMORY, "no memory for its text");
	if (sys_pread_all(fd, raw, (size_t)st.st_size, 0) < 0)
		return err_sys(e, ERR_SYS_IO, EIO, "the text of a PDF file");
	buf_printf(out, "# page %u\n", page);
	for (off_t i = 0; i < st.st_size; i++) {
		if (raw[i] == '\f' && i + 1 < st.st_size) {
			buf_printf(out, "\n# page %u\n", ++page);
			at_start = true;
			continue;
		}
		if (at_start && raw[i] == '#') /* not a heading of ours */
			buf_add(out, " ", 1);
		at_start = raw[i] == '\n';
		has_text |= raw[i] > ' ' || raw[i] < 0;
		buf_add(out, &raw[i], 1);
	}
	if (out->fail)
		return err_set(e, ERR_SYS_MEMORY, "no memory for its text");
	if (!has_text)
		return err_set(e, ERR_RAG_UNREADABLE, "there is no text in it; pictures of pages have to be recognised first (OCR)");
	rag_pdf_path(r->rt, content, path);
	autoclose int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int n = to < 0 ? -errno : sys_pwrite_all(to, out->data, out->len, 0);
	return n < 0 ? err_sys(e, ERR_SYS_IO, -n, "'%s'", path) : 0;
}
