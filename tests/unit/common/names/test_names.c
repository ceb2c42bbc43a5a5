/* Spellings of one name: what each of Names= makes one account, what merely looks alike, and what
 * must be neither. The negative controls are the names that differ in a letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/names/name_fold.h"
#include "daemon/common/names/name_look.h"
#include "daemon/common/names/name_punycode.h"

#define NFC_MUELLER "M\xc3\xbcller"
#define NFD_MUELLER "Mu\xcc\x88ller"

static void assert_folds(enum name_folding folding, const char *name, const char *expected)
{
	_cleanup_free_ char *once = NULL, *twice = NULL;

	assert_int_equal(name_fold(folding, name, &once), 0);
	assert_string_equal(once, expected);
	assert_int_equal(name_fold(folding, once, &twice), 0);
	assert_string_equal(twice, once);
}

static void test_exact(void **state)
{
	static const char *const names[] = {
			"", "Acme.Example.com.", NFD_MUELLER, " x ", "\xff", "xn--mller-kva"};

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		assert_folds(NAME_EXACT, names[i], names[i]);
}

static void test_dns(void **state)
{
	static const char *const cases[][2] = {
			{"acme.example.com", "acme.example.com"},
			{"Acme.EXAMPLE.com", "acme.example.com"},
			{"acme.example.com.", "acme.example.com"},
			{" acme.example.com.. ", "acme.example.com"},
			{"\xef\xbb\xbf"
			 "acme\xe2\x80\x8b.example.com",
					"acme.example.com"},
			{"\xef\xbd\x81\xef\xbd\x83me\xef\xbc\x8e"
			 "example\xe3\x80\x82"
			 "com",
					"acme.example.com"},
			{"xn--mller-kva.example", "m\xc3\xbcller.example"},
			{"XN--MLLER-KVA.Example.", "m\xc3\xbcller.example"},
			{NFC_MUELLER ".example", "m\xc3\xbcller.example"},
			{NFD_MUELLER ".example", "m\xc3\xbcller.example"},
			{"M\xc3\x9cLLER.example", "m\xc3\xbcller.example"},
			/* IDNA2008 registers both: two customers. */
			{"stra\xc3\x9f"
			 "e.example",
					"stra\xc3\x9f"
					"e.example"},
			{"xn--strae-oqa.example", "stra\xc3\x9f"
						  "e.example"},
			{"strasse.example", "strasse.example"},
			/* What no encoder makes stays: it may be somebody's name all the same. */
			{"xn--", "xn--"},
			{"xn--abc-", "xn--abc-"},
			{"xn--99999999", "xn--99999999"},
			{"xn--\xc3\xbc", "xn--\xc3\xbc"},
			/* Nothing would be left, or it is not text. */
			{".", "."},
			{" . ", " . "},
			{"", ""},
			{"\xe2\x80\x8b", "\xe2\x80\x8b"},
			{"ACME\xff", "ACME\xff"},
			{"4711@PBX.example", "4711@pbx.example"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_folds(NAME_DNS, cases[i][0], cases[i][1]);
}

static void test_nfc(void **state)
{
	static const char *const cases[][2] = {
			{NFD_MUELLER, NFC_MUELLER},
			{NFC_MUELLER, NFC_MUELLER},
			{"\t " NFC_MUELLER "\xc2\xa0", NFC_MUELLER},
			{NFC_MUELLER ". .", NFC_MUELLER},
			{"\xef\xbb\xbf" NFC_MUELLER "\xe2\x80\x8b", NFC_MUELLER},
			{".hidden", ".hidden"},
			{"m\xc3\xbcller", "m\xc3\xbcller"}, /* case stays */
			{"a  b", "a  b"},
			{"\xef\xbc\xa1", "\xef\xbc\xa1"}, /* and so does width */
			{"\xea\xb0\x80", "\xea\xb0\x80"},
			{"\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80"}, /* Hangul */
			{"...", "..."},
			{"M\xfcller ", "M\xfcller "},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_folds(NAME_NFC, cases[i][0], cases[i][1]);
}

static void test_words(void **state)
{
	enum name_folding folding = NAME_NFC;

	assert_int_equal(name_fold_parse("exact", &folding), 0);
	assert_int_equal(folding, NAME_EXACT);
	assert_int_equal(name_fold_parse("dns", &folding), 0);
	assert_int_equal(folding, NAME_DNS);
	assert_true(name_fold_parse("DNS", &folding) < 0);
	assert_int_equal(folding, NAME_DNS);
}

/* RFC 3492, section 7.1, and labels that no encoder makes. */
static void test_punycode(void **state)
{
	static const char *const cases[][2] = {
			{"ihqwcrb4cv8a8dqg056pqjye",
					"\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d"
					"\xe8\xaf\xb4\xe4\xb8\xad\xe6\x96\x87"},
			{"Proprostnemluvesky-uyb24dma41a",
					"Pro\xc4\x8dprost\xc4\x9bnemluv\xc3\xad\xc4\x8d"
					"esky"},
			{"3B-ww4c5e180e575a65lsy2b",
					"3\xe5\xb9\xb4"
					"B\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85\x88\xe7\x94\x9f"},
			{"-> $1.00 <--", "-> $1.00 <-"},
			{"mller-kva", "m\xc3\xbcller"},
			{"mller-", "mller"},
	};
	static const char *const bad[] = {"\xc3\xbc", "mller-kv", "99999999",
			"zzzzzzzzzzzzzzzzzzzz", "a-!", "mller-kva\n"};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *utf8 = NULL;
		struct name_text label, letters;
		size_t len;
		assert_int_equal(name_text_read(cases[i][0], strlen(cases[i][0]), &label), 0);
		assert_int_equal(name_punycode_decode(label.c, label.n, &letters), 0);
		assert_int_equal(name_text_write(&letters, &utf8, &len), 0);
		assert_string_equal(utf8, cases[i][1]);
		name_text_free(&label);
		name_text_free(&letters);
	}
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		struct name_text label, letters;
		assert_int_equal(name_text_read(bad[i], strlen(bad[i]), &label), 0);
		assert_int_equal(name_punycode_decode(label.c, label.n, &letters),
				NAME_PUNYCODE_BAD);
		name_text_free(&label);
	}
}

/* "": behind the last of a line. */
struct group {
	const char *name[12];
};

static bool names_look_alike(const char *a, const char *b)
{
	_cleanup_free_ char *look_a = NULL, *look_b = NULL;
	size_t len_a, len_b;

	assert_int_equal(name_look(a, strlen(a), &look_a, &len_a), 0);
	assert_int_equal(name_look(b, strlen(b), &look_b, &len_b), 0);
	assert_true(len_a > 0);
	return len_a == len_b && memcmp(look_a, look_b, len_a) == 0;
}

/* Within a line all look alike; of two lines no two do. */
static void test_looks(void **state)
{
	static const struct group groups[] = {
			{{"acme.example.com", "Acme.Example.com", "acme.example.com.",
					" acme.example.com", "ACME.EXAMPLE.COM ",
					"acme.example.com/", "acme.example.com:5060",
					"ac\xe2\x80\x8bme.example.com",
					("\xef\xbd\x81"
					 "cme\xe3\x80\x82"
					 "example.com"),
					"acme%2eexample.com",
					("\xc2\xad"
					 "acme.example.com\n")}},
			{{NFC_MUELLER, NFD_MUELLER, "M\xfcller", "M\xc3\x9cLLER", "m%C3%BCller",
					("\xef\xbb\xbf" NFC_MUELLER), (NFC_MUELLER "\xc2\xa0"),
					"xn--mller-kva", (NFC_MUELLER " ."),
					("\"" NFC_MUELLER "\""), "XN--MLLER-KVA"}},
			{{"Muller", "muller"}}, {{"Mueller"}},
			{{"anna meier", "Anna Meier", "Anna  Meier", "Anna_Meier",
					"Anna\xc2\xa0Meier", "Anna\xe3\x80\x80Meier",
					"Anna\xe2\x80\x83Meier ", "Anna%20Meier",
					("\xe2\x80\xaa"
					 "Anna Meier"),
					"<Anna Meier>"}},
			{{"AnnaMeier"}},
			{{"Anna-Meier", "Anna\xe2\x80\x93Meier", "anna\xe2\x88\x92meier"}},
			{{"O'Brien",
					("o\xe2\x80\x99"
					 "brien"),
					"O`Brien"}},
			{{("Stra\xc3\x9f"
			   "e"),
					"STRASSE",
					("stra\xe1\xba\x9e"
					 "e")}},
			{{"anna@example.com", "Anna@Example.com", "sip:anna@example.com",
					"SIPS:anna@example.com:5061",
					"<sip:anna@example.com;transport=tls>",
					"mailto:Anna@example.com?subject=x", "anna@example.com."}},
			{{"anna@example.org"}}, /* another domain is another person */
			{{"anna"}},
			{{"+49 30 123456", "+4930123456", "004930123456", "+49 (30) 123-456",
					"tel:+49-30-123456", "49/30/123456", "4930123456"}},
			{{"030 123456"}},
			{{"1-23", ("1\xe2\x80\x92"
				   "23")}}, /* a room, not a number */
			{{"123"}}, {{"4711"}}, {{"4712"}}, {{"2001:db8::1"}}, {{"2001:db8::2"}},
			{{"\xef\xac\x81lm", "film", "\xef\xbc\xa6ilm"}},
			{{"\xd0\xb0nna"}}, /* Cyrillic a */
			{{"100%", "100%."}}, {{"sip:"}}, {{".", "."}},
			{{"\xe2\x80\x8b", " ", "\xe2\x80\x8b\xe2\x80\x8c"}}, /* nobody sees them */
	};

	for (size_t i = 0; i < ELEMENTSOF(groups); i++)
		for (const char *const *a = groups[i].name; *a; a++)
			for (size_t j = 0; j < ELEMENTSOF(groups); j++)
				for (const char *const *b = groups[j].name; *b; b++)
					if (names_look_alike(*a, *b) != (i == j))
						fail_msg("\"%s\" and \"%s\"", *a, *b);
}

/* What folds to one account looks alike too. */
static void test_what_is_folded_looks_alike(void **state)
{
	static const char *const names[] = {"Acme.Example.com.", NFD_MUELLER " .",
			"XN--MLLER-KVA.example",
			("stra\xc3\x9f"
			 "e")};

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		for (int folding = NAME_EXACT; folding <= NAME_NFC; folding++) {
			_cleanup_free_ char *folded = NULL;
			assert_int_equal(name_fold((enum name_folding)folding, names[i], &folded),
					0);
			assert_true(names_look_alike(names[i], folded));
		}
	}
}

/* Any bytes, and as many as a sidecar may hold. */
static void test_long_names(void **state)
{
	static const char *const pieces[] = {"\xef\xb7\xba" /* becomes 18 letters */, "\xff",
			"xn--0.", "%ff", "\xcc\x88", "a\xcc\x88", "xn--mller-kva."};

	for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
		char name[20001] = "";
		size_t n = 0, len = strlen(pieces[i]);
		for (; n + len < sizeof(name); n += len)
			memcpy(name + n, pieces[i], len + 1);
		for (int folding = NAME_EXACT; folding <= NAME_NFC; folding++) {
			_cleanup_free_ char *folded = NULL;
			assert_int_equal(name_fold((enum name_folding)folding, name, &folded), 0);
			assert_true(*folded);
		}
		assert_true(names_look_alike(name, name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_exact),
			cmocka_unit_test(test_dns),
			cmocka_unit_test(test_nfc),
			cmocka_unit_test(test_words),
			cmocka_unit_test(test_punycode),
			cmocka_unit_test(test_looks),
			cmocka_unit_test(test_what_is_folded_looks_alike),
			cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
