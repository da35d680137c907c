/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The architecture of these headers is BPF, in either byte order, whatever the
 * machine that compiles.
 */
#include <asm-generic/types.h>
