//! Whose access tokens a resource accepts, what they look like, and who says whether they are genuine.

use keybound::Misuse;
use keybound::http::url::Url;
use keybound::json::Value;
use keybound::oauth::{Credentials, Secret};
use keybound::server::resource::{Introspection, IssuerProfile, ResourcePolicy};
use keybound::server::{JwkSet, KeySource};

use crate::error::{Error, Own};
use crate::plain::{Options, one_of};

const ISSUER: &[&str] = &["issuer", "profile", "jwks_uri", "keys"];
const INTROSPECTION: &[&str] = &["url", "issuer", "client_id", "client_secret", "authentication", "remembered_for"];

/// `policy` with the `issuers` of these options, and with introspection where they say so.
///
/// An issuer is a URL, or an object with `issuer` and any of `profile`, `jwks_uri` (where its keys are, if its metadata does not say) and
/// `keys` (a JWK Set, or `host` for an `ask` step). `introspection` is `true` for an `ask` step, or an object with `url` (of the endpoint)
/// or `issuer` (whose metadata names it), `client_id`, `client_secret`, and any of `authentication` (`client_secret_basic`, unless
/// `client_secret_post`) and `remembered_for` (seconds, 0 to 60). With `allow_loopback` false, none of the URLs may be `http`.
pub(crate) fn with_sources(mut policy: ResourcePolicy, options: &Options) -> Result<ResourcePolicy, Error> {
    let secure = options.value("allow_loopback").is_some() && !options.flag("allow_loopback")?;
    for issuer in options.array("issuers")? {
        policy = match issuer {
            Value::Text(url) => policy.with_issuer(checked(url, secure)?)?,
            Value::Object(_) => {
                let given = Options::of(issuer.clone(), ISSUER)?;
                let url = checked(given.needed("issuer")?, secure)?;
                let policy = match profile(&given, "profile")? {
                    Some(profile) => policy.with_issuer_profile(url, profile)?,
                    None => policy.with_issuer(url)?,
                };
                match keys(&given, secure)? {
                    Some(keys) => policy.with_issuer_keys(url, keys)?,
                    None => policy,
                }
            }
            _ => return Err(Error::own(Own::WrongType, "`issuers` are URLs, or objects with issuer and profile")),
        };
    }
    let profile = profile(options, "introspection_profile")?;
    let policy = match introspection(options, secure)? {
        Some(introspection) => policy.with_introspection(introspection),
        None if profile.is_some() => {
            let detail = "a profile for introspection answers counts where tokens are introspected; give `introspection` as well";
            return Err(Error::own(Own::MissingOption, detail));
        }
        None => policy,
    };
    Ok(match profile {
        Some(profile) => policy.with_introspection_profile(profile),
        None => policy,
    })
}

/// Where the metadata of an issuer is looked for, in this order.
///
/// # Errors
/// Misuse, if it is not an absolute `http` or `https` URL.
pub fn issuer_metadata_places(issuer: &str) -> Result<Vec<String>, Error> {
    Ok(Url::parse(issuer).map_err(Misuse::Target)?.issuer_metadata_places().into())
}

fn keys(issuer: &Options, secure: bool) -> Result<Option<KeySource>, Error> {
    match (issuer.text("jwks_uri")?, issuer.value("keys")) {
        (Some(_), Some(_)) => {
            Err(Error::own(Own::OptionsExclude, "give the keys of an issuer, or where they are: `keys` or `jwks_uri`"))
        }
        (Some(url), None) => Ok(Some(KeySource::At(checked(url, secure)?.into()))),
        (None, Some(Value::Text(place))) if place == "host" => Ok(Some(KeySource::Host)),
        (None, Some(set)) => {
            let set = JwkSet::parse(set.to_json().as_bytes());
            set.map(|set| Some(KeySource::Given(set)))
                .map_err(|error| Error::own(Own::KeysMalformed, error.to_string()))
        }
        (None, None) => Ok(None),
    }
}

fn introspection(options: &Options, secure: bool) -> Result<Option<Introspection>, Error> {
    let given = match options.value("introspection") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => return Ok(Some(Introspection::by_host())),
        Some(given) => Options::of(given.clone(), INTROSPECTION)?,
    };
    let (client_id, secret) = (given.needed("client_id")?, Secret::new(given.needed("client_secret")?));
    type Make = fn(&str, Secret) -> Credentials;
    let ways: [(&str, Make); 2] =
        [("client_secret_basic", Credentials::secret_basic), ("client_secret_post", Credentials::secret_post)];
    let way = given.text("authentication")?.unwrap_or("client_secret_basic");
    let credentials = one_of("the authentication of a client", way, &ways)?(client_id, secret);
    let introspection = match (given.text("url")?, given.text("issuer")?) {
        (Some(url), None) => Introspection::at(checked(url, secure)?, credentials)?,
        (None, Some(issuer)) => Introspection::of_issuer(checked(issuer, secure)?, credentials)?,
        _ => {
            let detail =
                "introspection needs the url of the endpoint, or the issuer whose metadata names it, and not both";
            return Err(Error::own(Own::MissingOption, detail));
        }
    };
    Ok(Some(match given.number("remembered_for")? {
        Some(seconds) => introspection.remembered_for(seconds)?,
        None => introspection,
    }))
}

/// `url`, unless it has to be `https` and is not.
fn checked(url: &str, secure: bool) -> Result<&str, Error> {
    if secure && Url::parse(url).is_ok_and(|url| !url.is_https()) {
        let detail =
            [&url.replace('`', "'"), " is not an https URL; for a server on this machine set `allow_loopback`"]
                .concat();
        return Err(Error::own(Own::InsecureUrl, detail));
    }
    Ok(url)
}

fn profile(options: &Options, name: &str) -> Result<Option<IssuerProfile>, Error> {
    let table: Vec<_> = IssuerProfile::ALL.iter().map(|profile| (profile.name(), *profile)).collect();
    options.text(name)?.map(|text| one_of("the profile of an issuer", text, &table)).transpose()
}
