// SPDX-License-Identifier: GPL-2.0-only
/*
 * NAT virtual interface: packets routed to it are received again on their
 * original in-interface.
 *
 * A packet takes two passes through the stack. On the first pass it is routed
 * to this device and translated on the way; on the second pass, untracked, it
 * is routed by its addresses after NAT. A route can thus depend on the
 * translated source, which the kernel chooses only after routing.
 *
 * The idea is from dog250, 2013.
 */

#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/genetlink.h>
#include <net/rtnetlink.h>

#include <linux/if_nvi.h>

#include "device.h"
#include "flow_cache.h"

#define NVI_VERSION		"0.3.0"

static int __init nvi_init(void)
{
	int err;

	err = nvi_flow_cache_init();
	if (err)
		return err;

	err = nvi_flow_netlink_init();
	if (err)
		goto err_cache;

	err = rtnl_link_register(&nvi_link_ops);
	if (err)
		goto err_netlink;

	return 0;

err_netlink:
	nvi_flow_netlink_exit();
err_cache:
	nvi_flow_cache_exit();
	return err;
}

static void __exit nvi_exit(void)
{
	rtnl_link_unregister(&nvi_link_ops);
	nvi_flow_netlink_exit();
	nvi_flow_cache_exit();
}

module_init(nvi_init);
module_exit(nvi_exit);

MODULE_DESCRIPTION("NAT virtual interface");
MODULE_AUTHOR("nvi-operator authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVI_VERSION);
MODULE_ALIAS_RTNL_LINK("nvi");
MODULE_ALIAS_GENL_FAMILY(NVI_GENL_NAME);
