# Go alone is enough for run and test. `make help` lists the rest.

GO       ?= go
FUZZ     ?= 10s
PACKAGES ?= ./...
TRIMPATH ?= -trimpath
export GOFLAGS ?= -buildvcs=false

# wazero's compiler, which shares nothing between goroutines, takes half of a test's time under the race detector.
ifneq ($(filter -race,$(FLAGS)),)
UNWATCHED = $(foreach p,ssa frontend backend/...,-gcflags=github.com/tetratelabs/wazero/internal/engine/wazevo/$(p)=-race=false)
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: build
build: ## builds ./ergo
	$(GO) build $(TRIMPATH) -o ergo ./host/cmd/ergo

.PHONY: run
run: build ## starts the proxy on proxy.toml, with an origin built in
	./ergo run -c proxy.toml --demo

.PHONY: test
test: ## all tests; FLAGS=-race adds the race detector
	$(GO) test $(FLAGS) $(UNWATCHED) -timeout 30m $(PACKAGES)

.PHONY: check
check: build ## checks proxy.toml as the start would
	./ergo check -c proxy.toml

.PHONY: lint
lint: ## format, vet, staticcheck, cross-builds
	@unformatted="$$(gofmt -l host sdk policies plugins examples 2>/dev/null)"; test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@for target in linux/arm64 darwin/arm64 windows/amd64; do echo "build $$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build ./... || exit 1; done

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ (10s)
	@.ci/fuzz $(FUZZ)

.PHONY: bench
bench: ## Ergo beside nginx, HAProxy and Caddy, held against its goals; writes .bench/; FLAGS=-help lists flags
	$(GO) run ./host/internal/bench $(FLAGS)

.PHONY: bench-cache
bench-cache: ## what a hit of the cache costs beside what is forwarded, held against goals; FLAGS='-rounds 3'
	$(GO) run ./host/internal/bench -only ergo-0,ergo-hit,ergo-pass -scenarios 1KiB,64KiB,1MiB $(FLAGS)

.PHONY: bench-wasm
bench-wasm: ## what an instance costs, started, cloned, or fresh for each exchange, held against goals; FLAGS=-help lists flags
	$(GO) run ./host/internal/benchwasm $(FLAGS)

.PHONY: bench-process
bench-process: ## what an exchange costs that a plugin process sees, beside a unary gRPC call, held against goals; FLAGS=-help lists flags
	$(GO) run ./host/internal/benchprocess $(FLAGS)

.PHONY: micro
micro: ## Go benchmarks, once each
	$(GO) test -run '^$$' -bench . -benchtime 1x $$(grep -rl --include='*_test.go' '^func Benchmark' host sdk policies plugins examples | xargs -n 1 dirname | sort -u | sed 's|^|./|')

.PHONY: soak
soak: build ## 2,000 swaps under constant load with the real binary; FLAGS='-swaps 100'
	$(GO) run ./host/internal/soak $(FLAGS)

.PHONY: soak-wasm
soak-wasm: build ## ten minutes of hostile guests beside sound ones with the real binary; FLAGS='-for 30s'
	$(GO) run ./host/internal/soak -wasm $(FLAGS)

.PHONY: cache-tests
cache-tests: build ## the public suite for HTTP caches on the real binary, held against what is recorded; needs npm; FLAGS='-id CASE'
	$(GO) run ./host/internal/cachetests $(FLAGS)

.PHONY: policy-table
policy-table: ## measures what each policy costs, into policies/costs.txt, and writes README.md's table of policies
	$(GO) test -run '^$$' -bench 'Forward|ExtAuth' -count 5 ./policies ./plugins | tee policies/costs.txt
	$(GO) test -count=1 -run TestTable ./policies -update

.PHONY: policies
policies: ## rebuilds every policies/*/policy.wasm
	policies/build

.PHONY: plugins
plugins: ## builds every plugins/*/*.plugin
	@for name in $(notdir $(patsubst %/,%,$(wildcard plugins/*/))); do echo "plugin $$name"; \
		$(GO) build $(TRIMPATH) -ldflags='-s -w' -o "plugins/$$name/$$name.plugin" "./plugins/$$name" || exit 1; done
