//! What flows come to.

use std::sync::Arc;

use keybound::oauth;
use keybound_ffi as ffi;

use crate::plain::shown;
use crate::session::{DeviceLogin, Discovered, Session};

/// What a flow came to.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum Outcome {
    /// What protects a target.
    Found {
        /// It.
        discovered: Arc<Discovered>,
    },
    /// A session.
    Opened {
        /// It.
        session: Arc<Session>,
    },
    /// A login on another device, for `CoreOperation::PollDevice`.
    DevicePrompted {
        /// The login.
        device: Arc<DeviceLogin>,
        /// What to show the user.
        prompt: DevicePrompt,
    },
    /// A login in a browser.
    LoginBegun {
        /// Where to send it.
        authorization: Authorization,
    },
    /// The answer of a resource.
    Answered {
        /// It; its body is with the host.
        answer: Answer,
    },
    /// A token that is no access token.
    TokenIssued {
        /// It.
        token: IssuedToken,
    },
    /// What an authorization server says of a token.
    Claims {
        /// A JSON object.
        json: String,
    },
    /// The session has ended.
    Ended {
        /// Whether its tokens are revoked; not, where the server has no revocation.
        revoked: bool,
    },
    /// It is done.
    Nothing,
}

/// Where to send the user's browser.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct Authorization {
    /// The URL.
    pub url: String,
    /// The login's `state`, by which its callback is known.
    pub state: String,
    /// Until when the callback is taken.
    pub expires_at: i64,
    /// Whether the server has the request already and the URL refers to it (RFC 9126). If not, the user can read and change what
    /// the URL says.
    pub pushed: bool,
}

shown!(Authorization { expires_at, pushed });

/// What to show the user who logs in on another device (RFC 8628 section 3.2).
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct DevicePrompt {
    /// What to type there.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code, for a QR code.
    pub verification_uri_complete: Option<String>,
    /// Until when.
    pub expires_at: i64,
}

shown!(DevicePrompt { verification_uri, expires_at });

/// The answer of a resource.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Answer {
    /// The URL that answered, after redirects within the origin.
    pub url: String,
    /// Its status.
    pub status: i32,
    /// What would help, if the request was refused.
    pub demand: Option<Demand>,
    /// Why a malformed line of `WWW-Authenticate` was ignored, if one was.
    pub ignored_challenge: Option<String>,
}

/// What a refused request needs.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Demand {
    /// A new login.
    Login,
    /// A login for more scope.
    StepUp {
        /// The scope that is asked for.
        scope: String,
    },
    /// The same request once more, with a body that could be sent once.
    Resend,
}

/// A token that is no access token.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct IssuedToken {
    /// The token: a secret.
    pub token: String,
    /// Its type.
    pub token_type: String,
    /// Until when it is good.
    pub expires_at: Option<i64>,
}

shown!(IssuedToken { token_type, expires_at });

impl Outcome {
    pub(crate) fn of(outcome: oauth::Outcome) -> Self {
        match outcome {
            oauth::Outcome::Discovered(found) => Self::Found { discovered: Arc::new(Discovered(found)) },
            oauth::Outcome::Session(session) => Self::Opened { session: Arc::new(Session(session)) },
            oauth::Outcome::Device(device) => {
                let prompt = DevicePrompt {
                    user_code: device.user_code().into(),
                    verification_uri: device.verification_uri().into(),
                    verification_uri_complete: device.verification_uri_complete().map(Into::into),
                    expires_at: device.expires_at().secs(),
                };
                let device = Arc::new(DeviceLogin(Arc::new(ffi::Device::new(*device))));
                Self::DevicePrompted { device, prompt }
            }
            oauth::Outcome::Authorization(sent) => Self::LoginBegun {
                authorization: Authorization {
                    url: sent.url,
                    state: sent.state,
                    expires_at: sent.expires_at.secs(),
                    pushed: sent.pushed,
                },
            },
            oauth::Outcome::Answer(answer) => Self::Answered {
                answer: Answer {
                    url: answer.url,
                    status: answer.status.into(),
                    demand: answer.demand.map(|demand| match demand {
                        oauth::Demand::StepUp(scope) => Demand::StepUp { scope },
                        oauth::Demand::Resend => Demand::Resend,
                        _ => Demand::Login,
                    }),
                    ignored_challenge: answer.ignored_challenge.map(|error| error.to_string()),
                },
            },
            oauth::Outcome::Issued(issued) => Self::TokenIssued {
                token: IssuedToken {
                    token: issued.token.expose().into(),
                    token_type: issued.token_type,
                    expires_at: issued.expires_at.map(|time| time.secs()),
                },
            },
            oauth::Outcome::Claims(claims) => Self::Claims { json: claims.to_json() },
            oauth::Outcome::Ended(revoked) => Self::Ended { revoked },
            _ => Self::Nothing,
        }
    }
}
