# Sourced by `run`. What a subscriber takes on a device, and the guide's recipe for a device's processor.
#
# Builds the guide's subscriber as a user would, in a package of its own, with the guide's profile. Those that are
# quick to build are measured and compared with the table in the guide and in the README;
# `PUSHER_SIZES=write bash .ci/run --only sizes` builds all of them and writes the table.

readonly SIZES_GUIDE=src/guide/devices.rs
readonly SIZES_HOST=x86_64-unknown-linux-gnu
readonly SIZES_PI=aarch64-unknown-linux-gnu SIZES_PI32=armv7-unknown-linux-gnueabihf

# In a subshell, for its exports.
step_sizes() (
    local compiler mode=${PUSHER_SIZES:-check} root=$PWD bin=$PWD/target/sizes/bin package=$PWD/target/sizes/package
    [ "$(uname -m)" = x86_64 ] || fail 'the table has the memory of programs for x86-64, which this machine does not run'
    [ -e /etc/ssl/certs/ca-certificates.crt ] || run apt_get install ca-certificates
    export CARGO_INCREMENTAL=0
    unset CARGO_PROFILE_DEV_OPT_LEVEL
    sizes_package
    rm -rf "$bin"
    mkdir -p "$bin"
    cd "$package"
    # Where most of it has been compiled for the tests.
    run timeout 600 cargo build --quiet --target-dir "$root/target" --bin server --features server
    cp "$root/target/debug/server" "$bin"
    export CARGO_TARGET_DIR=$root/target/sizes
    sizes_build "$SIZES_HOST" none cargo build
    sizes_build "$SIZES_HOST" rustls cargo build
    choose_rust
    sizes_recipe gnu
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    sizes_build "$SIZES_PI" none target_cargo "$SIZES_PI" build
    if [ "$mode" = write ]; then sizes_others; fi
    cd "$root"
    compiler=$(rustc --version | cut -d ' ' -f 1,2)
    if [ "$rust_from" = debian ]; then
        [ "$mode" = check ] || fail "the table is made with rustup's Rust, which is not to be had here"
        compiler="Debian's Rust for some"
    fi
    run timeout 300 python3 .ci/sizes/measure.py "$mode" "$bin" "$compiler"
    du -sh target/sizes
)

# A user's program: the library by its path, and the profile that the guide says to copy.
sizes_package() {
    local profile
    profile=$(sizes_block 'profile')
    [ "$profile" = "$(awk '/^\[/ { inside = /^\[profile\.embedded\]/ } inside && NF' Cargo.toml)" ] ||
        fail "$SIZES_GUIDE and Cargo.toml have different profiles \`embedded\`"
    mkdir -p "$package"
    cat >"$package/Cargo.toml" <<END
[package]
name = "sizes"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
pusher-channels = { path = "$PWD", default-features = false }
rcgen = { version = "0.14", default-features = false, features = ["crypto", "ring", "pem"], optional = true }

[features]
default = ["rustls"]
none = []
rustls = ["pusher-channels/rustls"]
native-tls = ["pusher-channels/native-tls"]
server = ["pusher-channels/testing", "dep:rcgen"]

[[bin]]
name = "subscriber"
path = "$PWD/src/guide/devices/subscriber.rs"

[[bin]]
name = "server"
path = "$PWD/.ci/sizes/server.rs"
required-features = ["server"]

$profile
END
    # The versions that the tests use.
    if [ -e Cargo.lock ]; then cp Cargo.lock "$package"; fi
}

# The fenced block that follows a marker of the guide.
sizes_block() {
    awk -v marker="<!-- $1 -->" '{ sub(/^\/\/! ?/, "") } $0 == marker { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next } inside' "$SIZES_GUIDE"
}

# sizes_build TARGET TLS CARGO SUBCOMMAND...: the subscriber, to $bin.
sizes_build() {
    local target=$1 tls=$2 built=$CARGO_TARGET_DIR/embedded
    shift 2
    case $* in target_cargo*) built=$CARGO_TARGET_DIR/$target/embedded ;; esac
    run "$@" --quiet --profile embedded --bin subscriber --no-default-features --features "$tls"
    cp "$built/subscriber" "$bin/subscriber-$target-$tls"
}

# sizes_recipe gnu|musl: the guide's commands for a 64-bit Raspberry Pi, as they are there, in the package of a user.
sizes_recipe() {
    local recipe target=aarch64-unknown-linux-$1 program
    program=$CARGO_TARGET_DIR/$target/embedded/subscriber
    recipe=$(cd "$root" && sizes_block "recipe: $target")
    grep -q '^cargo build ' <<<"$recipe" || fail "$SIZES_GUIDE has no recipe for $target any more"
    command -v aarch64-linux-gnu-gcc >/dev/null || run apt_get update
    rm -f "$program"
    (
        if [ "$rust_from" = debian ]; then
            # There is no rustup, and the standard library is compiled.
            rustup() { echo "not run: rustup $*"; }
            cargo() { build_std_cargo "$@" -Z build-std=std,panic_abort; }
        fi
        set -x
        eval "$recipe"
    )
    # The processor that the ELF header names: 183 is AArch64.
    [ "$(od -An -td2 -j18 -N2 "$program" | tr -d ' ')" = 183 ] || fail "$program is not a program for aarch64"
    echo "the guide's recipe has built a program for $target"
    cp "$program" "$bin/subscriber-$target-rustls"
}

# What takes too long for every change, or needs OpenSSL for another processor.
sizes_others() {
    sizes_build "$SIZES_HOST" native-tls cargo build
    command -v musl-gcc >/dev/null || run apt_get install musl-tools
    add_target x86_64-unknown-linux-musl
    export CC_x86_64_unknown_linux_musl=musl-gcc
    sizes_build x86_64-unknown-linux-musl rustls target_cargo x86_64-unknown-linux-musl build
    # Compilers, linkers and OpenSSL of the step `arm`.
    (cd "$root" && arm_prepare && arm_openssl)
    export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR=$CACHE/arm-openssl/aarch64-linux-gnu
    export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR=$CACHE/arm-openssl/aarch64-linux-gnu/lib
    sizes_build "$SIZES_PI" native-tls target_cargo "$SIZES_PI" build
    add_target "$SIZES_PI32"
    export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
    sizes_build "$SIZES_PI32" none target_cargo "$SIZES_PI32" build
    sizes_build "$SIZES_PI32" rustls target_cargo "$SIZES_PI32" build
    sizes_recipe musl
}
