/* daemon/common/pattern and profile: what strangers' names match, what is taken out of them, and
 * what each bridge's profile makes of the files that bridge leaves. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "daemon/common/profile/profile.h"

/* ---- Patterns ---- */

/* What a pattern makes of a path: "a=x b=y", or "no". */
static const char *matched(const char *text, const char *path)
{
	static char said[8192];
	struct pattern pattern;
	struct pattern_match match;
	size_t n = 0;

	assert_int_equal(pattern_compile(text, strlen(text), NULL, &pattern), 0);
	if (!pattern_matches(&pattern, path, &match))
		return "no";
	said[0] = '\0';
	for (size_t i = 0; i < match.n; i++)
		n += (size_t)snprintf(said + n, sizeof(said) - n, "%s%.*s=%.*s", i > 0 ? " " : "",
				(int)match.group[i].name_len, match.group[i].name,
				(int)match.group[i].value_len, match.group[i].value);
	return said;
}

static void patterns_match(void **state)
{
	static const struct {
		const char *pattern, *path, *expected;
	} cases[] = {
			{"*.wav", "a.wav", ""},
			{"*.wav", "deep/in/a.wav", ""}, /* no slash: the last component */
			{"*.wav", ".wav", ""},
			{"*.wav", "a.wav.x", "no"},
			{"*.wav", "a.wav/x", "no"},
			{"/*.wav", "a.wav", ""},
			{"/*.wav", "x/a.wav", "no"},
			{"x/*.wav", "x/a.wav", ""},
			{"x/*.wav", "x/y/a.wav", "no"},
			{"x/**.wav", "x/y/a.wav", ""},
			{"?.wav", "a.wav", ""},
			{"?.wav", ".wav", "no"},
			{"*.(wav|mp3)", "a.mp3", ""},
			{"*.(wav|mp3)", "a.mp", "no"},
			{"*.(wav|mp3)", "a.WAV", "no"},
			{"*.(~wav|mp3)", "a.WaV", ""},
			{"*.(~wav|MP3)", "A.mp3", ""},
			{"(~A|bc)*", "bCx", ""},
			{"{a}.(~wav|wav49)", "x.wav.WAV49", "a=x.wav"},
			{"*.(wav|~mp3)", "a.~mp3", ""}, /* in front of the first alone */
			{"*.(~wav)", "a.wavx", "no"},
			{"a(|b)c", "ac", ""},
			{"(a|ab)c", "abc", ""}, /* the first choice that leads on, not the first
						   that fits */
			{"{a}", "x", "a=x"},
			{"{a}", "", "no"},
			{"{a}-{b}", "x-y-z", "a=x-y b=z"}, /* the leftmost takes most */
			{"{a}-{b:d}", "x-1-y", "no"},
			{"{a}-{b:d}", "x-y-12", "a=x-y b=12"},
			{"{a}-{b:4}-{c}", "x-y-1234-z", "a=x-y b=1234 c=z"},
			{"{a}-{b:4}-{c}", "x-123-z", "no"},
			{"{a:2}", "x/", "no"},
			{"/{a}/**", "acme/b/c", "a=acme"},
			{"/{a}/**", "acme", "no"},
			{"/{a}/**", "acme/", "a=acme"},
			{"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "no"},
			{"{a}", "\xff\xfe\n", "a=\xff\xfe\n"},
			{"**", "x/y", ""},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		const char *said = matched(cases[i].pattern, cases[i].path);
		if (strcmp(said, cases[i].expected) != 0)
			fail_msg("%s on %s: %s, not %s", cases[i].pattern, cases[i].path, said,
					cases[i].expected);
	}
}

static void patterns_are_refused(void **state)
{
	static const char *const bad[] = {"", "/", "{", "}", "{}", "{a", "a}", "{a:}", "{a:x}",
			"{a:0}", "{a:65}", "{a:99999999999999999999}", "{a b}", "(", ")", "()",
			"(~)", "(~", "(a", "{a/b}", "{a}{b}{c}{d}{e}{f}{g}{h}{i}",
			"?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*"};
	struct pattern pattern;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		struct reason why = {""};
		if (pattern_compile(bad[i], strlen(bad[i]), &why, &pattern) == 0)
			fail_msg("%s is taken for a pattern", bad[i]);
		assert_true(why.text[0] != '\0');
	}
}

/* The obvious matcher, which goes back: right, and slow. */
static bool naive(const struct pattern *p, size_t i, const char *s)
{
	const struct pattern_token *t = &p->token[i];
	size_t most = strlen(s), taken = 0;

	if (i == p->n)
		return *s == '\0';
	if (t->kind == PATTERN_TEXT)
		return strncmp(s, t->text, t->len) == 0 && naive(p, i + 1, s + t->len);
	if (t->kind == PATTERN_CHOICE) {
		for (const char *c = t->text, *end = t->text + t->len; c <= end;) {
			size_t len = strcspn(c, "|)");
			bool same = t->any_case ? strncasecmp(s, c, len) == 0
						: strncmp(s, c, len) == 0;
			if (same && naive(p, i + 1, s + len))
				return true;
			c += len + 1;
		}
		return false;
	}
	size_t least = t->kind == PATTERN_ONE || t->kind == PATTERN_GROUP;
	if (t->count > 0)
		least = most = t->count;
	if (t->kind == PATTERN_ONE)
		most = 1;
	for (;; taken++, s++) {
		if (taken >= least && naive(p, i + 1, s))
			return true;
		if (taken == most || !*s || (*s == '/' && t->kind != PATTERN_DEEP))
			return false;
	}
}

static void as_the_obvious_matcher_does(void **state)
{
	static const char *const parts[] = {"a", "b", "/", "?", "*", "**", "{x}", "{x:2}", "(a|ab)",
			"(|b)", "ab", "(~A|/B)", "(A|B)"};
	static const char letters[] = "aaBb/";
	unsigned matches = 0;
	uint32_t random = 1; /* the same every time */

	for (unsigned n = 0; n < 200000; n++) {
		char text[64] = "/", subject[10] = "";
		struct pattern pattern;
		struct pattern_match match;
		for (unsigned i = 0; i < 1 + n % 6; i++) {
			random = random * 1664525 + 1013904223;
			strcat(text, parts[(random >> 16) % ELEMENTSOF(parts)]);
		}
		for (unsigned i = 0; i < n / 7 % 9; i++) {
			random = random * 1664525 + 1013904223;
			subject[i] = letters[(random >> 16) % 5];
			subject[i + 1] = '\0';
		}
		assert_int_equal(pattern_compile(text, strlen(text), NULL, &pattern), 0);
		bool matched = pattern_matches(&pattern, subject, &match);
		if (matched != naive(&pattern, 0, subject))
			fail_msg("%s on %s: %d", text, subject, matched);
		matches += matched;
	}
	assert_true(matches > 5000); /* neither always nor never */
	assert_true(matches < 195000);
}

/* What makes matchers that go back take for ever: here the work is the product of the two lengths,
 * so that this ends, whatever the machine. */
static void hostile_names_cost_little(void **state)
{
	static char name[PATTERN_SUBJECT_MAX + 2];

	memset(name, 'a', PATTERN_SUBJECT_MAX);
	assert_string_equal(matched("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", name), "no");
	assert_string_equal(matched("{a}a{b}a{c}a{d}a{e}a{f}a{g}a{h}ab", name), "no");
	name[PATTERN_SUBJECT_MAX] = 'a'; /* longer than any path */
	assert_string_equal(matched("**", name), "no");
}

/* ---- Profiles ---- */

static struct profile *compiled(const struct profile_text *text)
{
	struct profile *profile = NULL;
	struct reason why = {""};

	if (profile_compile(text, &why, &profile) < 0)
		fail_msg("%s: %s", text->name, why.text);
	return profile;
}

/* One list's places, "a b"; those at the markers' folder begin with "@". */
static char *places(const struct profile *profile, enum profile_list list, const char *path,
		const struct pattern_match *match)
{
	char *text = strdup("");

	for (size_t i = 0; i < profile_count(profile, list); i++) {
		_cleanup_free_ char *place = NULL, *before = text;
		bool at_markers;
		text = NULL;
		if (list == PROFILE_SIDECARS && profile_sidecar_is_pattern(profile, i))
			assert_true(asprintf(&text, "%s(found)", before) >= 0);
		else if (profile_locate(profile, list, i, path, match, &place, &at_markers) < 0)
			assert_true(asprintf(&text, "%s", before) >= 0);
		else
			assert_true(asprintf(&text, "%s%s%s%s", before, *before ? " " : "",
						    at_markers ? "@" : "", place) >= 0);
	}
	return text;
}

static char *no_meta(void *context, const char *key, size_t len)
{
	return NULL;
}

/* "foreign", "beside", "prompt", or "ACCOUNT; finished; unfinished; discard; sidecars". */
static char *judged(const struct profile *profile, const char *path)
{
	struct pattern_match match;
	char *said, *account = NULL;
	enum profile_kind kind = profile_classify(profile, path, &match);

	if (kind != PROFILE_RECORDING)
		return strdup(kind == PROFILE_BESIDE     ? "beside"
				: kind == PROFILE_PROMPT ? "prompt"
							 : "foreign");
	if (profile_account(profile, path, &match, no_meta, NULL, &account) < 0)
		account = strdup("-");
	_cleanup_free_ char *lists[PROFILE_LISTS] = {NULL};
	for (int i = 0; i < PROFILE_LISTS; i++)
		lists[i] = places(profile, (enum profile_list)i, path, &match);
	assert_true(asprintf(&said, "%s;%s;%s;%s;%s", account, lists[0], lists[1], lists[2],
				    lists[3]) >= 0);
	free(account);
	for (int i = 1; i < PROFILE_LISTS; i++)
		free(lists[i]);
	return said;
}

struct shape {
	const char *path, *expected;
};

static void assert_shapes(const struct profile_text *text, const struct shape *shapes, size_t n)
{
	struct profile *profile = compiled(text);

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *said = judged(profile, shapes[i].path);
		if (strcmp(said, shapes[i].expected) != 0)
			fail_msg("%s: %s is %s, not %s", text->name, shapes[i].path, said,
					shapes[i].expected);
	}
	profile_free(profile);
}

#define SHAPES(name, ...)                                                                          \
	do {                                                                                       \
		static const struct shape shapes[] = {__VA_ARGS__};                                \
		assert_shapes(profile_builtin(name), shapes, ELEMENTSOF(shapes));                  \
	} while (0)

static void directory(void **state)
{
	SHAPES("directory", {"acme/a.wav", "acme;;;;"}, {"acme/x/y/a", "acme;;;;"},
			{"a.wav", "-;;;;"}, {"acme/metadata.json", "acme;;;;"});
}

static void freeswitch(void **state)
{
	SHAPES("freeswitch", {"example.org/archive/2026/Nov/23/0b2f-4c.wav", "example.org;;;;"},
			{"example.org/archive/2026/Nov/23/0b2f.PCMU", "example.org;;;;"},
			{"board_room_2026-11-23-10-00-00.wav", "board_room;;;;"},
			{"conferences/board_2026.opus", "board;;;;"}, {"lonely.wav", "-;;;;"},
			{"_x.wav", "-;;;;"}, {"x.xml", "foreign"},
			/* what FusionPBX plays lies beside archive/ */
			{"acme.example.com/recording47.wav", "prompt"},
			{"acme.example.com/ivr_greeting_2026.WAV", "prompt"},
			{"acme.example.com/moh/8000/theme.mp3", "prompt"},
			{"10.0.0.5/archive.wav", "prompt"},
			{"default/pbx/100/greeting_2.wav", "prompt"},
			{"default/pbx/100/recorded_name.wav", "prompt"},
			{"default/pbx/100/msg_0b2f.wav", "msg;;;;"},
			{"acme.example.com/notes.txt", "foreign"},
			{"acme.example.com/archive/2026/Nov/28/x_y.wav", "acme.example.com;;;;"},
			{"acme.example.com/archive/x.OPUS", "acme.example.com;;;;"});
}

static void fusionpbx(void **state)
{
	SHAPES("fusionpbx", {"acme.org/archive/2026/Nov/23/0b2f-4c.wav", "acme.org;;;;"},
			{"pbx/archive/0b2f.mp3", "pbx;;;;"},
			{"archive/2026/Nov/23/0b2f.wav", "-;;;;"},
			{"pbx/recording47.wav", "prompt"}, {"greeting.wav", "prompt"},
			{"board_2026.opus", "prompt"}, {"pbx/archives/x.wav", "prompt"},
			{"pbx/readme", "foreign"});
}

/* Every format, by the name that the bridge's own source gives it, and in the other case. */
static void assert_formats(const char *profile_name, const char *formats)
{
	struct profile *profile = compiled(profile_builtin(profile_name));
	_cleanup_free_ char *list = strdup(formats);
	char *save, path[64];

	for (char *ext = strtok_r(list, " ", &save); ext; ext = strtok_r(NULL, " ", &save)) {
		for (int upper = 0; upper < 2; upper++) {
			struct pattern_match match;
			snprintf(path, sizeof(path), "c.%s", ext);
			for (char *c = path; upper && *c; c++)
				*c = (char)toupper((unsigned char)*c);
			if (profile_classify(profile, path, &match) != PROFILE_RECORDING)
				fail_msg("%s leaves %s in plaintext", profile_name, path);
		}
	}
	profile_free(profile);
}

static void every_format_of_a_bridge_is_a_recording(void **state)
{
	assert_formats("asterisk",
			"alaw al alw au g719 g722 g723 g723sf g726-16 g726-24 g726-32 g726-40 g729 "
			"gsm h263 h264 ilbc mp3 ogg pcm ulaw ul mu ulw raw siren14 siren7 sln slin "
			"sln12 sln16 sln24 sln32 sln44 sln48 sln96 sln192 spx spx16 spx32 vox wav "
			"wav16 wav48 wav49 opus mp4");
	assert_formats("freeswitch",
			"adpcm aifc aiff al alaw amr amr-wb au av avr awb bv16 bv32 caf celt "
			"codec2 dvi4 flac fsv g722 g7221 g723 g726-16 g726-40 aal2-g726-32 g729 "
			"gsm htk ilbc isac l16 lpc m1a m4a m4v mat mkv mov mp3 mp4 mpc mpga oga "
			"ogg opus paf pcma pcmu pvf r16 r24 r32 r8 raw rf64 sd2 sds sf silk speex "
			"spx ul ulaw voc vox w64 wav webm wve xi");
	assert_formats("rtpengine", "wav mp3 pcap");
	assert_formats("jibri", "mp4 mkv webm flv mov ts");
	assert_formats("livekit", "mp4 ogg mp3 webm ivf raw ts m3u8 jpeg");
	assert_formats("bbb", "opus wav ogg webm");
	assert_formats("janus", "wav mjr");
}

static void asterisk(void **state)
{
	SHAPES("asterisk", {"confbridge-board-1764000000.wav", "board;;;;"},
			{"confbridge-a-b-1764000000.WAV", "a-b;;;;"},
			{"sub/confbridge-1-1764000000.wav49", "1;;;;"},
			{"confbridge-board.wav", "-;;;;"}, /* no time, no telling */
			{"2026/11/23/out-5551234-100-1764000000.1.wav", "-;;;;"},
			{"voicemail/default/100/unavail.wav", "prompt"},
			{"default/100/greet.WAV", "prompt"},
			{"default/100/INBOX/msg0000.wav", "-;;;;"},
			{"confbridge-busy-1764000000.wav", "busy;;;;"},
			{"2026/11/23/q-1.sln16", "-;;;;"}, {"notes.txt", "foreign"});
}

static void rtpengine(void **state)
{
	SHAPES("rtpengine",
			{"abc-de@host-0123456789abcdef-mix.wav",
					"-;;;abc-de@host-0123456789abcdef.meta.DISCARD;"},
			{"abc-0123456789abcdef-mix-1.wav",
					"-;;;abc-0123456789abcdef.meta.DISCARD;"},
			{"whatever.mp3", "-;;;;"}, {"abc-0123456789abcdef.meta", "beside"},
			{"abc-0123456789abcdef.meta.DISCARD", "beside"});
	struct profile_text text = *profile_builtin("rtpengine");
	static const struct shape elsewhere[] = {
			{"abc-0123456789abcdef-1.wav", "-;;;@abc-0123456789abcdef.meta.DISCARD;"}};
	text.markers = "/var/spool/rtpengine";
	assert_shapes(&text, elsewhere, 1);
}

static void jibri(void **state)
{
	SHAPES("jibri",
			{"s1/standup_2026-11-23-10-00-00.mp4",
					"standup;s1/metadata.json;;;s1/metadata.json"},
			{"s1/a_b_2026-11-23-10-00-00.mp4",
					"a_b;s1/metadata.json;;;s1/metadata.json"},
			{"s1/odd.mp4", "-;s1/metadata.json;;;s1/metadata.json"},
			{"acme/s1/standup_2026-11-23-10-00-00.mp4",
					"acme/standup;acme/s1/metadata.json;;;acme/s1/metadata.json"},
			{"s1/metadata.json", "beside"}, {"s1/x.log", "foreign"});
}

#define ROOM "183f0bf3a0982a127bdb8161e0c44eb696b3e75c"

static void bbb(void **state)
{
	SHAPES("bbb",
			{ROOM "-1554230749920-1554230750123.opus",
					ROOM ";@status/archived/" ROOM "-1554230749920.done;;"
					     "@status/archived/" ROOM "-1554230749920.norecord;"},
			{ROOM "-1554230749920/audio/x.opus",
					ROOM ";@status/archived/" ROOM "-1554230749920.done;;"
					     "@status/archived/" ROOM "-1554230749920.norecord;"},
			{"echo-test.wav", "-;;;;"}, {"events.xml", "foreign"});
}

static void janus(void **state)
{
	SHAPES("janus", {"janus-audioroom-1234-1764000000000000.wav", "1234;;;;"},
			{"janus-audioroom-my-room-1764000000000000.wav", "my-room;;;;"},
			{"janus-audioroom-1234.wav", "1234;;;;"},
			{"janus-audioroom-my-room.wav", "-;;;;"},
			{"videoroom-1234-user-77-1764000000000000-audio-0.mjr", "1234;;;;"},
			{"audiobridge-1234-user-a-user-9-1764000000000000-audio.mjr", "1234;;;;"},
			/* a room that is no number and a participant of any name cannot be told
			   apart */
			{"audiobridge-my-user-x-user-y-1764000000000000-audio.mjr", "-;;;;"},
			{"x.json", "foreign"});
}

static void livekit(void **state)
{
	SHAPES("livekit", {"board-2026-11-23T100000.mp4", "board;;;;(found)"},
			{"my-board-2026-11-23T100000.ogg", "my-board;;;;(found)"},
			{"out/board-2026-11-23T100000.webm", "board;;;;(found)"},
			{"x.mp4", "-;;;;(found)"}, {"EG_abc.json", "beside"},
			{"x.ts", "-;;;;(found)"}, {"x.log", "foreign"},
			{"board-2026-11-23T100000_00007.ts", "board;;;;(found)"},
			{"b_d-2026-11-23T100000.m3u8", "b_d;;;;(found)"},
			{"board-2026-11-23T100000-1.mp4", "board;;;;(found)"},
			{"board-2026-11-23T100000-1_00007.ts", "board;;;;(found)"});
	struct profile *profile = compiled(profile_builtin("livekit"));
	assert_true(profile_sidecar_matches(profile, 0, "EG_abc.json"));
	assert_false(profile_sidecar_matches(profile, 0, "metadata.json"));
	assert_true(profile_is_rewritten(profile, "hls/x.m3u8"));
	assert_false(profile_is_rewritten(profile, "hls/x_00001.ts"));
	profile_free(profile);
}

static void every_row_compiles(void **state)
{
	size_t n = 0;

	for (; profile_builtin_at(n); n++)
		profile_free(compiled(profile_builtin_at(n)));
	assert_int_equal(n, 9);
	assert_null(profile_builtin("skype"));
}

static void custom(void **state)
{
	static const struct profile_text text = {.name = "x",
			.files = "/{tenant}/{day:8d}/{call}.wav *.wav",
			.ignore = "*.log",
			.ignore_too = "*.xml tmp/*",
			.unfinished = "{stem}.lock",
			.finished = "{name}.ok /done/{tenant}/{call}",
			.sidecars = "{stem}.json",
			.accounts = "{tenant}-{call} only-{name}"};
	static const struct shape shapes[] = {
			{"acme/20261123/c.1.wav", "acme-c.1;acme/20261123/c.1.wav.ok done/acme/c.1;"
						  "acme/20261123/c.1.lock;;acme/20261123/c.1.json"},
			{"x.wav", "only-x.wav;x.wav.ok;x.lock;;x.json"}, {"x.log", "beside"},
			{"x.xml", "beside"}, {"tmp/x.wav", "beside"}, {"x.json", "beside"},
			{"x.lock", "beside"}, {"a/b/c.wav.ok", "beside"}, {"x.mp3", "foreign"}};

	assert_shapes(&text, shapes, ELEMENTSOF(shapes));
}

static void profiles_are_refused(void **state)
{
	static const struct {
		struct profile_text text;
		const char *why;
	} bad[] = {
			{{.files = "*.wav {"}, "Files={: has a bracket"},
			{{.files = "**", .finished = "{call}.ok"},
					"Finished={call}.ok: a value in {} is in no pattern of Files="},
			{{.files = "**", .sidecars = "{stem}.txt ../info.json"},
					"Sidecar=../info.json: a sidecar lies beside its recording"},
			{{.files = "**", .sidecars = "{x}*.json"},
					"Sidecar={x}*.json: a sidecar with a * has no { and no /"},
			{{.files = "**", .sidecars = "a.json", .accounts = "{meta.url:port}"},
					"Account={meta.url:port}: a {meta.} value has no form but"},
			{{.files = "!**"}, "what Files= matches is all matched by"},
			{{.files = "!"}, "Files=!: is empty"},
			{{.files = "**", .rewritten = "("}, "Rewritten=(: has a bracket"},
			{{.files = "**", .accounts = "{meta.room}"},
					"Account={meta.room}: a {meta.} value comes from a sidecar"},
			{{.files = "**", .sidecars = "{stem}.json", .discard = "{meta.x}.no"},
					"Discard={meta.x}.no: a {meta.} value is for Account= only"},
			{{.files = "**", .sidecars = "a b c d e"}, "Sidecar=e: there are too many"},
			{{.files = "a b c d e f g h i j k l m n o p q"},
					"Files=q: there are too many"},
			/* nothing would be sealed, and nobody told */
			{{.files = "**", .sidecars = "{stem}"},
					"what Files= matches is all matched by"},
			{{.files = "**", .sidecars = "*"}, "what Files= matches is all matched by"},
			{{.files = "/{a}/{n:10d}.(wav|mp3) *.wav",
					 .ignore = "x",
					 .ignore_too = "*.wav *.mp3"},
					"what Files= matches is all matched by"},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		struct profile *profile;
		struct reason why = {""};
		assert_int_equal(profile_compile(&bad[i].text, &why, &profile), -RE_CONFIG);
		if (strncmp(why.text, bad[i].why, strlen(bad[i].why)) != 0)
			fail_msg("%s, not %s", why.text, bad[i].why);
	}
}

static void a_file_may_be_named_twice(void **state)
{
	static const struct profile_text good[] = {
			{.files = "**", .sidecars = "{stem}.json", .ignore = "*.log"},
			{.files = "*.(json|log|wav)", .ignore = "*.json *.log"},
			{.files = "*.json {n:10d}-{call}.??v", .ignore = "*.json"},
			{.files = "*.wav", .ignore = "/*.wav"},
			{.files = "**", .ignore = "/* ?"},
			{.files = "/{day:64}/{call:8}-{n:d}**", .ignore = "/{day}/1*"},
	};

	for (size_t i = 0; i < ELEMENTSOF(good); i++)
		profile_free(compiled(&good[i]));
}

/* A conference may be called "..": what is removed with its recording is not another folder's. */
static void no_sidecar_is_above_its_folder(void **state)
{
	static const struct profile_text text = {.name = "x",
			.files = "{a}-{n}.wav",
			.sidecars = "{a}/info.json /by-room/{a}/{n}.json {a}..json"};
	struct profile *profile = compiled(&text);
	struct pattern_match match;
	char *place;
	bool at_markers;

	assert_int_equal(profile_classify(profile, "d/..-1.wav", &match), PROFILE_RECORDING);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(profile_locate(profile, PROFILE_SIDECARS, i, "d/..-1.wav", &match,
						 &place, &at_markers),
				-ENOENT);
	assert_int_equal(profile_locate(profile, PROFILE_SIDECARS, 2, "d/..-1.wav", &match, &place,
					 &at_markers),
			0);
	assert_string_equal(place, "d/....json");
	free(place);
	assert_int_equal(profile_sidecar_sharing(profile, 1), PROFILE_SHARED_IN_SPOOL);
	profile_free(profile);
}

static char *meta_of_room(void *context, const char *key, size_t len)
{
	assert_ptr_equal(context, &meta_of_room);
	return len == 4 && memcmp(key, "room", 4) == 0 ? strdup("../board") : NULL;
}

static void accounts_come_from_sidecars(void **state)
{
	static const struct profile_text text = {.name = "x",
			.files = "{call}.wav",
			.sidecars = "{stem}.json",
			.accounts = "{meta.tenant} {meta.room}/{call}"};
	struct profile *profile = compiled(&text);
	struct pattern_match match;
	_cleanup_free_ char *account = NULL;

	assert_true(profile_needs_meta(profile));
	assert_int_equal(profile_sidecar_sharing(profile, 0),
			PROFILE_SHARED_IN_FOLDER); /* a.wav and a.mp3 have one a.json */
	assert_int_equal(profile_classify(profile, "c.wav", &match), PROFILE_RECORDING);
	assert_int_equal(profile_account(profile, "c.wav", &match, meta_of_room, &meta_of_room,
					 &account),
			0);
	assert_string_equal(account, "../board/c"); /* a name, never a path */
	profile_free(profile);
}

static char *meta_of_url(void *context, const char *key, size_t len)
{
	return len == 3 && memcmp(key, "url", 3) == 0 ? strdup(context) : NULL;
}

/* The tenant is in the path of a meeting's URL, and in its host. */
static void accounts_come_from_parts_of_urls(void **state)
{
	static const struct profile_text text = {.name = "x",
			.files = "{call}.wav",
			.sidecars = "{stem}.json",
			.accounts = "{meta.url:host}!{meta.url:path} {meta.url:host} {call}"};
	static const char *const cases[][2] = {
			{"https://meet.org/acme/board", "meet.org!acme/board"},
			{"https://meet.org/board#config.x=/y", "meet.org!board"},
			{"https://meet.org//board/?jwt=a/b", "meet.org!board"},
			{"https://u:p@meet.org:8443/a/b", "meet.org!a/b"},
			{"https://[::1]:8443/a", "[::1]!a"}, {"https://meet.org", "meet.org"},
			{"https://meet.org/#a", "meet.org"}, {"acme/board", "c"}, {"://", "c"},
			{"", "c"}};
	struct profile *profile = compiled(&text);
	struct pattern_match match;

	assert_int_equal(profile_classify(profile, "c.wav", &match), PROFILE_RECORDING);
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *account = NULL;
		assert_int_equal(profile_account(profile, "c.wav", &match, meta_of_url,
						 (void *)(uintptr_t)cases[i][0], &account),
				0);
		assert_string_equal(account, cases[i][1]);
	}
	profile_free(profile);
}

/* ---- Times ---- */

/* When a file was recorded, as its bridge's profile reads its name; "" when it does not tell. */
static void assert_recorded(const char *profile_name, const char *path, const char *expected)
{
	struct profile *profile = compiled(profile_builtin(profile_name));
	struct pattern_match match;
	char text[RFC3339_BYTES] = "";
	int64_t recorded_us;

	assert_int_equal(profile_classify(profile, path, &match), PROFILE_RECORDING);
	int r = profile_recorded(profile, path, &match, &recorded_us);
	if (r == 0)
		clock_format_rfc3339(recorded_us, text);
	else
		assert_int_equal(r, -ENOENT);
	if (strcmp(text, expected) != 0)
		fail_msg("%s of %s: %s, not %s", path, profile_name, text, expected);
	profile_free(profile);
}

static void names_tell_the_time(void **state)
{
	static const char room[] = "0123456789012345678901234567890123456789";
	char path[256];

	setenv("TZ", "UTC", 1);
	tzset();
	assert_recorded("freeswitch", "acme.org/archive/2019/Nov/23/6f1.wav",
			"2019-11-24T00:00:00Z");
	assert_recorded("freeswitch", "acme.org/archive/2019/11/23/6f1.wav", "");
	assert_recorded("freeswitch", "acme.org/archive/2019/Nov/31/6f1.wav", "");
	assert_recorded("freeswitch", "sales_2019-11-23-09-40-17.wav", "2019-11-23T09:40:17Z");
	assert_recorded("freeswitch", "sales_20191123094017.wav", "2019-11-23T09:40:17Z");
	assert_recorded("freeswitch", "sales_later.wav", "");
	assert_recorded("asterisk", "confbridge-sales-1574502017.wav", "2019-11-23T09:40:17Z");
	assert_recorded("asterisk", "confbridge-sales-17.wav", "");
	assert_recorded("asterisk", "other.wav", "");
	assert_recorded("jibri", "x/my_room_2020-07-30-14-19-23.mp4", "2020-07-30T14:19:23Z");
	assert_recorded("jibri", "x/room_2020-02-30-14-19-23.mp4", "");
	assert_recorded("jibri", "x/room_2020-07-30-24-19-23.mp4", "");
	snprintf(path, sizeof(path), "%s-1574502017000-1574502018000.opus", room);
	assert_recorded("bbb", path, "2019-11-23T09:40:18Z");
	snprintf(path, sizeof(path), "%s-1574502017000-77.opus", room);
	assert_recorded("bbb", path, "2019-11-23T09:40:17Z");
	assert_recorded("janus", "janus-audioroom-12-1574502017000000.wav", "2019-11-23T09:40:17Z");
	assert_recorded("janus", "janus-audioroom-12-1574502017.wav", "2019-11-23T09:40:17Z");
	assert_recorded("janus", "videoroom-12-user-7-1574502017000000-audio.mjr",
			"2019-11-23T09:40:17Z");
	assert_recorded("janus", "videoroom-12-user-7-audio.mjr", "");
	assert_recorded("livekit", "room-2019-11-23T094017.mp4", "2019-11-23T09:40:17Z");
	assert_recorded("rtpengine", "call-0123456789abcdef-mix.wav", "");
	assert_recorded("directory", "acme/2019-11-23.wav", "");
}

/* Bridges write the time of their own zone. */
static void names_are_in_the_zone_of_the_machine(void **state)
{
	setenv("TZ", "EST5", 1);
	tzset();
	assert_recorded("jibri", "x/room_2020-07-30-14-19-23.mp4", "2020-07-30T19:19:23Z");
	assert_recorded("freeswitch", "a.org/archive/2019/Nov/23/6f1.wav", "2019-11-24T05:00:00Z");
	assert_recorded("asterisk", "confbridge-sales-1574502017.wav", "2019-11-23T09:40:17Z");
	setenv("TZ", "UTC", 1);
	tzset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(patterns_match),
			cmocka_unit_test(patterns_are_refused),
			cmocka_unit_test(as_the_obvious_matcher_does),
			cmocka_unit_test(hostile_names_cost_little),
			cmocka_unit_test(every_row_compiles),
			cmocka_unit_test(a_file_may_be_named_twice),
			cmocka_unit_test(no_sidecar_is_above_its_folder),
			cmocka_unit_test(directory),
			cmocka_unit_test(freeswitch),
			cmocka_unit_test(fusionpbx),
			cmocka_unit_test(asterisk),
			cmocka_unit_test(every_format_of_a_bridge_is_a_recording),
			cmocka_unit_test(rtpengine),
			cmocka_unit_test(jibri),
			cmocka_unit_test(bbb),
			cmocka_unit_test(janus),
			cmocka_unit_test(livekit),
			cmocka_unit_test(custom),
			cmocka_unit_test(profiles_are_refused),
			cmocka_unit_test(names_tell_the_time),
			cmocka_unit_test(names_are_in_the_zone_of_the_machine),
			cmocka_unit_test(accounts_come_from_sidecars),
			cmocka_unit_test(accounts_come_from_parts_of_urls),
	};

	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
