# Sourced by `run`.

# What is not about TLS.
readonly ARM_PLAIN='--no-default-features --features encrypted'
readonly ARM_TARGETS=(aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf)
readonly ARM_OWN_PROFILE='profile.dev.package.pusher-channels.opt-level=0'
# Left out: floods of a hundred thousand and more, for each of which the emulator computes half a minute. Their bounds
# have nothing to do with the processor.
readonly ARM_WITHOUT_UNIT=(protocol::tests::window::a_hundred_thousand_channels_come_back_at_a_peer_that_reads_slowly)
# And those that start programs of others; `daemon` starts one without variables, where the emulator finds no libraries.
readonly ARM_WITHOUT_IT=(
    misbehaving_peers::frames::million_members_take_bounded_memory
    misbehaving_peers::floods::full_queues_drop_and_count
    misbehaving_peers::floods::pongs_for_a_peer_that_does_not_read_are_bounded
    process::unused_channels_are_freed_with_their_handles
    slow_consumers::stuck_binding_costs_a_thousand_others_nothing
    soketi::
    foreign::
    daemon::
    proxy::real::
)
# What knows nothing of TLS: it is not run again with it.
readonly ARM_WITHOUT_TLS=(protocol:: wire:: fuzzing:: binding::)

# In a shell of its own, since what it exports is not for other steps.
step_arm() (
    local started=$SECONDS target job failed='' jobs=()
    known_tests src "${ARM_WITHOUT_UNIT[@]}" "${ARM_WITHOUT_TLS[@]}"
    known_tests tests/it "${ARM_WITHOUT_IT[@]}"
    arm_prepare
    arm_openssl
    for target in "${ARM_TARGETS[@]}"; do arm_build "$target"; done
    echo "arm: built in $((SECONDS - started)) s, $(du -sh "$CARGO_TARGET_DIR" | cut -f 1)"
    # Side by side: most tests wait more than they compute.
    for target in "${ARM_TARGETS[@]}"; do
        arm_run "$target" >"$CACHE/$target.log" 2>&1 &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do wait "$job" || failed=1; done
    for target in "${ARM_TARGETS[@]}"; do cat "$CACHE/$target.log"; done
    [ -z "$failed" ] || fail 'the lines above say what failed in the emulator'
    echo "arm: left out: ${ARM_WITHOUT_UNIT[*]} ${ARM_WITHOUT_IT[*]}"
    echo "arm: and of the runs with TLS what ran without: ${ARM_WITHOUT_TLS[*]}, and of \`it\` what is not about TLS"
    for target in "${ARM_TARGETS[@]}"; do
        echo "arm: $target: quickstart, $(arm_sum <"$CACHE/$target.log"), after $((SECONDS - started)) s"
    done
)

arm_prepare() {
    local missing=() target
    command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
    command -v arm-linux-gnueabihf-gcc >/dev/null || missing+=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross)
    command -v qemu-arm-static >/dev/null || missing+=(qemu-user-static)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    command -v ip >/dev/null || missing+=(iproute2)
    if [ ${#missing[@]} -gt 0 ]; then run apt_get install "${missing[@]}"; fi
    for target in "${ARM_TARGETS[@]}"; do add_target "$target"; done
    export CARGO_TARGET_DIR=$PWD/target/arm CARGO_INCREMENTAL=0
    # For dependencies alone: to optimise the tests takes longer than it saves. The limits of the tests are for a real
    # processor.
    export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 PUSHER_TEST_TIME_SCALE=10
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='timeout 900 bash .ci/qemu.sh aarch64'
    export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER='timeout 900 bash .ci/qemu.sh arm'
}

# OpenSSL for both, unpacked from Debian's packages. apt is told the architectures; dpkg never hears of them.
arm_openssl() {
    local into=$CACHE/arm-openssl name deb
    if [ ! -e "$into/.complete" ]; then
        rm -rf "$into"
        mkdir -p "$into/lists/partial"
        (
            cd "$into"
            local apt=(apt-get -q -o APT::Sandbox::User=root -o Dir::State::lists="$into/lists"
                -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
                -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
                -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Architectures::=armhf)
            # A mirror may lack one of many lists; whether that matters, the download shows.
            retry_once timeout 180 "${apt[@]}" update || echo 'some lists of packages are missing'
            retry_once timeout 180 "${apt[@]}" download {libssl-dev,libssl3}:{arm64,armhf}
            for deb in *.deb; do dpkg-deb -x "$deb" .; done
            # Each has its own configuration, beside what they share.
            for name in aarch64-linux-gnu arm-linux-gnueabihf; do
                mkdir "$name"
                cp -r usr/include/openssl "usr/include/$name/openssl" "$name"
                mv "usr/lib/$name" "$name/lib"
            done
            rm -rf usr lists ./*.deb
        )
        touch "$into/.complete"
    fi
    export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR=$into/aarch64-linux-gnu
    export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR=$into/aarch64-linux-gnu/lib
    export ARMV7_UNKNOWN_LINUX_GNUEABIHF_OPENSSL_INCLUDE_DIR=$into/arm-linux-gnueabihf
    export ARMV7_UNKNOWN_LINUX_GNUEABIHF_OPENSSL_LIB_DIR=$into/arm-linux-gnueabihf/lib
}

# The feature sets of a target: without TLS, with rustls, and on aarch64 with OpenSSL.
arm_sets() {
    printf '%s\n' "$ARM_PLAIN" '--no-default-features --features rustls'
    case $1 in aarch64*) echo '--features encrypted' ;; esac
}

# arm_cargo TARGET SUBCOMMAND...
arm_cargo() {
    local target=$1 subcommand=$2
    shift 2
    run target_cargo "$target" "$subcommand" --config "$ARM_OWN_PROFILE" "$@"
}

arm_build() {
    local set sets
    mapfile -t sets < <(arm_sets "$1")
    for set in "${sets[@]}"; do
        # shellcheck disable=SC2086 # a set is several words
        arm_cargo "$1" test --quiet --no-run --lib --test it $set
    done
    # shellcheck disable=SC2086
    arm_cargo "$1" build --quiet $ARM_PLAIN --examples
}

# Quickstart and the tests, in the emulator.
arm_run() {
    local set sets units whole
    mapfile -t sets < <(arm_sets "$1")
    case $1 in
        aarch64*) export QEMU_LIBS=$CACHE/arm-openssl/aarch64-linux-gnu/lib ;;
        *) export QEMU_LIBS=$CACHE/arm-openssl/arm-linux-gnueabihf/lib ;;
    esac
    # shellcheck disable=SC2086
    arm_cargo "$1" run --quiet $ARM_PLAIN --example quickstart
    # The property tests are nearly all that computes.
    export PROPTEST_CASES=64 RUST_BACKTRACE=0
    for set in "${sets[@]}"; do
        units=(--test-threads=4 "${ARM_WITHOUT_UNIT[@]/#/--skip=}")
        whole=(--test-threads=4 "${ARM_WITHOUT_IT[@]/#/--skip=}")
        if [ "$set" != "$ARM_PLAIN" ]; then
            units+=("${ARM_WITHOUT_TLS[@]/#/--skip=}")
            # Tests of TLS have it in their names.
            whole+=(tls)
        fi
        arm_tests "$1" "$set" --lib "${units[@]}"
        arm_tests "$1" "$set" '--test it' "${whole[@]}"
    done
}

# arm_tests TARGET SET KIND ARGUMENTS...
arm_tests() {
    local target=$1 set=$2 kind=$3 log=$CACHE/arm-tests-$1.log
    shift 3
    # shellcheck disable=SC2086
    if ! arm_cargo "$target" test $set $kind -- "$@" 2>&1 | tee "$log"; then
        # shellcheck disable=SC2086
        again "$log" arm_cargo "$target" test $set $kind -- --exact || return 1
    fi
    # A filter that fits nothing would pass.
    grep -q '^test result: .* [1-9][0-9]* passed' "$log" || fail "no test of $kind ran with $set"
}

# The sum of what the test runs say of themselves.
arm_sum() {
    awk '/^test result:/ { p += $4; f += $6; s += $8 + $12 } END { printf "%d tests passed, %d failed, %d left out", p, f, s }'
}
