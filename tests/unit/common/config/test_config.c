/* daemon/common/config: what a file may say, what it may not, and where the message points. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "daemon/common/config/config.h"
#include "daemon/common/config/config_load.h"
#include "tests/unit/support/folder_fixture.h"

/* One run of config_load() on files in the test's folder. */
struct run {
	struct config *config;
	struct reason reason;
	char *said; /* the reason as the daemons print it; "" for none */
	int r;
};

static char *path_in(struct folder *f, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", f->path, name) > 0);
	return path;
}

/* Loads "c.conf" and checks the whole, as the daemons do. */
static struct run load(struct folder *f)
{
	struct run run = {0};
	_cleanup_free_ char *path = path_in(f, "c.conf");

	run.r = config_load(path, &run.reason, &run.config);
	if (run.r == 0)
		run.r = config_check(run.config, &run.reason);
	assert_true(asprintf(&run.said, "%s%s", run.reason.text, run.reason.text[0] ? "\n" : "") >=
			0);
	return run;
}

static void end_run(struct run *run)
{
	config_free(run->config);
	free(run->said);
}

/* The text is refused, and the first line said is FILE:LINE and then this. */
static void assert_refused(struct folder *f, const char *text, unsigned line, const char *message)
{
	_cleanup_(end_run) struct run run = {0};
	_cleanup_free_ char *expected = NULL;

	write_file(f, "c.conf", text);
	run = load(f);
	assert_true(asprintf(&expected, "%s/c.conf:%u: %s", f->path, line, message) > 0);
	if (run.r != -RE_CONFIG || strncmp(run.said, expected, strlen(expected)) != 0)
		fail_msg("%s\nresult %d, said: %s\nnot: %s", text, run.r, run.said, expected);
}

static struct run assert_accepted(struct folder *f, const char *text)
{
	write_file(f, "c.conf", text);
	struct run run = load(f);
	if (run.r != 0 || run.said[0] != '\0')
		fail_msg("%s\nresult %d, said: %s", text, run.r, run.said);
	return run;
}

static void test_defaults(void **state)
{
	_cleanup_(end_run) struct run run = assert_accepted(*state, "");
	const struct config *c = run.config;

	assert_int_equal(c->n_spools, 0);
	assert_int_equal(c->n_classes, 1);
	assert_string_equal(c->classes[0].name, "default");
	assert_true(c->classes[0].keep.us == 30 * US_PER_DAY);
	assert_ptr_equal(config_find_class(c, "default"), &c->classes[0]);
	assert_null(config_find_class(c, "other"));
	assert_string_equal(c->keeper_dir, "/var/lib/recseal-keeper");
	assert_string_equal(c->objects_dir, "/var/lib/recseal/objects");
	assert_string_equal(c->socket_dir, "/run/recseal");
	assert_string_equal(c->intake_user, "recseal");
	assert_string_equal(c->viewers, "recseal-viewer");
	assert_string_equal(c->operators, "recseal-operator");
	assert_string_equal(c->officers, "recseal-officer");
	assert_int_equal(c->jobs, 16);
	assert_true(c->rescan_us == 60 * US_PER_S);
	assert_true(c->probe_timeout_us == 10 * US_PER_S);
	assert_null(c->probe_program);
	assert_false(c->embedded);
}

static void test_every_key(void **state)
{
	_cleanup_(end_run) struct run run = assert_accepted(*state,
			"\xef\xbb\xbf# a comment, after a byte order mark\n"
			"; another\n"
			"\n"
			"[spool a-b_1]\r\n"
			"  Path = //spool/one/ \r\n" /* indented: no continuation of anything */
			"\tProfile=directory\n"
			"Class=mifid\n"
			"Settle=250ms\n"
			"LowSpace=0%\n"
			"[ class   mifid ]\n"
			"Keep=5y\n"
			"[class default]\n"
			"Keep=7d\n"
			"[keeper]\n"
			"State=/s\nObjects=/o\nSockets=/k\nIntake=in.take_2\n"
			"Viewers=v\nOperators=op\nOfficers=of\nLowSpace=90%\n"
			"[intake]\n"
			"Jobs=256\nRescan=1d\nProbeTimeout=100ms\nProbe=/p=q:r;s#t");
	const struct config *c = run.config;

	assert_int_equal(c->n_spools, 1);
	assert_string_equal(c->spools[0].name, "a-b_1");
	assert_string_equal(c->spools[0].path, "/spool/one");
	assert_string_equal(c->spools[0].profile, "directory");
	assert_string_equal(c->spools[0].class, "mifid");
	assert_true(c->spools[0].settle_us == 250000);
	assert_int_equal(c->spools[0].low_percent, 0);
	assert_int_equal(c->objects_low_percent, 90);
	assert_int_equal(c->n_classes, 2);
	assert_true(config_find_class(c, "mifid")->keep.months == 5 * 12);
	assert_true(config_find_class(c, "default")->keep.us == 7 * US_PER_DAY);
	assert_string_equal(c->keeper_dir, "/s");
	assert_string_equal(c->objects_dir, "/o");
	assert_string_equal(c->socket_dir, "/k");
	assert_string_equal(c->intake_user, "in.take_2");
	assert_string_equal(c->viewers, "v");
	assert_string_equal(c->operators, "op");
	assert_string_equal(c->officers, "of");
	assert_int_equal(c->jobs, 256);
	assert_true(c->rescan_us == US_PER_DAY);
	assert_true(c->probe_timeout_us == 100000);
	assert_string_equal(c->probe_program, "/p=q:r;s#t");
}

static void test_lines_refused(void **state)
{
	static const char neither[] = "neither a section nor Key=value nor a comment";
	static const char own_line[] = "a comment stands on a line of its own";
	static const char control[] = "a control character is in the line";

	assert_refused(*state, "\n\nnonsense\n", 3, neither);
	assert_refused(*state, "[keeper]\nState: /x\n", 2, neither);
	assert_refused(*state, "[keeper]\n=/x\n", 2, neither);
	assert_refused(*state, "[keeper]\nState=/x ; the state\n", 2, own_line);
	assert_refused(*state, "[keeper]\nState=/x\t# the state\n", 2, own_line);
	assert_refused(*state, "[keeper]\n\nState=/x\x1b[2J\n", 3, control);
	assert_refused(*state, "[keeper]\nState=\n", 2, "State= is empty");
	assert_refused(*state, "State=/x\n[keeper]\n", 1, "State= stands before any section");
	/* an indented line is never a continuation */
	assert_refused(*state, "[keeper]\nState=/x\n    /y\n", 3, neither);
}

static void test_zero_byte_refused(void **state)
{
	struct folder *f = *state;
	static const char text[] = "[keeper]\nState=/x\0/y\n";
	int fd = openat(f->fd, "c.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(io_write_all(fd, text, sizeof(text) - 1), 0);
	close(fd);
	_cleanup_(end_run) struct run run = load(f);
	assert_int_equal(run.r, -RE_CONFIG);
	assert_non_null(strstr(run.said, "c.conf:2: a control character"));
}

static void test_line_lengths(void **state)
{
	static char text[16384];
	size_t n = (size_t)sprintf(text, "[keeper]\nState=");

	memset(text + n, 'x', 9000);
	text[n] = '/';
	strcpy(text + n + 9000, "\nObjects=/o\n");
	assert_refused(*state, text, 2, "the line is too long");
	strcpy(text + n + 4000, "\nObjects=/o\n");
	_cleanup_(end_run) struct run run = assert_accepted(*state, text);
	assert_int_equal(strlen(run.config->keeper_dir), 4000);
	assert_string_equal(run.config->objects_dir, "/o");
}

static void test_sections_refused(void **state)
{
	assert_refused(*state, "\n[kepeer]\nState=x\n", 2, "unknown section [kepeer]; known are");
	assert_refused(*state, "[]\n", 1, "unknown section []");
	assert_refused(*state, "[\n", 1, "a section is one line");
	assert_refused(*state, "[keeper\n", 1, "a section is one line");
	assert_refused(*state, "[keeper] x\n", 1, "a section is one line");
	assert_refused(*state, "[keeper x]\n", 1, "[keeper] takes no name");
	assert_refused(*state, "[spool x y]\n", 1, "[spool] takes one name");
	assert_refused(*state, "[spool]\n", 1, "[spool NAME] needs a name");
	assert_refused(*state, "[class Ups]\n", 1, "[class NAME] needs a name");
	assert_refused(*state, "[spool a/b]\n", 1, "[spool NAME] needs a name");
	assert_refused(*state, "[spool caf\xc3\xa9]\n", 1, "[spool NAME] needs a name");
	assert_refused(*state,
			"[spool aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg]\n",
			1, "[spool NAME] needs a name");
}

/* Names are told apart to their last character: 64 of them are more than inih keeps of one. */
static void test_long_section_names(void **state)
{
	_cleanup_(end_run) struct run run = assert_accepted(*state,
			"[class "
			"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg1]\nKeep=1d\n"
			"[class "
			"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg2]\nKeep=2d\n");

	assert_int_equal(run.config->n_classes, 3);
	assert_true(run.config->classes[1].keep.us == 2 * US_PER_DAY);
}

static void test_keys_refused(void **state)
{
	assert_refused(*state, "[keeper]\nstate=/x\n", 2,
			"unknown key state= in [keeper]; known: State=");
	assert_refused(*state, "[intake]\nJobs=1\nKeep=1d\n", 3, "unknown key Keep= in [intake]");
	assert_refused(*state, "[keeper]\nState=/a\nObjects=/b\nState=/a\n", 4,
			"State= is already set at ");
	assert_refused(*state, "[class a]\nKeep=1d\n[keeper]\n[class a]\nKeep=2d\n", 5,
			"Keep= is already set at ");
	assert_refused(*state, "\n[spool a]\nClass=default\n", 2, "[spool a] has no Path=; add it");
	assert_refused(*state, "\n[class a]\n", 2, "[class a] has no Keep=; add it");
}

static void test_values_refused(void **state)
{
	static const struct {
		const char *section, *setting, *message;
	} bad[] = {
			{"[spool a]", "Path=spool", "Path=spool is not a plain absolute path"},
			{"[spool a]", "Path=/a/../b", "Path=/a/../b is not a plain absolute path"},
			{"[spool a]", "Path=/a/.", "Path=/a/. is not a plain absolute path"},
			{"[spool a]", "Class=A", "Class=A is not a name"},
			{"[spool a]", "Settle=soon", "Settle=soon is not a time span"},
			{"[spool a]", "Settle=-1s", "Settle=-1s is not a time span"},
			{"[spool a]", "Settle=2d", "Settle=2d is out of range: use 0 to 1d"},
			{"[spool a]", "Profile=A/B", "Profile=A/B is not a name"},
			{"[spool a]", "Discarded=burn",
					"Discarded=burn is not understood: use seal, leave or delete"},
			{"[spool a]", "StaleAfter=0", "StaleAfter=0 is out of range: use 1s to 1y"},
			{"[spool a]", "Names=lower",
					"Names=lower is not understood: use exact, dns or nfc"},
			{"[spool a]", "AccountMap=map",
					"AccountMap=map is not a plain absolute path"},
			{"[spool a]", "EmptyFolders=yes",
					"EmptyFolders=yes is not understood: use keep or remove"},
			{"[spool a]", "SidecarWait=2d", "SidecarWait=2d is out of range"},
			{"[profile a]", "SidecarWait=2d",
					"SidecarWait=2d is out of range: use 0 to 1d"},
			{"[profile a]", "Suffix=wav", "unknown key Suffix= in [profile]"},
			{"[spool a]", "LowSpace=5", "LowSpace=5 is not a share: use 0% to 90%"},
			{"[spool a]", "LowSpace=%", "LowSpace=% is not a share"},
			{"[spool a]", "LowSpace=-1%", "LowSpace=-1% is not a share"},
			{"[keeper]", "LowSpace=91%", "LowSpace=91% is not a share"},
			{"[keeper]", "LowSpace=5%%", "LowSpace=5%% is not a share"},
			{"[class a]", "Keep=0", "Keep=0 is out of range: use 1s to 1000y"},
			{"[class a]", "Keep=999ms", "Keep=999ms is out of range"},
			{"[class a]", "Keep=1001y", "Keep=1001y is out of range"},
			{"[class a]", "Keep=99999999999y", "Keep=99999999999y is not a time span"},
			{"[keeper]", "Intake=a b", "Intake=a b is not the name of a user or group"},
			{"[keeper]", "Officers=-x",
					"Officers=-x is not the name of a user or group"},
			{"[intake]", "Jobs=0", "Jobs=0 is not a number from 1 to 256"},
			{"[intake]", "Jobs=257", "Jobs=257 is not a number"},
			{"[intake]", "Jobs=1x", "Jobs=1x is not a number"},
			{"[intake]", "Jobs=+1", "Jobs=+1 is not a number"},
			{"[intake]", "Jobs=99999999999999999999",
					"Jobs=99999999999999999999 is not a number"},
			{"[intake]", "Rescan=0", "Rescan=0 is out of range"},
			{"[intake]", "ProbeTimeout=1h", "ProbeTimeout=1h is out of range"},
			{"[intake]", "Probe=probe", "Probe=probe is not a plain absolute path"},
			{"[intake]", "Probe=/a\\b\xff/.",
					"Probe=/a\\\\b\\xff/. is not a plain absolute path"},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		char text[256];
		snprintf(text, sizeof(text), "%s\n# why\n%s\n", bad[i].section, bad[i].setting);
		assert_refused(*state, text, 3, bad[i].message);
	}
}

/* All mistakes are told at once, each once: a key in a section that is unknown is not another one.
 */
static void test_all_errors_are_told(void **state)
{
	struct folder *f = *state;
	int lines = 0;

	write_file(f, "c.conf",
			"[keeper]\nState=x\nnonsense\nJobs=1\n[nope]\nState=/x\n[intake]\nJobs=0\n");
	_cleanup_(end_run) struct run run = load(f);
	assert_int_equal(run.r, -RE_CONFIG);
	for (const char *p = run.said; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 5);
	for (int line = 2; line <= 8; line++) {
		char at[32];
		snprintf(at, sizeof(at), "c.conf:%d:", line);
		assert_int_equal(strstr(run.said, at) != NULL, line != 6 && line != 7);
	}
}

static void test_drop_ins(void **state)
{
	struct folder *f = *state;

	assert_int_equal(mkdirat(f->fd, "c.conf.d", 0700), 0);
	write_file(f, "c.conf.d/20-b.conf", "[spool b]\nPath=/spool/b\n[keeper]\nObjects=/o\n");
	write_file(f, "c.conf.d/10-a.conf", "[spool a]\nPath=/spool/a\n[spool main]\nSettle=2s\n");
	write_file(f, "c.conf.d/30-c.conf.bak", "nonsense\n");
	write_file(f, "c.conf.d/.40.conf", "nonsense\n");
	_cleanup_(end_run) struct run run =
			assert_accepted(f, "[spool main]\nPath=/spool/main\n[keeper]\nState=/s\n");
	assert_int_equal(run.config->n_spools, 3);
	assert_string_equal(run.config->spools[0].name, "main");
	assert_true(run.config->spools[0].settle_us == 2 * US_PER_S);
	assert_string_equal(run.config->spools[1].name, "a");
	assert_string_equal(run.config->spools[2].name, "b");
	assert_string_equal(run.config->keeper_dir, "/s");
	assert_string_equal(run.config->objects_dir, "/o");
}

/* No file overrules another in silence. */
static void test_drop_in_may_not_repeat(void **state)
{
	struct folder *f = *state;

	assert_int_equal(mkdirat(f->fd, "c.conf.d", 0700), 0);
	write_file(f, "c.conf", "[keeper]\nState=/s\n");
	write_file(f, "c.conf.d/a.conf", "[keeper]\n\nState=/s\n");
	_cleanup_(end_run) struct run run = load(f);
	assert_int_equal(run.r, -RE_CONFIG);
	assert_non_null(strstr(run.said, "c.conf.d/a.conf:3: State= is already set at "));
	assert_non_null(strstr(run.said, "/c.conf:2; remove one of the two\n"));
}

static void test_unreadable(void **state)
{
	struct folder *f = *state;
	_cleanup_(end_run) struct run missing = load(f);

	assert_int_equal(missing.r, -ENOENT);
	assert_non_null(strstr(missing.said, "c.conf: No such file or directory\n"));
	assert_int_equal(mkdirat(f->fd, "c.conf", 0700), 0);
	_cleanup_(end_run) struct run folder = load(f);
	assert_int_equal(folder.r, -EISDIR);
	assert_non_null(strstr(folder.said, "c.conf: Is a directory\n"));
}

static void test_whole_refused(void **state)
{
	struct folder *f = *state;
	static const char base[] = "[keeper]\nState=/v/k\nObjects=/v/o\nSockets=/v/r\n";
	static const struct {
		const char *spools, *message;
		unsigned line;
	} bad[] = {
			{"[spool a]\nPath=/s\nClass=none\n", "[spool a]: there is no class none",
					5},
			{"[spool a]\nPath=/s\n[spool b]\nPath=/s/\n",
					"spool b (/s) overlaps spool a", 7},
			{"[spool a]\nPath=/s\n[spool b]\nPath=/s/in\n",
					"spool b (/s/in) overlaps spool a", 7},
			{"[spool a]\nPath=/s/in\n[spool b]\nPath=/s\n",
					"spool b (/s) overlaps spool a", 7},
			{"[spool a]\nPath=/v/k\n",
					"spool a (/v/k) overlaps the state directory (/v/k)", 5},
			{"[spool a]\nPath=/v/o/x\n",
					"spool a (/v/o/x) overlaps the object directory", 5},
			{"[spool a]\nPath=/v/r/x\n",
					"spool a (/v/r/x) overlaps the socket directory", 5},
			{"[spool a]\nPath=/v\n", "spool a (/v) overlaps the state directory", 5},
			{"[spool a]\nPath=/\n", "spool a (/) overlaps the state directory", 5},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		char text[256];
		snprintf(text, sizeof(text), "%s%s", base, bad[i].spools);
		assert_refused(f, text, bad[i].line, bad[i].message);
	}
	char text[256];
	snprintf(text, sizeof(text),
			"%s[spool a]\nPath=/s\n[spool b]\nPath=/s2\n[spool c]\nPath=/v/kk\n", base);
	struct run run = assert_accepted(f, text);
	end_run(&run);
}

static void test_profiles(void **state)
{
	_cleanup_(end_run) struct run run = assert_accepted(*state,
			"[spool a]\nPath=/a\nProfile=pbx\nStaleAfter=2h\nDiscarded=leave\nNames=dns\n"
			"[profile pbx]\nFiles=/{t}/*.wav *.mp3\nSidecar={stem}.txt\nSidecarWait=5s\n"
			"Account={meta.c} {t}\nMarkers=/m\nFinished=/{t}.ok\nRewritten=*.m3u8\n"
			"[spool b]\nPath=/b\nProfile=jibri\nAccount=acme\nMarkers=/n\nIgnore=*.log\n"
			"AccountMap=/etc/map\nSidecarWait=8h\nEmptyFolders=remove\n"
			"[profile jibri]\nFiles=*.mp4\n[spool c]\nPath=/c\n");
	const struct config *c = run.config;
	struct profile_text text;

	assert_int_equal(config_profile_of(c, &c->spools[0], &text), 0);
	assert_string_equal(text.name, "pbx");
	assert_string_equal(text.accounts, "{meta.c} {t}");
	assert_string_equal(text.markers, "/m");
	assert_true(text.sidecar_wait_us == 5 * US_PER_S);
	assert_null(text.ignore);
	assert_string_equal(text.rewritten, "*.m3u8");
	assert_false(c->spools[0].remove_empty);
	assert_true(c->spools[0].stale_after_us == 7200 * US_PER_S);
	assert_int_equal(c->spools[0].names, NAME_DNS);
	assert_int_equal(c->spools[1].names, NAME_EXACT);
	assert_string_equal(c->spools[0].discarded, "leave");
	/* A profile of the operator's goes before the bridge's, the spool's own words before both.
	 */
	assert_int_equal(config_profile_of(c, &c->spools[1], &text), 0);
	assert_string_equal(text.files, "*.mp4");
	assert_string_equal(text.accounts, "acme");
	assert_string_equal(text.markers, "/n");
	assert_string_equal(text.ignore_too, "*.log");
	assert_true(text.sidecar_wait_us == 8 * 3600 * US_PER_S);
	assert_true(c->spools[1].remove_empty);
	assert_int_equal(config_profile_of(c, &c->spools[2], &text), 0);
	assert_string_equal(text.name, "directory");
	assert_true(c->spools[2].stale_after_us == US_PER_DAY / 2);
	assert_string_equal(c->spools[2].discarded, "seal");
}

static void test_profiles_refused(void **state)
{
	static const struct {
		const char *text, *message;
		unsigned line;
	} bad[] = {
			{"[spool a]\nPath=/s\nProfile=skype\n",
					"[spool a]: there is no profile skype; available: directory, freeswitch, fusionpbx, "
					"asterisk, rtpengine, jibri, bbb, janus, livekit; or add [profile skype]",
					1},
			{"[profile x]\nAccount=y\n", "[profile x] has no Files=", 1},
			{"[spool a]\nPath=/s\nAccount={room}\n",
					"[spool a], profile directory: Account={room}: a value in {}",
					1},
			{"[spool a]\nPath=/s\nIgnore=)\n",
					"[spool a], profile directory: Ignore=): ", 1},
			{"[spool a]\nPath=/s\nAccountMap=/s/map\n",
					"[spool a]: AccountMap=/s/map lies in the spool", 1},
			/* What the file says is made printable: \xc2\x9b begins a terminal's commands. */
			{"[spool a]\nPath=/s\nIgnore=\xc2\x9b(\n",
					"[spool a], profile directory: Ignore=\\xc2\\x9b(: ", 1},
			{"[spool a]\nPath=/\xff\nAccountMap=/\xff/map\n",
					"[spool a]: AccountMap=/\\xff/map lies in the spool", 1},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		assert_refused(*state, bad[i].text, bad[i].line, bad[i].message);
	/* also of one that no spool has */
	write_file(*state, "c.conf", "\n[profile x]\nFiles={\n");
	_cleanup_(end_run) struct run run = load(*state);
	assert_int_equal(run.r, -RE_CONFIG);
	assert_non_null(strstr(run.said, "c.conf:2, profile x: Files={: has a bracket"));
}

/* Two names for one place. */
static void test_overlap_through_links(void **state)
{
	struct folder *f = *state;
	char text[512];

	assert_int_equal(mkdirat(f->fd, "real", 0700), 0);
	assert_int_equal(symlinkat("real", f->fd, "link"), 0);
	snprintf(text, sizeof(text), "[spool a]\nPath=%s/real\n[spool b]\nPath=%s/link/not/yet\n",
			f->path, f->path);
	assert_refused(f, text, 3, "spool b (");
	snprintf(text, sizeof(text), "[keeper]\nState=%s/link/state\n[spool a]\nPath=%s/real\n",
			f->path, f->path);
	assert_refused(f, text, 3, "spool a (");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_defaults),
			in_folder(test_every_key),
			in_folder(test_lines_refused),
			in_folder(test_zero_byte_refused),
			in_folder(test_line_lengths),
			in_folder(test_sections_refused),
			in_folder(test_long_section_names),
			in_folder(test_keys_refused),
			in_folder(test_values_refused),
			in_folder(test_all_errors_are_told),
			in_folder(test_drop_ins),
			in_folder(test_drop_in_may_not_repeat),
			in_folder(test_unreadable),
			in_folder(test_whole_refused),
			in_folder(test_profiles),
			in_folder(test_profiles_refused),
			in_folder(test_overlap_through_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
