# SPDX-License-Identifier: Apache-2.0
$(BUILD)/tests/agent/%: TEST_LDLIBS = -lyaml
