//! The policy that `verify` and `explain` judge by, and how algorithms are named on the command line.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use keybound::{Algorithm, AlgorithmSet, Policy};

use crate::failure::Failure;

/// What is accepted.
#[derive(clap::Args)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// The rules to start from.
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    policy: Preset,
    /// Algorithms to permit instead: all, or names separated by commas.
    #[arg(long, value_name = "LIST")]
    algorithms: Option<String>,
    /// How old a proof may be, in seconds (1 to 300).
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u64>,
    /// How far ahead of the clock a proof may be dated, in seconds (0 to 60).
    #[arg(long, value_name = "SECONDS")]
    max_ahead: Option<u64>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Preset {
    /// ES256, Ed25519 and PS256; 60 seconds of age, 10 ahead.
    #[default]
    Default,
    /// FAPI 2.0: the default with a nonce required.
    Fapi2,
    /// Model Context Protocol: 300 seconds of age, 60 ahead.
    Mcp,
    /// AT Protocol: ES256, a nonce required.
    Atproto,
    /// OpenID4VC High Assurance: ES256.
    Haip,
}

impl PolicyArgs {
    /// The policy; what is outside its bounds is wrong usage.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        let mut policy = match self.policy {
            Preset::Default => Policy::default(),
            Preset::Fapi2 => Policy::fapi2(),
            Preset::Mcp => Policy::mcp(),
            Preset::Atproto => Policy::atproto(),
            Preset::Haip => Policy::haip(),
        };
        if let Some(list) = &self.algorithms {
            policy = policy.with_algorithms(algorithm_set(list)?)?;
        }
        if let Some(seconds) = self.max_age {
            policy = policy.with_max_age(seconds)?;
        }
        if let Some(seconds) = self.max_ahead {
            policy = policy.with_max_ahead(seconds)?;
        }
        Ok(policy)
    }
}

pub(crate) fn algorithm_set(list: &str) -> Result<AlgorithmSet, Failure> {
    if list == "all" {
        return Ok(AlgorithmSet::ALL);
    }
    let names = list.split([',', ' ']).filter(|name| !name.is_empty());
    names.map(|name| named(name).ok_or_else(|| unknown(name))).collect()
}

fn unknown(name: &str) -> Failure {
    Failure::usage(format!("there is no algorithm {name:?}; there are all, {}", AlgorithmSet::ALL))
}

fn named(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.iter().copied().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
}

/// Reads the name of one algorithm, in capitals or not.
pub(crate) fn algorithm_parser() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.iter().map(|algorithm| algorithm.name()))
        .try_map(|name| named(&name).ok_or("no such algorithm"))
}

#[cfg(test)]
mod tests {
    use super::algorithm_set;
    use keybound::{Algorithm, AlgorithmSet};

    #[test]
    fn lists_are_read_in_any_case_and_unknown_names_are_errors() {
        let pair = AlgorithmSet::of(&[Algorithm::Es256, Algorithm::MlDsa44]);
        assert_eq!(algorithm_set("es256,ML-DSA-44").unwrap(), pair);
        assert_eq!(algorithm_set("all").unwrap(), AlgorithmSet::ALL);
        assert!(algorithm_set("ES256,none").unwrap_err().message().contains("\"none\""));
        assert!(algorithm_set("").unwrap().is_empty());
    }
}
