# Sourced by `run`.

step_arm() {
    fail "not written yet"
}
