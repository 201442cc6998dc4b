//! `keybound man`: manual pages of the program and its commands.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound man | man -l -
  keybound man --out ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write the pages of the program and of every command into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let command = Cli::command();
    match &args.out {
        Some(folder) => {
            let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
            written.map_err(|error| Failure::file("write manual pages into", folder, &error))?;
            output.note(format_args!("wrote keybound.1 and a page for every command into {}", folder.display()));
        }
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).map_err(|error| Failure::undecided(error.to_string()))?;
            output.raw(&page)?;
        }
    }
    Ok(Outcome::Accepted)
}
