#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The house rules that a text search can check.
# usage: rules.pl ROOT < list of files, relative to ROOT
# Prints "file:line: rule: what is wrong" for each find; exit code 1 when there is any.
# A line with the comment `lint: RULE why` is exempt from that rule; the why is required.
# tests/lint/t_rules.sh holds a sample that keeps each rule and one that breaks it.
use strict;
use warnings;

my ($root) = @ARGV or die "usage: rules.pl ROOT < files\n";
my $finds = 0;
my @lines; # of the file at hand, as it is

sub find {
    my ($file, $line, $rule, $text) = @_;
    return if $line && ($lines[$line - 1] // '') =~ /lint: \Q$rule\E \w+/;
    print "$file:$line: $rule: $text\n";
    $finds++;
}

# Code with comments and the insides of string and character literals blanked, lines kept.
sub code_only {
    my ($t) = @_;
    my $blank = sub { my $s = shift; $s =~ s/[^\n]/ /g; $s };
    $t =~ s{(/\*.*?\*/|//[^\n]*)|"((?:\\.|[^"\\\n])*)"|'((?:\\.|[^'\\\n])*)'}
           {defined $1 ? $blank->($1) : defined $2 ? '"' . $blank->($2) . '"' : "'" . $blank->($3) . "'"}gse;
    return $t;
}

sub line_at { my ($text, $pos) = @_; return 1 + (substr($text, 0, $pos) =~ tr/\n//) }

# ---- every file ----

# Each file says its licence: GPL-2.0-only OR BSD-2-Clause under bpf/, Apache-2.0 elsewhere (BPF
# programs of tests may be either: GPL-only helpers need the former).
sub spdx {
    my ($f) = @_;
    return if $f =~ m{^LICENSES/|(^|/)(VERSION|\.gitignore|\.gitattributes)$}
        || $f =~ /\.(json|conflist|conf|png|bin|xz|zst|tsv|csv)$/
        || $f =~ m{/(corpus|data|golden)/};
    my $gpl = 'GPL-2.0-only OR BSD-2-Clause';
    my $first = ($lines[0] // '') =~ /^#!|shellcheck shell=|^\.\\"|^'\\"|^---$/ ? 1 : 0;
    my ($id) = join('', map { $_ // '' } @lines[0 .. $first]) =~ /SPDX-License-Identifier: ([\w.\- ]+\w)/;
    if (!defined $id) { find($f, 1, 'spdx', 'the first line has no SPDX-License-Identifier') }
    elsif ($f =~ m{^bpf/.*\.[ch]$}) { find($f, 1, 'spdx', "files under bpf/ are '$gpl'") if $id ne $gpl }
    elsif ($f =~ /\.bpf\.c$/) { find($f, 1, 'spdx', "'$id'") if $id ne $gpl && $id ne 'Apache-2.0' }
    elsif ($id ne 'Apache-2.0') { find($f, 1, 'spdx', "'$id', but this file is Apache-2.0") }
}

# A test that cannot be started would be left out without a word.
sub test_exec {
    my ($f) = @_;
    find($f, 1, 'test-exec', 'a test script must be executable')
        if $f =~ m{^tests/\w+/t_[^/]*\.(sh|py|pl)$} && !-x "$root/$f";
}

# ---- C ----

# Nothing includes cni/; bpf/ only bpf/; vmm-net/ only itself and loader/base/; loader/ only itself,
# bpf/abi/ and the generated skeleton, its base/ only base/, its nl/ only nl/ and base/, and its ctl/
# the public header of vmm-net/ besides. Paths
# start at the tree's root.
sub include_direction {
    my ($f, $text) = @_;
    my @allowed =
        $f =~ m{^bpf/}         ? qr{^bpf/}
      : $f =~ m{^vmm-net/}     ? qr{^(vmm-net|loader/base)/}
      : $f =~ m{^loader/base/} ? qr{^loader/base/}
      : $f =~ m{^loader/nl/}   ? qr{^loader/(nl|base)/}
      : $f =~ m{^loader/ctl/}  ? qr{^(loader/|bpf/abi/|vmm-net/vmmnet\.h$)}
      : $f =~ m{^loader/}      ? qr{^(loader/(?!ctl/)|bpf/abi/|bpf/\w+\.skel\.h$)}
      : $f =~ m{^cni/}         ? qr{^(cni/|loader/(?!ctl/)|bpf/abi/)}
      : $f =~ m{^tests/}       ? qr{^(bpf|loader|cni|vmm-net|agent|tests|bench)/}
      :                          qr{^(?!cni/|tests/)[\w-]+/};
    while ($text =~ /^[ \t]*#[ \t]*include[ \t]*"([^"\n]*)"/mg) {
        my $inc = $1;
        my $line = line_at($text, $-[0]);
        if ($inc =~ m{(^|/)\.\.?/} || $inc !~ m{/}) {
            find($f, $line, 'include-direction', "\"$inc\" is not a path from the tree's root");
        } elsif ($inc !~ $allowed[0]) {
            find($f, $line, 'include-direction', "this folder must not include \"$inc\"");
        }
    }
}

# Libraries return errors; only a program's own files print.
sub no_print {
    my ($f, $code) = @_;
    return if $f =~ m{^(tests|bench|loader/ctl|agent)/} || $f !~ m{^(bpf|loader|cni|vmm-net)/};
    return if $f =~ m{^loader/base/log\.c$} || $code =~ /^int main\(/m;
    while ($code =~ /\b(printf|vprintf|puts|putchar|perror|bpf_printk|warnx?|errx?)\s*\(/g) {
        find($f, line_at($code, $-[0]), 'no-print', "$1() in a library");
    }
    while ($code =~ /\b(v?fprintf|fputs|fputc|fwrite|putc)\s*\([^;]*?\b(stdout|stderr)\b/g) {
        find($f, line_at($code, $-[0]), 'no-print', "$1() to $2 in a library");
    }
    while ($code =~ /\bv?dprintf\s*\(\s*([12]|STD\w+)\s*,/g) {
        find($f, line_at($code, $-[0]), 'no-print', "dprintf() to $1 in a library");
    }
}

# What is freed at the end of the scope must hold something from its beginning.
sub owner_init {
    my ($f, $code) = @_;
    while ($code =~ /^[ \t]+pw_(fd|free|file|dir|cleanup\s*\([^)]*\))\s+([^;=]*);/mg) {
        my ($kind, $rest, $at) = ($1, $2, $-[0]);
        find($f, line_at($code, $at), 'owner-init',
            "'$rest' is released at scope end but has no first value" . ($kind eq 'fd' ? ' (-1)' : ''));
    }
    # Of several in one statement every one: pw_fd a = -1, b;
    while ($code =~ /^[ \t]+pw_(?:fd|free|file|dir)\s+([^;]*);/mg) {
        my ($all, $at) = ($1, $-[0]);
        1 while $all =~ s/\([^()]*\)|\{[^{}]*\}//g;
        next if $all !~ /,/ || $all !~ /=/;
        for (split /,/, $all) {
            find($f, line_at($code, $at), 'owner-init', "'$_' has no first value") unless /=/;
        }
    }
}

# A descriptor that may be closed before it was opened must not be number 0: fds start at -1.
sub fd_start {
    my ($f, $code) = @_;
    while ($code =~ /^[ \t]+(?:static\s+)?(?:int|pw_fd)\s+([^;(]*);/mg) {
        my ($decl, $at) = ($1, $-[0]);
        next if in_struct($code, $at);
        for my $d (split /,/, $decl) {
            find($f, line_at($code, $at), 'fd-start', "'$1' starts at $2, not at -1")
                if $d =~ /^\s*(\w*fd)\s*=\s*(0)\s*$/;
            find($f, line_at($code, $at), 'fd-start', "'$1' has no first value (-1)")
                if $d =~ /^\s*(\w*fd)\s*$/;
        }
    }
}

sub in_struct { # whether the innermost open brace before `pos` belongs to a struct or union
    my ($code, $pos) = @_;
    my @open;
    my $head = substr($code, 0, $pos);
    while ($head =~ /([{}])/g) {
        if ($1 eq '{') {
            my $before = substr($head, 0, $-[0]);
            push @open, $before =~ /\b(struct|union)(\s+\w+)?(\s+__attribute__\s*\(\(.*?\)\))?\s*$/ ? 1 : 0;
        } else { pop @open }
    }
    return @open ? $open[-1] : 0;
}

# Either owners that clean up by themselves or a ladder of gotos, never both in one function.
sub goto_owner {
    my ($f, $code) = @_;
    while ($code =~ /^\{\n(.*?)^\}/msg) {
        my ($body, $at) = ($1, $-[1]);
        next unless $body =~ /^[ \t]+pw_(fd|free|file|dir|cleanup)\b/m;
        while ($body =~ /\bgoto\s+\w+/g) {
            find($f, line_at($code, $at + $-[0]), 'goto-owner', 'goto in a function with owners');
        }
    }
}

# Calls that cannot be used safely, or that start a shell.
sub unsafe_call {
    my ($f, $code) = @_;
    return if $f =~ m{^tests/};
    my $calls = 'gets|strcpy|strcat|stpcpy|sprintf|vsprintf|strtok|atoi|atol|atoll|tmpnam|tempnam'
        . '|mktemp|system|popen|alloca|strdupa|vfork|signal|readdir_r|asctime|ctime|inet_ntoa';
    while ($code =~ /(?<![\w.>])($calls)\s*\(/g) {
        find($f, line_at($code, $-[0]), 'unsafe-call', "$1() is not used here");
    }
}

# A descriptor without close-on-exec leaks into the IPAM plugin and whatever else is started.
sub cloexec {
    my ($f, $code, $text) = @_;
    return if $f =~ m{^(tests|bpf|bench)/};
    my %needs = (open => 'O_CLOEXEC', openat => 'O_CLOEXEC', socket => 'SOCK_CLOEXEC',
        socketpair => 'SOCK_CLOEXEC', accept4 => 'SOCK_CLOEXEC', pipe2 => 'O_CLOEXEC',
        epoll_create1 => 'EPOLL_CLOEXEC', eventfd => 'EFD_CLOEXEC', memfd_create => 'MFD_CLOEXEC',
        timerfd_create => 'TFD_CLOEXEC', signalfd => 'SFD_CLOEXEC', inotify_init1 => 'IN_CLOEXEC',
        dup3 => 'O_CLOEXEC');
    my %other = (accept => 'accept4', pipe => 'pipe2', creat => 'open', dup => 'F_DUPFD_CLOEXEC',
        epoll_create => 'epoll_create1');
    while ($code =~ /(?<![\w.>])(\w+)\s*(\((?:[^()]++|(?2))*\))/g) {
        my ($call, $args, $at) = ($1, $2, $-[0]);
        find($f, line_at($code, $at), 'cloexec', "$call() without $needs{$call}")
            if $needs{$call} && index($args, $needs{$call}) < 0 && $args =~ /,|\w/ && $args !~ /^\(\s*(int|const|void)\b/;
        find($f, line_at($code, $at), 'cloexec', "$call(): use $other{$call}")
            if $other{$call} && $args !~ /^\(\s*(int|const|void)\b/;
        pos($code) = $at + length($call); # calls inside the arguments count too
    }
    while ($text =~ /\bfopen\s*\([^;"]*"[^"]*"\s*,\s*"([^"]*)"|\bfopen\s*\([^;",]*,\s*"([^"]*)"/g) {
        my ($mode, $at) = ($1 // $2, $-[0]);
        find($f, line_at($text, $at), 'cloexec', "fopen() without 'e' in its mode") if $mode !~ /e/;
    }
}

my %guards;
sub guard {
    my ($f, $code) = @_;
    return unless $f =~ /\.h$/;
    my ($g) = $code =~ /\A\s*#ifndef (PW_\w+_H)\n#define \1\n/;
    return if $f eq 'bpf/abi/reasons.h' && !defined $g; # an X-macro list is included many times
    if (!defined $g) { find($f, 1, 'guard', 'no include guard PW_..._H') }
    elsif ($guards{$g}) { find($f, 1, 'guard', "guard $g is also $guards{$g}'s") }
    else { $guards{$g} = $f }
}

# A file that long is two.
sub size {
    my ($f) = @_;
    my $max = $f =~ m{^tests/} ? 900 : 650;
    find($f, $max, 'size', scalar(@lines) . " lines; split it (limit $max)") if @lines > $max;
}

for my $f (map { chomp; $_ } <STDIN>) {
    next if !-f "$root/$f" || -l "$root/$f";
    open my $in, '<:raw', "$root/$f" or die "$root/$f: $!\n";
    my $text = do { local $/; <$in> } // '';
    close $in;
    @lines = split /\n/, $text;
    spdx($f);
    test_exec($f);
    next unless $f =~ /\.[ch]$/;
    my $code = code_only($text);
    include_direction($f, $text);
    no_print($f, $code);
    owner_init($f, $code);
    fd_start($f, $code);
    goto_owner($f, $code);
    unsafe_call($f, $code);
    cloexec($f, $code, $text);
    guard($f, $code);
    size($f);
}
exit($finds ? 1 : 0);
