#include "crypto/key_seal.h"

#include "tests/unit/support/crypto_fixture.h"

static const struct node_position place = {.parent = 7, .id = 0x1122334455667788, .epoch = 3};

struct keys {
	uint8_t parent[NODE_KEY_BYTES], child[NODE_KEY_BYTES], sealed[SEALED_KEY_BYTES];
};

static struct keys sealed_keys(void)
{
	struct keys k;

	fill(k.parent, sizeof(k.parent), 1);
	fill(k.child, sizeof(k.child), 2);
	key_seal_node(k.parent, &place, k.child, k.sealed);
	return k;
}

/* It must not open, and must leave the output alone. */
static void refuses(const struct keys *k, const struct node_position *where)
{
	uint8_t got[NODE_KEY_BYTES], before[NODE_KEY_BYTES];

	memset(got, 0xee, sizeof(got));
	memcpy(before, got, sizeof(got));
	assert_int_equal(key_seal_open_node(k->parent, where, k->sealed, got), -RE_CORRUPT);
	assert_memory_equal(got, before, sizeof(got));
}

static void test_node_opens(void **state)
{
	struct keys k = sealed_keys();
	uint8_t got[NODE_KEY_BYTES];

	assert_int_equal(key_seal_open_node(k.parent, &place, k.sealed, got), 0);
	assert_memory_equal(got, k.child, sizeof(got));
}

static void test_node_nonce_is_fresh(void **state)
{
	struct keys a = sealed_keys(), b = sealed_keys();

	assert_memory_not_equal(a.sealed, b.sealed, SEAL_NONCE_BYTES);
	assert_memory_not_equal(a.sealed + SEAL_NONCE_BYTES, b.sealed + SEAL_NONCE_BYTES,
			SEALED_KEY_BYTES - SEAL_NONCE_BYTES);
}

/* Every single bit of the place counts, and no two of its fields may change roles. */
static void test_node_place_binds(void **state)
{
	struct keys k = sealed_keys();

	for (int bit = 0; bit < 64; bit++) {
		struct node_position p = place, i = place, e = place;
		p.parent ^= UINT64_C(1) << bit;
		i.id ^= UINT64_C(1) << bit;
		e.epoch ^= UINT64_C(1) << bit;
		refuses(&k, &p);
		refuses(&k, &i);
		refuses(&k, &e);
	}
	refuses(&k, &(struct node_position){place.id, place.parent, place.epoch});
	refuses(&k, &(struct node_position){place.parent, place.epoch, place.id});
	refuses(&k, &(struct node_position){place.epoch, place.id, place.parent});
}

static void test_node_every_bit_counts(void **state)
{
	for (size_t bit = 0; bit < SEALED_KEY_BYTES * 8; bit++) {
		struct keys k = sealed_keys();
		k.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refuses(&k, &place);
	}
	for (size_t bit = 0; bit < NODE_KEY_BYTES * 8; bit++) {
		struct keys k = sealed_keys();
		k.parent[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refuses(&k, &place);
	}
}

/* Several keys in one box. */

#define ENTRIES    3
#define PACK_BYTES (ENTRIES * NODE_ENTRY_BYTES)

struct pack {
	uint8_t parent[NODE_KEY_BYTES], plain[PACK_BYTES], sealed[PACK_BYTES + SEAL_OVERHEAD_BYTES];
};

static struct pack sealed_pack(void)
{
	struct pack p;

	fill(p.parent, sizeof(p.parent), 1);
	fill(p.plain, sizeof(p.plain), 5);
	key_seal_pack(p.parent, &place, p.plain, sizeof(p.plain), p.sealed);
	return p;
}

static void refuses_pack(const struct pack *p, const struct node_position *where, size_t len)
{
	uint8_t got[PACK_BYTES] = {0}, nothing[PACK_BYTES] = {0};

	assert_int_equal(key_seal_open_pack(p->parent, where, p->sealed, len, got), -RE_CORRUPT);
	assert_memory_equal(got, nothing, sizeof(got));
}

static void test_pack_opens(void **state)
{
	struct pack p = sealed_pack(), again = sealed_pack();
	uint8_t got[PACK_BYTES];

	assert_int_equal(key_seal_open_pack(p.parent, &place, p.sealed, sizeof(p.sealed), got), 0);
	assert_memory_equal(got, p.plain, sizeof(got));
	assert_memory_not_equal(p.sealed, again.sealed, SEAL_NONCE_BYTES);
}

static void test_pack_binds(void **state)
{
	struct pack p = sealed_pack();

	for (int bit = 0; bit < 64; bit++) {
		struct node_position parent = place, id = place, epoch = place;
		parent.parent ^= UINT64_C(1) << bit;
		id.id ^= UINT64_C(1) << bit;
		epoch.epoch ^= UINT64_C(1) << bit;
		refuses_pack(&p, &parent, sizeof(p.sealed));
		refuses_pack(&p, &id, sizeof(p.sealed));
		refuses_pack(&p, &epoch, sizeof(p.sealed));
	}
	for (size_t len = 0; len < sizeof(p.sealed); len++)
		refuses_pack(&p, &place, len);
	for (size_t bit = 0; bit < sizeof(p.sealed) * 8; bit++) {
		p.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refuses_pack(&p, &place, sizeof(p.sealed));
		p.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	p.parent[5] ^= 1;
	refuses_pack(&p, &place, sizeof(p.sealed));
}

/* The same bytes under the same key in the same place, but sealed as the other. */
static void test_pack_is_no_single_key(void **state)
{
	struct keys k = sealed_keys();
	uint8_t got[NODE_KEY_BYTES];

	assert_int_equal(key_seal_open_pack(k.parent, &place, k.sealed, sizeof(k.sealed), got),
			-RE_CORRUPT);
	key_seal_pack(k.parent, &place, k.child, NODE_KEY_BYTES, k.sealed);
	assert_int_equal(key_seal_open_pack(k.parent, &place, k.sealed, sizeof(k.sealed), got), 0);
	refuses(&k, &place);
}

static const char profile[] = "Aunt Agatha, (202)-XXX-0100";

static void test_record_round_trip(void **state)
{
	uint8_t key[NODE_KEY_BYTES], sealed[sizeof(profile) + SEAL_OVERHEAD_BYTES];
	char got[sizeof(profile)];

	fill(key, sizeof(key), 3);
	for (size_t len = 0; len <= sizeof(profile); len++) {
		key_seal_record(key, RECORD_ACCOUNT_PROFILE, 9, profile, len, sealed);
		assert_int_equal(key_seal_open_record(key, RECORD_ACCOUNT_PROFILE, 9, sealed,
						 len + SEAL_OVERHEAD_BYTES, got),
				0);
		assert_memory_equal(got, profile, len);
	}
}

static void test_record_binds(void **state)
{
	uint8_t key[NODE_KEY_BYTES], sealed[sizeof(profile) + SEAL_OVERHEAD_BYTES];
	char got[sizeof(profile)] = "untouched", before[sizeof(profile)] = "untouched";

	fill(key, sizeof(key), 3);
	key_seal_record(key, RECORD_ACCOUNT_PROFILE, 9, profile, sizeof(profile), sealed);
	assert_int_equal(key_seal_open_record(key, RECORD_RECORDING_PRIVATE, 9, sealed,
					 sizeof(sealed), got),
			-RE_CORRUPT);
	assert_int_equal(key_seal_open_record(key, RECORD_ACCOUNT_PROFILE, 8, sealed,
					 sizeof(sealed), got),
			-RE_CORRUPT);
	for (size_t len = 0; len < sizeof(sealed); len++)
		assert_int_equal(key_seal_open_record(
						 key, RECORD_ACCOUNT_PROFILE, 9, sealed, len, got),
				-RE_CORRUPT);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(key_seal_open_record(key, RECORD_ACCOUNT_PROFILE, 9, sealed,
						 sizeof(sealed), got),
				-RE_CORRUPT);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	key[0] ^= 1;
	assert_int_equal(key_seal_open_record(key, RECORD_ACCOUNT_PROFILE, 9, sealed,
					 sizeof(sealed), got),
			-RE_CORRUPT);
	assert_memory_equal(got, before, sizeof(got));
}

/* A node key and a record are never taken for each other, although one key seals both. */
static void test_record_is_no_node_key(void **state)
{
	struct keys k = sealed_keys();
	uint8_t got[NODE_KEY_BYTES];

	key_seal_record(k.parent, RECORD_ACCOUNT_PROFILE, place.parent, k.child, NODE_KEY_BYTES,
			k.sealed);
	refuses(&k, &place);
	key_seal_node(k.parent, &place, k.child, k.sealed);
	assert_int_equal(key_seal_open_record(k.parent, RECORD_ACCOUNT_PROFILE, place.parent,
					 k.sealed, sizeof(k.sealed), got),
			-RE_CORRUPT);
}

static void test_lookup_hash(void **state)
{
	uint8_t key[NODE_KEY_BYTES], base[LOOKUP_BYTES], other[LOOKUP_BYTES];

	fill(key, sizeof(key), 4);
	key_seal_lookup_hash(key, "account", "alice", 5, base);
	key_seal_lookup_hash(key, "account", "alice", 5, other);
	assert_memory_equal(base, other, sizeof(base));
	key_seal_lookup_hash(key, "source", "alice", 5, other);
	assert_memory_not_equal(base, other, sizeof(base));
	key_seal_lookup_hash(key, "account", "alicf", 5, other);
	assert_memory_not_equal(base, other, sizeof(base));
	key_seal_lookup_hash(key, "accounta", "lice", 4, other);
	assert_memory_not_equal(base, other, sizeof(base));
	key[31] ^= 0x80;
	key_seal_lookup_hash(key, "account", "alice", 5, other);
	assert_memory_not_equal(base, other, sizeof(base));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_node_opens),
			cmocka_unit_test(test_node_nonce_is_fresh),
			cmocka_unit_test(test_node_place_binds),
			cmocka_unit_test(test_node_every_bit_counts),
			cmocka_unit_test(test_pack_opens),
			cmocka_unit_test(test_pack_binds),
			cmocka_unit_test(test_pack_is_no_single_key),
			cmocka_unit_test(test_record_round_trip),
			cmocka_unit_test(test_record_binds),
			cmocka_unit_test(test_record_is_no_node_key),
			cmocka_unit_test(test_lookup_hash),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
