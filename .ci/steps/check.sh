# Sourced by `run`.

step_check() {
    fail "not written yet"
}
