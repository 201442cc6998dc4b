//! The options of limits and of the breaker, which both servers have.

use keybound::guard::{BreakerSettings, Guards, Limit};
use keybound::json::Value;

use crate::error::Error;
use crate::plain::Options;

/// The option by which only resources know whom to limit.
pub(crate) const LIMIT_CLIENTS: &str = "limit_clients";
/// What both servers have.
pub(crate) const OPTIONS: &[&str] = &["limit_addresses", "limit_keys", "breaker"];

/// The guards of these options. A limit is an object with `rate` (requests a second) and `burst` (at once), 1 to 1,000,000 each; `breaker` one
/// with any of `faults` (in a row, 1 to 1,000; 5 otherwise) and `pause` (in seconds, 1 to 300; 5 otherwise).
pub(crate) fn guards_of(options: &Options) -> Result<Guards, Error> {
    let mut guards = Guards::new();
    if let Some(limit) = limit(options.value("limit_addresses"))? {
        guards = guards.limit_addresses(limit);
    }
    if let Some(limit) = limit(options.value("limit_keys"))? {
        guards = guards.limit_keys(limit);
    }
    if let Some(limit) = limit(options.value(LIMIT_CLIENTS))? {
        guards = guards.limit_clients(limit);
    }
    if let Some(settings) = breaker(options.value("breaker"))? {
        guards = guards.breaker(settings);
    }
    Ok(guards)
}

fn limit(given: Option<&Value>) -> Result<Option<Limit>, Error> {
    let Some(given) = given else { return Ok(None) };
    let given = Options::of(given.clone(), &["rate", "burst"])?;
    let needed = |name| given.number(name)?.map(small).ok_or_else(|| Error::missing(name));
    Ok(Some(Limit::per_second(needed("rate")?, needed("burst")?)?))
}

fn breaker(given: Option<&Value>) -> Result<Option<BreakerSettings>, Error> {
    let Some(given) = given else { return Ok(None) };
    let given = Options::of(given.clone(), &["faults", "pause"])?;
    let faults = given.number("faults")?.map_or(BreakerSettings::FAULTS, small);
    let pause = given.number("pause")?.map_or(BreakerSettings::PAUSE, |seconds| seconds.saturating_mul(1_000));
    Ok(Some(BreakerSettings::new(faults, pause)?))
}

/// What is too large is refused by its bound.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
