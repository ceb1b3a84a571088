//! A number that threads share.

#[cfg(target_has_atomic = "64")]
pub(crate) use atomic::Count;
#[cfg(not(target_has_atomic = "64"))]
pub(crate) use locked::Count;

#[cfg(target_has_atomic = "64")]
mod atomic {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A shared number of 64 bits. It orders nothing but itself.
    #[derive(Debug, Default)]
    pub(crate) struct Count(AtomicU64);

    impl Count {
        pub(crate) fn get(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        /// Wraps around after 2⁶⁴.
        pub(crate) fn add(&self, n: u64) {
            self.0.fetch_add(n, Ordering::Relaxed);
        }

        pub(crate) fn raise_to(&self, n: u64) {
            self.0.fetch_max(n, Ordering::Relaxed);
        }

        /// Replaces the number, and returns the previous one.
        pub(crate) fn replace(&self, n: u64) -> u64 {
            self.0.swap(n, Ordering::Relaxed)
        }
    }
}

/// For processors without atomic numbers of 64 bits, such as those of many routers.
#[cfg(any(test, not(target_has_atomic = "64")))]
mod locked {
    use std::mem;
    use std::sync::Mutex;

    use crate::util::sync::lock;

    /// A shared number of 64 bits.
    #[derive(Debug, Default)]
    pub(crate) struct Count(Mutex<u64>);

    impl Count {
        pub(crate) fn get(&self) -> u64 {
            *lock(&self.0)
        }

        /// Wraps around after 2⁶⁴.
        pub(crate) fn add(&self, n: u64) {
            let mut count = lock(&self.0);
            *count = count.wrapping_add(n);
        }

        pub(crate) fn raise_to(&self, n: u64) {
            let mut count = lock(&self.0);
            *count = n.max(*count);
        }

        /// Replaces the number, and returns the previous one.
        pub(crate) fn replace(&self, n: u64) -> u64 {
            mem::replace(&mut *lock(&self.0), n)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    /// Both kinds, wherever the tests run.
    macro_rules! counts_as {
        ($name:ident, $count:ty) => {
            #[test]
            fn $name() {
                let count = <$count>::default();
                count.add(u64::from(u32::MAX));
                count.add(2);
                assert_eq!(count.get(), (1 << 32) + 1, "not of 32 bits");
                count.raise_to(7);
                assert_eq!(count.get(), (1 << 32) + 1, "never lowered");
                count.raise_to(u64::MAX);
                count.add(2);
                assert_eq!(count.replace(0), 1, "wraps around");
                thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| (0..10_000).for_each(|_| count.add(1)));
                    }
                });
                assert_eq!(count.get(), 20_000, "none is lost");
            }
        };
    }

    #[cfg(target_has_atomic = "64")]
    counts_as!(an_atomic_count_adds_in_64_bits, super::atomic::Count);
    counts_as!(a_locked_count_adds_in_64_bits, super::locked::Count);
}
