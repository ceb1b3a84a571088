# Sourced by `run`.

# known_tests FOLDER NAME...: fails unless each is that of a test, or with `::` of a module, so that what is left out is
# there.
known_tests() {
    local folder=$1 name kind
    shift
    for name in "$@"; do
        kind=fn
        case $name in *::) kind=mod ;; esac
        name=${name%::}
        git grep -qwE "$kind ${name##*::}" -- "$folder" || fail "$folder has no $kind ${name##*::} that could be left out"
    done
}

# For the steps in which the tests run in an emulator or instrumented, many times slower: a test may
# fail once there for want of time. It is run again, alone, and that is told. Nowhere else.

# again LOG COMMAND...: runs each test that failed in LOG with the command, which takes its name. Fails if the tests did
# not end, if more than three failed, or if one of them fails again.
again() {
    local log=$1 names name
    shift
    grep -q '^test result: FAILED' "$log" || return 1
    mapfile -t names < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | sort -u)
    if [ ${#names[@]} -eq 0 ] || [ ${#names[@]} -gt 3 ]; then return 1; fi
    for name in "${names[@]}"; do
        echo "failed, and is run again, alone: $name"
        "$@" "$name" >"$log.again" 2>&1 || { cat "$log.again"; return 1; }
        grep -q '^test result: ok. 1 passed' "$log.again" || { cat "$log.again"; return 1; }
    done
    echo "passed when run again: ${names[*]}"
}
