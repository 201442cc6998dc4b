//! The story: a client logs in and is served, and a thief with its token is refused in five ways.

use keybound::http::challenge::Challenge;
use keybound::http::message::{Request, Response};
use keybound::json::Value;
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::oauth::{Client, Demand, Discovered, FlowError, Session, SessionRequest};
use keybound::{Algorithm, ProofBuilder, RUSTCRYPTO, Rejection, SecurityLevel, UnixTime};
use keybound_reqwest::KeyHost as _;

use super::network::Network;
use super::step::Step;
use crate::failure::Failure;
use crate::serve::{Options, Running, start};

/// What the last answer must be for the story to hold.
enum Expected {
    Status(u16),
    /// 401 with a challenge that begins so, and the defect it names.
    Refused(&'static str, Option<Rejection>),
}

struct Story<F> {
    running: Running,
    network: Network,
    client: Client,
    steps: Vec<Step>,
    on_step: F,
}

/// Plays the story and hands out each step as it happens.
pub(super) async fn tell<F>(on_step: F) -> Result<Vec<Step>, Failure>
where
    F: FnMut(&Step, usize) -> Result<(), Failure>,
{
    let running = start(Options::default()).await.map_err(|error| {
        Failure::undecided(format!("cannot listen on 127.0.0.1: {error}; the demonstration needs loopback"))
    })?;
    let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .register(Value::object().with("client_name", "Demonstration"))
        .allow_loopback()
        .build()?;
    let network = Network::new(&running.issuer)?;
    let mut story = Story { running, network, client, steps: Vec::new(), on_step };
    let session = story.clients_part().await?;
    story.thiefs_part(&session).await?;
    Ok(story.steps)
}

impl<F: FnMut(&Step, usize) -> Result<(), Failure>> Story<F> {
    async fn clients_part(&mut self) -> Result<Session, Failure> {
        let api = self.running.resource.clone();
        let found = self.discover(&api).await?;
        let why = "the API says who issues its tokens, and that server which proofs it accepts";
        self.told("The client finds out what protects the API", Expected::Status(200), why)?;

        let request = SessionRequest::new("demo", &found).scope("read");
        let url = self.authorize(request).await?;
        let why = "the key stays with the client; the request names its thumbprint (dpop_jkt) and goes in by the back door (PAR)";
        self.told("It registers, makes a key for this login, and pushes its request", Expected::Status(201), why)?;

        let session = self.come_back(&url).await?;
        let why =
            "the server wants a nonce in the proof; the refused attempt used nothing up, so the same code is good";
        self.told("The user logs in, and the client redeems the code", Expected::Status(200), why)?;

        self.call(&session, &api).await?;
        self.told(
            "It calls the API, and is asked for the nonce of that server",
            Expected::Status(200),
            "a second proof with the nonce is served; from then on the first one is",
        )?;

        self.running.revoke_access_tokens();
        self.call(&session, &api).await?;
        self.told(
            "Its token is revoked: it refreshes and calls again",
            Expected::Status(200),
            "one refresh, with the same key, because the refresh token is bound to it",
        )?;

        let admin = format!("{api}/admin");
        let demand = self.call(&session, &admin).await?;
        self.told(
            "It calls what its scope does not cover",
            Expected::Status(403),
            "the answer names the scope that is missing",
        )?;
        let Some(Demand::StepUp(scope)) = demand else {
            return Err(Failure::failed("the API did not ask for more scope"));
        };
        let step = self.client.step_up(&session, &scope, UnixTime::now());
        let authorization = self.network.drive(step).await.map_err(ended)?;
        let session = self.come_back(&authorization.url).await?;
        self.call(&session, &admin).await?;
        self.told(
            "The user grants it, and the client is served",
            Expected::Status(200),
            "scopes add up, and each login has a key of its own",
        )?;
        Ok(session)
    }

    async fn thiefs_part(&mut self, session: &Session) -> Result<(), Failure> {
        let url = self.running.resource.clone();
        let token = session.danger_access_token().ok_or_else(|| Failure::failed("there is no token to steal"))?;
        let token = token.expose();
        let key = session.thumbprint().ok_or_else(|| Failure::failed("the session is not bound"))?;
        let client_key = self.network.host.signer(key).map_err(|_| Failure::failed("the client's key is gone"))?;
        let thief_key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;

        let why = "a token that is bound to a key is no bearer token";
        self.steal(&url, "Bearer", token, None).await?;
        let expected = Expected::Refused("DPoP error=\"invalid_token\"", None);
        self.told("A thief who has copied the token uses it as a bearer token", expected, why)?;

        self.steal(&url, "DPoP", token, None).await?;
        let why = "without a proof by its key, the token alone opens nothing";
        self.told("The thief uses the token without a proof", refused(Rejection::ProofMissing), why)?;

        let forged = self.proof(&thief_key, &url, token, None)?;
        self.steal(&url, "DPoP", token, Some(&forged)).await?;
        let why = "the token names the client's key, and no other key's proof counts";
        let expected = Expected::Refused("DPoP error=\"invalid_token\"", Some(Rejection::BindingMismatch));
        self.told("The thief makes a proof with a key of their own", expected, why)?;

        self.call(session, &url).await?;
        let recorded = self.network.recorded.clone();
        self.network.seen.clear();
        self.steal(&url, "DPoP", token, Some(&recorded)).await?;
        let why = "each proof is good for one request, and this one was used";
        self.told("The thief sends a proof of the client a second time", refused(Rejection::Replayed), why)?;

        // What the client would have sent: a proof with the nonce it knows.
        let asking = self.proof(&*client_key, &url, token, None)?;
        let answer = self.steal(&url, "DPoP", token, Some(&asking)).await?;
        let nonce = answer.text("DPoP-Nonce").map(str::to_owned);
        self.network.seen.clear();
        let unused = self.proof(&*client_key, &url, token, nonce.as_deref())?;
        self.steal(&format!("{url}/admin"), "DPoP", token, Some(&unused)).await?;
        let why = "the proof names the URL it was made for, and opens no other";
        let title = "The thief holds up a call of the client and spends its unused proof elsewhere";
        self.told(title, refused(Rejection::TargetMismatch), why)?;

        self.steal(&url, "DPoP", token, Some(&unused)).await?;
        let title = "The call that was held up arrives: the client is served";
        self.told(title, Expected::Status(200), "an attempt that fails burns nothing")
    }

    async fn discover(&mut self, api: &str) -> Result<Discovered, Failure> {
        let answer = self.network.send(&Request::new("GET", api)).await.map_err(unreachable)?;
        let fields: Vec<&[u8]> = answer.all("WWW-Authenticate").collect();
        let challenges = Challenge::parse_fields(&fields).list;
        let step = self.client.discover_with(api, Some(&challenges), None, UnixTime::now());
        self.network.drive(step).await.map_err(ended)
    }

    async fn authorize(&mut self, request: SessionRequest) -> Result<String, Failure> {
        let step = self.client.authorize(request, UnixTime::now());
        Ok(self.network.drive(step).await.map_err(ended)?.url)
    }

    /// What the user's browser does, and the client with what it brings back.
    async fn come_back(&mut self, url: &str) -> Result<Session, Failure> {
        let answer = self.network.send(&Request::new("GET", url)).await.map_err(unreachable)?;
        let callback =
            answer.text("Location").ok_or_else(|| Failure::failed("the server did not send the browser back"))?;
        let step = self.client.exchange(callback, UnixTime::now());
        self.network.drive(step).await.map_err(ended)
    }

    async fn call(&mut self, session: &Session, url: &str) -> Result<Option<Demand>, Failure> {
        let step = self.client.call(session, Request::new("GET", url), UnixTime::now());
        Ok(self.network.drive(step).await.map_err(ended)?.demand)
    }

    async fn steal(&mut self, url: &str, scheme: &str, token: &str, proof: Option<&str>) -> Result<Response, Failure> {
        let mut request = Request::new("GET", url).with_field("Authorization", &format!("{scheme} {token}"));
        if let Some(proof) = proof {
            request = request.with_field("DPoP", proof);
        }
        self.network.send(&request).await.map_err(unreachable)
    }

    fn proof<S: Signer + ?Sized>(
        &self,
        key: &S,
        url: &str,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<String, Failure> {
        let mut builder = ProofBuilder::new("GET", url).access_token(token);
        if let Some(nonce) = nonce {
            builder = builder.nonce(nonce);
        }
        Ok(builder.sign(&RUSTCRYPTO, key, UnixTime::now())?.into_string())
    }

    /// Ends a step: everything sent since the last one belongs to it.
    fn told(&mut self, title: &'static str, expected: Expected, why: &str) -> Result<(), Failure> {
        let exchanges = std::mem::take(&mut self.network.seen);
        let ok = expected.is_met_by(&exchanges);
        let step = Step { title, exchanges, why: Some(why.into()), ok };
        (self.on_step)(&step, self.steps.len() + 1)?;
        self.steps.push(step);
        Ok(())
    }
}

fn refused(rejection: Rejection) -> Expected {
    Expected::Refused("DPoP error=\"invalid_dpop_proof\"", Some(rejection))
}

fn ended(error: FlowError) -> Failure {
    match error {
        FlowError::Host(error) => unreachable(error),
        error => Failure::failed(format!("the story ended early: {error}")),
    }
}

fn unreachable(error: keybound::oauth::step::HostError) -> Failure {
    Failure::undecided(format!("the demonstration's server cannot be reached: {error}; is loopback permitted here?"))
}

impl Expected {
    /// Status, wire code and reason of the last answer must all be the ones foretold.
    fn is_met_by(&self, exchanges: &[super::step::Exchange]) -> bool {
        let Some(last) = exchanges.last() else { return false };
        match self {
            Self::Status(status) => last.status == *status,
            Self::Refused(challenge, rejection) => {
                let begins = last.said.as_deref().is_some_and(|text| text.starts_with(challenge));
                last.status == 401 && begins && last.rejection() == *rejection
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, refused};
    use crate::demo::step::Exchange;
    use keybound::Rejection;

    fn answer(status: u16, said: &str) -> [Exchange; 1] {
        [Exchange { request: String::new(), status, said: Some(said.to_owned()).filter(|text| !text.is_empty()) }]
    }

    #[test]
    fn status_code_and_reason_are_all_held_against_the_story() {
        let told = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{}\"", Rejection::Replayed);
        assert!(refused(Rejection::Replayed).is_met_by(&answer(401, &told)));
        assert!(!refused(Rejection::Replayed).is_met_by(&answer(400, &told)));
        assert!(!refused(Rejection::ProofMissing).is_met_by(&answer(401, &told)));
        assert!(!Expected::Status(200).is_met_by(&answer(401, &told)));
        assert!(Expected::Status(200).is_met_by(&answer(200, "")));
        assert!(!refused(Rejection::Replayed).is_met_by(&answer(200, "")));
        assert!(!Expected::Status(200).is_met_by(&[]));
    }
}
