# SPDX-License-Identifier: Apache-2.0
# The clients that the tests of this group and of deploy drive are fetched or built once, before the tests run.
# What cannot be had is said here, and its tests are skipped with the reason.

ifneq ($(if $(GROUPS),$(filter clients deploy,$(GROUPS)),all),)
.PHONY: check-clients
check-clients: check-deps
	@tests/clients/get all
check: check-clients
endif
