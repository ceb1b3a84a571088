# Sourced by `run`. Windows, with mingw as its linker and wine in its place.

readonly WINDOWS=x86_64-pc-windows-gnu
readonly WINDOWS_SETS=('--no-default-features' '--no-default-features --features rustls' '')
# What is tested.
readonly WINDOWS_TESTS='--no-default-features --features encrypted'
# wine is slower than Windows.
readonly WINDOWS_TIME_SCALE=3

# What is left out of the tests, and why. Each name must be that of a test.
readonly WINDOWS_UNIT_SKIPS=(
    # wine 8 returns a reset as an orderly end of the connection, to a bare `recv` in C, too.
    transport::tests::connection::reset_is_an_io_error
)
readonly WINDOWS_IT_SKIPS=()

windows_install() {
    local missing=()
    command -v x86_64-w64-mingw32-gcc >/dev/null || missing+=(gcc-mingw-w64-x86-64)
    [ -x /usr/lib/wine/wine64 ] || missing+=(wine64)
    if [ ${#missing[@]} -gt 0 ]; then run apt_get install "${missing[@]}"; fi
    x86_64-w64-mingw32-gcc --version | head -n 1
}

# rustup's target has them; Debian's sources have what they are made of.
windows_start_objects() {
    [ "$rust_from" = debian ] || return 0
    local root=$CACHE/rust-$DEBIAN_RUST name into
    into=$root/usr/lib/rustlib/$WINDOWS/lib
    mkdir -p "$into"
    for name in rsbegin rsend; do
        [ ! -e "$into/$name.o" ] || continue
        RUSTC_BOOTSTRAP=1 debian_rust "$DEBIAN_RUST" rustc --target "$WINDOWS" --crate-type lib --emit obj -O \
            -o "$into/$name.o" "$root"/usr/src/rustc-*/library/rtstartup/"$name.rs"
    done
}

windows_cargo() {
    PUSHER_TEST_TIME_SCALE=$WINDOWS_TIME_SCALE CARGO_TARGET_DIR=target/windows CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 target_cargo "$WINDOWS" "$@"
}

# windows_test_binary TARGET: builds the tests of a target without TLS, and prints where their program is.
windows_test_binary() {
    echo "+ windows_cargo test --no-run $WINDOWS_TESTS $*" >&2
    # shellcheck disable=SC2086
    windows_cargo test --quiet --no-run $WINDOWS_TESTS --message-format json-render-diagnostics "$@" | python3 -c '
import json, sys
messages = map(json.loads, sys.stdin)
[program] = (it["executable"] for it in messages if it.get("executable") and it["profile"]["test"])
print(program)'
}

# Not the home folder, of which wine would link the folders.
windows_wine() {
    HOME=$wine_prefix DISPLAY='' WINEPREFIX=$wine_prefix WINEARCH=win64 WINEDEBUG=-all \
        WINEDLLOVERRIDES='winemenubuilder.exe,mscoree,mshtml=d' "$@"
}

# Sets `wine_prefix` to what a Windows machine would have on its disk.
windows_prefix() {
    local version system
    version=$(/usr/lib/wine/wine64 --version)
    echo "$version"
    wine_prefix=$PWD/target/windows/${version%% *}
    [ ! -e "$wine_prefix/.complete" ] || return 0
    rm -rf "$wine_prefix"
    mkdir -p "$wine_prefix"
    run windows_wine timeout 120 /usr/lib/wine/wine64 wineboot --init
    system=$wine_prefix/drive_c/windows/system32
    # wine 8 has none, from which Rust's standard library takes its random numbers.
    if [ ! -e "$system/bcryptprimitives.dll" ]; then
        x86_64-w64-mingw32-gcc -shared -O2 -o "$system/bcryptprimitives.dll" -x c - -ladvapi32 <<'END'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
    return SystemFunction036(data, (ULONG)length);
}
END
    fi
    touch "$wine_prefix/.complete"
}

# windows_tests NAME BINARY SKIPS...: leaves its output in target/windows/NAME.log, and what was run again in NAME.again.
windows_tests() {
    local name=$1 binary=$2 log=target/windows/$1.log test skips=()
    shift 2
    for test in "$@"; do skips+=(--skip "$test"); done
    rm -f "target/windows/$name.passed"
    : >"target/windows/$name.again"
    if windows_execute "$binary" --test-threads 4 --exact "${skips[@]}" >"$log" 2>&1 ||
        again "$log" windows_execute "$binary" --exact >"target/windows/$name.again"; then
        touch "target/windows/$name.passed"
    fi
}

windows_execute() {
    RUST_BACKTRACE=0 windows_wine timeout 600 /usr/lib/wine/wine64 "$@"
}

# windows_result NAME SKIPS...: prints what is the result of the tests, and fails unless that is good.
windows_result() {
    local name=$1 line
    shift
    cat "target/windows/$name.again" >&2
    if [ ! -e "target/windows/$name.passed" ]; then
        tail -n 100 "target/windows/$name.log" >&2
        fail "tests of $name failed under wine, or did not end"
    fi
    # Those that run tests in processes of their own show their results too.
    line=$(grep '^test result:' "target/windows/$name.log" | tail -n 1) || true
    case $line in
        'test result: ok. 0 passed'*) fail "no test of $name ran" ;;
        # Else a test that is left out has another name.
        'test result: ok.'*" $# filtered out"*) echo "${line#test result: ok. }" ;;
        'test result: FAILED.'*" $# filtered out"*) echo "${line#test result: FAILED. }" ;;
        *) fail "of the tests of $name not $# are left out under wine: $line" ;;
    esac
}

# In a shell of its own, for its trap.
step_windows() (
    local set left_out build=target/windows/$WINDOWS/debug unit_tests it_tests output results wine_prefix started=$SECONDS
    windows_install
    add_target "$WINDOWS"
    windows_start_objects
    for set in "${WINDOWS_SETS[@]}"; do
        # shellcheck disable=SC2086 # a set is several words
        run windows_cargo build --quiet --lib $set
    done
    # With the program; SChannel is its TLS.
    # shellcheck disable=SC2086
    run windows_cargo build --quiet --lib --bins $FULL
    run windows_cargo build --quiet --no-default-features --example quickstart
    unit_tests=$(windows_test_binary --lib)
    it_tests=$(windows_test_binary --test it)

    windows_prefix
    # wine's server is nobody's child.
    trap 'trap "" TERM; windows_wine /usr/lib/wine/wineserver -k || true' EXIT
    output=$(run windows_wine timeout 60 /usr/lib/wine/wine64 "$build/examples/quickstart.exe" 2>&1) ||
        fail "quickstart ended with status $?: $output"
    echo "$output"
    [ "$(wc -l <<<"$output")" -gt 1 ] || fail 'quickstart printed nothing'
    run windows_wine timeout 60 /usr/lib/wine/wine64 "$build/pusher-channels.exe" --version

    windows_tests unit "$unit_tests" "${WINDOWS_UNIT_SKIPS[@]}" &
    windows_tests it "$it_tests" "${WINDOWS_IT_SKIPS[@]}" || true
    wait $! || true
    results="unit tests $(windows_result unit "${WINDOWS_UNIT_SKIPS[@]}")"
    results+="; tests/it $(windows_result it "${WINDOWS_IT_SKIPS[@]}")"
    left_out=("${WINDOWS_UNIT_SKIPS[@]}" "${WINDOWS_IT_SKIPS[@]}")
    echo "${#left_out[@]} tests left out: ${left_out[*]}"
    du -sh target/windows
    echo "windows: without TLS, under wine: $results; $((SECONDS - started)) s in all"
)
