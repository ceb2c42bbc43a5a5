#include "tests/unit/support/probe_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/probe/sniff.h"
#include "tests/unit/support/probe_files.h"

void bytes_free(struct bytes *bytes)
{
	free(bytes->p);
}

void bytes_add(struct bytes *bytes, const void *p, size_t len)
{
	bytes->p = realloc(bytes->p, bytes->len + len + 1);
	assert_non_null(bytes->p);
	memcpy(bytes->p + bytes->len, p, len);
	bytes->len += len;
}

struct probe_result bytes_judge(const struct bytes *bytes)
{
	_cleanup_close_ int fd = file_of(bytes->p, bytes->len);
	struct source source;
	struct probe_result result;

	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	return result;
}

void bytes_expect(const char *what, const struct bytes *bytes, enum probe_condition condition,
		uint64_t least, uint64_t most)
{
	struct probe_result result = bytes_judge(bytes);

	if (result.condition != condition || result.frames < least || result.frames > most)
		fail_msg("%s: %s, %lld frames, %s (%s); expected %s, %llu to %llu", what,
				probe_wire_condition_name(result.condition),
				(long long)result.frames, result.format, result.damage,
				probe_wire_condition_name(condition), (unsigned long long)least,
				(unsigned long long)most);
}
