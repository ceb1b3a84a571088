# Sourced by `run`.

readonly SANITIZE_TARGET=x86_64-unknown-linux-gnu
# Without OpenSSL, whose C is not instrumented.
readonly SANITIZE_SET='--no-default-features --features rustls,encrypted,testing,publisher'
# Left out under ThreadSanitizer. The kept inputs of the fuzzer and the longest property tests: one thread alone
# computes for minutes, where nothing can race.
readonly SANITIZE_WITHOUT_UNIT=(
    fuzzing::tests::stored_inputs_still_pass
    protocol::machine::decrypt_queue::tests::long_frames_are_bounded_by_their_bytes
    protocol::tests::interleaving::every_wanted_channel_comes_to_an_end
    protocol::tests::property::
    protocol::tests::window::a_hundred_thousand_channels_come_back_at_a_peer_that_reads_slowly
    driver::auth_pool::waiting::tests::next_does_not_scan_the_requests
)
# What measures the memory or the stack of the process, which is mostly ThreadSanitizer's own here, with floods that take
# it minutes.
# Those that need node, proxies or an example, which are not here: their client is the same code.
readonly SANITIZE_WITHOUT_IT=(
    misbehaving_peers::frames::million_members_take_bounded_memory
    misbehaving_peers::floods::full_queues_drop_and_count
    misbehaving_peers::floods::pongs_for_a_peer_that_does_not_read_are_bounded
    stack::nested_frames_fit_the_smallest_stack
    soketi::
    foreign::
    daemon::
    proxy::real::
)
# What miri executes. Tests of thousands of values and property tests are left out: it is some hundred times slower.
readonly SANITIZE_MIRI=(
    binding::tests::a_
    binding::tests::an_
    binding::tests::bytes_
    binding::tests::drop
    binding::tests::it_
    wire::batch::tests::a_custom_
)

step_sanitize() {
    local started=$SECONDS threads failed=
    known_tests src "${SANITIZE_WITHOUT_UNIT[@]}"
    known_tests tests/it "${SANITIZE_WITHOUT_IT[@]}"
    sanitize_build
    echo "built after $((SECONDS - started)) s"
    sanitize_control
    # Side by side: the tests wait more than they compute, and miri has one thread.
    sanitize_threads &
    threads=$!
    sanitize_miri || failed=1
    wait "$threads" || failed=1
    [ -z "$failed" ] || fail 'the lines above say what the sanitizers found or which tests failed'
    du -sh target/sanitize
}

# sanitize_cargo SUBCOMMAND...: cargo with ThreadSanitizer, the standard library instrumented too.
sanitize_cargo() {
    local subcommand=$1 flags=-Zsanitizer=thread runtime=$CACHE/tsan-19/usr/lib/llvm-19/lib/clang/19/lib/linux
    shift
    if [ "$rust_from" = debian ]; then
        # Debian's Rust has no runtime of its own. That of Debian's clang must be linked before libc.
        flags+=" -Zexternal-clangrt -Zpre-link-arg=-Wl,--no-as-needed -Zpre-link-arg=$runtime/libclang_rt.tsan-x86_64.so"
        flags+=" -Zpre-link-arg=-Wl,-rpath,$runtime -Zpre-link-arg=-Wl,--as-needed"
    fi
    # Data races are told with lines of the source. The limits of the tests are for a quick processor.
    RUSTFLAGS=$flags CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only \
        PUSHER_TEST_TIME_SCALE=5 build_std_cargo "$subcommand" -Z build-std --target "$SANITIZE_TARGET" \
        --target-dir "$PWD/target/sanitize" "$@"
}

# sanitize_execute FOLDER PROGRAM...: its reports, and those of the processes that it starts, become files in FOLDER.
sanitize_execute() {
    local reports=$1
    shift
    rm -rf "$reports"
    mkdir -p "$reports"
    # With a backtrace, which an instrumented library looks up, a panic takes many seconds.
    RUST_BACKTRACE=0 TSAN_OPTIONS="report_thread_leaks=0 history_size=4 external_symbolizer_path=/usr/bin/addr2line log_path=$reports/report" \
        timeout 1200 "$@"
}

sanitize_build() {
    choose_rust
    if ! command -v addr2line >/dev/null; then run apt_get install binutils; fi
    if [ "$rust_from" = debian ]; then sanitize_debian_runtime; fi
    # shellcheck disable=SC2086 # a set is several words
    run sanitize_cargo test --quiet $SANITIZE_SET --lib --test it --no-run
}

sanitize_debian_runtime() {
    local into=$CACHE/tsan-19
    [ ! -e "$into/.complete" ] || return 0
    rm -rf "$into"
    mkdir -p "$into/debs/partial"
    apt_get install --download-only -o APT::Sandbox::User=root -o Dir::Cache::archives="$into/debs" libclang-rt-19-dev
    dpkg-deb -x "$into"/debs/libclang-rt-19-dev_*.deb "$into"
    rm -r "$into/debs"
    touch "$into/.complete"
}

# A planted data race must be found, or else silence says nothing.
sanitize_control() {
    local program=$CACHE/race reports=$CACHE/sanitize/race
    mkdir -p "$program/src"
    cat >"$program/Cargo.toml" <<'END_OF_FILE'
[package]
name = "race"
version = "0.0.0"
edition = "2024"

[workspace]
END_OF_FILE
    cat >"$program/src/main.rs" <<'END_OF_FILE'
use std::cell::UnsafeCell;
use std::thread;

struct Unguarded(UnsafeCell<u32>);
unsafe impl Sync for Unguarded {}
static COUNT: Unguarded = Unguarded(UnsafeCell::new(0));

fn add() {
    for _ in 0..1000 {
        unsafe { *COUNT.0.get() += 1 };
    }
}

fn main() {
    let other = thread::spawn(add);
    add();
    other.join().unwrap();
}
END_OF_FILE
    run sanitize_cargo build --quiet --manifest-path "$program/Cargo.toml"
    if sanitize_execute "$reports" "target/sanitize/$SANITIZE_TARGET/debug/race"; then
        fail 'ThreadSanitizer did not fail the program with a planted data race'
    fi
    cat "$reports"/report.* | grep -F 'SUMMARY: ThreadSanitizer: data race' || fail 'ThreadSanitizer did not report the planted data race'
    echo 'the planted data race is reported'
}

sanitize_threads() {
    local name program job failed= jobs=()
    local -A program_of=()
    # Built already: this names the programs.
    # shellcheck disable=SC2086
    while IFS=$'\t' read -r name program; do
        program_of[$name]=$program
    done < <(sanitize_cargo test --quiet $SANITIZE_SET --lib --test it --no-run --message-format json | python3 -c '
import json, sys
for line in sys.stdin:
    it = json.loads(line)
    if it.get("executable") and it["profile"]["test"]: print(it["target"]["name"], it["executable"], sep="\t")')
    [ ${#program_of[@]} = 2 ] || fail "two programs of tests expected, not ${!program_of[*]}"
    for name in "${!program_of[@]}"; do
        sanitize_suite "$name" "${program_of[$name]}" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do wait "$job" || failed=1; done
    [ -z "$failed" ]
}

# sanitize_suite NAME PROGRAM: runs its tests, and fails for a report of ThreadSanitizer's, too.
sanitize_suite() {
    local name=$1 program=$2 started=$SECONDS log=$CACHE/sanitize-$1.log reports=$CACHE/sanitize/$1 failed=
    local without=("${SANITIZE_WITHOUT_UNIT[@]}")
    if [ "$name" = it ]; then without=("${SANITIZE_WITHOUT_IT[@]}"); fi
    sanitize_execute "$reports" "$program" "${without[@]/#/--skip=}" >"$log" 2>&1 ||
        again "$log" sanitize_execute "$reports-again" "$program" --exact || failed=1
    grep -vE '^test .*[.]{3} ok$' "$log" || true
    if [ -n "$(ls "$reports")" ]; then
        cat "$reports"/*
        echo "ci: ThreadSanitizer has reports, in the lines above" >&2
        failed=1
    fi
    # A filter that fits nothing would pass.
    case $(sanitize_count "$log") in '' | '0 passed'*) failed=1 ;; esac
    echo "left out of $name under ThreadSanitizer: ${without[*]}"
    echo "sanitize: ThreadSanitizer, $name: $(sanitize_count "$log"), after $((SECONDS - started)) s"
    [ -z "$failed" ]
}

# The result of the whole run comes last, after those of the tests that start themselves again.
sanitize_count() {
    grep '^test result:' "$1" | tail -n 1 | grep -oE '[0-9]+ (passed|failed|filtered out)' | paste -sd, | sed 's/,/, /g; s/filtered out/left out/'
}

sanitize_miri() {
    local started=$SECONDS log=$CACHE/sanitize-miri.log status=0
    if [ "$rust_from" = debian ] || ! { cargo +nightly miri --version >/dev/null 2>&1 ||
        run one_rustup toolchain install nightly --no-self-update --profile minimal --component miri --component rust-src; }; then
        skipped+=('sanitize: NO test ran in miri: its component cannot be had from here')
        return 0
    fi
    run cargo +nightly miri --version
    MIRIFLAGS=-Zmiri-disable-isolation CARGO_INCREMENTAL=0 timeout 900 cargo +nightly miri test --quiet --target-dir target/miri \
        --no-default-features --features encrypted --lib -- "${SANITIZE_MIRI[@]}" >"$log" 2>&1 || status=$?
    tail -n 50 "$log"
    [ "$status" = 0 ] || return 1
    case $(sanitize_count "$log") in '' | '0 passed'*) echo 'no test ran in miri' && return 1 ;; esac
    echo "sanitize: miri: $(sanitize_count "$log"), after $((SECONDS - started)) s"
}
