/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's static libelf 0.192 lacks two functions of elfutils' internal library that elf_begin and
 * elf_end call: they set up and free a tree of raw chunks, which libbpf never asks for. The tree is
 * zeroed memory, so nothing has to be done. Weak, and so without effect once libelf.a is whole.
 */
void eu_search_tree_init(void *tree);
void eu_search_tree_fini(void *tree, void (*free_node)(void *));

__attribute__((weak)) void eu_search_tree_init(void *tree)
{
    (void)tree;
}

__attribute__((weak)) void eu_search_tree_fini(void *tree, void (*free_node)(void *))
{
    (void)tree;
    (void)free_node;
}
