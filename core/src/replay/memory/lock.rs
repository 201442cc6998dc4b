//! The lock of a shard: the standard library's, and loom's for the tests that try all interleavings.

#[cfg(not(test))]
pub(super) use std::sync::Mutex;

#[cfg(test)]
pub(super) use switched::{Mutex, exploring};

#[cfg(test)]
mod switched {
    use core::cell::Cell;
    use core::ops::{Deref, DerefMut};
    use std::sync;
    use std::thread_local;

    thread_local! {
        /// Whether locks made now are loom's. All threads of one exploration run on one thread of the system.
        static EXPLORING: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `scenario` once for each interleaving of its threads. Locks made inside are loom's.
    pub(crate) fn exploring(scenario: impl Fn() + Send + Sync + 'static) {
        EXPLORING.set(true);
        loom::model(scenario);
        EXPLORING.set(false);
    }

    /// Loom's lock works nowhere but in an exploration, and all other tests use the same stores.
    pub(crate) enum Mutex<T> {
        Plain(sync::Mutex<T>),
        Explored(loom::sync::Mutex<T>),
    }

    pub(crate) enum MutexGuard<'a, T> {
        Plain(sync::MutexGuard<'a, T>),
        Explored(loom::sync::MutexGuard<'a, T>),
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            if EXPLORING.get() {
                Self::Explored(loom::sync::Mutex::new(T::default()))
            } else {
                Self::Plain(sync::Mutex::default())
            }
        }
    }

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> sync::LockResult<MutexGuard<'_, T>> {
            match self {
                Self::Plain(lock) => wrapped(lock.lock(), MutexGuard::Plain),
                Self::Explored(lock) => wrapped(lock.lock(), MutexGuard::Explored),
            }
        }
    }

    fn wrapped<G, W>(guard: sync::LockResult<G>, wrap: impl Fn(G) -> W) -> sync::LockResult<W> {
        match guard {
            Ok(guard) => Ok(wrap(guard)),
            Err(poisoned) => Err(sync::PoisonError::new(wrap(poisoned.into_inner()))),
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Self::Plain(guard) => guard,
                Self::Explored(guard) => guard,
            }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Self::Plain(guard) => guard,
                Self::Explored(guard) => guard,
            }
        }
    }
}
