/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's static libelf (0.190 and later) refers to four functions of elfutils' internal libeu,
 * which is shipped nowhere: search trees with a lock. Ours are used from one thread at a time, so
 * tsearch(3) will do. Weak, so that a libelf that brings its own keeps it. The linker is told to
 * look for them (Makefile: -u eu_tsearch), since libelf comes after our library on its line.
 */
#include <search.h>
#include <stddef.h>

/* As in elfutils: the root comes first; what follows (a lock) is never touched by libelf itself. */
struct search_tree {
    void *root;
};

#define WEAK __attribute__((weak))
WEAK void *eu_tsearch(const void *key, struct search_tree *tree,
                      int (*compare)(const void *, const void *));
WEAK void *eu_tdelete(const void *key, struct search_tree *tree,
                      int (*compare)(const void *, const void *));
WEAK void eu_search_tree_init(struct search_tree *tree);
WEAK void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *));

void *eu_tsearch(const void *key, struct search_tree *tree,
                 int (*compare)(const void *, const void *))
{
    return tsearch(key, &tree->root, compare);
}

void *eu_tdelete(const void *key, struct search_tree *tree,
                 int (*compare)(const void *, const void *))
{
    return tdelete(key, &tree->root, compare);
}

void eu_search_tree_init(struct search_tree *tree)
{
    tree->root = NULL;
}

void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *))
{
    tdestroy(tree->root, free_node);
    tree->root = NULL;
}
