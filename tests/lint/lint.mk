# SPDX-License-Identifier: Apache-2.0
# The compile commands of every C file, for clang-tidy and for editors.

COMPDB   ?= compile_commands.json
COMPDB_C := $(patsubst ./%,%,$(shell find . -name '*.c' -not -path './build*' -not -path './.*' 2>/dev/null | LC_ALL=C sort))
compdb_flags = $(if $(filter %.bpf.c,$(1)),$(BPF_CFLAGS),$(ALL_CFLAGS))
compdb_json  = {"directory":"$(CURDIR)","file":"$(1)","command":"clang $(subst ",\",$(subst \,\\,$(compdb_flags))) -c $(1)"}

.PHONY: compdb
compdb: ## write compile_commands.json
	$(file >$(COMPDB),[)
	$(foreach c,$(COMPDB_C),$(file >>$(COMPDB),$(call compdb_json,$(c))$(if $(filter $(c),$(lastword $(COMPDB_C))),,$(comma))))
	$(file >>$(COMPDB),])
	@:
comma := ,
