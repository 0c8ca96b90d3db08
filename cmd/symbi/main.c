/* SPDX-License-Identifier: MIT */
/* symbi - the command line of the daemon: start and stop it, look into it, run agents. Everything else
 * is a file; ls, cat and echo are its command line. L4. */
#include <string.h>

#include "cli.h"
#include "lib/mem.h"

#define WHERE "[--socket PATH] [--state DIR]"

static int cmd_help(const struct command *c, int argc, char **argv);

static const struct command commands[] = {
	{"up", cmd_up,
	 "[--mount DIR] [--state DIR] [--socket PATH] [--config FILE]... [--allow-native] "
	 "[--no-fuse] "
	 "[--foreground]",
	 "start the daemon and print where it is mounted",
	 "Returns when the daemon serves. Its log is STATE/symbid.log. With --no-fuse nothing is\n"
	 "mounted and the socket is printed."},
	{"down", cmd_down, "[--socket PATH | --mount DIR] [--state DIR]",
	 "stop the daemon and everything it runs",
	 "Returns when the daemon has ended: what runs gets lifecycle.termination_timeout to end."},
	{"status", cmd_status, "[--socket PATH | --mount DIR] [--state DIR] [--json]",
	 "the daemon's state", NULL},
	{"doctor", cmd_doctor, "[--state DIR] [--json]",
	 "what this machine can and cannot do, and what to install",
	 "One line per check: ok, warn (something is weaker or missing) or missing (the daemon "
	 "cannot\n"
	 "run, or not as this user), with what to do about it. Exit status 1 when one is missing."},
	{"run", cmd_run,
	 "AGENT | SPECFILE [--native] [--sandbox-tier TIER] [--max-memory MB] [--max-cpu N] "
	 "[--timeout S] "
	 "[--input FILE] " WHERE,
	 "run an agent once, or the agent of a spec file, and hand on its output and exit status",
	 "Standard input, or FILE, is the input; a terminal is not read. SPECFILE (a name with a "
	 "'/' or\n"
	 "ending in .yaml, .yml, .json or .toml) becomes an ephemeral agent of this one run, with "
	 "the\n"
	 "limits given here; it is removed afterwards. --native is --sandbox-tier None. Exit "
	 "status: the\n"
	 "program's own; 128 and the signal's number when one ended it; 124 after its "
	 "execution_timeout;\n"
	 "1 when it did not run."},
	{"ls", cmd_ls, "[PATH] [-l] [--json] " WHERE, "list a directory of the tree", NULL},
	{"cat", cmd_cat, "PATH... " WHERE, "print files of the tree; those in wait/ as they grow",
	 NULL},
	{"write", cmd_write, "PATH [TEXT] " WHERE,
	 "write TEXT and a newline, or standard input, to a file of the tree", NULL},
	{"tail", cmd_tail, "PATH [-n LINES] [-f] " WHERE,
	 "print the last lines of a log, and with -f what is added", NULL},
	{"config", cmd_config, "show [FILE]... | check [FILE]... [--json]",
	 "settings and where they come from",
	 "Without FILE: the default files and the environment, as the daemon reads them. With "
	 "FILEs: those\n"
	 "in their order instead of the default files."},
	{"journal", cmd_journal, "cat | verify | stat [--state DIR] [--json]",
	 "read the journal with every check; works without the daemon", NULL},
	{"audit", cmd_audit,
	 "verify [--checkpoint FILE,...] | proof SEQ | proof OLD NEW | check --proof FILE [--checkpoint FILE]; "
	 "[--log DIR] [--key FILE] [--state DIR] [--json]",
	 "verify the audit trail in a copy of its directory, make and check proofs; works without the daemon",
	 "DIR is a copy of audit/, or of STATE/audit, which is what is taken without it. FILE of --key is audit/key.pub\n"
	 "as you know it, of --checkpoint an audit/head that was kept elsewhere: only that reveals a tail that was cut\n"
	 "off, or an older copy. proof SEQ: that this record is signed; OLD NEW: that the trail of NEW records begins\n"
	 "with that of OLD; check proves it to whom has neither. Exit status 1 when something is not as it was signed."},
	{"index", cmd_index,
	 "build --base FILE --out DIR [--metric cosine|dot|l2] [--threads N] | search --index DIR --query FILE [--gt FILE] [-k N] "
	 "[--recall R | --ef N] | stats|compact|verify --index DIR",
	 "build a vector index from a file, search it, describe, compact and verify it; works without the daemon",
	 "FILE ends in .fvecs .bvecs .ivecs .fbin .u8bin .i8bin or .ibin; ids are the places in it. build adds to an index that is\n"
	 "there. search runs every query of FILE alone, one thread, and prints recall (against --gt), queries a second, median and\n"
	 "99th percentile, and what the index takes in memory and on the disk. --recall 1 reads every vector."},
	{"policy", cmd_policy,
	 "check FILE... | explain FILE... --operation OP --resource NAME [--type TYPE] [--agent NAME] "
	 "[--tier TIER] [--level LEVEL] [--address IP] | test FILE... --cases FILE | simulate FILE... [--state DIR] | "
	 "diff FILE... --from FILE",
	 "check access policies, explain what they decide, run cases; works without the daemon",
	 "explain prints every rule that matches, then the decision; exit status 0 when it is Allow or Limit.\n"
	 "test runs a file of cases: maps with operation, resource and expect, and where it matters type,\n"
	 "agent, tier, level, address, rule. Exit status 1 when one is not as expected. simulate makes the decisions that the\n"
	 "journal has recorded once more with FILEs as the set, and lists those that would differ; diff lists the rules that are\n"
	 "new (+), gone (-) or another (~). Both end with exit status 1 when something differs."},
	{"secrets", cmd_secrets,
	 "keygen [--out FILE] | encrypt --in FILE --out FILE | decrypt --in FILE [--out FILE] | edit --file FILE | "
	 "import --in FILE --out FILE [--new-key FILE] | rotate [--new-key FILE] | "
	 "rotate --file FILE --new-key FILE | info --file FILE; "
	 "[--name NAME] [--key FILE | --passphrase-fd N] [--state DIR]",
	 "seal files with the master key, open, edit and rotate them; works without the daemon",
	 "FILE - is standard input or output. The key is the first that there is of --key, --passphrase-fd, the systemd\n"
	 "credential symbi.master-key, $SYMBIONT_MASTER_KEY_FILE, STATE/master.key, the user's kernel keyring\n"
	 "(symbi:master), $SYMBIONT_MASTER_KEY; keygen makes STATE/master.key, never over one that is there. The name\n"
	 "is sealed in: the file's own without .enc unless given; decrypt and edit check it when given. import reads\n"
	 "what Symbiont encrypted. rotate without --file puts every secret of the tree under a new key, by the daemon or\n"
	 "where none runs here; a rotation that was interrupted goes on with the next, or the next start."},
	{"rag", cmd_rag, "add FILE... | query QUESTION... [--json] | stats | eval DIR [--json]; " WHERE,
	 "ask the documents of rag/docs; measure retrieval on a collection, without the daemon",
	 "add takes files of at most 1 MiB, under their own names; larger ones and folders are copied on the mount.\n"
	 "eval: DIR has corpus.jsonl, queries.jsonl and qrels/test.tsv as BEIR lays them out; it prints nDCG@10,\n"
	 "recall@10, recall@100 and the reciprocal rank of the first relevant document."},
	{"sandbox", cmd_sandbox,
	 "run [--tier TIER] [--driver NAME] [--image NAME] [--profile PROFILE] [--network MODE] [--allow HOST:PORT,...] [--dir DIR] [--max-memory MB] [--max-cpu N] "
	 "[--max-processes N] [--view AGENT] [--allow-degraded] [--mount DIR] " WHERE " [--] PROGRAM [ARGUMENT]... | "
	 "image build [--from DIR] [--kernel VERSION] [--accel tcg|kvm] [--to DIR]",
	 "run one program in a sandbox, as agents run; works without the daemon; make what Tier3 starts from",
	 "TIER is Tier1 unless given. PROFILE is secure or standard, a profile of the tree (sandbox/profiles/), or the\n"
	 "path of a file, with a '/'; the limits given here can only narrow it. MODE is None, Restricted or Full:\n"
	 "Restricted has a proxy (HTTP and SOCKS5, in http_proxy and its like) that lets through the HOST:PORTs\n"
	 "alone, where HOST may be a name, '*.name', an address or a network (10.0.0.0/8), and PORT '*'; what is\n"
	 "refused is told on standard error. Streams and signals are passed\n"
	 "on; the environment is PATH, HOME, LANG and\n"
	 "TERM. It works in a directory of its own, removed afterwards, or in DIR, which it sees as it is. Under\n"
	 "root it runs as a uid that nobody else has (tier None: as root). --driver: one of the tier's by its name\n"
	 "(Tier1: proc, or crun, runc, docker, podman where they are; Tier2: runsc; Tier3: qemu). --image: of docker's or\n"
	 "podman's, its root, where PROGRAM is looked up. --view: what AGENT sees of the tree\n"
	 "that is mounted at DIR is its /symbi, and under root it runs as that agent's uid. --allow-degraded: also\n"
	 "where the kernel lacks a layer of the tier that it can do without. Exit status: the program's own; 128\n"
	 "and the signal's number when one ended it; 1 when it did not run.\n"
	 "image build makes what microVMs (Tier3) start from, of the newest kernel whose package is installed, or was\n"
	 "taken apart in the directory --from (dpkg-deb -x). It lies in `vm` of the state directory, or --to DIR, which\n"
	 "SYMBI_VM_IMAGE then has to name. --accel kvm: QEMU uses KVM; not the default, as it is not tried out before."},
	{"help", cmd_help, "[COMMAND]", "this text", NULL},
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	fprintf(stderr, "symbi: CLI_001 there is no command '%s'; `symbi help` lists them\n", name);
	return NULL;
}

static int cmd_help(const struct command *c, int argc, char **argv)
{
	(void)c;
	bool own = argc > 1 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0);
	if (argc > 1 && !own) {
		const struct command *about = find(argv[1]);
		if (about)
			about->fn(about, 2, (char *[]){argv[1], (char *)"--help", NULL});
		return about ? 0 : CLI_USAGE;
	}
	puts("usage: symbi COMMAND ...\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-8s %s\n           %s\n", commands[i].name, commands[i].usage,
		       commands[i].help);
	puts("\nPATH is a path in the tree (agents/greet/status). The daemon is found by --socket, "
	     "else\n"
	     "$SYMBI_SOCKET, else the setting socket.path, else where it listens by default.");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("symbi: CLI_001 no command; `symbi help` lists them\n", stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("symbi " SYMBI_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0)
		return cmd_help(NULL, 0, NULL);
	const struct command *c = find(argv[1]);
	int r = c ? c->fn(c, argc - 1, argv + 1) : CLI_USAGE;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return r;
	perror("symbi: SYS_002 standard output");
	return r ? r : CLI_FAILED;
}
