// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flow cache, for kernels where it can ask conntrack. An object of its own, because a kernel without the functions
 * refuses even calls that are never made.
 */
#define CONNTRACK
#include "flow_cache.bpf.c"
