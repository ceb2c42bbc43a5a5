#include "daemon/keeper/vault/key_loans.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct key_loan {
	struct key_path path;
	pthread_mutex_t lock; /* of the two below */
	uint8_t *key;         /* in secret memory */
	bool recalled;
	struct key_loan *next, **link; /* where it hangs in the list */
};

struct key_loan *key_loan_new(struct key_loans *loans, const struct key_path *path,
		const uint8_t key[static AGE_PAYLOAD_KEY_BYTES])
{
	struct key_loan *loan = calloc(1, sizeof(*loan));

	if (!loan)
		return NULL;
	loan->key = secret_new(AGE_PAYLOAD_KEY_BYTES);
	if (!loan->key) {
		free(loan);
		return NULL;
	}
	memcpy(loan->key, key, AGE_PAYLOAD_KEY_BYTES);
	loan->path = *path;
	pthread_mutex_init(&loan->lock, NULL);
	loan->next = loans->first;
	loan->link = &loans->first;
	if (loan->next)
		loan->next->link = &loan->next;
	loans->first = loan;
	return loan;
}

struct key_loan *key_loan_free(struct key_loan *loan)
{
	if (!loan)
		return NULL;
	*loan->link = loan->next;
	if (loan->next)
		loan->next->link = loan->link;
	pthread_mutex_destroy(&loan->lock);
	secret_free(loan->key);
	free(loan);
	return NULL;
}

const uint8_t *key_loan_lock(struct key_loan *loan)
{
	pthread_mutex_lock(&loan->lock);
	if (!loan->recalled)
		return loan->key;
	pthread_mutex_unlock(&loan->lock);
	return NULL;
}

void key_loan_unlock(struct key_loan *loan)
{
	pthread_mutex_unlock(&loan->lock);
}

/* Whether the key, or anything above it, is one of the paths. There are few loans, so each is held
 * against every path. */
static bool key_loan_is_below(const struct key_loan *loan, const struct key_path *paths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (key_path_covers(&paths[i], &loan->path))
			return true;
	}
	return false;
}

void key_loans_recall(struct key_loans *loans, const struct key_path *paths, size_t n)
{
	for (struct key_loan *loan = loans ? loans->first : NULL; loan; loan = loan->next) {
		if (!key_loan_is_below(loan, paths, n))
			continue;
		pthread_mutex_lock(&loan->lock);
		sodium_memzero(loan->key, AGE_PAYLOAD_KEY_BYTES);
		loan->recalled = true;
		pthread_mutex_unlock(&loan->lock);
	}
}
