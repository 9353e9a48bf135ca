/* SPDX-License-Identifier: Apache-2.0 */
/* loader/nl/nlmsg.c: what is written is read back; damaged lengths end the reading, nothing more.
 */
#include "loader/nl/nlmsg.h"
#include "loader/nl/link.h"
#include "tests/lib/tap.h"

#include <errno.h>

#include <linux/rtnetlink.h>

static void round_trip(void)
{
    struct pw_nlbuf b = {0};
    struct ifinfomsg ifi = {.ifi_index = 7}, got;
    struct pw_addr a4, a6, back;
    struct pw_nlmsg msg;
    struct pw_nlattr a;
    char text[4];

    pw_addr_parse("10.1.2.3", &a4, NULL);
    pw_addr_parse("fd00::9", &a6, NULL);
    pw_nl_begin(&b, RTM_NEWLINK, NLM_F_REQUEST, &ifi, sizeof(ifi));
    pw_nl_put_str(&b, 1, "abcdef");
    size_t nest = pw_nl_nest(&b, 2);
    pw_nl_put_u8(&b, 3, 200);
    pw_nl_put_u16(&b, 4, 60000);
    pw_nl_put_u32(&b, 5, 4000000000U);
    pw_nl_nest_end(&b, nest);
    pw_nl_put_addr(&b, 6, &a4);
    pw_nl_put_addr(&b, 7, &a6);
    pw_nl_begin(&b, RTM_DELLINK, 0, NULL, 0);
    ok(!b.failed, "written");
    is_int(b.len % 4, 0, "a multiple of four");

    struct pw_nlcur cur = {b.data, b.len};
    ok(pw_nl_next_msg(&cur, &msg), "first message");
    is_int(msg.type, RTM_NEWLINK, "its type");
    struct pw_nlcur attrs = pw_nl_fixed(&msg, &got, sizeof(got));
    is_int(got.ifi_index, 7, "fixed part");
    ok(pw_nl_next_attr(&attrs, &a) && a.type == 1, "string");
    pw_nl_str(&a, text, sizeof(text));
    is_str(text, "abc", "is cut to the buffer");
    ok(pw_nl_next_attr(&attrs, &a) && a.type == 2, "nest, without its flag");
    struct pw_nlcur in = pw_nl_nested(&a);
    ok(pw_nl_next_attr(&in, &a) && pw_nl_u8(&a) == 200, "u8");
    is_int(pw_nl_u32(&a), 0, "a short attribute gives 0");
    ok(pw_nl_next_attr(&in, &a) && pw_nl_u16(&a) == 60000, "u16");
    ok(pw_nl_next_attr(&in, &a) && pw_nl_u32(&a) == 4000000000U, "u32");
    ok(!pw_nl_next_attr(&in, &a), "end of the nest");
    ok(pw_nl_next_attr(&attrs, &a) && pw_nl_addr(&a, &back) && pw_addr_same(&back, &a4), "IPv4");
    ok(pw_nl_next_attr(&attrs, &a) && pw_nl_addr(&a, &back) && pw_addr_same(&back, &a6), "IPv6");
    ok(!pw_nl_next_attr(&attrs, &a), "end of the attributes");
    ok(pw_nl_next_msg(&cur, &msg) && msg.type == RTM_DELLINK && msg.len == 0, "second message");
    ok(!pw_nl_next_msg(&cur, &msg), "end");
    pw_nlbuf_free(&b);
}

/* Every prefix of a real message, and every byte of it changed, is read to its end. */
static void damaged(void)
{
    struct pw_nlbuf b = {0};
    struct ifinfomsg ifi = {.ifi_index = 7};
    struct pw_link link;
    struct pw_nlmsg msg;
    unsigned read = 0;

    pw_nl_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
    pw_nl_put_str(&b, IFLA_IFNAME, "a-name-that-is-much-too-long-for-a-device");
    size_t info = pw_nl_nest(&b, IFLA_LINKINFO);
    pw_nl_put_str(&b, IFLA_INFO_KIND, "netkit");
    size_t data = pw_nl_nest(&b, IFLA_INFO_DATA);
    pw_nl_put_u32(&b, 3, 2);
    pw_nl_nest_end(&b, data);
    pw_nl_nest_end(&b, info);
    pw_nl_put(&b, IFLA_STATS64, "short", 5);
    for (size_t n = 0; n <= b.len; n++) {
        /* An exact copy, so that the sanitizers see a read behind it. */
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, b.data, n);
        struct pw_nlcur cur = {copy, n};
        while (pw_nl_next_msg(&cur, &msg))
            read += pw_link_read(&msg, &link);
        free(copy);
    }
    is_int(read, 1, "only the whole message is read");
    for (size_t i = 0; i < b.len * 256; i++) {
        uint8_t *copy = malloc(b.len);
        memcpy(copy, b.data, b.len);
        copy[i / 256] = (uint8_t)i;
        struct pw_nlcur cur = {copy, b.len};
        while (pw_nl_next_msg(&cur, &msg))
            pw_link_read(&msg, &link);
        free(copy);
    }
    ok(true, "no change of a byte reads beyond the end");
    pw_nlbuf_free(&b);
}

static void too_much(void)
{
    struct pw_nlbuf b = {0};
    static char big[70000];

    pw_nl_begin(&b, 1, 0, NULL, 0);
    pw_nl_put(&b, 1, big, sizeof(big));
    ok(b.failed, "an attribute of more than 65,535 bytes is refused");
    pw_nlbuf_free(&b);
    pw_nl_begin(&b, 1, 0, NULL, 0);
    for (int i = 0; i < 40; i++)
        pw_nl_put(&b, 1, big, 5000);
    ok(b.failed && b.len <= PW_NLBUF_MAX, "the whole is bounded");
    pw_nl_nest_end(&b, pw_nl_nest(&b, 1));
    ok(b.failed, "and stays failed");
    pw_nlbuf_free(&b);
}

static struct pw_nlack ack_of(const void *data, size_t len, uint16_t flags, bool *is)
{
    struct pw_nlmsg msg = {.type = NLMSG_ERROR, .flags = flags, .data = data, .len = len};
    struct pw_nlack ack = {0};
    *is = pw_nl_ack(&msg, &ack);
    return ack;
}

static int done_of(int32_t code, size_t len)
{
    struct pw_nlmsg msg = {.type = NLMSG_DONE, .data = (const uint8_t *)&code, .len = len};
    return pw_nl_done(&msg);
}

static void ends(void)
{
    is_int(done_of(0, 4), 0, "a dump that ended well");
    is_int(done_of(-EBUSY, 4), -EBUSY, "one that failed");
    is_int(done_of(-EBUSY, 0), 0, "one that says nothing");
    is_int(done_of(INT32_MIN, 4), -EPROTO, "what is no errno");
    is_int(done_of(7, 4), -EPROTO, "nor this");
}

static void acks(void)
{
    struct {
        struct nlmsgerr e;
        struct nlattr h;
        char text[8];
    } m = {.e = {.error = -ENODEV, .msg = {.nlmsg_seq = 9, .nlmsg_len = 500}},
           .h = {.nla_len = 4 + 6, .nla_type = NLMSGERR_ATTR_MSG},
           .text = "hello"};
    bool is;
    struct pw_nlack a = ack_of(&m, sizeof(m), NLM_F_CAPPED | NLM_F_ACK_TLVS, &is);
    ok(is, "an acknowledgement");
    is_int(a.code, -ENODEV, "its code");
    is_int(a.seq, 9, "of which request");
    is_str(a.text, "hello", "the kernel's words");
    a = ack_of(&m, sizeof(m), NLM_F_ACK_TLVS, &is);
    is_str(a.text, "", "a request longer than the message leaves no words");
    ack_of(&m, sizeof(m.e) - 1, 0, &is);
    ok(!is, "too short");
    m.e.error = 5;
    a = ack_of(&m, sizeof(m), 0, &is);
    ok(a.code < 0, "a positive code is an error still");
}

int main(void)
{
    round_trip();
    damaged();
    too_much();
    acks();
    ends();
    return tap_done();
}
