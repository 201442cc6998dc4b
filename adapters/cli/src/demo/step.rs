//! One step of the story: what was sent, what came back, and whether that was foretold.

use keybound::Rejection;
use serde_json::{Value, json};

use crate::output::{BAD, FAINT, GOOD, STRONG, styled};

/// A request and its answer, without secrets.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) request: String,
    pub(super) status: u16,
    /// The challenge or the error in the answer.
    pub(super) said: Option<String>,
}

/// One step.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) why: Option<String>,
    pub(super) ok: bool,
}

impl Exchange {
    /// The defect that the answer names in Keybound's own sentence.
    pub(super) fn rejection(&self) -> Option<Rejection> {
        let said = self.said.as_deref()?;
        Rejection::ALL.iter().copied().find(|rejection| said.contains(&rejection.to_string()))
    }

    fn to_text(&self) -> String {
        let status = if self.status < 400 { styled(GOOD, self.status) } else { styled(BAD, self.status) };
        let said = self.said.as_deref().map(|said| format!(" {said}")).unwrap_or_default();
        format!("   {}\n   < {status}{said}\n", styled(FAINT, format_args!("> {}", self.request)))
    }
}

impl Step {
    /// The name of the last answer's defect, or the wire code where it is no defect of a proof.
    fn reason(&self) -> Option<&str> {
        let last = self.exchanges.last()?;
        let wire_code = || last.said.as_deref()?.split_once("error=\"")?.1.split('"').next();
        last.rejection().map(Rejection::reason).or_else(wire_code)
    }

    pub(super) fn to_json(&self) -> Value {
        let exchanges: Value = self
            .exchanges
            .iter()
            .map(|exchange| json!({ "request": exchange.request, "status": exchange.status, "said": exchange.said }))
            .collect();
        json!({ "step": self.title, "exchanges": exchanges, "reason": self.reason(), "why": self.why, "ok": self.ok })
    }

    /// A paragraph about this step.
    pub(super) fn to_text(&self, number: usize) -> String {
        let mut text = format!("{}\n", styled(STRONG, format_args!("{number}. {}", self.title)));
        text.extend(self.exchanges.iter().map(Exchange::to_text));
        if let Some(why) = &self.why {
            let reason = self.reason().map(|reason| format!("{}: ", styled(STRONG, reason))).unwrap_or_default();
            text += &format!("   {reason}{why}\n");
        }
        if !self.ok {
            text += &format!("   {}\n", styled(BAD, "this is not what should have happened"));
        }
        text
    }
}
