// SPDX-License-Identifier: GPL-2.0-only
/* What user space sees of a flow cache, and how it makes it forget. */

#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/u64_stats_sync.h>
#include <net/genetlink.h>
#include <net/netfilter/nf_conntrack.h>

#include <linux/if_nvi.h>

#include "compat.h"
#include "flow_cache.h"

static struct genl_family nvi_genl_family;

/* A dump in progress. */
struct nvi_dump {
	struct nvi_flow_cache *cache;
	struct rhashtable_iter iter;
	bool v6;			/* are those of IPv4 done? */
};

static const struct nla_policy nvi_genl_policy[NVI_ATTR_MAX + 1] = {
	[NVI_ATTR_DEVICE]	= NLA_POLICY_MIN(NLA_U32, 1),
	[NVI_ATTR_INTERFACE]	= NLA_POLICY_MIN(NLA_U32, 1),
};

static struct nvi_flow_cache *nvi_genl_cache(struct net *net,
					     struct nlattr **attrs)
{
	if (!attrs[NVI_ATTR_DEVICE])
		return ERR_PTR(-EINVAL);

	return nvi_flow_cache_get(net, nla_get_u32(attrs[NVI_ATTR_DEVICE]));
}

static int nvi_dump_start(struct netlink_callback *cb)
{
	struct nvi_flow_cache *cache;
	struct nvi_dump *dump;

	cache = nvi_genl_cache(sock_net(cb->skb->sk), nvi_dump_attrs(cb));
	if (IS_ERR(cache))
		return PTR_ERR(cache);

	dump = kzalloc(sizeof(*dump), GFP_KERNEL);
	if (!dump) {
		nvi_flow_cache_put(cache);
		return -ENOMEM;
	}

	dump->cache = cache;
	cb->args[0] = (long)dump;

	return 0;
}

static int nvi_dump_done(struct netlink_callback *cb)
{
	struct nvi_dump *dump = (struct nvi_dump *)cb->args[0];

	if (!dump)
		return 0;

	nvi_flow_cache_put(dump->cache);
	kfree(dump);

	return 0;
}

static int nvi_flow_dump_start(struct netlink_callback *cb)
{
	struct nvi_dump *dump;
	int err;

	err = nvi_dump_start(cb);
	if (err)
		return err;

	dump = (struct nvi_dump *)cb->args[0];
	rhashtable_walk_enter(&dump->cache->flows4, &dump->iter);

	return 0;
}

static int nvi_flow_dump_done(struct netlink_callback *cb)
{
	struct nvi_dump *dump = (struct nvi_dump *)cb->args[0];

	if (dump)
		rhashtable_walk_exit(&dump->iter);

	return nvi_dump_done(cb);
}

static bool nvi_put_addresses(struct sk_buff *skb, const struct nvi_flow *flow,
			      bool learned)
{
	if (flow->family == NFPROTO_IPV4) {
		const struct nvi_flow4 *flow4 =
			container_of(flow, const struct nvi_flow4, flow);
		const struct nvi_key4 *key = &flow4->key;

		return nla_put_u32(skb, NVI_ATTR_IN_INTERFACE, key->in >> 8) ||
		       nla_put_in_addr(skb, NVI_ATTR_SOURCE, key->saddr) ||
		       nla_put_in_addr(skb, NVI_ATTR_DESTINATION, key->daddr) ||
		       nla_put_be16(skb, NVI_ATTR_SOURCE_PORT, key->sport) ||
		       nla_put_be16(skb, NVI_ATTR_DESTINATION_PORT, key->dport) ||
		       (learned &&
			(nla_put_in_addr(skb, NVI_ATTR_OUT_SOURCE, flow4->saddr) ||
			 nla_put_in_addr(skb, NVI_ATTR_OUT_DESTINATION,
					 flow4->daddr)));
	} else {
		const struct nvi_flow6 *flow6 =
			container_of(flow, const struct nvi_flow6, flow);
		const struct nvi_key6 *key = &flow6->key;

		return nla_put_u32(skb, NVI_ATTR_IN_INTERFACE, key->in >> 8) ||
		       nla_put_in6_addr(skb, NVI_ATTR_SOURCE, &key->saddr) ||
		       nla_put_in6_addr(skb, NVI_ATTR_DESTINATION, &key->daddr) ||
		       nla_put_be16(skb, NVI_ATTR_SOURCE_PORT, key->sport) ||
		       nla_put_be16(skb, NVI_ATTR_DESTINATION_PORT, key->dport) ||
		       (learned &&
			(nla_put_in6_addr(skb, NVI_ATTR_OUT_SOURCE, &flow6->saddr) ||
			 nla_put_in6_addr(skb, NVI_ATTR_OUT_DESTINATION,
					  &flow6->daddr)));
	}
}

static int nvi_put_flow(struct sk_buff *skb, struct netlink_callback *cb,
			const struct nvi_flow *flow)
{
	const struct nvi_path *path = READ_ONCE(flow->path);
	void *header;

	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			     &nvi_genl_family, NLM_F_MULTI, NVI_CMD_GET_FLOW);
	if (!header)
		return -EMSGSIZE;

	if (nvi_put_addresses(skb, flow, path) ||
	    nla_put_u8(skb, NVI_ATTR_PROTOCOL, flow->protocol) ||
	    nla_put_u8(skb, NVI_ATTR_ACTIVE, READ_ONCE(flow->active)) ||
	    nla_put_u32(skb, NVI_ATTR_IDLE,
			jiffies_to_msecs((u32)jiffies - READ_ONCE(flow->used))) ||
	    nla_put_u64_64bit(skb, NVI_ATTR_PACKETS, READ_ONCE(flow->packets),
			      NVI_ATTR_PAD) ||
	    nla_put_u64_64bit(skb, NVI_ATTR_BYTES, READ_ONCE(flow->bytes),
			      NVI_ATTR_PAD) ||
	    (path &&
	     (nla_put_u32(skb, NVI_ATTR_OUT_INTERFACE, path->out) ||
	      nla_put_be16(skb, NVI_ATTR_OUT_SOURCE_PORT, flow->sport) ||
	      nla_put_be16(skb, NVI_ATTR_OUT_DESTINATION_PORT, flow->dport) ||
	      nla_put_u32(skb, NVI_ATTR_MARK, flow->mark)))) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}

	genlmsg_end(skb, header);

	return 0;
}

/* Until one does not fit: then -EMSGSIZE, and the walk is before it. */
static int nvi_dump_table(struct sk_buff *skb, struct netlink_callback *cb,
			  struct nvi_dump *dump)
{
	struct nvi_flow *flow;
	int err = 0;

	rhashtable_walk_start(&dump->iter);

	flow = rhashtable_walk_peek(&dump->iter);
	while (flow) {
		if (IS_ERR(flow)) {
			err = PTR_ERR(flow);
			if (err != -EAGAIN)
				break;
			err = 0;	/* the table is resized: some come twice */
		} else {
			err = nvi_put_flow(skb, cb, flow);
			if (err)
				break;
		}
		flow = rhashtable_walk_next(&dump->iter);
	}

	rhashtable_walk_stop(&dump->iter);

	return err;
}

static int nvi_dump_flows(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nvi_dump *dump = (struct nvi_dump *)cb->args[0];
	int err;

	err = nvi_dump_table(skb, cb, dump);
	if (!err && !dump->v6) {
		rhashtable_walk_exit(&dump->iter);
		rhashtable_walk_enter(&dump->cache->flows6, &dump->iter);
		dump->v6 = true;
		err = nvi_dump_table(skb, cb, dump);
	}

	return err && err != -EMSGSIZE ? err : skb->len;
}

static int nvi_put_path(struct sk_buff *skb, struct netlink_callback *cb,
			const struct nvi_path *path)
{
	u64 packets = 0, bytes = 0, p, b;
	unsigned int start;
	void *header;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct pcpu_sw_netstats *stats = per_cpu_ptr(path->stats, cpu);

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			p = u64_stats_read(&stats->tx_packets);
			b = u64_stats_read(&stats->tx_bytes);
		} while (u64_stats_fetch_retry(&stats->syncp, start));

		packets += p;
		bytes += b;
	}

	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			     &nvi_genl_family, NLM_F_MULTI, NVI_CMD_GET_PATH);
	if (!header)
		return -EMSGSIZE;

	if (nla_put_u32(skb, NVI_ATTR_IN_INTERFACE, path->in) ||
	    nla_put_u32(skb, NVI_ATTR_OUT_INTERFACE, path->out) ||
	    nla_put_u64_64bit(skb, NVI_ATTR_PACKETS, packets, NVI_ATTR_PAD) ||
	    nla_put_u64_64bit(skb, NVI_ATTR_BYTES, bytes, NVI_ATTR_PAD)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}

	genlmsg_end(skb, header);

	return 0;
}

/* args[1] and args[2] are the bucket and the place in it to go on from. */
static int nvi_dump_paths(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nvi_dump *dump = (struct nvi_dump *)cb->args[0];
	const struct nvi_path *path;
	int n;

	rcu_read_lock();

	for (; cb->args[1] < NVI_FLOW_HASH; cb->args[1]++, cb->args[2] = 0) {
		n = 0;
		hlist_for_each_entry_rcu(path, &dump->cache->paths[cb->args[1]], node) {
			if (n++ < cb->args[2])
				continue;
			if (nvi_put_path(skb, cb, path))
				goto full;
			cb->args[2] = n;
		}
	}
full:
	rcu_read_unlock();

	return skb->len;
}

static int nvi_invalidate(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *interface = info->attrs[NVI_ATTR_INTERFACE];
	struct nvi_flow_cache *cache;

	cache = nvi_genl_cache(genl_info_net(info), info->attrs);
	if (IS_ERR(cache))
		return PTR_ERR(cache);

	nvi_flow_cache_invalidate(cache, interface ? nla_get_u32(interface) : 0);
	nvi_flow_cache_put(cache);

	return 0;
}

static const struct genl_ops nvi_genl_ops[] = {
	{
		.cmd	= NVI_CMD_GET_FLOW,
		.flags	= GENL_UNS_ADMIN_PERM,
		.start	= nvi_flow_dump_start,
		.dumpit	= nvi_dump_flows,
		.done	= nvi_flow_dump_done,
	},
	{
		.cmd	= NVI_CMD_GET_PATH,
		.start	= nvi_dump_start,
		.dumpit	= nvi_dump_paths,
		.done	= nvi_dump_done,
	},
	{
		.cmd	= NVI_CMD_INVALIDATE,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= nvi_invalidate,
	},
};

static struct genl_family nvi_genl_family __ro_after_init = {
	.name		= NVI_GENL_NAME,
	.version	= NVI_GENL_VERSION,
	.maxattr	= NVI_ATTR_MAX,
	.policy		= nvi_genl_policy,
	.netnsok	= true,
	.parallel_ops	= true,
	.ops		= nvi_genl_ops,
	.n_ops		= ARRAY_SIZE(nvi_genl_ops),
	.resv_start_op	= NVI_CMD_INVALIDATE + 1,
	.module		= THIS_MODULE,
};

int nvi_flow_netlink_init(void)
{
	return genl_register_family(&nvi_genl_family);
}

void nvi_flow_netlink_exit(void)
{
	genl_unregister_family(&nvi_genl_family);
}
