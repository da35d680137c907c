/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Attributes of the NAT virtual interface, kind "nvi", in rtnetlink; and the
 * generic netlink family "nvi" of its flow cache.
 *
 * Those of rtnetlink are nested in IFLA_LINKINFO / IFLA_INFO_DATA of RTM_NEWLINK. All can be
 * set when the device is created and while it is up, and all are reported. An
 * attribute that is absent keeps its value, or its default.
 */
#ifndef _UAPI_LINUX_IF_NVI_H
#define _UAPI_LINUX_IF_NVI_H

/**
 * enum nvi_in_interface - where the device reads a packet's original
 *	in-interface
 * @NVI_IN_INTERFACE_MARK: the packet's mark without the stage bit, written by a
 *	hook at the end of POSTROUTING. These bits are cleared when the packet
 *	is handed back.
 * @NVI_IN_INTERFACE_SKB_IIF: the kernel's own record, skb->skb_iif. The mark is
 *	kept. For a packet received by a port of a VRF this is the VRF device.
 *
 * In both cases 0 means a packet of the host itself, which is handed back on
 * the NAT virtual interface.
 */
enum nvi_in_interface {
	NVI_IN_INTERFACE_MARK,
	NVI_IN_INTERFACE_SKB_IIF,
};

enum {
	IFLA_NVI_UNSPEC,

	/* u32, enum nvi_in_interface; default NVI_IN_INTERFACE_MARK. */
	IFLA_NVI_IN_INTERFACE,

	/*
	 * u32, one bit of the packet mark; default 0x80000000. A packet needs
	 * it to be handed back (IFLA_NVI_REQUIRE_STAGE), and has it on its
	 * second pass.
	 */
	IFLA_NVI_STAGE_MASK,

	/*
	 * u32, 0 or 1; default 0. Add one to TTL or hop limit, so that both
	 * passes together count as one hop.
	 */
	IFLA_NVI_TTL_COMPENSATION,

	/*
	 * u32, 0 or 1; default 1. Drop packets without the stage bit. 0 is
	 * valid with NVI_IN_INTERFACE_SKB_IIF only, and is meant for a
	 * flowtable, which takes established flows past POSTROUTING, where the
	 * bit is set. With 0 nothing proves that a packet has seen NAT.
	 */
	IFLA_NVI_REQUIRE_STAGE,

	/*
	 * u32, 0 or 1; default 0. While the device is up, packets of established
	 * flows skip both passes. Changing any attribute empties the cache.
	 */
	IFLA_NVI_FLOW_CACHE,

	__IFLA_NVI_MAX
};

#define IFLA_NVI_MAX (__IFLA_NVI_MAX - 1)

#define NVI_GENL_NAME		"nvi"
#define NVI_GENL_VERSION	1

/**
 * enum nvi_command - commands of the generic netlink family
 * @NVI_CMD_UNSPEC: not used
 * @NVI_CMD_GET_FLOW: dump the entries of the flow cache of
 *	%NVI_ATTR_DEVICE; each message is one direction of a flow
 * @NVI_CMD_GET_PATH: dump what took the fast path, by %NVI_ATTR_IN_INTERFACE
 *	and %NVI_ATTR_OUT_INTERFACE
 * @NVI_CMD_INVALIDATE: have the slow path confirm entries of
 *	%NVI_ATTR_DEVICE again: all of them, or those by %NVI_ATTR_INTERFACE.
 *	For user space that sees rules of a firewall change. Needs CAP_NET_ADMIN.
 *
 * -ENODEV means that there is no such device, -ENOENT that it has no flow cache
 * or is down.
 */
enum nvi_command {
	NVI_CMD_UNSPEC,
	NVI_CMD_GET_FLOW,
	NVI_CMD_GET_PATH,
	NVI_CMD_INVALIDATE,

	__NVI_CMD_MAX
};

#define NVI_CMD_MAX (__NVI_CMD_MAX - 1)

enum {
	NVI_ATTR_UNSPEC,
	NVI_ATTR_PAD,
	NVI_ATTR_DEVICE,	/* u32, ifindex of the NAT virtual interface */
	NVI_ATTR_INTERFACE,	/* u32, ifindex */
	NVI_ATTR_IN_INTERFACE,	/* u32, ifindex */
	NVI_ATTR_OUT_INTERFACE,	/* u32, ifindex; absent until it is learned */
	NVI_ATTR_PROTOCOL,	/* u8, IPPROTO_TCP or IPPROTO_UDP */
	NVI_ATTR_SOURCE,	/* as packets come in: 4 or 16 bytes */
	NVI_ATTR_DESTINATION,
	NVI_ATTR_SOURCE_PORT,	/* be16 */
	NVI_ATTR_DESTINATION_PORT,
	NVI_ATTR_OUT_SOURCE,	/* as they leave */
	NVI_ATTR_OUT_DESTINATION,
	NVI_ATTR_OUT_SOURCE_PORT,
	NVI_ATTR_OUT_DESTINATION_PORT,
	NVI_ATTR_MARK,		/* u32, as they leave */
	NVI_ATTR_PACKETS,	/* u64, that took the fast path */
	NVI_ATTR_BYTES,		/* u64, of IP packets */
	NVI_ATTR_ACTIVE,	/* u8, do its packets take the fast path now? */
	NVI_ATTR_IDLE,		/* u32, milliseconds since the last of them */

	__NVI_ATTR_MAX
};

#define NVI_ATTR_MAX (__NVI_ATTR_MAX - 1)

#endif /* _UAPI_LINUX_IF_NVI_H */
