//! The program `keybound`.

/// Counts allocations for `keybound bench`.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> std::process::ExitCode {
    keybound_cli::run()
}
