//! Pages of other origins: the option `cors` of a resource, and what its answers say to browsers.

use keybound::json::Value;
use keybound::server::cors::Cors;

use crate::admission::Incoming;
use crate::error::Error;
use crate::plain::{Options, pairs};
use crate::resource::ResourceServer;
use crate::verify::Refusal;

const OPTIONS: &[&str] = &["origins", "methods", "allowed_headers", "exposed_headers", "max_age"];

/// What the answer to one request says to browsers, besides its own fields.
#[derive(Clone, Default)]
pub(crate) struct Crossing(Vec<(&'static str, String)>);

impl Crossing {
    /// The fields of an answer with these, which replace those of the same name.
    pub(crate) fn complete<N: AsRef<str> + From<&'static str>>(
        &self,
        mut fields: Vec<(N, String)>,
    ) -> Vec<(N, String)> {
        fields.retain(|(name, _)| self.0.iter().all(|(added, _)| !name.as_ref().eq_ignore_ascii_case(added)));
        fields.extend(self.0.iter().map(|(name, value)| (N::from(name), value.clone())));
        fields
    }

    /// The same of an answer that is sent instead of the handler's.
    pub(crate) fn refusal(&self, refusal: &keybound::Refusal) -> Refusal {
        let mut refusal = Refusal::of(refusal);
        refusal.headers = self.complete(refusal.headers);
        refusal
    }
}

impl ResourceServer {
    /// What there is to say about a request of a page of another origin, whatever it is answered with, as a JSON object: `refusal`, the answer
    /// to a preflight, which goes to no handler; otherwise `headers`, the fields of every answer, those to paths without protection included.
    /// They replace fields of the same name, except for `Vary`, which is a list. An empty object without the option `cors`.
    pub fn cors(&self, incoming: &Incoming<'_>) -> String {
        let said = match self.preflight(incoming) {
            _ if self.cors.is_none() => Value::object(),
            Some(refusal) => Value::object().with("refusal", Refusal::of(&refusal).to_value()),
            None => {
                let headers = self.crossing(incoming).0;
                Value::object().with("headers", pairs(headers.iter().map(|(name, value)| (*name, value.as_str()))))
            }
        };
        said.to_json()
    }

    pub(crate) fn preflight(&self, incoming: &Incoming<'_>) -> Option<keybound::Refusal> {
        self.cors.as_ref()?.preflight(incoming.method, incoming.fields)
    }

    pub(crate) fn crossing(&self, incoming: &Incoming<'_>) -> Crossing {
        Crossing(self.cors.as_ref().map(|cors| cors.fields(incoming.fields)).unwrap_or_default())
    }
}

/// The option `cors`: an object with `origins` and any of `methods`, `allowed_headers`, `exposed_headers` and `max_age` (seconds).
pub(crate) fn cors_of(options: &Options) -> Result<Option<Cors>, Error> {
    let Some(given) = options.value("cors") else { return Ok(None) };
    let given = Options::of(given.clone(), OPTIONS)?;
    let mut cors = Cors::of(&given.texts("origins")?)?;
    if given.value("methods").is_some() {
        cors = cors.with_methods(&given.texts("methods")?)?;
    }
    cors = cors.with_allowed_headers(&given.texts("allowed_headers")?)?;
    cors = cors.with_exposed_headers(&given.texts("exposed_headers")?)?;
    match given.number("max_age")? {
        Some(seconds) => Ok(Some(cors.with_max_age(seconds)?)),
        None => Ok(Some(cors)),
    }
}
