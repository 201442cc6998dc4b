//! Whether this process is the one a store was created in.

/// Remembers the process it was made in.
pub(super) struct Birthplace(Inner);

#[cfg(unix)]
enum Inner {
    /// Compares a counter that the C library raises in each forked child: about a nanosecond.
    Counter(forkguard::atfork::Guard),
    /// Asks for the process id, where no such counter could be set up: one system call each time.
    Process(u32),
}

/// No fork on this platform.
#[cfg(not(unix))]
struct Inner;

impl Birthplace {
    /// The present process.
    #[cfg(unix)]
    pub(super) fn here() -> Self {
        Self(match forkguard::atfork::Guard::try_new() {
            Ok(guard) => Inner::Counter(guard),
            Err(_) => Inner::Process(std::process::id()),
        })
    }

    /// The present process.
    #[cfg(not(unix))]
    pub(super) const fn here() -> Self {
        Self(Inner)
    }

    /// Whether the present process is a forked child of the one this was made in.
    #[cfg(unix)]
    pub(super) fn was_left(&self) -> bool {
        match &self.0 {
            // The guard reports a fork once, so a copy is asked, and the original keeps its memory.
            Inner::Counter(guard) => guard.clone().detected_fork(),
            Inner::Process(id) => std::process::id() != *id,
        }
    }

    /// Whether the present process is a forked child of the one this was made in.
    #[cfg(not(unix))]
    pub(super) const fn was_left(&self) -> bool {
        let Self(Inner) = self;
        false
    }
}
