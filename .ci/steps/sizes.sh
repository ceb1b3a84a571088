# Sourced by `run`.

step_sizes() {
    fail "not written yet"
}
