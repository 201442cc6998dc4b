//! What a protected resource accepts.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::introspection::Introspection;
use super::profile::IssuerProfile;
use crate::http::challenge::Challenge;
use crate::http::url::Url;
use crate::issuer::KeySource;
use crate::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::{Misuse, TargetUri};

/// The rules of one protected resource; those for proofs are the verifier's [`Policy`](crate::Policy).
///
/// ```
/// use keybound::server::resource::{ResourcePolicy, Schemes};
/// let policy = ResourcePolicy::new("https://api.example.com/")?
///     .with_issuer("https://as.example.com")?
///     .with_schemes(Schemes::Both);
/// # Ok::<(), keybound::Misuse>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResourcePolicy {
    pub(super) resource: String,
    pub(super) audiences: Vec<String>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) introspection: Option<Introspection>,
    answers: Option<IssuerProfile>,
    pub(super) schemes: Schemes,
    pub(super) token_algorithms: AlgorithmSet,
    pub(super) leeway: u64,
    pub(super) client_id_required: bool,
    pub(super) realm: Option<String>,
    pub(super) challenge_scope: Option<String>,
    pub(super) metadata_url: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) documentation: Option<String>,
    pub(super) intents_at: Vec<String>,
}

/// An issuer, and what its access tokens look like.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    pub(super) url: String,
    profile: IssuerProfile,
    pub(super) keys: KeySource,
}

/// With which authentication schemes access tokens are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schemes {
    /// `DPoP`: every token must be bound to a key.
    DpopOnly,
    /// `Bearer`: a token bound to a key is refused, since nothing here checks its proof (RFC 9449 section 7.2).
    BearerOnly,
    /// Both: bound tokens with `DPoP`, others with `Bearer`.
    Both,
}

impl Schemes {
    pub(super) const fn dpop(self) -> bool {
        matches!(self, Self::DpopOnly | Self::Both)
    }

    pub(super) const fn bearer(self) -> bool {
        matches!(self, Self::BearerOnly | Self::Both)
    }
}

/// Issuers sign with their own keys, so what they may use is wider than what strangers may make a server compute.
const TOKEN_ALGORITHMS: AlgorithmSet = AlgorithmSet::of(&[
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Ed25519,
    Algorithm::EdDsa,
    Algorithm::Ps256,
    Algorithm::Rs256,
]);

impl ResourcePolicy {
    /// The longest leeway, in seconds.
    pub const LEEWAY_LIMIT: u64 = 60;

    /// The rules of the resource with this identifier (RFC 9728 section 1.2): an absolute `https` URL, or `http` on
    /// loopback. It is the audience that tokens must name, byte for byte. Until issuers are given, or introspection, no token is accepted.
    ///
    /// # Errors
    /// [`Misuse::Url`], [`Misuse::NotHttps`].
    pub fn new(resource: &str) -> Result<Self, Misuse> {
        check_url("resource", resource)?;
        Ok(Self {
            resource: resource.to_owned(),
            audiences: alloc::vec![resource.to_owned()],
            issuers: Vec::new(),
            introspection: None,
            answers: None,
            schemes: Schemes::DpopOnly,
            token_algorithms: TOKEN_ALGORITHMS,
            leeway: 10,
            client_id_required: false,
            realm: None,
            challenge_scope: None,
            metadata_url: None,
            scopes: Vec::new(),
            name: None,
            documentation: None,
            intents_at: Vec::new(),
        })
    }

    /// Takes tokens with `authorization_details` (RFC 9396) at this path: its handler compares each request with the details and
    /// uses the token up, by [`ResourceServer::carry_out`](super::ResourceServer::carry_out).
    ///
    /// Everywhere else such a token is refused
    /// ([`TokenRejection::IntentElsewhere`](super::TokenRejection::IntentElsewhere)): what is granted for one thing opens nothing
    /// else. The path is the one that clients see, without a query; one that ends in `/*` stands for all paths below it.
    ///
    /// ```
    /// use keybound::server::resource::ResourcePolicy;
    /// let policy = ResourcePolicy::new("https://api.example.com/")?.with_intents_at("/payments")?;
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    ///
    /// The memory stores remember for a quarter of an hour: they answer `Unavailable` to the token of an intent that lives longer
    /// than 15 minutes, leeway included. Let such tokens live for a minute or two.
    ///
    /// # Security
    /// A handler at this path that does not compare and use up lets the token through as often as it is shown.
    ///
    /// # Errors
    /// [`Misuse::IntentPath`] unless it is an absolute path.
    pub fn with_intents_at(mut self, path: &str) -> Result<Self, Misuse> {
        // Written as targets are compared: normal, without query and dot segments.
        let normal = TargetUri::parse(&alloc::format!("https://resource{path}"));
        let is_path = path.starts_with('/') && normal.is_ok_and(|target| target.split().1 == path);
        if !is_path {
            return Err(Misuse::IntentPath);
        }
        self.intents_at.push(path.to_owned());
        Ok(self)
    }

    /// Whether the handler at this target looks at the details of tokens.
    pub(super) fn takes_intents_at(&self, target: &TargetUri) -> bool {
        let (_, path) = target.split();
        self.intents_at.iter().any(|known| match known.strip_suffix('*') {
            Some(folder) if folder.ends_with('/') => path.len() > folder.len() && path.starts_with(folder),
            _ => path == known,
        })
    }

    /// Accepts JWT access tokens (RFC 9068) of this issuer, compared as a string. Its keys are found by its metadata, unless
    /// [`with_issuer_keys`](Self::with_issuer_keys) says otherwise.
    ///
    /// # Errors
    /// [`Misuse::Url`] and [`Misuse::NotHttps`] unless it is an `https` URL, or `http` on loopback; [`Misuse::IssuerMetadata`] for the
    /// address of its metadata.
    pub fn with_issuer(mut self, issuer: &str) -> Result<Self, Misuse> {
        self.issuer(issuer)?;
        Ok(self)
    }

    /// The same with keys from `keys`. Of several calls for one issuer the last counts.
    ///
    /// # Errors
    /// As for [`with_issuer`](Self::with_issuer), of the issuer and of the URL of its keys.
    pub fn with_issuer_keys(mut self, issuer: &str, keys: KeySource) -> Result<Self, Misuse> {
        if let KeySource::At(url) = &keys {
            check_url("jwks_uri", url)?;
        }
        self.issuer(issuer)?.keys = keys;
        Ok(self)
    }

    /// Accepts JWT access tokens of this issuer as its server writes them. Of several calls for one issuer the last counts.
    ///
    /// # Errors
    /// As for [`with_issuer`](Self::with_issuer).
    pub fn with_issuer_profile(mut self, issuer: &str, profile: IssuerProfile) -> Result<Self, Misuse> {
        self.issuer(issuer)?.profile = profile;
        Ok(self)
    }

    /// The issuer of this name, added if it is not there.
    fn issuer(&mut self, issuer: &str) -> Result<&mut Issuer, Misuse> {
        check_issuer(issuer)?;
        let place = self.issuers.iter().position(|known| known.url == issuer);
        let place = place.unwrap_or_else(|| {
            let (url, profile) = (issuer.to_owned(), IssuerProfile::rfc9068());
            self.issuers.push(Issuer { url, profile, keys: KeySource::Metadata });
            self.issuers.len().saturating_sub(1)
        });
        self.issuers.get_mut(place).ok_or(Misuse::NotHttps("issuer"))
    }

    /// Accepts tokens that are not JWTs of a known issuer if the authorization server says they are active (RFC 7662).
    ///
    /// An answer that names an issuer is read by that issuer's profile, any other by the profile that all issuers have in common. Where
    /// they have different ones, an answer that names none is refused: choose one by
    /// [`with_introspection_profile`](Self::with_introspection_profile).
    #[must_use]
    pub fn with_introspection(self, introspection: Introspection) -> Self {
        Self { introspection: Some(introspection), ..self }
    }

    /// Reads introspection answers that name none of the issuers of this policy by `profile`.
    #[must_use]
    pub fn with_introspection_profile(self, profile: IssuerProfile) -> Self {
        Self { answers: Some(profile), ..self }
    }

    pub(super) fn is_audience(&self, name: &str) -> bool {
        self.audiences.iter().any(|known| known == name)
    }

    /// The profile of an issuer; none if its tokens are not accepted.
    pub(super) fn profile_of(&self, issuer: &str) -> Option<IssuerProfile> {
        self.issuers.iter().find(|known| known.url == issuer).map(|known| known.profile)
    }

    /// The profile that an introspection answer is read by; none if it is from an issuer that is not trusted, or from which one is unknown.
    pub(super) fn answer_profile(&self, issuer: Option<&str>) -> Option<IssuerProfile> {
        match issuer {
            Some(issuer) if !self.issuers.is_empty() => return self.profile_of(issuer),
            _ if self.answers.is_some() => return self.answers,
            _ => {}
        }
        let mut profiles = self.issuers.iter().map(|known| known.profile);
        let first = profiles.next().unwrap_or(IssuerProfile::rfc9068());
        profiles.all(|other| other == first).then_some(first)
    }

    /// Accepts tokens with these schemes. The default is DPoP alone.
    #[must_use]
    pub fn with_schemes(self, schemes: Schemes) -> Self {
        Self { schemes, ..self }
    }

    /// Accepts tokens for this audience too.
    #[must_use]
    pub fn with_audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.to_owned());
        self
    }

    /// Accepts JWT access tokens signed with exactly these algorithms. The default is ES256, ES384, Ed25519/EdDSA, PS256 and RS256.
    ///
    /// # Errors
    /// [`Misuse::NoAlgorithms`] for an empty set.
    pub fn with_token_algorithms(self, algorithms: AlgorithmSet) -> Result<Self, Misuse> {
        if algorithms.is_empty() {
            return Err(Misuse::NoAlgorithms);
        }
        Ok(Self { token_algorithms: algorithms, ..self })
    }

    /// Allows the issuer's clock to differ by so many seconds: 0 to 60, 10 by default.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`].
    pub fn with_leeway(self, seconds: u64) -> Result<Self, Misuse> {
        if seconds > Self::LEEWAY_LIMIT {
            return Err(Misuse::PolicyBound("`leeway` (0 to 60 seconds)"));
        }
        Ok(Self { leeway: seconds, ..self })
    }

    /// Refuses JWT access tokens that name no client, by `client_id` or what the issuer's profile has instead. Issuers must write it (RFC 9068 section 2.2), but some do not, and
    /// section 4 does not ask a resource to refuse.
    #[must_use]
    pub fn requiring_client_id(self) -> Self {
        Self { client_id_required: true, ..self }
    }

    /// Names the protected area in challenges.
    ///
    /// # Errors
    /// [`Misuse::FieldValue`] for characters a field cannot hold.
    pub fn with_realm(self, realm: &str) -> Result<Self, Misuse> {
        Ok(Self { realm: Some(field_value(realm)?), ..self })
    }

    /// Names the scopes, separated by spaces, that a client should ask for, in the challenges of all 401 answers.
    ///
    /// # Errors
    /// [`Misuse::FieldValue`] for characters a field cannot hold.
    pub fn with_challenge_scope(self, scope: &str) -> Result<Self, Misuse> {
        Ok(Self { challenge_scope: Some(field_value(scope)?), ..self })
    }

    /// Names the URL of the metadata in challenges (`resource_metadata`, RFC 9728 section 5.1): that of
    /// [`metadata_url`](Self::metadata_url), where [`ResourceServer::metadata`](super::ResourceServer::metadata) must then be served.
    #[must_use]
    pub fn publishing_metadata(self) -> Self {
        let url = self.metadata_url();
        Self { metadata_url: Some(url), ..self }
    }

    /// Lists the scopes of the resource in its metadata.
    #[must_use]
    pub fn with_scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes.extend(scopes.iter().map(|scope| (*scope).to_owned()));
        self
    }

    /// Gives the resource a name for people, in its metadata.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Gives the URL of documentation for developers, in the metadata.
    #[must_use]
    pub fn with_documentation(self, url: &str) -> Self {
        Self { documentation: Some(url.to_owned()), ..self }
    }

    /// The resource identifier.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The issuers whose JWT access tokens are accepted.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(|issuer| issuer.url.as_str())
    }

    /// Whether tokens are accepted that the authorization server says are active.
    pub const fn introspects(&self) -> bool {
        self.introspection.is_some()
    }

    /// Whether authorization servers have to be asked for keys or about tokens, by [`Fetch`](crate::flow::step::Fetch) steps.
    pub fn asks_over_network(&self) -> bool {
        let fetched = |issuer: &Issuer| matches!(issuer.keys, KeySource::Metadata | KeySource::At(_));
        self.issuers.iter().any(fetched) || self.introspection.as_ref().is_some_and(Introspection::asks_over_network)
    }

    /// With which schemes tokens are accepted.
    pub const fn schemes(&self) -> Schemes {
        self.schemes
    }
}

/// Refuses what cannot be an issuer whose metadata is read.
pub(super) fn check_issuer(issuer: &str) -> Result<(), Misuse> {
    check_url("issuer", issuer)?;
    if issuer.contains("/.well-known/") { Err(Misuse::IssuerMetadata) } else { Ok(()) }
}

fn check_url(option: &'static str, text: &str) -> Result<(), Misuse> {
    let url = Url::parse(text).map_err(|error| Misuse::Url(option, error))?;
    if url.is_https() || url.is_loopback() { Ok(()) } else { Err(Misuse::NotHttps(option)) }
}

/// A text that can be the value of a challenge's parameter.
fn field_value(text: &str) -> Result<String, Misuse> {
    let probe = Challenge::new("Bearer").and_then(|challenge| challenge.with_param("realm", text));
    probe.map(|_| text.to_owned()).map_err(|_| Misuse::FieldValue)
}
