# SPDX-License-Identifier: Apache-2.0
# podwire: build, test, install. `make help` lists the targets.
# Each folder says in its own .mk what is built from it; this file holds what all share.

BUILD   ?= build
PREFIX  ?= /usr/local
CNIBIN  ?= /opt/cni/bin
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
DESTDIR ?=
V       ?= 0
# SAN=address,undefined builds everything with these sanitizers (give it a BUILD of its own).
SAN     ?=

VERSION := $(shell cat VERSION)

CC      ?= gcc
CLANG   ?= clang-19
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)

ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)';
else
Q :=
say =
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wvla -Wformat=2 -Wimplicit-fallthrough
OPT     ?= -O2 -g
CFLAGS  ?=
LDFLAGS ?=
ALL_CFLAGS = -std=gnu11 $(OPT) $(WARN) -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -DPW_VERSION='"$(VERSION)"' \
             -fstack-protector-strong -ffunction-sections -fdata-sections -fPIE \
             -I. -I$(BUILD) $(CFLAGS)
# -u: see loader/base/eu_search.c
ALL_LDFLAGS = -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-u,eu_tsearch $(LDFLAGS)
# Installed programs run on any distribution: static, position independent.
STATIC  = -static-pie
ifneq ($(SAN),)
ALL_CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -U_FORTIFY_SOURCE
ALL_LDFLAGS += -fsanitize=$(SAN)
STATIC  = -pie
endif
LIBS_BPF  = -lbpf -lelf -lz $(LIBS_ZSTD)
# libelf of Debian 13 and of Debian 12's backports compresses with zstd too.
LIBS_ZSTD = -lzstd
LIBS_JSON = -ljansson

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

PROGS :=
# Generated headers that must exist before any C file is compiled.
GENERATED :=

include bpf/bpf.mk
include loader/loader.mk
include $(wildcard cni/cni.mk vmm-net/vmm-net.mk agent/agent.mk bench/bench.mk tests/tests.mk docs/docs.mk deploy/deploy.mk)

$(BUILD)/%.o: %.c | deps-build $(GENERATED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all deps clean help install uninstall format
# Nothing is compiled before the packages are there.
all: deps-build $(PROGS) ## build everything into build/ (installs missing build packages first)

.PHONY: deps-build
deps-build:
	@deploy/deps.sh build

clean: ## remove build/
	rm -rf $(BUILD)

format: ## format all C sources
	@clang-format-19 -i $$(git ls-files '*.c' '*.h')

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
