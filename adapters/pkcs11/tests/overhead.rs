//! What the adapter costs beside the module. Run with `--ignored --nocapture`: it uses the clock.

use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use keybound::key::{Signer as _, SigningInput};
use keybound::oauth::step::KeyOwner;
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO};

use crate::place::story;

const ROUNDS: usize = 2000;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement"]
fn at_most_60_microseconds_over_c_sign() {
    story(module_path!(), "at_most_60_microseconds_over_c_sign", |place| {
        let key = place.keys().create(AlgorithmSet::of(&[Algorithm::Es256]), KeyOwner::Host).unwrap();
        let module = Pkcs11::new(place.softhsm()).unwrap();
        let session = module.open_ro_session(module.get_slots_with_initialized_token().unwrap()[0]).unwrap();
        let handle = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
        let message = [7; 400];
        let input = SigningInput::new(Algorithm::Es256, &message, RUSTCRYPTO.digest);
        let digest = input.digest().unwrap();
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        // In turns, so that whatever else the machine does hits both.
        for _ in 0..ROUNDS {
            let start = Instant::now();
            session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap();
            bare.push(start.elapsed());
            let start = Instant::now();
            key.sign(&input).unwrap();
            ours.push(start.elapsed());
        }
        let (bare, ours) = (median(bare), median(ours));
        println!("C_SignInit and C_Sign {bare:?}, the adapter {ours:?}");
        assert!(ours.saturating_sub(bare) <= Duration::from_micros(60));
    });
}
