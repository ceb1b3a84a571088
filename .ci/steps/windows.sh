# Sourced by `run`.

step_windows() {
    fail "not written yet"
}
