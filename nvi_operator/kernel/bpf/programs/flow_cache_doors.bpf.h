/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Doors: which directions of flows may be learned by now.
 */
#ifndef FLOW_CACHE_DOORS_BPF_H
#define FLOW_CACHE_DOORS_BPF_H

#include "packet.bpf.h"

#define DOOR_COUNT	0x00fu		/* packets since it was opened */
#define DOOR_TIME	0xff0u		/* when the last of these came, in 128 jiffies */
#define DOOR_PRINT	(~0xfffu)	/* a fingerprint of the flow */
#define DOOR_PATIENCE	0x080u		/* of the time: it is left to a flow that sends more often */

static __always_inline __u32 door_time(void)
{
	return jiffies() >> 3 & DOOR_TIME;
}

static __always_inline __u32 *door_of(__u64 hash)
{
	__u32 index = hash & door_mask;

	return bpf_map_lookup_elem(&fc_doors, &index);
}

static __always_inline __u32 fingerprint(__u64 hash, __u32 ifindex)
{
	__u32 changes = generation_at(0) + generation_of(ifindex);

	return ((__u32)(hash >> 32) ^ changes << 12) & DOOR_PRINT;
}

/* May this direction be learned by now? Its packets are counted once its door is open. */
static __always_inline bool admitted(__u64 hash, __u32 ifindex)
{
	__u32 print = fingerprint(hash, ifindex), counted;
	__u32 *door = door_of(hash);

	if (!door || (*door ^ print) & DOOR_PRINT)
		return false;
	counted = *door & DOOR_COUNT;
	if (counted >= learn_after)
		return true;
	*door = print | door_time() | (counted + 1);
	return false;
}

static __always_inline void open_door(const __u32 *key, __u32 ifindex, __u32 counted, const int words)
{
	__u64 hash = hash_of(key, words);
	__u32 print = fingerprint(hash, ifindex), now;
	__u32 *door = door_of(hash);

	if (!door || !((*door ^ print) & DOOR_PRINT))
		return;
	/*
	 * Of two flows that share it, one is left alone until it is learned: else neither would get in. But not before
	 * one of its packets was counted, since floods open doors as well.
	 */
	now = door_time();
	if (!(*door & DOOR_COUNT) || ((now - (*door & DOOR_TIME)) & DOOR_TIME) > DOOR_PATIENCE)
		*door = print | now | counted;
}

/* Count again: the flow is learned, or conntrack does not vouch for it yet. */
static __always_inline void close_door(const __u32 *key, const int words)
{
	__u32 *door = door_of(hash_of(key, words));

	if (door)
		*door &= ~DOOR_COUNT;
}

#endif
