//! An in-process Pusher-compatible server for tests.
