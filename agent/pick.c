/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pick.h"

#include <stdlib.h>
#include <string.h>

/* What is expected, or under way. */
enum { VALUE, KEY, IN_KEY, COLON, STRING, SCALAR, AFTER, SKIPPING };
/* What becomes of a value: left out; only some members kept; kept whole; the list's array, whose
 * elements are handed over. */
enum { SKIP, SOME, ALL, LIST };

static int bad(const struct pw_pick *p, struct pw_err *err)
{
    return pw_err_set(err, -EBADMSG, "the answer is no JSON as expected%s%.*s",
                      p->path_len ? ", after " : "", p->path_len, p->path);
}

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int emit(struct pw_pick *p, const char *s, size_t n, struct pw_err *err)
{
    struct pw_pick_text *t = p->list && !p->in_item ? &p->frame : &p->out;
    size_t max = p->max ? p->max : PW_PICK_MAX;

    /* Whoever writes one object too large must not keep the others from being read. */
    p->over |= t == &p->out && n > max - t->len;
    if (t == &p->out && p->over)
        return 0;
    if (n > max - t->len)
        return pw_err_set(err, -EFBIG, "the list has more than %zu bytes around its objects", max);
    if (t->len + n > t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 1024;
        while (cap < t->len + n)
            cap *= 2;
        char *more = realloc(t->buf, cap);
        if (!more)
            return pw_err_errno(err, -ENOMEM, "read the answer");
        t->buf = more;
        t->cap = cap;
    }
    memcpy(t->buf + t->len, s, n);
    t->len += n;
    return 0;
}

static int emit_char(struct pw_pick *p, char c, struct pw_err *err)
{
    return p->mode == SKIP ? 0 : emit(p, &c, 1, err);
}

/* What becomes of the member at p->path. */
static unsigned char judge(const struct pw_pick *p)
{
    const char *const *keep = p->list && p->in_item ? p->keep_item : p->keep;
    unsigned char mode = SKIP;

    for (; *keep; keep++) {
        size_t n = strlen(*keep);
        if (n == p->path_len && memcmp(*keep, p->path, n) == 0)
            return ALL;
        if (n > p->path_len && (*keep)[p->path_len] == '.' &&
            memcmp(*keep, p->path, p->path_len) == 0)
            mode = SOME;
    }
    return mode;
}

static bool lengthen_path(struct pw_pick *p)
{
    size_t dot = p->path_len ? 1 : 0;

    if (p->path_len + dot + p->key_len >= sizeof(p->path))
        return false;
    if (dot)
        p->path[p->path_len] = '.';
    memcpy(p->path + p->path_len + dot, p->key, p->key_len);
    p->path_len = (unsigned short)(p->path_len + dot + p->key_len);
    return true;
}

/* The key is read: what becomes of its value? */
static int member(struct pw_pick *p, struct pw_err *err)
{
    struct pw_pick_level *l = &p->level[p->depth - 1];

    p->state = VALUE;
    p->mode = l->mode;
    if (l->mode == ALL)
        return emit(p, ":", 1, err);
    p->path_len = l->path;
    bool fits = p->key_len < sizeof(p->key) && lengthen_path(p);
    p->mode = fits ? judge(p) : SKIP;
    if (fits && p->list && !p->in_item && p->depth == 1 && p->key_len == strlen(p->list) &&
        memcmp(p->key, p->list, p->key_len) == 0)
        p->mode = LIST;
    if (p->mode == SKIP)
        return 0;
    int rc = l->some ? emit(p, ",", 1, err) : 0;
    l->some = true;
    if (!rc)
        rc = emit(p, "\"", 1, err);
    if (!rc)
        rc = emit(p, p->key, p->key_len, err);
    return rc ? rc : emit(p, "\":", 2, err);
}

static int open_value(struct pw_pick *p, char c, struct pw_err *err)
{
    bool object = c == '{';
    unsigned char mode = p->mode;

    if (p->depth == PW_PICK_DEPTH)
        return pw_err_set(err, -EFBIG, "the answer is nested more than %d deep", PW_PICK_DEPTH);
    bool element = p->depth && p->level[p->depth - 1].mode == LIST;
    if (p->depth == 0 || element) {
        /* The beginning of what is handed over, or of the frame around it. */
        if (!object)
            return bad(p, err);
        mode = SOME;
        p->path_len = 0;
        p->out.len = 0;
        p->over = false;
        p->in_item = element;
        p->item_depth = p->depth;
    } else if (mode == LIST && object) {
        return bad(p, err);
    }
    p->mode = mode;
    p->level[p->depth++] = (struct pw_pick_level){object, false, mode, p->path_len};
    p->state = object ? KEY : VALUE;
    return emit(p, &c, 1, err);
}

static int close_value(struct pw_pick *p, char c, struct pw_err *err)
{
    if (p->depth == 0 || p->level[p->depth - 1].object != (c == '}'))
        return bad(p, err);
    int rc = emit(p, &c, 1, err);
    p->depth--;
    p->path_len = p->level[p->depth].path;
    p->state = p->depth ? AFTER : VALUE;
    bool handed = p->list ? p->in_item && p->depth == p->item_depth : p->depth == 0;
    if (handed) {
        p->left_out += p->over;
        if (!rc && !p->over)
            rc = p->object(p->arg, p->out.buf, p->out.len, err);
        p->in_item = false;
    } else if (p->depth == 0) {
        p->ended = true;
    }
    return rc;
}

static int value(struct pw_pick *p, char c, struct pw_err *err)
{
    if (space(c))
        return 0;
    if (p->ended)
        return bad(p, err);
    if (c == '{' || c == '[') {
        if (p->mode != SKIP || p->depth == 0)
            return open_value(p, c, err);
        p->skipped = 1;
        p->quoted = false;
        p->state = SKIPPING;
        return 0;
    }
    if (p->depth == 0 || p->level[p->depth - 1].mode == LIST)
        return c == ']' ? close_value(p, c, err) : bad(p, err);
    if (c == ']')
        return close_value(p, c, err);
    if (c == '"') {
        p->state = STRING;
        p->escaped = false;
    } else if (c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')) {
        p->state = SCALAR;
    } else {
        return bad(p, err);
    }
    return emit_char(p, c, err);
}

static int after(struct pw_pick *p, char c, struct pw_err *err)
{
    const struct pw_pick_level *l = &p->level[p->depth - 1];

    if (space(c))
        return 0;
    if (c == '}' || c == ']')
        return close_value(p, c, err);
    if (c != ',')
        return bad(p, err);
    p->state = l->object ? KEY : VALUE;
    p->mode = l->mode;
    p->path_len = l->path;
    /* Between members of which some are kept the comma comes with the next kept one. */
    return l->mode == ALL || (l->mode == SOME && !l->object) ? emit(p, ",", 1, err) : 0;
}

static int key(struct pw_pick *p, char c, struct pw_err *err)
{
    if (space(c))
        return 0;
    if (c == '}')
        return close_value(p, c, err);
    if (c != '"')
        return bad(p, err);
    p->state = IN_KEY;
    p->key_len = 0;
    p->escaped = false;
    return p->level[p->depth - 1].mode == ALL ? emit(p, "\"", 1, err) : 0;
}

static int in_key(struct pw_pick *p, char c, struct pw_err *err)
{
    bool end = c == '"' && !p->escaped;

    p->escaped = c == '\\' && !p->escaped;
    if (end)
        p->state = COLON;
    if (p->level[p->depth - 1].mode == ALL)
        return emit(p, &c, 1, err);
    /* A key of this size or more is none that is wanted. */
    if (!end && p->key_len < sizeof(p->key))
        p->key[p->key_len++] = c;
    return 0;
}

static int string(struct pw_pick *p, char c, struct pw_err *err)
{
    if (c == '"' && !p->escaped)
        p->state = AFTER;
    p->escaped = c == '\\' && !p->escaped;
    return emit_char(p, c, err);
}

static void skipping(struct pw_pick *p, char c)
{
    if (p->quoted) {
        p->quoted = c != '"' || p->escaped;
        p->escaped = c == '\\' && !p->escaped;
        return;
    }
    if (c == '"') {
        p->quoted = true;
        p->escaped = false;
    }
    p->skipped += c == '{' || c == '[';
    p->skipped -= c == '}' || c == ']';
    if (!p->skipped)
        p->state = AFTER;
}

static int feed(struct pw_pick *p, char c, struct pw_err *err)
{
    switch (p->state) {
    case VALUE:
        return value(p, c, err);
    case KEY:
        return key(p, c, err);
    case IN_KEY:
        return in_key(p, c, err);
    case COLON:
        return space(c) ? 0 : c == ':' ? member(p, err) : bad(p, err);
    case STRING:
        return string(p, c, err);
    case SCALAR:
        if (c != ',' && c != '}' && c != ']' && !space(c))
            return emit_char(p, c, err);
        p->state = AFTER;
        return after(p, c, err);
    case SKIPPING:
        skipping(p, c);
        return 0;
    default:
        return after(p, c, err);
    }
}

int pw_pick_feed(struct pw_pick *p, const char *data, size_t n, struct pw_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int rc = feed(p, data[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

int pw_pick_end(const struct pw_pick *p, struct pw_err *err)
{
    if (p->depth || (p->list && !p->ended))
        return pw_err_set(err, -EBADMSG, "the answer ends in the middle");
    return 0;
}

const char *pw_pick_frame(const struct pw_pick *p, size_t *len)
{
    *len = p->frame.len;
    return p->ended ? p->frame.buf : NULL;
}

void pw_pick_free(struct pw_pick *p)
{
    struct pw_pick fresh = {.keep = p->keep,
                            .list = p->list,
                            .keep_item = p->keep_item,
                            .max = p->max,
                            .object = p->object,
                            .arg = p->arg};

    free(p->out.buf);
    free(p->frame.buf);
    *p = fresh;
}
