# Sourced by `run`.

step_sanitize() {
    fail "not written yet"
}
