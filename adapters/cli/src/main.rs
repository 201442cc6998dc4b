//! The program `keybound`.

fn main() -> std::process::ExitCode {
    keybound_cli::run()
}
