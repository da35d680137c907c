// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doors: which directions have had enough packets to be learned.
 *
 * A door opens after some packets of a direction. Short flows, and those that
 * get no answer, never get an entry. Two directions that share a door close
 * it to each other: they stay on the slow path for longer.
 */

#include <linux/jhash.h>
#include <linux/once.h>

#include "flow_cache.h"

#define NVI_DOOR_COUNT		0xfU

static u32 nvi_key_hash(const struct nvi_key *key)
{
	static u32 seed __read_mostly;

	net_get_random_once(&seed, sizeof(seed));

	if (key->family == NFPROTO_IPV4)
		return jhash2((const u32 *)&key->v4, sizeof(key->v4) / 4, seed);
	return jhash2((const u32 *)&key->v6, sizeof(key->v6) / 4, seed);
}

bool nvi_flow_door_is_open(struct nvi_flow_cache *cache,
			   const struct nvi_key *key)
{
	u32 hash = nvi_key_hash(key);
	u32 door = READ_ONCE(cache->doors[hash % NVI_FLOW_DOORS]);

	return !((door ^ hash) & ~NVI_DOOR_COUNT) &&
	       (door & NVI_DOOR_COUNT) >= NVI_FLOW_LEARN_AFTER;
}

/* One packet of this direction more. */
void nvi_flow_knock(struct nvi_flow_cache *cache, const struct nvi_key *key)
{
	u32 hash = nvi_key_hash(key);
	u32 *at = &cache->doors[hash % NVI_FLOW_DOORS];
	u32 door = READ_ONCE(*at);

	if ((door ^ hash) & ~NVI_DOOR_COUNT)
		WRITE_ONCE(*at, (hash & ~NVI_DOOR_COUNT) | 1);
	else if ((door & NVI_DOOR_COUNT) < NVI_FLOW_LEARN_AFTER)
		WRITE_ONCE(*at, door + 1);
}

/* Learning has failed: try later. */
void nvi_flow_close_door(struct nvi_flow_cache *cache,
			 const struct nvi_key *key)
{
	WRITE_ONCE(cache->doors[nvi_key_hash(key) % NVI_FLOW_DOORS], 0);
}
