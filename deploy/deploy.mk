# SPDX-License-Identifier: Apache-2.0
# The demo, and installing what was built.

.PHONY: demo demo-deps
demo-deps:
	@deploy/deps.sh demo
demo: demo-deps ## pods, their packets' ways, a spoofer, speed, and that nothing is left
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) deploy/demo/run

# The image of deploy/kubernetes, by whichever builder is there.
IMAGE ?= podwire:$(VERSION)
.PHONY: image
image: all ## the agent's container image; IMAGE=name:tag
	@b=$$(command -v buildah || command -v podman || command -v docker) || \
		{ echo "make image: needs buildah, podman or docker" >&2; exit 1; }; \
	"$$b" build -f deploy/image/Containerfile -t $(IMAGE) .

# What is installed where: FOLDER:MODE:FILE.
INSTALL_FILES = \
	$(CNIBIN):755:$(BUILD)/podwire \
	$(PREFIX)/bin:755:$(BUILD)/podwirectl \
	$(CNIBIN):755:$(BUILD)/podwire-vhost \
	$(patsubst %,$(PREFIX)/bin:755:%,$(filter $(BUILD)/podwire-vhost $(BUILD)/podwired,$(PROGS))) \
	$(patsubst %,$(MANDIR)/man8:644:%,$(wildcard docs/man/*.8)) \
	$(patsubst %,$(MANDIR)/man1:644:%,$(wildcard docs/man/*.1)) \
	$(patsubst %,$(COMPDIR):644:%,$(wildcard deploy/completion/*)) \
	$(PREFIX)/lib:644:$(BUILD)/libvmmnet.a \
	$(PREFIX)/include/podwire/vmm-net:644:vmm-net/vmmnet.h \
	$(PREFIX)/include/podwire/loader/base:644:loader/base/err.h \
	$(PREFIX)/share/podwire:644:deploy/10-podwire.conflist

install: all ## install to DESTDIR, PREFIX, CNIBIN, MANDIR, COMPDIR
	@# Renamed into place: a runtime may start the plugin at any moment.
	@set -e; for f in $(INSTALL_FILES); do \
		dir=$(DESTDIR)$${f%%:*} file=$${f##*:} mode=$${f#*:}; mode=$${mode%%:*}; \
		mkdir -p $$dir; \
		install -m $$mode $$file $$dir/.$${file##*/}.new; \
		mv $$dir/.$${file##*/}.new $$dir/$${file##*/}; \
		printf '  %-8s %s\n' INSTALL $$dir/$${file##*/}; \
	done

uninstall: ## remove what install put there
	@for f in $(INSTALL_FILES); do rm -f $(DESTDIR)$${f%%:*}/$$(basename $${f##*:}); done
	@cd $(DESTDIR)$(PREFIX) 2>/dev/null && rmdir -p include/podwire/vmm-net include/podwire/loader/base 2>/dev/null || true
	@rmdir $(DESTDIR)$(PREFIX)/share/podwire 2>/dev/null || true
