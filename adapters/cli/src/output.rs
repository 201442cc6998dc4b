//! What is written where: answers to standard output, notes and errors to standard error.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Text for people, or JSON for programs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Text, with colour on a terminal.
    #[default]
    Human,
    /// One JSON value on standard output; errors are {"error":...} on standard error.
    Json,
}

impl Format {
    /// The format that was asked for on a command line that cannot be understood otherwise.
    pub(crate) fn guess(arguments: &[OsString]) -> Self {
        let separate = arguments.windows(2).any(|pair| matches!(pair, [a, b] if a == "--format" && b == "json"));
        let joined = arguments.iter().any(|argument| argument == "--format=json");
        if separate || joined { Self::Json } else { Self::Human }
    }
}

/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What stands out.
pub(crate) const STRONG: Style = Style::new().bold();
/// What may be overlooked.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// `text` in `style`; on anything but a terminal, and with `NO_COLOR`, the style is left out when it is written.
pub(crate) fn styled(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes in one format.
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) const fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// One line, or several, of the answer.
    pub(crate) fn line(&self, text: impl fmt::Display) -> Result<(), Failure> {
        writeln!(anstream::stdout(), "{text}").map_err(|error| Failure::output(&error))
    }

    /// The answer as JSON.
    pub(crate) fn json(&self, value: &Value) -> Result<(), Failure> {
        writeln!(std::io::stdout(), "{value}").map_err(|error| Failure::output(&error))
    }

    /// The answer as it is, without a line end of its own.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))
    }

    /// Something the user has to do before there is an answer: on standard error in both formats.
    pub(crate) fn ask(&self, text: impl fmt::Display, value: &Value) {
        let _ = match self.format {
            Format::Human => writeln!(anstream::stderr(), "{text}"),
            Format::Json => writeln!(std::io::stderr(), "{value}"),
        };
    }

    /// Something worth knowing beside the answer; programs find it in the JSON instead.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        if !self.is_json() {
            let _ = writeln!(anstream::stderr(), "{}", styled(FAINT, format_args!("note: {text}")));
        }
    }

    /// Why there is no answer.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.message().is_empty() {
            return;
        }
        let _ = if self.is_json() {
            writeln!(std::io::stderr(), "{}", json!({ "error": failure.message() }))
        } else {
            writeln!(anstream::stderr(), "{}: {failure}", styled(BAD, "error"))
        };
    }
}
