//! What the servers can be told to do wrong.

use std::time::Duration;

/// Faults; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every answer brings a new nonce, and only that one is taken.
    pub new_nonce_each_call: bool,
    /// How far the servers' clock is ahead, in seconds.
    pub clock_skew: i64,
    /// Cross-origin scripts may call, but read neither challenges nor nonces.
    pub drop_cors: bool,
    /// The replay store cannot be reached.
    pub store_failing: bool,
    /// The well-known documents are answered with 503.
    pub metadata_failing: bool,
    /// Tokens are said to be of the type Bearer.
    pub bearer_token_type: bool,
    /// Authorization responses come from another issuer.
    pub wrong_iss: bool,
    /// How long every answer takes.
    pub slow: Duration,
}

impl Faults {
    /// Adds the fault that `text` names: `new-nonce-each-call`, `clock-skew=SECONDS`, `drop-cors`, `store-failing`,
    /// `metadata-failing`, `bearer-token-type`, `wrong-iss` or `slow=MILLISECONDS`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let number = |value: &str| value.parse().map_err(|_| format!("{value} in {text} is not a whole number"));
        match text.split_once('=') {
            None if text == "new-nonce-each-call" => self.new_nonce_each_call = true,
            None if text == "drop-cors" => self.drop_cors = true,
            None if text == "store-failing" => self.store_failing = true,
            None if text == "metadata-failing" => self.metadata_failing = true,
            None if text == "bearer-token-type" => self.bearer_token_type = true,
            None if text == "wrong-iss" => self.wrong_iss = true,
            Some(("clock-skew", value)) => self.clock_skew = number(value)?,
            Some(("slow", value)) => {
                let millis = u64::try_from(number(value)?).map_err(|_| format!("{text} is negative"))?;
                self.slow = Duration::from_millis(millis.min(600_000));
            }
            _ => {
                return Err(format!(
                    "{text} is not a fault; there are new-nonce-each-call, clock-skew=SECONDS, drop-cors, store-failing, \
                     metadata-failing, bearer-token-type, wrong-iss and slow=MILLISECONDS"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Faults;

    #[test]
    fn faults_are_read() {
        let mut faults = Faults::default();
        for text in [
            "new-nonce-each-call",
            "clock-skew=-90",
            "drop-cors",
            "store-failing",
            "metadata-failing",
            "bearer-token-type",
            "wrong-iss",
            "slow=250",
        ] {
            faults.add(text).expect(text);
        }
        assert_eq!((faults.clock_skew, faults.slow.as_millis()), (-90, 250));
        for text in ["", "slow", "slow=", "slow=-1", "clock-skew=x", "drop-cors=1", "other"] {
            assert!(faults.add(text).is_err(), "{text}");
        }
    }
}
