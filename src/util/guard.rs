//! Runs user code, including loggers and destructors, and contains its panics. No other module runs any.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use log::{Level, Record};

/// Runs user code. Returns `None` if it panics, which the panic hook reports.
///
/// No lock may be held. The closure's captures are dropped inside.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    // The payload is the user's too. If its destructor panics, that payload is leaked.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        Box::leak(again);
    }
    None
}

/// Runs user code as [`guarded`] does, and logs whose code has panicked.
#[track_caller]
pub(crate) fn call<T>(whose: &str, run: impl FnOnce() -> T) -> Option<T> {
    let returned = guarded(run);
    if returned.is_none() {
        write(Level::Error, module_path!(), format_args!("{whose} panicked"));
    }
    returned
}

/// Drops a value that is the user's or contains one.
#[track_caller]
pub(crate) fn dispose<T>(value: T) {
    call("a destructor", move || drop(value));
}

/// Writes to the log. The logger is user code, and so may be the error causes in the line. If one of them panics, the
/// line is lost.
#[track_caller]
pub(crate) fn write(level: Level, target: &str, line: fmt::Arguments<'_>) {
    if level > log::STATIC_MAX_LEVEL || level > log::max_level() {
        return;
    }
    let place = Location::caller();
    guarded(|| {
        let mut record = Record::builder();
        record.level(level).target(target).module_path(Some(target)).args(line);
        record.file_static(Some(place.file())).line(Some(place.line()));
        log::logger().log(&record.build());
    });
}

/// Returns `true` if the logger takes lines of this level and target.
pub(crate) fn is_logged(level: Level, target: &str) -> bool {
    if level > log::STATIC_MAX_LEVEL || level > log::max_level() {
        return false;
    }
    let metadata = log::Metadata::builder().level(level).target(target).build();
    guarded(|| log::logger().enabled(&metadata)).unwrap_or(false)
}

/// `write_log!(Warn, "text {}", value)`: one line, with the module as its target.
macro_rules! write_log {
    ($level:ident, $($line:tt)+) => {
        $crate::util::guard::write(log::Level::$level, module_path!(), format_args!($($line)+))
    };
}
pub(crate) use write_log;

/// A value of the user's that is dropped under guard, wherever that happens to be; after [`keeping`] if it happens
/// in there.
#[derive(Clone, Debug)]
pub(crate) struct Owned<T: 'static>(Option<T>);

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// It is `None` only while it is dropped.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let mut value = self.0.take();
        // A thread that ends holds no lock.
        let _ = KEPT.try_with(|kept| {
            let mut list = kept.take();
            if let Some(list) = &mut list {
                list.push(Box::new(Self(value.take())));
            }
            kept.set(list);
        });
        // Nothing is logged: this may be one of many in a destructor of the client's own.
        guarded(move || drop(value));
    }
}

/// What of the user's was to be dropped while a lock was held.
type Kept = Vec<Box<dyn Any>>;

thread_local! {
    /// That of this thread, while it may hold a lock.
    static KEPT: Cell<Option<Kept>> = const { Cell::new(None) };
}

/// Runs what takes a lock and releases it. Each [`Owned`] that is dropped meanwhile lives on in what is returned
/// beside the result.
pub(crate) fn keeping<R>(run: impl FnOnce() -> R) -> (R, Kept) {
    let _outer = Outer(KEPT.replace(Some(Kept::new())));
    let result = run();
    (result, KEPT.replace(None).unwrap_or_default())
}

/// What is kept around a [`keeping`], which goes on once that has ended, or panicked.
struct Outer(Option<Kept>);

impl Drop for Outer {
    fn drop(&mut self) {
        let inner = KEPT.replace(self.0.take());
        drop(inner);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;
    use crate::util::testing::Cause;

    /// Panics when it is dropped, so many times over.
    #[derive(Debug)]
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            match self.0 {
                0 => {}
                1 => panic!("on purpose"),
                more => panic_any(Self(more - 1)),
            }
        }
    }

    #[test]
    fn a_panic_of_each_kind_ends_with_the_call() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u32 { panic!("on purpose") }), None);
        // The payload's destructor panics, and that of what it throws.
        for layers in 1..5 {
            assert_eq!(guarded(|| -> u32 { panic_any(Bomb(layers)) }), None);
            dispose(Bomb(layers));
            drop(Owned::new(Bomb(layers)));
        }
        // What the closure owns is dropped inside, whether it runs to its end or not.
        let owned = Bomb(1);
        assert_eq!(guarded(move || drop(owned)), None);
    }

    #[test]
    fn a_call_while_the_thread_unwinds_is_guarded_too() {
        struct Guarding;
        impl Drop for Guarding {
            fn drop(&mut self) {
                assert_eq!(guarded(|| -> u32 { panic!("on purpose, in a destructor") }), None);
                dispose(Bomb(2));
            }
        }
        let unwound = guarded(|| {
            let _guarding = Guarding;
            panic!("on purpose")
        });
        assert!(unwound.is_none());
    }

    #[test]
    fn what_is_dropped_while_a_lock_is_held_is_kept() {
        let value = std::sync::Arc::new(());
        let owned = || Owned::new((value.clone(), Bomb(2)));
        let copies = || std::sync::Arc::strong_count(&value) - 1;
        let (inner, kept) = keeping(|| {
            drop(owned());
            let ((), inner) = keeping(|| drop(owned()));
            drop(owned());
            assert!(guarded(|| keeping(|| [owned()].map(|_| panic!("on purpose")))).is_none());
            inner
        });
        assert_eq!((inner.len(), kept.len(), copies()), (1, 3, 4));
        drop(inner);
        drop(kept);
        assert_eq!(copies(), 0);
        drop(owned());
        assert_eq!(copies(), 0, "nothing is kept any more");
    }

    #[test]
    fn an_errors_source_is_dropped_under_guard() {
        let cause = Cause(|| drop(Bomb(2)));
        let error = crate::Error::new(crate::ErrorKind::Io, cause);
        let clone = error.clone();
        drop(error);
        let source = std::error::Error::source(&clone).unwrap();
        assert_eq!(source.to_string(), "a cause");
        drop(clone);
    }
}
