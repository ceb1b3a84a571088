# Rust for other machines than this one. Sourced by `run`.
#
# It comes from rustup or, where rustup's server cannot be reached, from Debian, which packs Rust for its browsers
# with the standard library's sources: there, that library is compiled too. PUSHER_CI_RUST=debian asks for the latter.

readonly DEBIAN_RUST=1.96

# One at a time: it does not lock what it installs.
one_rustup() {
    flock "$CACHE/rustup.lock" timeout 180 rustup "$@"
}

# Sets `rust_from`.
rust_from=
choose_rust() {
    [ -z "$rust_from" ] || return 0
    rust_from=debian
    # The target, since the sources may be here already.
    if [ "${PUSHER_CI_RUST:-}" != debian ] && one_rustup component add rust-src &&
        one_rustup target add aarch64-unknown-linux-gnu; then rust_from=rustup; fi
    if [ "$rust_from" = debian ]; then run unpack_debian_rust "$DEBIAN_RUST" "rust-web-src=$DEBIAN_RUST.*"; fi
    echo "Rust for other machines comes from $rust_from"
}

# add_target TARGET: makes `target_cargo TARGET` work, or fails.
add_target() {
    choose_rust
    if [ "$rust_from" = rustup ]; then retry_once one_rustup target add "$1"; fi
}

# target_cargo TARGET SUBCOMMAND...: cargo for another machine, after `add_target`.
target_cargo() {
    local target=$1 subcommand=$2
    shift 2
    case $rust_from in
        rustup) timeout 1800 cargo "$subcommand" --target "$target" "$@" ;;
        debian) build_std_cargo "$subcommand" -Z build-std=std,panic_abort --target "$target" "$@" ;;
        *) fail 'add_target was forgotten' ;;
    esac
}

# build_std_cargo SUBCOMMAND...: a cargo that has the standard library's sources and takes -Z build-std, after
# `choose_rust`.
build_std_cargo() {
    case $rust_from in
        rustup) RUSTC_BOOTSTRAP=1 timeout 1800 cargo "$@" ;;
        debian) RUSTC_BOOTSTRAP=1 debian_cargo "$DEBIAN_RUST" "$@" ;;
        *) fail 'choose_rust was forgotten' ;;
    esac
}

# unpack_debian_rust VERSION [PACKAGE=VERSION...]: unpacked, not installed, so that the machine's own Rust stays as it is.
unpack_debian_rust() {
    # Two steps may want it at once.
    (
        flock 9
        unpack_debian_rust_once "$@"
    ) 9>"$CACHE/rust-$1.lock"
}

unpack_debian_rust_once() {
    local version=$1 into=$CACHE/rust-$1 debs=$CACHE/rust-$1-debs deb
    shift
    [ ! -e "$into/.complete" ] || return 0
    rm -rf "$into" "$debs"
    mkdir -p "$into" "$debs/partial"
    apt_get install --download-only -o APT::Sandbox::User=root -o Dir::Cache::archives="$debs" \
        "rustc-web=$version.*" "libstd-rust-web-dev=$version.*" "cargo-web=$version.*" "$@"
    for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$into"; done
    rm -rf "$debs"
    touch "$into/.complete"
}

debian_cargo() {
    debian_rust "$1" cargo "${@:2}"
}

# debian_rust VERSION PROGRAM ARGUMENTS...: its cargo or rustc.
debian_rust() {
    local root=$CACHE/rust-$1 program=$2 libs
    shift 2
    # Some packages unpack their libraries to lib, not to usr/lib (libpcre3 does), for systems where these are two.
    libs=$(printf '%s:' "$root"/usr/lib/*-linux-gnu "$root"/lib/*-linux-gnu)
    LD_LIBRARY_PATH=$libs$root/usr/lib RUSTC=$root/usr/bin/rustc RUSTDOC=$root/usr/bin/rustdoc \
        timeout 1800 "$root/usr/bin/$program" "$@"
}
