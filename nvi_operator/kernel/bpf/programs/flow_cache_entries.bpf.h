/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entries: how they are found, how long they last, how many are made, and how they end.
 */
#ifndef FLOW_CACHE_ENTRIES_BPF_H
#define FLOW_CACHE_ENTRIES_BPF_H

#include "packet.bpf.h"

static __always_inline __be32 *addresses_in(struct entry *entry)
{
	return (__be32 *)(entry + 1);
}

static __always_inline __u32 oif_of(const struct entry *entry)
{
	return entry->place >> 8;
}

static __always_inline struct entry *entry_of(const __u32 *key, const int words)
{
	return bpf_map_lookup_elem(flows(words), key);
}

/* From now on the flow goes the slow way. */
static __always_inline void suspend(struct entry *entry, __u32 now)
{
	if (entry->state & STATE_SUSPENDED)
		return;
	entry->state |= STATE_SUSPENDED;
	entry->time = now;
	entry->sent = 0;
}

#define WINDOW	(500 * 1000000ull)	/* nanoseconds over which renewals are counted */
#define SECOND	(1000 * 1000000ull)

/* So many jiffies make a second, and so many renewals make a good interval. */
static __always_inline void adjust(struct cpu *cpu, __u32 now)
{
	__u64 ns = bpf_ktime_get_ns(), elapsed = ns - cpu->began, entries, wanted;
	__u32 length = now - cpu->window;

	if (elapsed < WINDOW)
		return;
	if (cpu->began) {
		cpu->hz = length * SECOND / elapsed;
		/* There are as many entries as were renewed, over the interval that they had. */
		entries = (__u64)cpu->renewals * cpu->interval / (length | 1);
		wanted = entries * cpu->hz / (cpu_renewals | 1);
		/* It shrinks slowly: packets come in bursts. */
		if (wanted < cpu->interval)
			wanted += (cpu->interval - wanted) * 3 / 4;
		cpu->interval = wanted;
	}
	cpu->began = ns;
	cpu->window = now;
	cpu->renewals = 0;
}

/* How long an entry lasts from now. It is longer where many of them have to be renewed. */
static __always_inline __u32 interval(__u32 now)
{
	__u32 zero = 0, hz, shortest, longest;
	struct cpu *cpu = bpf_map_lookup_elem(&fc_cpu, &zero);

	if (!cpu)
		return 0;
	cpu->renewals++;
	if (now - cpu->window >= SLOWEST_HZ / 2)
		adjust(cpu, now);
	/* A tenth more, because a short window is measured to a jiffy. */
	hz = cpu->hz < SLOWEST_HZ || cpu->hz > FASTEST_HZ * 11 / 10 ? SLOWEST_HZ : cpu->hz;
	shortest = interval_ms * hz / 1000;
	longest = longest_ms * hz / 1000;
	if (cpu->interval < shortest)
		cpu->interval = shortest;
	if (cpu->interval > longest)
		cpu->interval = longest;
	/* Up to an eighth less, so that entries made together do not end together. */
	return cpu->interval - bpf_get_prandom_u32() % (cpu->interval / 8 + 1);
}

/*
 * Is there a turn for one more entry? Where flows need more entries than there are, each would give way before it is of
 * use; so some stay, and the others go the slow way at no more than its cost.
 */
static __always_inline bool may_learn(__u32 now)
{
	__u32 zero = 0, hz, due;
	struct cpu *cpu = bpf_map_lookup_elem(&fc_cpu, &zero);

	if (!cpu)
		return false;
	hz = cpu->hz < SLOWEST_HZ ? SLOWEST_HZ : cpu->hz;
	due = now - cpu->learned;
	due = due < hz ? (__u64)due * cpu_learns / hz : cpu_learns;
	if (due) {
		cpu->learned = now;
		cpu->learns = cpu->learns + due < cpu_learns ? cpu->learns + due : cpu_learns;
	}
	if (!cpu->learns)
		return false;
	cpu->learns--;
	return true;
}

/* The number of this pair of interfaces; 0 when there are too many of them. */
static __always_inline __u32 way_of(__u32 iif, __u32 oif)
{
	__u64 pair = (__u64)iif << 32 | oif;
	__u32 first = mix(pair, 0);

	for (int i = 0; i < WAY_PROBES; i++) {
		__u32 index = (first + i) & (WAYS - 1);
		__u64 *way = bpf_map_lookup_elem(&fc_ways, &index);

		if (!way || !index)
			continue;
		if (*way == pair || !__sync_val_compare_and_swap(way, 0, pair) || *way == pair)
			return index;
	}
	return 0;
}

/* The flow ends: both its directions are forgotten. */
static __always_inline void end(const __u32 *key, struct entry *entry, const int words)
{
	__u32 reverse[KEY_WORDS(IPV6)];

	reverse_key(reverse, addresses_in(entry), entry->ports, oif_of(entry), key[2 * words + 1] & 0xff, words);
	if (!bpf_map_delete_elem(flows(words), reverse))
		count(&fc_counters, ENDED);
	if (!bpf_map_delete_elem(flows(words), key))
		count(&fc_counters, ENDED);
}

#endif
