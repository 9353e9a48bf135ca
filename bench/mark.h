/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marker instructions around a measured window. They do nothing; the QEMU plugin that counts
 * instructions by address knows their bytes (nop with the displacement 'PWB<' or 'PWB>').
 */
#ifndef NB_MARK_H
#define NB_MARK_H

#if defined(__x86_64__)
static inline void nb_mark_begin(void)
{
    __asm__ volatile("nopl 0x3c425750(%%rax)" ::: "memory");
}
static inline void nb_mark_end(void)
{
    __asm__ volatile("nopl 0x3e425750(%%rax)" ::: "memory");
}
#else
static inline void nb_mark_begin(void)
{
}
static inline void nb_mark_end(void)
{
}
#endif

#endif
