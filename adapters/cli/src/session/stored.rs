//! Where sessions are kept, and which one a URL belongs to: one for each resource, unless a name is given.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use keybound::http::url::Url;
use keybound::oauth::Discovered;
use keybound::oauth::metadata::covers;
use keybound_reqwest::Files;

use crate::failure::Failure;

/// The variable that names the folder.
const HOME: &str = "KEYBOUND_HOME";

/// Opens the folder that is given, else the one that `KEYBOUND_HOME` names, else `keybound` among the user's own state.
pub(super) fn open_folder(given: Option<&PathBuf>) -> Result<Files, Failure> {
    // A variable that is set to nothing is one that is not set.
    let named = || std::env::var_os(HOME).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = match given.cloned().or_else(named) {
        Some(folder) => folder,
        None => own_state()?.join("keybound"),
    };
    Files::open(&folder).map_err(|error| Failure::file("open the folder for sessions", &folder, &error))
}

/// The folder for state: `XDG_STATE_HOME`, else `~/.local/state`; on Windows `%APPDATA%`.
fn own_state() -> Result<PathBuf, Failure> {
    let places = etcetera::choose_base_strategy().ok();
    let state = places.map(|places| places.state_dir().unwrap_or_else(|| places.data_dir()));
    // Without a home it would be a folder below the present one.
    state.filter(|folder| folder.is_absolute()).ok_or_else(|| {
        Failure::usage(format!("there is no home folder to keep sessions in; name a folder with --folder or {HOME}"))
    })
}

/// The name of the session that calls of `url` use: that of the most specific resource which covers it. A session that was made without
/// a name has its resource's identifier as its name.
pub(super) fn session_for(url: &Url, host: &Files) -> Result<Option<String>, Failure> {
    let names = host.sessions().map_err(|error| Failure::undecided(format!("cannot list the sessions: {error}")))?;
    let covering = names.into_iter().filter(|name| Url::parse(name).is_ok_and(|resource| covers(&resource, url)));
    Ok(covering.max_by_key(String::len))
}

/// The name of a session that is made for what was discovered: the resource's identifier, else the origin that was asked.
pub(super) fn name_for(found: &Discovered, url: &Url) -> String {
    found.resource().map_or_else(|| url.origin().to_owned(), |published| published.resource().to_owned())
}
