#include "storage/root/root_set.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"

struct root_set *root_set_new(void)
{
	return calloc(1, sizeof(struct root_set));
}

struct root_set *root_set_free(struct root_set *set)
{
	if (!set)
		return NULL;
	for (size_t i = 0; i < set->n; i++)
		root_provider_free(set->member[i].provider);
	free(set);
	return NULL;
}

static void find_assurance(struct root_set *set)
{
	set->assurance = NULL;
	for (size_t i = 0; i < set->n; i++) {
		const char *one = set->member[i].assurance;
		if (!set->assurance ||
				root_assurance_rank(one) < root_assurance_rank(set->assurance))
			set->assurance = one;
	}
}

int root_set_add(struct root_set *set, const struct root_member *member)
{
	if (set->n == ROOT_MEMBERS_MAX)
		return -ENOSPC;
	set->member[set->n] = *member;
	if (member->provider)
		set->member[set->n].assurance = member->provider->assurance;
	set->n++;
	find_assurance(set);
	return 0;
}

struct root_provider *root_set_take(struct root_set *set, size_t i)
{
	struct root_provider *provider = set->member[i].provider;

	set->n--;
	memmove(&set->member[i], &set->member[i + 1], (set->n - i) * sizeof(set->member[0]));
	find_assurance(set);
	return provider;
}

void root_set_exchange(struct root_set *set, size_t i, struct root_provider *provider)
{
	set->member[i].provider = provider;
	set->member[i].assurance = provider->assurance;
	reason_clear(&set->member[i].why_failed);
	find_assurance(set);
}

void root_set_lose(struct root_set *set, size_t i, const char *why)
{
	struct root_member *member = &set->member[i];

	reason_set(&member->why_away, 0, "%s", why);
	member->provider = root_provider_free(member->provider);
}

void root_set_regain(struct root_set *set, size_t i, struct root_provider *provider)
{
	root_set_exchange(set, i, provider);
	reason_clear(&set->member[i].why_away);
}

static int64_t failures_wait_s(unsigned failures)
{
	int64_t wait_s = failures < 2 ? 0 : 60;

	for (unsigned i = 2; i < failures && wait_s < ROOT_SET_WAIT_MAX_S; i++)
		wait_s *= 2;
	return wait_s < ROOT_SET_WAIT_MAX_S ? wait_s : ROOT_SET_WAIT_MAX_S;
}

void root_set_note_failure(struct root_set *set, size_t i, int64_t now_us)
{
	struct root_member *member = &set->member[i];

	member->failures++;
	member->retry_us = now_us + failures_wait_s(member->failures) * US_PER_S;
}

void root_set_note_success(struct root_set *set, size_t i)
{
	set->member[i].failures = 0;
	set->member[i].retry_us = 0;
}

int64_t root_set_waits_s(const struct root_set *set, size_t i, int64_t now_us)
{
	const struct root_member *member = &set->member[i];
	int64_t left_us = member->retry_us - now_us;

	if (left_us <= 0 || left_us > failures_wait_s(member->failures) * US_PER_S)
		return 0;
	return (left_us + US_PER_S - 1) / US_PER_S;
}

const struct root_member *root_set_away(const struct root_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!set->member[i].provider && !set->member[i].left_out)
			return &set->member[i];
	}
	return NULL;
}

size_t root_set_present(const struct root_set *set)
{
	size_t present = 0;

	for (size_t i = 0; i < set->n; i++)
		present += set->member[i].provider != NULL;
	return present;
}

int root_set_get(struct root_set *set, size_t i, unsigned slot,
		uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	struct root_member *member = &set->member[i];

	reason_clear(&member->why_failed);
	return member->provider->ops->read(member->provider, slot, &member->why_failed, ret_image);
}

int root_set_put(struct root_set *set, size_t i, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES])
{
	_cleanup_secret_ uint8_t *back = secret_new(ROOT_IMAGE_BYTES);
	struct root_member *member = &set->member[i];
	struct root_provider *one = member->provider;

	reason_clear(&member->why_failed);
	if (!back)
		return -RE_MLOCK;
	int r = one->ops->write(one, slot, image, &member->why_failed);
	if (r == 0)
		r = one->ops->read(one, slot, &member->why_failed, back);
	if (r == 0 && sodium_memcmp(back, image, ROOT_IMAGE_BYTES) != 0)
		r = -EIO;
	return r;
}

int root_set_clear(struct root_set *set, size_t i, unsigned slot)
{
	uint8_t image[ROOT_IMAGE_BYTES];

	randombytes_buf(image, sizeof(image));
	return root_set_put(set, i, slot, image);
}

const char *root_set_reason(const struct root_set *set, size_t i, int r)
{
	return reason_text(&set->member[i].why_failed, r);
}
