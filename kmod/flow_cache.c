// SPDX-License-Identifier: GPL-2.0-only
/* A flow cache's life, its hooks, and what makes it forget. */

#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_netdev.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "flow_cache.h"

#define NVI_FLOW_GC_PERIOD	HZ

/*
 * After an interval the slow path has to confirm an entry, because a foreign
 * firewall may have changed. It grows with the number of entries, so that
 * 20,000 packets a second do that.
 */
#define NVI_FLOW_INTERVAL	HZ
#define NVI_FLOW_INTERVAL_MAX	(10 * HZ)
#define NVI_FLOW_CONFIRMATIONS	20000

static LIST_HEAD(nvi_flow_caches);	/* under RTNL */

static const char nvi_flow_counter_names[NVI_FLOW_STATS][ETH_GSTRING_LEN] = {
	[__NVI_FLOW_COUNTERS]		= "flow_entries",
	[NVI_FLOW_HIT]			= "flow_hit",
	[NVI_FLOW_OTHER_PROTOCOL]	= "flow_other_protocol",
	[NVI_FLOW_OPTIONS]		= "flow_options",
	[NVI_FLOW_FRAGMENT]		= "flow_fragment",
	[NVI_FLOW_MALFORMED]		= "flow_malformed",
	[NVI_FLOW_TCP_CONTROL]		= "flow_tcp_control",
	[NVI_FLOW_UNKNOWN]		= "flow_unknown",
	[NVI_FLOW_LEARNING]		= "flow_learning",
	[NVI_FLOW_INVALIDATED]		= "flow_invalidated",
	[NVI_FLOW_EXPIRED]		= "flow_expired",
	[NVI_FLOW_SUSPENDED]		= "flow_suspended",
	[NVI_FLOW_DSCP_DIFFERS]		= "flow_dscp_differs",
	[NVI_FLOW_TTL_LOW]		= "flow_ttl_low",
	[NVI_FLOW_TOO_BIG]		= "flow_too_big",
	[NVI_FLOW_ROUTE]		= "flow_route",
	[NVI_FLOW_CONNTRACK]		= "flow_conntrack",
	[NVI_FLOW_XFRM]			= "flow_xfrm",
	[NVI_FLOW_LEARNED]		= "flow_learned",
	[NVI_FLOW_RENEWED]		= "flow_renewed",
	[NVI_FLOW_ENDED]		= "flow_ended",
	[NVI_FLOW_EVICTED]		= "flow_evicted",
	[NVI_FLOW_MODIFIED]		= "flow_modified",
	[NVI_FLOW_HELPER]		= "flow_helper",
	[NVI_FLOW_UNSUPPORTED]		= "flow_unsupported",
	[NVI_FLOW_FULL]			= "flow_full",
};

void nvi_flow_cache_get_strings(u8 *data)
{
	memcpy(data, nvi_flow_counter_names, sizeof(nvi_flow_counter_names));
}

/* @cache may be NULL: all of them are 0 then. */
void nvi_flow_cache_get_stats(struct nvi_flow_cache *cache, u64 *data)
{
	unsigned int i, start;
	int cpu;

	memset(data, 0, NVI_FLOW_STATS * sizeof(*data));
	if (!cache)
		return;

	data[__NVI_FLOW_COUNTERS] = atomic_read(&cache->count);

	for_each_possible_cpu(cpu) {
		const struct nvi_flow_stats *stats = per_cpu_ptr(cache->stats, cpu);

		for (i = 0; i < __NVI_FLOW_COUNTERS; i++) {
			u64 n;

			do {
				start = u64_stats_fetch_begin(&stats->syncp);
				n = u64_stats_read(&stats->n[i]);
			} while (u64_stats_fetch_retry(&stats->syncp, start));

			data[i] += n;
		}
	}
}

/**
 * nvi_flow_cache_invalidate() - have the slow path confirm entries again
 * @cache: a flow cache
 * @ifindex: those from and to this interface, and others with the same low
 *	byte; 0 for all
 */
void nvi_flow_cache_invalidate(struct nvi_flow_cache *cache, u32 ifindex)
{
	u32 *gen = &cache->gen[ifindex ? 1 + (ifindex & 0xff) : 0];

	spin_lock_bh(&cache->lock);
	/* Before the generation; pairs with nvi_flow_watch() and _confirm(). */
	smp_store_release(&cache->epoch, cache->epoch + 1);
	smp_wmb();	/* pairs with nvi_flow_confirm() */
	WRITE_ONCE(*gen, *gen + 1);
	spin_unlock_bh(&cache->lock);
}

static struct hlist_head *nvi_port_bucket(struct nvi_flow_cache *cache,
					  int ifindex)
{
	return &cache->ports[ifindex % NVI_FLOW_HASH];
}

/*
 * Is there a hook at the ingress of @dev? Otherwise one is added soon. So the
 * interfaces that take part need no configuration.
 */
bool nvi_flow_cache_has_port(struct nvi_flow_cache *cache,
			     const struct net_device *dev)
{
	const struct nvi_port *port;

	hlist_for_each_entry_rcu(port, nvi_port_bucket(cache, dev->ifindex), node)
		if (port->dev == dev)
			return true;

	WRITE_ONCE(cache->wanted, dev->ifindex);
	queue_delayed_work(system_wq, &cache->add_port, 0);

	return false;
}

static struct nvi_port *nvi_port_find(struct nvi_flow_cache *cache,
				      const struct net_device *dev)
{
	struct nvi_port *port;

	ASSERT_RTNL();

	hlist_for_each_entry(port, nvi_port_bucket(cache, dev->ifindex), node)
		if (port->dev == dev)
			return port;

	return NULL;
}

static void nvi_port_add(struct nvi_flow_cache *cache, int ifindex)
{
	struct net_device *dev = __dev_get_by_index(cache->net, ifindex);
	struct nvi_port *port;

	if (!dev || dev->reg_state != NETREG_REGISTERED || nvi_port_find(cache, dev))
		return;

	port = kzalloc(sizeof(*port), GFP_KERNEL);
	if (!port)
		return;

	port->cache = cache;
	port->dev = dev;
	port->ops.hook = nvi_flow_ingress;
	port->ops.priv = port;
	port->ops.dev = dev;
	port->ops.pf = NFPROTO_NETDEV;
	port->ops.hooknum = NF_NETDEV_INGRESS;
	port->ops.priority = INT_MAX;
	if (nf_register_net_hook(cache->net, &port->ops)) {
		kfree(port);
		return;
	}

	hlist_add_head_rcu(&port->node, nvi_port_bucket(cache, ifindex));
}

static void nvi_port_remove(struct nvi_flow_cache *cache, struct nvi_port *port)
{
	hlist_del_rcu(&port->node);
	nf_unregister_net_hook(cache->net, &port->ops);
	kfree_rcu(port, rcu);
}

/* Whoever stops the cache waits for this with RTNL held. */
static void nvi_flow_add_port(struct work_struct *work)
{
	struct nvi_flow_cache *cache =
		container_of(work, struct nvi_flow_cache, add_port.work);

	if (!rtnl_trylock()) {
		queue_delayed_work(system_wq, &cache->add_port, 1);
		return;
	}
	nvi_port_add(cache, READ_ONCE(cache->wanted));
	rtnl_unlock();
}

static void nvi_flow_gc(struct work_struct *work)
{
	struct nvi_flow_cache *cache =
		container_of(work, struct nvi_flow_cache, gc.work);
	u32 count;

	nvi_flow_tables_collect(cache, false);

	count = atomic_read(&cache->count);
	WRITE_ONCE(cache->interval,
		   clamp_t(u32, count * (HZ / 50) / (NVI_FLOW_CONFIRMATIONS / 50),
			   NVI_FLOW_INTERVAL, NVI_FLOW_INTERVAL_MAX));

	queue_delayed_work(system_power_efficient_wq, &cache->gc,
			   NVI_FLOW_GC_PERIOD);
}

static void nvi_flow_cache_free(struct kref *ref)
{
	struct nvi_flow_cache *cache = container_of(ref, struct nvi_flow_cache, ref);

	nvi_flow_tables_destroy(cache);
	free_percpu(cache->stats);
	kvfree(cache->doors);
	kvfree(cache->slots);
	kfree(cache);
}

void nvi_flow_cache_put(struct nvi_flow_cache *cache)
{
	kref_put(&cache->ref, nvi_flow_cache_free);
}

static void nvi_flow_post_hook(struct nvi_flow_cache *cache, int i, u8 family)
{
	struct nf_hook_ops *ops = &cache->post[i];

	ops->hook = nvi_flow_postrouting;
	ops->priv = cache;
	ops->pf = family;
	ops->hooknum = NF_INET_POST_ROUTING;
	ops->priority = INT_MAX;
}

/**
 * nvi_flow_cache_start() - start to cache flows that pass a device
 * @dev: NAT virtual interface that is going up
 * @hops: by which both passes decrease the TTL
 *
 * Return: the cache, or an ERR_PTR().
 */
struct nvi_flow_cache *nvi_flow_cache_start(struct net_device *dev, u8 hops)
{
	struct nvi_flow_cache *cache;
	unsigned int i;
	int err;

	ASSERT_RTNL();

	cache = kzalloc(sizeof(*cache), GFP_KERNEL);
	if (!cache)
		return ERR_PTR(-ENOMEM);

	kref_init(&cache->ref);
	cache->net = dev_net(dev);
	cache->dev = dev;
	cache->hops = hops;
	cache->interval = NVI_FLOW_INTERVAL;
	spin_lock_init(&cache->lock);
	INIT_DELAYED_WORK(&cache->add_port, nvi_flow_add_port);
	INIT_DELAYED_WORK(&cache->gc, nvi_flow_gc);

	err = -ENOMEM;
	cache->stats = netdev_alloc_pcpu_stats(struct nvi_flow_stats);
	cache->slots = kvcalloc(NVI_FLOW_SLOTS, sizeof(*cache->slots), GFP_KERNEL);
	cache->doors = kvcalloc(NVI_FLOW_DOORS, sizeof(*cache->doors), GFP_KERNEL);
	if (!cache->stats || !cache->slots || !cache->doors)
		goto err_free;
	for (i = 0; i < NVI_FLOW_SLOTS; i++)
		spin_lock_init(&cache->slots[i].lock);

	err = nvi_flow_tables_init(cache);
	if (err)
		goto err_free;

	nvi_flow_post_hook(cache, 0, NFPROTO_IPV4);
	nvi_flow_post_hook(cache, 1, NFPROTO_IPV6);
	err = nf_register_net_hooks(cache->net, cache->post,
				    ARRAY_SIZE(cache->post));
	if (err)
		goto err_tables;

	list_add(&cache->list, &nvi_flow_caches);
	queue_delayed_work(system_power_efficient_wq, &cache->gc,
			   NVI_FLOW_GC_PERIOD);

	return cache;

err_tables:
	nvi_flow_tables_destroy(cache);
err_free:
	kvfree(cache->doors);
	kvfree(cache->slots);
	free_percpu(cache->stats);
	kfree(cache);
	return ERR_PTR(err);
}

/**
 * nvi_flow_cache_stop() - send all flows along the slow path, and forget them
 * @cache: a flow cache that transmission of its device does not use any more,
 *	a grace period apart
 */
void nvi_flow_cache_stop(struct nvi_flow_cache *cache)
{
	struct hlist_node *next;
	struct nvi_port *port;
	unsigned int i;

	ASSERT_RTNL();

	list_del(&cache->list);
	cancel_delayed_work_sync(&cache->add_port);
	for (i = 0; i < NVI_FLOW_HASH; i++)
		hlist_for_each_entry_safe(port, next, &cache->ports[i], node)
			nvi_port_remove(cache, port);
	nf_unregister_net_hooks(cache->net, cache->post, ARRAY_SIZE(cache->post));
	cancel_delayed_work_sync(&cache->gc);

	synchronize_net();	/* the hooks are not running any more */
	nvi_flow_tables_collect(cache, true);
	nvi_flow_cache_put(cache);
}

static void nvi_flow_forget_device(struct nvi_flow_cache *cache,
				   struct net_device *dev)
{
	struct nvi_port *port = nvi_port_find(cache, dev);

	if (port)
		nvi_port_remove(cache, port);
	nvi_paths_drop(cache, dev->ifindex);
}

/*
 * Routes and neighbours need no notifier: each packet asks its route whether
 * it still holds, and is sent by the neighbour as it is.
 */
static int nvi_flow_device_event(struct notifier_block *block,
				 unsigned long event, void *info)
{
	struct net_device *dev = netdev_notifier_info_to_dev(info);
	struct nvi_flow_cache *cache;

	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
	case NETDEV_CHANGEMTU:
	case NETDEV_CHANGEADDR:
	case NETDEV_CHANGEUPPER:
	case NETDEV_UNREGISTER:
		break;
	default:
		return NOTIFY_DONE;
	}

	list_for_each_entry(cache, &nvi_flow_caches, list) {
		if (!net_eq(cache->net, dev_net(dev)))
			continue;
		nvi_flow_cache_invalidate(cache, dev->ifindex);
		if (event == NETDEV_UNREGISTER)
			nvi_flow_forget_device(cache, dev);
	}

	return NOTIFY_DONE;
}

static struct notifier_block nvi_flow_notifier = {
	.notifier_call = nvi_flow_device_event,
};

int nvi_flow_cache_init(void)
{
	int err;

	err = nvi_flow_table_init();
	if (err)
		return err;

	err = register_netdevice_notifier(&nvi_flow_notifier);
	if (err)
		nvi_flow_table_exit();

	return err;
}

void nvi_flow_cache_exit(void)
{
	unregister_netdevice_notifier(&nvi_flow_notifier);
	nvi_flow_table_exit();
}
