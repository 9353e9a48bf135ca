#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# netbench's page in a real browser: of timings and of counts. What is asked is where things really
# stand after layout, not what the text of the file says.
# pw-test: host timeout=300
. "$(dirname "$0")/../lib/tap.sh"
need chromium jq
nb=$BUILD/netbench

# A result with hostile names, a path below the host, one refused, and functions of both signs.
est() { jq -nc --argjson m "$1" '{median: $m, lo: ($m * 0.999), hi: ($m * 1.001)}'; }
result() { # PATH INSTRUCTIONS
    jq -nc --arg p "$1" --argjson n "$2" --argjson i "$(est "$2")" --argjson r "$(est "$(jq -n "$2/20000")")" '
        {where: "local", workload: "udp-rr", title: "UDP <i>requests</i>", path: $p, unit: "<b>req</b>/s",
         rate: {median: 1}, count: {per: "<b>request</b>", instructions: $i, ratio: $r, amounts: [10], idle: 0,
         functions: [{function: "bpf: pw_<b>x</b>", host: 0, path: 900},
                     {function: "ip_rcv", host: 700, path: 0},
                     {function: "[all others]", host: 19300, path: ($n - 900)}]}}'
}
{
    result host 20000
    result ptp 24000
    result podwire-veth 22000
    result podwire-netkit 19000
    jq -nc '{where: "local", workload: "udp-rr", title: "UDP", path: "macvlan", refused: true, failure: "no <u>way</u>"}'
} | jq -s '{netbench: 1, version: "0", taken: "<s>now</s>", command: ["netbench"], rounds_done: 3,
    machine: {kernel: "6.12", cpu: "emulated", cpus: 1}, settings: {mtu: 1500}, warnings: [],
    paths: (map({name: .path, title: .path, state: "measured"})), results: .}' >"$TMP/count.json"

# What the browser says at the end of a page: numbers of elements, texts, and places after layout.
probe='<script>addEventListener("load",()=>{const q=s=>[...document.querySelectorAll(s)],
 open=q("details.functions[open]").length;q("details").forEach(e=>{e.open=true});const
 b=e=>e.getBoundingClientRect(),base=q("svg.counts line.base").map(e=>b(e).left)[0],
 bars=q("svg.counts rect").map(e=>b(e)),f=q("td.fbar i").map(e=>[e.className,b(e).left,b(e).right,
 (b(e.parentElement).left+b(e.parentElement).right)/2]);
 const o={counts:q("svg.counts").length,times:q("svg.bars").length,rows:q("table.counts tr").length,
 bars:bars.length,right:bars.filter(r=>Math.abs(r.left-base)<1.5&&r.width>5).length,
 left:bars.filter(r=>Math.abs(r.right-base)<1.5&&r.width>5).length,
 details:q("details.functions").length,open,times_bars:q("svg.bars rect").length,
 more:f.filter(x=>x[0]=="more"&&x[2]>x[1]&&x[1]>=x[3]-1.5).length,
 less:f.filter(x=>x[0]=="less"&&x[2]>x[1]&&x[2]<=x[3]+1.5).length,
 foreign:q("main b,main u,main s,section i:not(.more):not(.less)").length,
 wide:document.documentElement.scrollWidth>innerWidth,
 outside:performance.getEntriesByType("resource").length};
 document.body.textContent="PROBE"+JSON.stringify(o)+"EBORP"})</script>'
look() { # HTML: what the probe finds
    sed "s|</body>|$(tr '\n' ' ' <<<"$probe" | sed 's/[&|\\]/\\&/g')</body>|" "$1" >"$TMP/probed.html"
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --window-size=1200,1600 \
        --user-data-dir="$TMP/chromium" --dump-dom "file://$TMP/probed.html" 2>"$TMP/chromium.log" |
        sed -n 's/.*PROBE\(.*\)EBORP.*/\1/p' | sed 's/&gt;/>/g; s/&amp;/\&/g'
}
seen() { jq -rc "$1" "$TMP/seen.json"; }

must ok "the page of counts is made" "$nb" report "$TMP/count.json" "$TMP/count.html"
look "$TMP/count.html" >"$TMP/seen.json"
diag "$(cat "$TMP/seen.json")"
must is "the browser lays out one plot of counts and none of times" "$(seen '[.counts,.times]')" '[1,0]'
is "a table row for each path that was counted" "$(seen .rows)" 5
is "bars of dearer paths lead right from the host's line, of cheaper ones left" "$(seen '[.bars,.right,.left]')" '[3,2,1]'
is "functions of every path but the host, one open" "$(seen '[.details,.open]')" '[3,1]'
is "their bars stand on the side of their sign; the rest has none" "$(seen '[.more,.less]')" '[3,3]'
is "no text became markup" "$(seen .foreign)" 0
is "nothing is wider than the window, nothing loaded" "$(seen '[.wide,.outside]')" '[false,0]'

# The same results as timings: the other plot, and nothing of counts.
jq '.results |= map(del(.count) | if .refused then . else .cpu_ns = {per: "<u>GB</u>"} | .ratio = {median: 0.8, lo: 0.7, hi: 0.9} end)' \
    "$TMP/count.json" >"$TMP/time.json"
must ok "the page of timings is made" "$nb" report "$TMP/time.json" "$TMP/time.html"
look "$TMP/time.html" >"$TMP/seen.json"
is "the browser lays out one plot of times and none of counts" \
    "$(seen '[.times,.times_bars,.counts,.rows,.details]')" '[1,4,0,0,0]'
is "there too no text became markup, nothing is too wide or loaded" "$(seen '[.foreign,.wide,.outside]')" '[0,false,0]'
