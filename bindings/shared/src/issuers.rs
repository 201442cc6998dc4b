//! Whose access tokens a resource accepts, and what they look like.

use keybound::json::Value;
use keybound::server::resource::{Introspection, IssuerProfile, ResourcePolicy};

use crate::error::Error;
use crate::plain::{Options, one_of};

/// `policy` with the `issuers` of these options, and with introspection where they say so.
pub(crate) fn with_sources(mut policy: ResourcePolicy, options: &Options) -> Result<ResourcePolicy, Error> {
    for issuer in options.array("issuers")? {
        policy = match issuer {
            Value::Text(url) => policy.with_issuer(url)?,
            Value::Object(_) => {
                let issuer = Options::of(issuer.clone(), &["issuer", "profile"])?;
                let profile = profile(&issuer, "profile")?.unwrap_or(IssuerProfile::rfc9068());
                policy.with_issuer_profile(issuer.needed("issuer")?, profile)?
            }
            _ => return Err(Error::misuse("wrong_type", "issuers are URLs, or objects with issuer and profile")),
        };
    }
    let profile = profile(options, "introspection_profile")?;
    Ok(match (options.flag("introspection")?, profile) {
        (false, None) => policy,
        (false, Some(_)) => {
            let detail =
                "a profile for introspection answers counts where tokens are introspected; give introspection as well";
            return Err(Error::misuse("missing_option", detail));
        }
        (true, None) => policy.with_introspection(Introspection::by_host()),
        (true, Some(profile)) => {
            policy.with_introspection(Introspection::by_host()).with_introspection_profile(profile)
        }
    })
}

fn profile(options: &Options, name: &str) -> Result<Option<IssuerProfile>, Error> {
    let table: Vec<_> = IssuerProfile::ALL.iter().map(|profile| (profile.name(), *profile)).collect();
    options.text(name)?.map(|text| one_of("the profile of an issuer", text, &table)).transpose()
}
