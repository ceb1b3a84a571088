# Sourced by `run`.
#
# Type checks for systems and processors on which nothing is run here. C dependencies are not compiled, so this says
# nothing of them.

# With code of their own, in the library and in the tests.
readonly CHECK_SYSTEMS=(
    aarch64-linux-android
    x86_64-unknown-freebsd
    mipsel-unknown-linux-gnu # no 64-bit atomics
)
# Their TLS is not OpenSSL, so that the code for native-tls differs, too.
readonly CHECK_TLS=(
    aarch64-apple-darwin
    aarch64-apple-ios
    x86_64-pc-windows-msvc
)
# With nothing that the tests would see and those above, or a Linux on which they run, do not have: ARMv6 (Raspberry Pi 1
# and Zero), big-endian and other processors.
readonly CHECK_LIBRARY=(
    x86_64-apple-darwin
    x86_64-unknown-linux-musl
    riscv64gc-unknown-linux-gnu
    arm-unknown-linux-gnueabihf
    powerpc-unknown-linux-gnu
    armv5te-unknown-linux-gnueabi
)
# With rustls and everything. What differs without a feature differs on this machine as well.
readonly CHECK_RUSTLS='--no-default-features --features rustls,encrypted,testing,publisher'

# check_cargo CARGO... -- ARGUMENT...: the arguments are for all the targets at once, so that what runs on this machine
# is compiled once and both cores are busy.
check_cargo() {
    local cargo=() libraries
    while [ "$1" != -- ]; do cargo+=("$1") && shift; done
    shift
    libraries=$(pkg-config --variable=libdir openssl)
    # Build scripts take their compiler from TARGET_CC, and OpenSSL's headers from this machine; `xcrun` is not asked for
    # an SDK if there is an SDKROOT. Cargo hides the warnings of dependencies from `-D warnings`.
    RUSTFLAGS='-D warnings' TARGET_CC=$PWD/.ci/fake-cc TARGET_AR=$PWD/.ci/fake-cc SDKROOT=/usr \
        OPENSSL_INCLUDE_DIR=/usr/include OPENSSL_LIB_DIR=$libraries CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
        run "${cargo[@]}" --quiet --keep-going --target-dir target/check "$@"
}

# check_targets TARGET...: `sets`, an array of the caller, holds what is checked.
check_targets() {
    local target set ready=() others=()
    for target in "$@"; do
        # rustup does not have a standard library for every target; then it is checked from its source, too.
        if [ "$rust_from" = rustup ] && one_rustup target add "$target" 2>/dev/null; then
            ready+=("--target=$target")
        else
            others+=("--target=$target")
        fi
    done
    for set in "${sets[@]}"; do
        # shellcheck disable=SC2086 # a set is several words
        if [ ${#ready[@]} -gt 0 ]; then check_cargo timeout 1200 cargo check -- $set "${ready[@]}"; fi
        # shellcheck disable=SC2086
        if [ ${#others[@]} -gt 0 ]; then check_cargo build_std_cargo check -Z build-std=std,panic_abort -- $set "${others[@]}"; fi
    done
    echo "check: ${#sets[@]} sets for each of: $*; ${#others[@]} of them with the standard library from its source"
}

step_check() {
    local sets started=$SECONDS
    if ! pkg-config --exists openssl; then run apt_get install build-essential libssl-dev pkg-config; fi
    choose_rust
    sets=("--lib --tests $CHECK_RUSTLS")
    check_targets "${CHECK_SYSTEMS[@]}"
    # The default features have native-tls.
    sets+=(--lib)
    check_targets "${CHECK_TLS[@]}"
    sets=("--lib $CHECK_RUSTLS")
    check_targets "${CHECK_LIBRARY[@]}"
    echo "check: type checks for $((${#CHECK_SYSTEMS[@]} + ${#CHECK_TLS[@]} + ${#CHECK_LIBRARY[@]})) targets passed, 0 failed; no test was run; $((SECONDS - started)) s"
}
