// SPDX-License-Identifier: GPL-2.0-only
/* The entries of a flow cache, and the counters by pairs of interfaces. */

#include <linux/netdevice.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <net/dst.h>
#include <net/netfilter/nf_conntrack.h>

#include "flow_cache.h"

/*
 * An idle entry is kept for a time that shrinks as the table fills. Its flow
 * loses nothing: it is learned again.
 */
#define NVI_FLOW_IDLE		(30 * HZ)
#define NVI_FLOW_IDLE_FULL	HZ

static struct kmem_cache *nvi_flow4_slab, *nvi_flow6_slab;

const struct rhashtable_params nvi_flow4_params = {
	.head_offset = offsetof(struct nvi_flow4, flow.node),
	.key_offset = offsetof(struct nvi_flow4, key),
	.key_len = sizeof(struct nvi_key4),
	.automatic_shrinking = true,
};

const struct rhashtable_params nvi_flow6_params = {
	.head_offset = offsetof(struct nvi_flow6, flow.node),
	.key_offset = offsetof(struct nvi_flow6, key),
	.key_len = sizeof(struct nvi_key6),
	.automatic_shrinking = true,
};

int nvi_flow_tables_init(struct nvi_flow_cache *cache)
{
	int err;

	err = rhashtable_init(&cache->flows4, &nvi_flow4_params);
	if (err)
		return err;

	err = rhashtable_init(&cache->flows6, &nvi_flow6_params);
	if (err)
		rhashtable_destroy(&cache->flows4);

	return err;
}

static void nvi_flow_free(struct nvi_flow *flow)
{
	dst_release(rcu_dereference_protected(flow->dst, true));
	nf_ct_put(flow->ct);
	nvi_path_put(flow->path);
	kmem_cache_free(flow->family == NFPROTO_IPV4 ? nvi_flow4_slab :
						       nvi_flow6_slab, flow);
}

static void nvi_flow_free_rcu(struct rcu_head *head)
{
	nvi_flow_free(container_of(head, struct nvi_flow, rcu));
}

static void nvi_flow_free_element(void *element, void *arg)
{
	nvi_flow_free(element);
}

/* Nothing else refers to the cache now. */
void nvi_flow_tables_destroy(struct nvi_flow_cache *cache)
{
	struct nvi_path *path;
	struct hlist_node *next;
	unsigned int i;

	rhashtable_free_and_destroy(&cache->flows4, nvi_flow_free_element, NULL);
	rhashtable_free_and_destroy(&cache->flows6, nvi_flow_free_element, NULL);

	for (i = 0; i < NVI_FLOW_HASH; i++)
		hlist_for_each_entry_safe(path, next, &cache->paths[i], node)
			nvi_path_put(path);
}

struct nvi_flow *nvi_flow_lookup(struct nvi_flow_cache *cache,
				 const struct nvi_key *key)
{
	if (key->family == NFPROTO_IPV4)
		return rhashtable_lookup(&cache->flows4, &key->v4,
					 nvi_flow4_params);
	return rhashtable_lookup(&cache->flows6, &key->v6, nvi_flow6_params);
}

/*
 * An entry for a flow that both passes have to confirm before it is used, or
 * NULL. There are two directions of a connection at most, so Netfilter's limit
 * of connections is a limit of entries as well.
 */
struct nvi_flow *nvi_flow_add(struct nvi_flow_cache *cache,
			      const struct nvi_key *key,
			      const struct sk_buff *skb, struct nf_conn *ct,
			      u8 dir)
{
	struct nvi_flow4 *flow4;
	struct nvi_flow6 *flow6;
	struct nvi_flow *flow;
	int err;

	if (atomic_read(&cache->count) >= 2 * READ_ONCE(nf_conntrack_max))
		return NULL;

	flow = kmem_cache_zalloc(key->family == NFPROTO_IPV4 ? nvi_flow4_slab :
							       nvi_flow6_slab,
				 GFP_ATOMIC | __GFP_NOWARN);
	if (!flow)
		return NULL;

	nf_conntrack_get(&ct->ct_general);
	flow->ct = ct;
	flow->dir = dir;
	flow->newest = skb;
	flow->family = key->family;
	flow->protocol = nf_ct_protonum(ct);
	flow->when = (u32)jiffies;
	flow->used = (u32)jiffies;

	if (key->family == NFPROTO_IPV4) {
		flow4 = container_of(flow, struct nvi_flow4, flow);
		flow4->key = key->v4;
		err = rhashtable_lookup_insert_fast(&cache->flows4, &flow->node,
						    nvi_flow4_params);
	} else {
		flow6 = container_of(flow, struct nvi_flow6, flow);
		flow6->key = key->v6;
		err = rhashtable_lookup_insert_fast(&cache->flows6, &flow->node,
						    nvi_flow6_params);
	}
	if (err) {
		nvi_flow_free(flow);
		return NULL;
	}

	atomic_inc(&cache->count);

	return flow;
}

/* Of those who remove the same entry, the table lets one succeed. */
void nvi_flow_remove(struct nvi_flow_cache *cache, struct nvi_flow *flow,
		     enum nvi_flow_counter why)
{
	int err;

	if (flow->family == NFPROTO_IPV4)
		err = rhashtable_remove_fast(&cache->flows4, &flow->node,
					     nvi_flow4_params);
	else
		err = rhashtable_remove_fast(&cache->flows6, &flow->node,
					     nvi_flow6_params);
	if (err)
		return;

	atomic_dec(&cache->count);
	local_bh_disable();
	nvi_flow_count(cache, why);
	local_bh_enable();
	call_rcu(&flow->rcu, nvi_flow_free_rcu);
}

static u32 nvi_flow_idle_limit(struct nvi_flow_cache *cache)
{
	u32 max = max(2 * READ_ONCE(nf_conntrack_max), 1U);
	u32 count = min_t(u32, atomic_read(&cache->count), max);

	return max_t(u32, NVI_FLOW_IDLE_FULL,
		     div_u64((u64)NVI_FLOW_IDLE * (max - count), max));
}

static void nvi_flow_table_collect(struct nvi_flow_cache *cache,
				   struct rhashtable *table, bool all)
{
	u32 idle = nvi_flow_idle_limit(cache);
	struct rhashtable_iter iter;
	struct nvi_flow *flow;
	unsigned int n = 0;

	rhashtable_walk_enter(table, &iter);
	rhashtable_walk_start(&iter);

	while ((flow = rhashtable_walk_next(&iter))) {
		if (IS_ERR(flow)) {
			if (PTR_ERR(flow) != -EAGAIN)
				break;
			continue;
		}

		if (all || !nvi_conntrack_is_live(flow->ct))
			nvi_flow_remove(cache, flow, NVI_FLOW_ENDED);
		else if ((u32)jiffies - READ_ONCE(flow->used) > idle)
			nvi_flow_remove(cache, flow, NVI_FLOW_EVICTED);

		if (++n % 1024 == 0) {
			rhashtable_walk_stop(&iter);
			cond_resched();
			rhashtable_walk_start(&iter);
		}
	}

	rhashtable_walk_stop(&iter);
	rhashtable_walk_exit(&iter);
}

/* Removes what has ended or is idle, or everything. May sleep. */
void nvi_flow_tables_collect(struct nvi_flow_cache *cache, bool all)
{
	nvi_flow_table_collect(cache, &cache->flows4, all);
	nvi_flow_table_collect(cache, &cache->flows6, all);
}

static struct hlist_head *nvi_path_bucket(struct nvi_flow_cache *cache,
					  int in, int out)
{
	return &cache->paths[(7U * in + out) % NVI_FLOW_HASH];
}

/* A reference to the counters from @in to @out; NULL if there is no room. */
struct nvi_path *nvi_path_get(struct nvi_flow_cache *cache, int in, int out)
{
	struct hlist_head *bucket = nvi_path_bucket(cache, in, out);
	struct nvi_path *path;

	spin_lock_bh(&cache->lock);

	hlist_for_each_entry(path, bucket, node)
		if (path->in == in && path->out == out)
			goto found;

	path = NULL;
	if (cache->n_paths >= NVI_FLOW_PATHS)
		goto unlock;

	path = kzalloc(sizeof(*path), GFP_ATOMIC | __GFP_NOWARN);
	if (!path)
		goto unlock;
	path->stats = __netdev_alloc_pcpu_stats(struct pcpu_sw_netstats,
						GFP_ATOMIC | __GFP_NOWARN);
	if (!path->stats) {
		kfree(path);
		path = NULL;
		goto unlock;
	}

	path->in = in;
	path->out = out;
	refcount_set(&path->users, 1);
	hlist_add_head_rcu(&path->node, bucket);
	cache->n_paths++;
found:
	refcount_inc(&path->users);
unlock:
	spin_unlock_bh(&cache->lock);

	return path;
}

static void nvi_path_free_rcu(struct rcu_head *head)
{
	struct nvi_path *path = container_of(head, struct nvi_path, rcu);

	free_percpu(path->stats);
	kfree(path);
}

void nvi_path_put(struct nvi_path *path)
{
	if (path && refcount_dec_and_test(&path->users))
		call_rcu(&path->rcu, nvi_path_free_rcu);
}

/* The interface goes away. Entries keep their path until they are freed. */
void nvi_paths_drop(struct nvi_flow_cache *cache, int ifindex)
{
	struct hlist_node *next;
	struct nvi_path *path;
	unsigned int i;

	spin_lock_bh(&cache->lock);
	for (i = 0; i < NVI_FLOW_HASH; i++) {
		hlist_for_each_entry_safe(path, next, &cache->paths[i], node) {
			if (path->in != ifindex && path->out != ifindex)
				continue;
			hlist_del_rcu(&path->node);
			cache->n_paths--;
			nvi_path_put(path);
		}
	}
	spin_unlock_bh(&cache->lock);
}

int nvi_flow_table_init(void)
{
	/* Both directions of an IPv4 flow take about 320 bytes with their buckets. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_64BIT) && sizeof(struct nvi_flow4) > 144);

	nvi_flow4_slab = kmem_cache_create("nvi_flow4", sizeof(struct nvi_flow4),
					   0, 0, NULL);
	if (!nvi_flow4_slab)
		return -ENOMEM;

	nvi_flow6_slab = kmem_cache_create("nvi_flow6", sizeof(struct nvi_flow6),
					   0, 0, NULL);
	if (!nvi_flow6_slab) {
		kmem_cache_destroy(nvi_flow4_slab);
		return -ENOMEM;
	}

	return 0;
}

void nvi_flow_table_exit(void)
{
	rcu_barrier();	/* entries that wait to be freed */
	rcu_barrier();	/* and their paths, freed with the last of them */
	kmem_cache_destroy(nvi_flow6_slab);
	kmem_cache_destroy(nvi_flow4_slab);
}
