# Two commands: `make demo` shows it, `make test` proves it. Both set everything up themselves, on a machine that has Rust and Go.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dialer-operator
TARGET := $(or $(CARGO_TARGET_DIR),target)
DENY_VERSION := 0.20.2
# Most tests wait for servers, not for the processor.
export RUST_TEST_THREADS ?= 8
FUZZ_VERSION := 0.13.1
DENY := $(CACHE)/tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
FUZZ := $(CACHE)/tools/cargo-fuzz-$(FUZZ_VERSION)/bin/cargo-fuzz

.PHONY: help demo test check image image-again release released-commit fuzz cluster-tools generate

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: ## See it work: a real API server, a simulated CXone, the operator (ONCE=1 ends by itself)
	@echo "== building (the first time takes some minutes)"
	cargo build --locked -p dialer-operator -p demo
	@$(TARGET)/debug/demo --operator $(TARGET)/debug/dialer-operator $(if $(ONCE),--once)

test: check cluster-tools image-again ## Every check and every test
	@mkdir -p $(TARGET)
	@echo "== documentation tests"
	cargo test --locked --workspace --doc --quiet
	@echo "== tests"
	cargo test --locked --workspace --lib --bins --tests 2>&1 | tee $(TARGET)/test.log
	@echo "== the fuzz targets, on their seeds"
	CARGO_TARGET_DIR=$(abspath $(TARGET)) cargo test --locked --quiet --no-default-features --manifest-path fuzz/Cargo.toml 2>&1 | tee -a $(TARGET)/test.log
	@echo "== the demo, as a newcomer runs it"
	@$(MAKE) --no-print-directory demo ONCE=1
	@awk '/^test result:/ { passed += $$4; failed += $$6 } END { print passed " passed, " failed " failed" }' $(TARGET)/test.log

check: $(DENY) ## Format, lints, licences, bans, sources
	@echo "== format"
	cargo fmt --all --check
	@echo "== lints"
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@echo "== licences, bans, sources"
	$(DENY) --log-level error check bans licenses sources

image: ## Write the image as an OCI layout into dist/, with its bill of materials; no container engine
	@echo "== image"
	@IMAGE_TOOL=$$(cargo run --locked --quiet -p devcluster -- build image) image/build dist $(CACHE)/image

release: released-commit ## Write all that a release consists of into dist/: only of a commit that is tagged with the version
	@$(MAKE) --no-print-directory image
	@$$(cargo run --locked --quiet -p devcluster -- build helm) package charts/dialer-operator --destination dist
	@tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C dist -cf dist/image.tar image
	@cd dist && sha256sum *.tar *.tgz *.cdx.json | tee SHA256SUMS

released-commit:
	@version=$$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml); \
	git tag --points-at HEAD | grep -qx "v$$version" || { echo "release: this commit has no tag v$$version, the version of Cargo.toml" >&2; exit 1; }
	@changed=$$(git status --porcelain); \
	test -z "$$changed" || { printf 'release: this is not what is tagged; commit it or take it back:\n%s\n' "$$changed" >&2; exit 1; }
	@rm -rf dist

# The tests hold the two against each other; here they are built with progress to see.
image-again: image
	@echo "== image, again from another folder"
	@IMAGE_TOOL=$$(cargo run --locked --quiet -p devcluster -- build image) image/build $(TARGET)/image-again $(CACHE)/image-again/in/another/folder

fuzz: $(FUZZ) ## Look for inputs that break something, FUZZ_SECONDS=20 for each target (FUZZ_TARGETS="decide window")
	@mkdir -p $(TARGET)
	@PATH="$(dir $(FUZZ)):$$PATH" FUZZ_CACHE=$(CACHE)/fuzz FUZZ_TARGET_DIR=$(abspath $(TARGET))/fuzz fuzz/run

cluster-tools: ## Build kube-apiserver, etcd, kubectl, Helm and the tests' own tools into the cache (minutes the first time)
	@echo "== control plane"
	cargo run --locked --quiet -p devcluster -- build

generate: ## Write anew what is generated: crds/ and its copies, the kustomize base, argocd-cm.yaml, tables of the documents
	for dir in crds charts/dialer-operator/files/crds deploy/kustomize/crds; do cargo run --locked --quiet -- crd --dir $$dir; done
	UPDATE=1 cargo test --locked --quiet --test documentation --test gitops -- --test-threads=1
	UPDATE=1 cargo test --locked --quiet --test chart kustomize

$(DENY):
	@echo "== installing cargo-deny $(DENY_VERSION) into $(CACHE) (about two minutes, once)"
	cargo install --quiet --locked --debug --no-default-features --version $(DENY_VERSION) --root $(CACHE)/tools/cargo-deny-$(DENY_VERSION) cargo-deny

$(FUZZ):
	@echo "== installing cargo-fuzz $(FUZZ_VERSION) into $(CACHE) (about half a minute, once)"
	cargo install --quiet --locked --debug --version $(FUZZ_VERSION) --root $(CACHE)/tools/cargo-fuzz-$(FUZZ_VERSION) cargo-fuzz
