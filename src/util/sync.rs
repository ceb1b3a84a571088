//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, a poisoned one too: what it guards stays consistent when a thread panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
