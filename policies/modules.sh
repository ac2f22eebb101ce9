# What policies/build and host/wasm/proxywasm/testdata/build share: toolchains, and what happens to a module.
# Sourced with these set: script (for messages), folder (of toolchain.toml), target (for what is built),
# stage (where Rust is built: the folder's name is in what cargo makes of it) and check (not empty: compare).

rust_packages=(rustc-web cargo-web rust-web-src lld-19)
clang_packages=(clang-19 lld-19)
linker=wasm-ld-19
failed='' different_toolchain=''

say() { printf '%s\n' "$*" >&2; }
die() { say "$script: $*"; exit 1; }

# recorded KEY prints what toolchain.toml says.
recorded() { sed -n "s/^$1 *= *\"\(.*\)\"\$/\1/p" "$folder/toolchain.toml"; }

# install_packages PACKAGE... has Debian install what a build needs.
install_packages() {
	[ -e /etc/debian_version ] && [ "$(id -u)" = 0 ] || die "as root on Debian: apt-get install $*"
	say "installing $*"
	apt-get -o DPkg::Lock::Timeout=300 update -q >&2
	apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends "$@" >&2
}

# --- Rust -------------------------------------------------------------------------------------------

have_debian_rust() {
	[ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && command -v $linker >/dev/null &&
		[ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/vendor" ]
}

have_rustup_target() {
	command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown
}

install_debian_rust() {
	[ -e /etc/debian_version ] || die "no Rust for wasm32: rustup target add wasm32-unknown-unknown"
	install_packages "${rust_packages[@]}"
	have_debian_rust || die "${rust_packages[*]} are installed, but not usable"
}

# choose_rust sets cargo, rustc, rust_version, std (flags that build the standard library) and remap.
choose_rust() {
	have_debian_rust || have_rustup_target || install_debian_rust
	local cargo_home=${CARGO_HOME:-$HOME/.cargo}
	remap="--remap-path-prefix=$stage=/ergo --remap-path-prefix=$cargo_home=/cargo"
	if have_debian_rust; then
		cargo=/usr/bin/cargo rustc=/usr/bin/rustc
		std=(-Z build-std=std,panic_abort)
		local library
		library=$($rustc --print sysroot)/lib/rustlib/src/rust
		remap="-C linker=$linker $remap --remap-path-prefix=$library=/rust --remap-path-prefix=$(realpath "$library")=/rust"
		rust_version="$($rustc --version), $($linker --version)"
	else
		cargo=$(rustup which cargo) rustc=$(rustup which rustc) std=()
		rust_version=$($rustc --version)
	fi
	say "rust: $rust_version"
}

# take_stage makes the folder that is the same everywhere ours alone.
take_stage() {
	mkdir -p -m 700 "$stage"
	[ -O "$stage" ] || die "$stage belongs to somebody else"
	exec 9>"$stage/lock"
	flock 9
}

# cargo_build FOLDER [FLAG...] builds a workspace below the stage into $stage/target.
cargo_build() (
	cd "$1"
	shift
	unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTC_WRAPPER RUSTUP_TOOLCHAIN
	RUSTC=$rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=$remap CARGO_TARGET_DIR=$stage/target CARGO_INCREMENTAL=0 \
		$cargo build --release --locked --target wasm32-unknown-unknown "${std[@]}" "$@" >&2
)

# --- Go ---------------------------------------------------------------------------------------------

# choose_go sets go_version, to what the module in a folder asks for.
choose_go() {
	go_version=$(cd "$1" && go env GOVERSION)
	say "go: $go_version"
}

# go_build FOLDER PACKAGE FILE builds a plugin with stock Go.
go_build() (
	cd "$1"
	GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 GOFLAGS='' GOWASM='' GOEXPERIMENT='' \
		go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "$3" "$2"
)

# --- C ----------------------------------------------------------------------------------------------

# choose_c sets c_version.
choose_c() {
	command -v clang-19 >/dev/null && command -v $linker >/dev/null || install_packages "${clang_packages[@]}"
	c_version="$(clang-19 --version | head -n 1), $($linker --version)"
	say "c: $c_version"
}

# c_build FOLDER POLICY FILE builds a module of the policy's C and the SDK's, both below the folder, without a libc.
# The stack lies first in memory, so that using it up is a trap.
c_build() (
	cd "$1"
	clang-19 --target=wasm32 -std=c17 -O3 -flto -mbulk-memory -ffreestanding -nostdlib -Wall -Wextra -Wpedantic -Werror \
		-I sdk/c -Wl,--no-entry,--strip-all,--stack-first,-z,stack-size=65536 -o "$3" sdk/c/*.c "$2"/*.c
)

# --- npm --------------------------------------------------------------------------------------------

# have_npm reports whether npm is there; to compare, one can do without what comes by it.
have_npm() {
	command -v npm >/dev/null && return
	[ -n "$check" ] || die "no npm"
	say "$1: not compared: no npm"
	return 1
}

# npm_install FOLDER installs in $target/npm what the folder's package-lock.json pins.
npm_install() {
	mkdir -p "$target/npm"
	cp "$1"/package.json "$1"/package-lock.json "$target/npm"
	(cd "$target/npm" && npm ci --silent --no-audit --no-fund >&2)
}

# --- Zig --------------------------------------------------------------------------------------------

# zig_install FOLDER installs in $target/python what the folder's requirements.txt pins, and sets zig; to compare, one
# can do without.
zig_install() {
	local python=$target/python
	if ! [ -x "$python/bin/pip" ] && ! python3 -m venv --clear "$python" >/dev/null 2>&1; then
		if [ -n "$check" ] && ! { [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ]; }; then return 1; fi
		install_packages python3-venv
		python3 -m venv --clear "$python"
	fi
	"$python/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$1/requirements.txt" >&2
	zig=$("$python/bin/python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
}

# zig_run COMMAND POLICY [FLAG...] runs the compiler on a policy, with the SDK as a module, in the folder that both are
# below.
zig_run() {
	"$zig" "$1" "${@:3}" --cache-dir "$target/zig" --global-cache-dir "$target/zig" \
		--dep ergo "-Mroot=$2/main.zig" -Mergo=sdk/zig/ergo.zig
}

# zig_build FOLDER POLICY FILE builds a module of the policy's Zig and the SDK's, both below the folder.
zig_build() (
	cd "$1"
	zig_run build-exe "$2" -target wasm32-freestanding -O ReleaseSmall -fstrip -fno-entry -rdynamic --stack 65536 "-femit-bin=$3"
)

# --- what happens to a module -----------------------------------------------------------------------

# place FILE LANGUAGE VERSION COMMITTED puts a module where it belongs, below the folder, or compares it.
place() {
	local file=$1 language=$2 version=$3 committed=$4
	if [ -z "$check" ]; then
		install -m 644 "$file" "$folder/$committed"
		say "$committed: $(wc -c <"$file") bytes"
		return
	fi
	install -D -m 644 "$file" "$target/rebuilt/$committed"
	if [ "$version" != "$(recorded "$language")" ]; then
		say "$committed: not compared: recorded with $(recorded "$language")"
		different_toolchain=1
	elif cmp -s "$file" "$folder/$committed"; then
		say "$committed: same bytes"
	else
		say "$committed: DIFFERS from what is committed"
		failed=1
	fi
}
