/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes out of a stream of JSON, byte by byte, the members that are wanted, and hands over each
 * object that comes by: memory depends on what is kept, never on what the server sends (a Node
 * carries tens of kilobytes of image names and managed fields). Pure.
 *
 * Two forms: a watch is a row of top-level objects; a list is one object with an array of them.
 * What is kept is handed on as text for a real parser; what is not kept is only skipped, by its
 * strings and brackets.
 */
#ifndef PW_AGENT_PICK_H
#define PW_AGENT_PICK_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"

#define PW_PICK_MAX 65536 /* bytes kept of one object, where `max` says nothing else */
#define PW_PICK_DEPTH 64
#define PW_PICK_PATH 128

/* `text` is valid during the call. A failure of it ends the feeding. */
typedef int (*pw_pick_fn)(void *arg, const char *text, size_t len, struct pw_err *err);

struct pw_pick_text {
    char *buf; /* owned */
    size_t len, cap;
};

struct pw_pick {
    /* What to keep: paths such as "status.addresses" (all below it too), ended by NULL. A path
     * through an array names its elements' members without a word for the array. */
    const char *const *keep;
    /* The array whose elements are handed over one by one, "items"; NULL: each top-level value. */
    const char *list;
    const char *const *keep_item; /* of each element, from its own root */
    size_t max; /* bytes kept of one object; 0: PW_PICK_MAX. One that has more is not handed over */
    pw_pick_fn object;
    void *arg;

    /* Of the scan; all zero at first. */
    struct pw_pick_text out, frame; /* being kept: the object, and in a list what is around it */
    struct pw_pick_level {
        bool object, some;   /* some: a member was kept already */
        unsigned char mode;  /* of what is in it */
        unsigned short path; /* length of the path down to here */
    } level[PW_PICK_DEPTH];
    unsigned depth, item_depth;
    size_t skipped; /* depth of brackets in a value that is not kept */
    char path[PW_PICK_PATH], key[PW_PICK_PATH];
    unsigned short path_len, key_len;
    unsigned char state, mode; /* mode: of the value that comes next, or is under way */
    bool in_item, escaped, quoted, ended;
    bool over;              /* the object under way has more than `max` */
    unsigned long left_out; /* objects that had */
};

/* Feed what arrived. -EBADMSG for what is no JSON, -EFBIG for more than `max` kept bytes around a
 * list's elements or too deep a nesting, else what `object` gave. After a failure only pw_pick_free
 * may be called. */
int pw_pick_feed(struct pw_pick *p, const char *data, size_t n, struct pw_err *err);
/* The stream has ended: -EBADMSG in the middle of an object. */
int pw_pick_end(const struct pw_pick *p, struct pw_err *err);
/* Of a list: what is around the elements, as one object; NULL before its end. */
const char *pw_pick_frame(const struct pw_pick *p, size_t *len);
/* Free all it holds and be ready for a new stream. */
void pw_pick_free(struct pw_pick *p);

#endif
