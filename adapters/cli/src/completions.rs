//! `keybound completions`: scripts that complete commands and options in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound completions bash > ~/.local/share/bash-completion/completions/keybound
  keybound completions zsh > ~/.zfunc/_keybound
  keybound completions fish > ~/.config/fish/completions/keybound.fish")]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keybound", &mut script);
    output.raw(&script)?;
    Ok(Outcome::Accepted)
}
