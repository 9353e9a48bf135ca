/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: host */
/* bench/gen.c's audit and bench/result.c, page.c, table.c: what a sample must fulfil, and figures
 * that come out as they went in. */
#include "bench/result.h"

#include "tests/lib/tap.h"

static void audits(void)
{
    char why[200];
    struct nb_job stream = {.kind = NB_TCP_STREAM}, rate = {.kind = NB_UDP_RATE, .size = 64},
                  rr = {.kind = NB_TCP_RR, .size = 64};
    struct nb_sample s = {.app_bytes = 1000000000, .dev_packets = 20000};
    s.dev_bytes = s.app_bytes + s.dev_packets * 66;
    ok(nb_audit(&stream, &s, why), "receiver and device agree");
    s.dev_bytes -= 100000000;
    ok(!nb_audit(&stream, &s, why), "the device saw a tenth less: refused");
    s.dev_bytes += 200000000;
    ok(!nb_audit(&stream, &s, why), "the device saw a tenth more: refused");
    s.retrans_bytes = 100000000;
    ok(nb_audit(&stream, &s, why), "unless TCP sent that much twice");
    s.dev_bytes = 0;
    ok(!nb_audit(&stream, &s, why), "traffic that went by no device of ours: refused");

    struct nb_sample r = {.app_bytes = 128000, .app_ops = 2000, .dev_packets = 2100};
    r.dev_bytes = r.app_bytes + r.dev_packets * 66;
    ok(nb_audit(&rr, &r, why), "requests and packets agree");
    r.dev_packets = 1900;
    ok(!nb_audit(&rr, &r, why), "more messages than packets: refused");

    struct nb_sample u = {.app_bytes = 640000, .app_ops = 10000, .dev_packets = 20000};
    u.dev_bytes = u.dev_packets * (64 + 42);
    ok(nb_audit(&rate, &u, why), "datagrams lost behind the device");
    u.dev_bytes = u.dev_packets * 1500;
    ok(!nb_audit(&rate, &u, why), "packets of another size: refused");

    struct nb_path p = {.name = "p", .redirects = true};
    struct nb_sample f = {.dev_packets = 1000, .forwarded = 3};
    ok(!nb_path_leaks(&p, &f), "a few packets by the stack are the beginning of a flow");
    f.forwarded = 500;
    ok(nb_path_leaks(&p, &f), "every second packet by the stack is no redirection");
    p.redirects = false;
    ok(!nb_path_leaks(&p, &f), "which others may do");
}

/* A run of two paths, the second at 0.8 of the host in every round. */
static json_t *document(void)
{
    static struct nb_plan plan;
    static struct nb_run run;
    static struct nb_cell cell[2];
    static struct nb_sample s[2][10];
    static struct nb_hist h[2];
    static double p50[2][10], p99[2][10];
    plan = (struct nb_plan){.npaths = 2,
                            .nworks = 1,
                            .rounds = 10,
                            .seed = 1,
                            .size = 64,
                            .cpu_server = 1,
                            .set = {.family = 4, .cc = "<cubic> & \"co\""}};
    plan.path[0] = nb_path_find("host");
    plan.path[1] = nb_path_find("ptp");
    plan.work[0] = nb_work_find("tcp-rr");
    memset(&run, 0, sizeof(run));
    run.plan = &plan;
    run.rounds_done = 10;
    run.ncells = 2;
    run.cell = cell;
    for (unsigned i = 0; i < 2; i++) {
        run.lane[i].path = plan.path[i];
        memset(&h[i], 0, sizeof(h[i]));
        cell[i] = (struct nb_cell){.lane = i,
                                   .work = plan.work[0],
                                   .sample = s[i],
                                   .hist = &h[i],
                                   .p50 = p50[i],
                                   .p99 = p99[i]};
        for (unsigned k = 0; k < 10; k++) {
            double speed = (1000.0 + 50 * k) * (i ? 0.8 : 1.0);
            s[i][k] = (struct nb_sample){.ns = 1000000000,
                                         .ops = (uint64_t)speed,
                                         .has_hist = true,
                                         .cpu_client_ns = 500000000,
                                         .cpu_server_ns = 500000000};
            for (unsigned n = 0; n < 100; n++)
                nb_hist_add(&h[i], (uint64_t)(1e9 / speed) + n);
            p50[i][k] = p99[i][k] = 1e9 / speed;
        }
    }
    char name[] = "netbench", odd[] = "<b>", *argv[] = {name, odd};
    return nb_result(&run, 2, argv);
}

static char *render(void (*fn)(FILE *, const json_t *), const json_t *doc)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    fn(f, doc);
    fclose(f);
    return text;
}

static void table(FILE *f, const json_t *doc)
{
    nb_table(f, doc, false);
}

static void documents(void)
{
    json_t *doc = document();
    json_t *r = json_array_get(json_object_get(doc, "results"), 1),
           *e = json_object_get(r, "ratio");
    is_str(nb_str(r, "path"), "ptp", "results in order of paths");
    ok(nb_num(e, "median") > 0.799 && nb_num(e, "median") < 0.801, "the ratio, pair by pair");
    ok(nb_num(e, "hi") < 0.802, "drift of the machine falls out of it");
    ok(!json_is_true(json_object_get(r, "noise_hides")), "told apart from the host");
    double cost = nb_num(json_object_get(r, "cpu_ratio"), "median");
    ok(cost > 1.249 && cost < 1.251, "CPU time for each request");
    char *html = render(nb_page, doc), *text = render(table, doc);
    ok(strstr(html, "0.800") && strstr(text, "0.800"), "page and table show it");
    ok(!strstr(html, "<b>") && strstr(html, "&lt;b&gt;") &&
           strstr(html, "&lt;cubic&gt; &amp; &quot;"),
       "text is escaped in the page");
    ok(!strstr(html, "http://") && !strstr(html, "https://") && !strstr(html, "<script"),
       "the page needs nothing from elsewhere");
    char *dump = json_dumps(doc, 0);
    json_t *again = json_loads(dump, JSON_REJECT_DUPLICATES, NULL);
    ok(again != NULL, "the document is JSON");
    char *same = render(nb_page, again);
    is_int((int64_t)strlen(same), (int64_t)strlen(html), "and makes the same page");
    free(html);
    free(text);
    free(dump);
    free(same);
    json_decref(again);
    json_decref(doc);
}

static void numbers(void)
{
    char b[24];
    is_str(nb_short(0.12345, b), "0.123", "small");
    is_str(nb_short(123456, b), "123.5 k", "thousands");
    is_str(nb_short(9999.4, b), "9999", "four digits stay");
    is_str(nb_short(3.2e9, b), "3200 M", "millions");
    is_str(nb_dur(12.4, b), "12 ns", "ns");
    is_str(nb_dur(12345, b), "12.35 us", "us");
    is_str(nb_dur(2.5e9, b), "2.50 s", "s");
}

int main(void)
{
    audits();
    documents();
    numbers();
    return tap_done();
}
