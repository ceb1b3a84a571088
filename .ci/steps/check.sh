# Sourced by `run`.
#
# Type checks for systems and processors on which nothing is run here. C dependencies are not compiled, so this says
# nothing of them.

readonly CHECK_TARGETS=(
    aarch64-apple-darwin
    x86_64-apple-darwin
    aarch64-apple-ios
    aarch64-linux-android
    x86_64-unknown-freebsd
    x86_64-unknown-linux-musl
    riscv64gc-unknown-linux-gnu
    powerpc-unknown-linux-gnu
    x86_64-pc-windows-msvc
    # Raspberry Pi 1 and Zero.
    arm-unknown-linux-gnueabihf
    # No 64-bit atomics; nor has powerpc.
    armv5te-unknown-linux-gnueabi
    # Routers.
    mipsel-unknown-linux-gnu
)
# The library and its tests, by each TLS library; the library alone, without what the tests would switch on.
readonly CHECK_SETS=(
    '--lib --tests --no-default-features --features rustls,encrypted,testing,publisher'
    '--lib --tests'
    '--lib --no-default-features'
    '--lib --no-default-features --features encrypted,testing,publisher'
)

# check_with CARGO... TARGET...: all at once, so that what runs on this machine is compiled once and both cores are
# busy. Before the targets: the words of the command that is cargo, and `--`.
check_with() {
    local cargo=() targets=() set libraries
    libraries=$(pkg-config --variable=libdir openssl)
    while [ "$1" != -- ]; do cargo+=("$1") && shift; done
    shift
    [ $# -gt 0 ] || return 0
    echo "$# targets: $*"
    targets=("${@/#/--target=}")
    for set in "${CHECK_SETS[@]}"; do
        # Build scripts take their compiler from TARGET_CC, and OpenSSL's headers from this machine; `xcrun` is not
        # asked for an SDK if there is an SDKROOT. Cargo hides the warnings of dependencies from `-D warnings`.
        # shellcheck disable=SC2086
        RUSTFLAGS='-D warnings' TARGET_CC=$PWD/.ci/fake-cc TARGET_AR=$PWD/.ci/fake-cc SDKROOT=/usr \
            OPENSSL_INCLUDE_DIR=/usr/include OPENSSL_LIB_DIR=$libraries CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
            run "${cargo[@]}" --quiet --keep-going --target-dir target/check $set "${targets[@]}"
    done
}

step_check() {
    local target ready=() others=() started=$SECONDS
    if ! pkg-config --exists openssl; then run apt_get install build-essential libssl-dev pkg-config; fi
    choose_rust
    for target in "${CHECK_TARGETS[@]}"; do
        # Not for every target does rustup have a standard library.
        if [ "$rust_from" = rustup ] && timeout 180 rustup target add "$target" 2>/dev/null; then
            ready+=("$target")
        else
            others+=("$target")
        fi
    done
    check_with cargo check -- "${ready[@]}"
    check_with build_std_cargo check -Z build-std=std,panic_abort -- "${others[@]}"
    echo "check: type-checked for ${#CHECK_TARGETS[@]} targets (${#others[@]} with the standard library from source), ${#CHECK_SETS[@]} sets each; no test was run; $((SECONDS - started)) s"
}
