/* SPDX-License-Identifier: Apache-2.0 */
/* Plots as inline SVG. Colours come from the page's style sheet, so that they follow its theme. */
#ifndef PW_BENCH_PLOT_H
#define PW_BENCH_PLOT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#define NB_PLOT_MAX 24

/* One path in a plot. */
struct nb_series {
    const char *name, *title; /* borrowed */
    const json_t *result;     /* borrowed: its entry in the result document */
    int colour;               /* index of the style sheet's series colour */
};

/* Text with &, <, >, " made harmless. */
void nb_html(FILE *f, const char *text);
/* A bar for each path: its ratio to the host with the 95 % interval, and the figure itself. */
void nb_plot_ratio(FILE *f, const struct nb_series *s, size_t n, const char *unit);
/* Latency against the share of requests that are faster, both on logarithmic scales. */
void nb_plot_latency(FILE *f, const struct nb_series *s, size_t n);

#endif
