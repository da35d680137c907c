/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow cache of a NAT virtual interface: what its files share.
 *
 * Packets of a flow that both passes have let out skip them from then on. The
 * cache decides nothing: an entry repeats what the kernel did to an earlier
 * packet of the same flow.
 */
#ifndef _NVI_FLOW_CACHE_H
#define _NVI_FLOW_CACHE_H

#include <linux/in6.h>
#include <linux/kref.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/rhashtable.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/xfrm.h>

#define NVI_FLOW_LEARN_AFTER	6	/* packets of a direction on the slow path */
#define NVI_FLOW_DOORS		16384	/* directions that are counted at once */
#define NVI_FLOW_SLOTS		1024	/* packets on the slow path at once */
#define NVI_FLOW_PATHS		1024	/* pairs of interfaces that are counted apart */
#define NVI_FLOW_MAX_IFINDEX	BIT(24)	/* a key has 24 bits for it */
#define NVI_FLOW_HEADERS	(sizeof(struct ipv6hdr) + sizeof(struct tcphdr))

/*
 * Counted by CPU and shown by ethtool. The names and their meaning are those of
 * the eBPF dataplane's cache; what only one of them can know is missing in the
 * other.
 */
enum nvi_flow_counter {
	NVI_FLOW_HIT,
	/* Why a packet took the slow path */
	NVI_FLOW_OTHER_PROTOCOL,
	NVI_FLOW_OPTIONS,
	NVI_FLOW_FRAGMENT,
	NVI_FLOW_MALFORMED,
	NVI_FLOW_TCP_CONTROL,
	NVI_FLOW_UNKNOWN,
	NVI_FLOW_LEARNING,
	NVI_FLOW_INVALIDATED,
	NVI_FLOW_EXPIRED,
	NVI_FLOW_SUSPENDED,
	NVI_FLOW_DSCP_DIFFERS,
	NVI_FLOW_TTL_LOW,
	NVI_FLOW_TOO_BIG,
	NVI_FLOW_ROUTE,
	NVI_FLOW_CONNTRACK,
	NVI_FLOW_XFRM,
	/* What happened to entries */
	NVI_FLOW_LEARNED,
	NVI_FLOW_RENEWED,
	NVI_FLOW_ENDED,
	NVI_FLOW_EVICTED,
	/* Why a packet taught nothing */
	NVI_FLOW_MODIFIED,
	NVI_FLOW_HELPER,
	NVI_FLOW_UNSUPPORTED,
	NVI_FLOW_FULL,
	__NVI_FLOW_COUNTERS
};

#define NVI_FLOW_STATS		(__NVI_FLOW_COUNTERS + 1)	/* and the entries */

struct nvi_flow_stats {
	u64_stats_t n[__NVI_FLOW_COUNTERS];
	struct u64_stats_sync syncp;
};

/* As a packet comes in. The in-interface stands for the tenant. */
struct nvi_key4 {
	__be32 saddr, daddr;
	__be16 sport, dport;
	u32 in;			/* ifindex << 8 | protocol */
};

struct nvi_key6 {
	struct in6_addr saddr, daddr;
	__be16 sport, dport;
	u32 in;
};

struct nvi_key {
	union {
		struct nvi_key4 v4;
		struct nvi_key6 v6;
	};
	u8 family;
};

/* Packets and bytes from one interface to another. Eviction loses none. */
struct nvi_path {
	struct hlist_node node;
	int in, out;		/* ifindexes */
	refcount_t users;
	struct pcpu_sw_netstats __percpu *stats;
	struct rcu_head rcu;
};

/**
 * struct nvi_flow - one direction of a flow
 * @node: in the table of its family
 * @ct: its conntrack entry, a reference
 * @dst: the route of its second pass, a reference
 * @path: its counters by interfaces, a reference; %NULL until it is learned
 * @newest: the latest packet that was sent along the slow path
 * @gen: sum of the generations when that packet came in
 * @when: jiffies: its deadline, or since when it is not active
 * @used: jiffies of its last packet
 * @mark: packet mark behind both passes
 * @ct_mark: mark of @ct, on which the rules may depend
 * @priority: of its packets behind both passes
 * @addresses_diff: for the transport checksum, by the change of addresses
 * @ports_diff: the same by the change of ports
 * @ttl_diff: for the IPv4 header's checksum
 * @active: do its packets skip both passes?
 * @dir: of @ct
 * @hops: by which both passes decrease the TTL
 *
 * Entries are not freed before a grace period. All is constant once @path is
 * set, but for @dst, @when, @gen, @active, @newest and what is counted.
 */
struct nvi_flow {
	struct rhash_head node;
	struct nf_conn *ct;
	struct dst_entry __rcu *dst;
	struct nvi_path *path;
	const struct sk_buff *newest;
	u64 packets, bytes;
	u32 gen;
	u32 when;
	u32 used;
	u32 mark;
	u32 ct_mark;
	u32 priority;
	__wsum addresses_diff;
	__wsum ports_diff;
	__wsum ttl_diff;
	__be16 sport, dport;	/* as they leave */
	u8 family;
	u8 protocol;
	u8 dscp;
	u8 hops;
	u8 dir;
	bool active;
	struct rcu_head rcu;
};

struct nvi_flow4 {
	struct nvi_flow flow;
	struct nvi_key4 key;
	__be32 saddr, daddr;	/* as they leave */
};

struct nvi_flow6 {
	struct nvi_flow flow;
	u32 dst_cookie;
	struct nvi_key6 key;
	struct in6_addr saddr, daddr;
};

/*
 * A packet on the slow path, found by the address of its skb. The skb may be
 * freed on the way and used for another packet: whoever finds one compares the
 * packets.
 */
struct nvi_watched {
	const struct sk_buff *skb;
	u32 epoch;
	u8 headers_len;
	bool partial;		/* its checksum is left to the device */
	bool handed_back;
	struct nvi_key key;
	u8 headers[NVI_FLOW_HEADERS];	/* as it came in */
};

struct nvi_slot {
	spinlock_t lock;	/* of @watched */
	struct nvi_watched watched;
};

/* An interface that packets of the gateway come in by. */
struct nvi_port {
	struct hlist_node node;
	struct nvi_flow_cache *cache;
	struct net_device *dev;
	struct nf_hook_ops ops;
	struct rcu_head rcu;
};

#define NVI_FLOW_HASH		16
#define NVI_FLOW_GENERATIONS	257	/* the whole, then by the low byte of ifindexes */

/**
 * struct nvi_flow_cache - the flow cache of one device, while that is up
 * @ref: the device, and dumps that are not finished
 * @list: of all caches, under RTNL
 * @net: namespace of @dev
 * @dev: the NAT virtual interface
 * @flows4: entries of IPv4
 * @flows6: entries of IPv6
 * @count: of entries in both
 * @hops: by which both passes decrease the TTL
 * @gen: incremented when what was learned may not hold any more
 * @epoch: incremented with each of them
 * @interval: jiffies after which the slow path has to confirm an entry
 * @stats: counters
 * @slots: packets on the slow path
 * @doors: fingerprints of directions, with the number of their packets
 * @ports: by ifindex
 * @paths: by both ifindexes
 * @n_paths: their number
 * @lock: of @paths and @n_paths, and of entries that are confirmed
 * @wanted: ifindex of a port that is to be added
 * @add_port: adds it
 * @gc: removes what has ended or is idle
 * @post: hooks behind both passes
 */
struct nvi_flow_cache {
	struct kref ref;
	struct list_head list;
	struct net *net;
	struct net_device *dev;
	struct rhashtable flows4, flows6;
	atomic_t count;
	u8 hops;
	u32 gen[NVI_FLOW_GENERATIONS];
	u32 epoch;
	u32 interval;
	struct nvi_flow_stats __percpu *stats;
	struct nvi_slot *slots;
	u32 *doors;
	struct hlist_head ports[NVI_FLOW_HASH];
	struct hlist_head paths[NVI_FLOW_HASH];
	unsigned int n_paths;
	spinlock_t lock;	/* of paths, and of entries that are confirmed */
	int wanted;
	struct delayed_work add_port;
	struct delayed_work gc;
	struct nf_hook_ops post[2];
};

extern const struct rhashtable_params nvi_flow4_params, nvi_flow6_params;

static inline void nvi_flow_count(struct nvi_flow_cache *cache,
				  enum nvi_flow_counter counter)
{
	struct nvi_flow_stats *stats = this_cpu_ptr(cache->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->n[counter]);
	u64_stats_update_end(&stats->syncp);
}

static inline u32 nvi_flow_gen_of(const struct nvi_flow_cache *cache, u32 ifindex)
{
	return READ_ONCE(cache->gen[1 + (ifindex & 0xff)]);
}

/* May packets still be sent as its earlier ones were? */
static inline bool nvi_conntrack_is_live(const struct nf_conn *ct)
{
	if (nf_ct_is_dying(ct) || nf_ct_is_expired(ct) ||
	    test_bit(IPS_SEQ_ADJUST_BIT, &ct->status))
		return false;

	return nf_ct_protonum(ct) != IPPROTO_TCP ||
	       READ_ONCE(ct->proto.tcp.state) == TCP_CONNTRACK_ESTABLISHED;
}

/* They may depend on the packet, and would have to be asked for each. */
static inline bool nvi_has_xfrm_policies(const struct net *net)
{
#ifdef CONFIG_XFRM
	return READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_OUT]) ||
	       READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_FWD]);
#else
	return false;
#endif
}

/* flow_cache.c */
struct nvi_flow_cache *nvi_flow_cache_start(struct net_device *dev, u8 hops);
void nvi_flow_cache_stop(struct nvi_flow_cache *cache);
void nvi_flow_cache_put(struct nvi_flow_cache *cache);
void nvi_flow_cache_invalidate(struct nvi_flow_cache *cache, u32 ifindex);
void nvi_flow_cache_get_strings(u8 *data);
void nvi_flow_cache_get_stats(struct nvi_flow_cache *cache, u64 *data);
bool nvi_flow_cache_has_port(struct nvi_flow_cache *cache,
			     const struct net_device *dev);
int nvi_flow_cache_init(void);
void nvi_flow_cache_exit(void);

/* flow_table.c */
int nvi_flow_tables_init(struct nvi_flow_cache *cache);
void nvi_flow_tables_destroy(struct nvi_flow_cache *cache);
void nvi_flow_tables_collect(struct nvi_flow_cache *cache, bool all);
struct nvi_flow *nvi_flow_lookup(struct nvi_flow_cache *cache,
				 const struct nvi_key *key);
struct nvi_flow *nvi_flow_add(struct nvi_flow_cache *cache,
			      const struct nvi_key *key,
			      const struct sk_buff *skb, struct nf_conn *ct,
			      u8 dir);
void nvi_flow_remove(struct nvi_flow_cache *cache, struct nvi_flow *flow,
		     enum nvi_flow_counter why);
struct nvi_path *nvi_path_get(struct nvi_flow_cache *cache, int in, int out);
void nvi_path_put(struct nvi_path *path);
void nvi_paths_drop(struct nvi_flow_cache *cache, int ifindex);
int nvi_flow_table_init(void);
void nvi_flow_table_exit(void);

/* flow_fast.c */
unsigned int nvi_flow_ingress(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state);

/* flow_learn.c */
void nvi_flow_watch(struct nvi_flow_cache *cache, const struct sk_buff *skb,
		    const struct nvi_key *key, unsigned int headers_len);
void nvi_flow_handed_back(struct nvi_flow_cache *cache,
			  const struct sk_buff *skb, struct net_device *in_dev);
unsigned int nvi_flow_postrouting(void *priv, struct sk_buff *skb,
				  const struct nf_hook_state *state);

/* flow_doors.c */
bool nvi_flow_door_is_open(struct nvi_flow_cache *cache,
			   const struct nvi_key *key);
void nvi_flow_knock(struct nvi_flow_cache *cache, const struct nvi_key *key);
void nvi_flow_close_door(struct nvi_flow_cache *cache,
			 const struct nvi_key *key);

/* link.c */
struct nvi_flow_cache *nvi_flow_cache_get(struct net *net, int ifindex);

/* flow_netlink.c */
int nvi_flow_netlink_init(void);
void nvi_flow_netlink_exit(void);

#endif /* _NVI_FLOW_CACHE_H */
