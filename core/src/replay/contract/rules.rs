//! The rules, each a short story with a clock of its own.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;

use super::subject::Subject;
use super::{Contract, ContractViolation, Rule};
use crate::jose::thumbprint::Thumbprint;
use crate::replay::Insertion::{self, BeforeFloor, Fresh, Full, Seen, ShareFull, Unavailable};
use crate::replay::{ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, StoreEpoch};
use crate::time::UnixTime;

/// The settings of the made-up verifier, in seconds.
const MAX_AGE: u64 = 60;
const MAX_AHEAD: u64 = 10;
const STORE_MARGIN: u64 = 60;
/// When stores are made.
const FLOOR: UnixTime = UnixTime::from_secs(1_700_000_000);
/// When most stories begin: long after the floor.
const BEGIN: UnixTime = FLOOR.saturating_add(1_000);
/// How many entries the stories about limits insert at once.
const BATCH: usize = 256;

type Outcome = Result<(), ContractViolation>;

/// Checks all rules.
pub(super) async fn check<S: Subject>(mut make: impl AsyncFnMut(UnixTime) -> S, contract: Contract) -> Outcome {
    let proofs = Proofs { agreement: contract.agreement };
    first_and_second(&make(FLOOR).await, proofs).await?;
    kept_until_the_end(&make(FLOOR).await, proofs).await?;
    floor(&make(FLOOR).await, proofs).await?;
    clock_may_step_back(&make(FLOOR).await, proofs).await?;
    agreement(&make(FLOOR).await, proofs).await?;
    batches(&make(FLOOR).await, proofs).await?;
    one_of_many(&make(FLOOR).await, proofs).await?;
    if let Some(capacity) = contract.capacity {
        limited_capacity(&make(FLOOR).await, proofs, capacity).await?;
    }
    if let Some(share) = contract.share {
        limited_share(&make(FLOOR).await, proofs, share).await?;
    }
    Ok(())
}

/// Makes entries of proofs that are told apart by a number.
#[derive(Clone, Copy)]
struct Proofs {
    agreement: ReplayAgreement,
}

impl Proofs {
    /// The entry of a proof made at `iat`: each number has a key and a thumbprint of its own.
    fn made(self, number: u64, iat: UnixTime) -> ReplayEntryParts {
        ReplayEntryParts {
            key: key(number, number),
            thumbprint: thumbprint(number),
            timed_at: iat,
            max_ahead: MAX_AHEAD,
            expires_at: iat.saturating_add(MAX_AGE),
            store_margin: STORE_MARGIN,
            nonce_epoch: None,
            agreement: self.agreement,
        }
    }
}

/// The key of a proof with a `jti` and a thumbprint that are told apart by numbers.
fn key(jti: u64, thumbprint: u64) -> ReplayKey {
    let mut bytes = [0; 16];
    let numbers = jti.to_be_bytes().into_iter().chain(thumbprint.to_be_bytes());
    bytes.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
    ReplayKey::from_bytes(bytes)
}

fn thumbprint(number: u64) -> Thumbprint {
    let mut bytes = [0x5a; 32];
    bytes.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    Thumbprint::from_bytes(bytes)
}

/// Inserts one entry.
async fn insert<S: Subject>(
    store: &S,
    rule: Rule,
    parts: ReplayEntryParts,
    now: UnixTime,
) -> Result<Insertion, ContractViolation> {
    let answers = insert_all(store, rule, &[ReplayEntry::from_parts(parts)], now).await?;
    answers.first().copied().ok_or_else(|| ContractViolation::new(rule, "an answer", "none"))
}

/// Inserts a batch and checks that it has as many answers as entries, each given in the life that the store then knows of.
async fn insert_all<S: Subject>(
    store: &S,
    rule: Rule,
    entries: &[ReplayEntry],
    now: UnixTime,
) -> Result<Vec<Insertion>, ContractViolation> {
    match store.insert(entries, now).await {
        Ok(answers) if answers.len() == entries.len() => {
            if let Some(strange) = answers.iter().find(|answer| answer.epoch != store.epoch()) {
                let found = format!("{:?} beside {:?}", strange.epoch, store.epoch());
                return Err(ContractViolation::new(Rule::AnswerNamesEpoch, "the epoch of the last answer", found));
            }
            Ok(answers.into_iter().map(|answer| answer.insertion).collect())
        }
        Ok(answers) => Err(ContractViolation::new(
            Rule::AnswersAreInOrder,
            "one answer for each entry",
            format!("{} answers for {} entries", answers.len(), entries.len()),
        )),
        Err(error) => Err(ContractViolation::new(rule, "an answer", format!("the store's error {error}"))),
    }
}

/// Inserts one entry and compares the answer.
async fn expect<S: Subject>(
    store: &S,
    rule: Rule,
    parts: ReplayEntryParts,
    now: UnixTime,
    expected: Insertion,
) -> Outcome {
    let found = insert(store, rule, parts, now).await?;
    if found == expected { Ok(()) } else { Err(ContractViolation::new(rule, expected.name(), found.name())) }
}

async fn first_and_second<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    let proof = proofs.made(1, BEGIN);
    expect(store, Rule::FirstIsFresh, proof, BEGIN, Fresh).await?;
    expect(store, Rule::SecondIsSeen, proof, BEGIN, Seen).await?;
    expect(store, Rule::SecondIsSeen, proof, BEGIN.saturating_add(1), Seen).await?;

    let stranger = ReplayEntryParts { key: key(1, 2), thumbprint: thumbprint(2), ..proof };
    expect(store, Rule::StrangersDoNotCollide, stranger, BEGIN, Fresh).await?;
    expect(store, Rule::StrangersDoNotCollide, stranger, BEGIN, Seen).await?;
    expect(store, Rule::StrangersDoNotCollide, proof, BEGIN, Seen).await?;

    // Keys are any 16 bytes, those included that a store may use as a mark of its own.
    for (number, bytes) in [(3, [0; 16]), (4, [0xff; 16])] {
        let odd = ReplayEntryParts { key: ReplayKey::from_bytes(bytes), ..proofs.made(number, BEGIN) };
        expect(store, Rule::FirstIsFresh, odd, BEGIN, Fresh).await?;
        expect(store, Rule::SecondIsSeen, odd, BEGIN, Seen).await?;
    }
    Ok(())
}

async fn kept_until_the_end<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    // A proof for each second of a while, so that no store is right by the luck of its own rhythm.
    for number in 0..40 {
        let iat = BEGIN.saturating_add(number);
        expect(store, Rule::FirstIsFresh, proofs.made(number, iat), iat, Fresh).await?;
    }
    for second in MAX_AGE..MAX_AGE.saturating_add(STORE_MARGIN).saturating_add(40) {
        let now = BEGIN.saturating_add(second);
        let others = proofs.made(second.saturating_add(1_000), now);
        expect(store, Rule::FirstIsFresh, others, now, Fresh).await?;
        for number in 0..40 {
            let proof = proofs.made(number, BEGIN.saturating_add(number));
            let ends = [proof.expires_at, proof.expires_at.saturating_add(proof.store_margin)];
            if ends.contains(&now) {
                expect(store, Rule::KeptUntilTheEnd, proof, now, Seen).await?;
            }
        }
    }
    Ok(())
}

async fn floor<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    let now = FLOOR.saturating_add(5);
    let last = FLOOR.saturating_add(MAX_AHEAD);
    for (number, iat) in [(1, FLOOR.saturating_sub(30)), (2, FLOOR), (3, now), (4, last)] {
        let proof = proofs.made(number, iat);
        expect(store, Rule::FloorIsKept, proof, now, BeforeFloor).await?;
        let strange = StoreEpoch::from_u64(!store.epoch().to_u64());
        let with_other = ReplayEntryParts { nonce_epoch: Some(strange), ..proof };
        expect(store, Rule::OtherEpochDoesNotVouch, with_other, now, BeforeFloor).await?;
        let with_present = ReplayEntryParts { nonce_epoch: Some(store.epoch()), ..proof };
        expect(store, Rule::PresentEpochVouches, with_present, now, Fresh).await?;
        expect(store, Rule::PresentEpochVouches, with_present, now, Seen).await?;
    }
    let after = proofs.made(5, last.saturating_add(1));
    expect(store, Rule::FloorIsKept, after, now, Fresh).await?;
    expect(store, Rule::FloorIsKept, after, now, Seen).await
}

async fn clock_may_step_back<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    let rule = Rule::ClockMayStepBack;
    let proof = |number| proofs.made(number, BEGIN.saturating_add(number));
    for number in 0..64 {
        expect(store, rule, proof(number), BEGIN.saturating_add(number), Fresh).await?;
    }
    let mut others = 1_000;
    for step in [100_u64, 130, 170, 200, 400, 5_000] {
        // Forward, with some traffic and a replay or two there, and back again.
        for _ in 0..64 {
            others = u64::saturating_add(others, 1);
            let now = BEGIN.saturating_add(step);
            let _ = insert(store, rule, proofs.made(others, now), now).await?;
        }
        for number in 0..64 {
            for now in [BEGIN.saturating_add(step), BEGIN.saturating_add(number), BEGIN.saturating_sub(50)] {
                if insert(store, rule, proof(number), now).await? == Fresh {
                    return Err(ContractViolation::new(rule, "any answer but fresh", Fresh.name()));
                }
            }
        }
    }
    Ok(())
}

async fn agreement<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    let mut bytes = *proofs.agreement.as_bytes();
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    let stranger = Proofs { agreement: ReplayAgreement::from_bytes(bytes) };
    expect(store, Rule::AgreementIsKept, stranger.made(1, BEGIN), BEGIN, Unavailable).await?;
    expect(store, Rule::AgreementIsKept, proofs.made(1, BEGIN), BEGIN, Fresh).await
}

async fn batches<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    let now = FLOOR.saturating_add(20);
    let entry = |number, iat| ReplayEntry::from_parts(proofs.made(number, iat));
    insert_all(store, Rule::AnswersAreInOrder, &[], now).await?;
    expect(store, Rule::FirstIsFresh, proofs.made(1, now), now, Fresh).await?;

    let batch = [entry(1, now), entry(2, now), entry(3, FLOOR), entry(4, now)];
    compare(
        store,
        Rule::AnswersAreInOrder,
        &batch,
        now,
        "seen, fresh, before_floor, fresh",
        &[Seen, Fresh, BeforeFloor, Fresh],
    )
    .await?;
    let twins = [entry(5, now), entry(6, now), entry(5, now), entry(5, now), entry(6, now)];
    compare(
        store,
        Rule::BatchHasNoTwins,
        &twins,
        now,
        "fresh, fresh, seen, seen, seen",
        &[Fresh, Fresh, Seen, Seen, Seen],
    )
    .await
}

async fn compare<S: Subject>(
    store: &S,
    rule: Rule,
    batch: &[ReplayEntry],
    now: UnixTime,
    expected: &'static str,
    answers: &[Insertion],
) -> Outcome {
    let found = insert_all(store, rule, batch, now).await?;
    if found == answers { Ok(()) } else { Err(ContractViolation::new(rule, expected, format!("{found:?}"))) }
}

async fn one_of_many<S: Subject>(store: &S, proofs: Proofs) -> Outcome {
    let entry = [ReplayEntry::from_parts(proofs.made(1, BEGIN))];
    let mut pending: Vec<_> = (0..16).map(|_| Box::pin(store.insert(&entry, BEGIN))).collect();
    let mut found = Vec::new();
    // All of them are begun before any is waited for.
    poll_fn(|context| {
        pending.retain_mut(|insert| match insert.as_mut().poll(context) {
            Poll::Ready(answer) => {
                found.push(answer);
                false
            }
            Poll::Pending => true,
        });
        if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let count = |wanted: Insertion| {
        found
            .iter()
            .filter(|answer| matches!(answer, Ok(all) if matches!(all.as_slice(), [one] if one.insertion == wanted)))
            .count()
    };
    if (count(Fresh), count(Seen)) == (1, 15) {
        return Ok(());
    }
    Err(ContractViolation::new(Rule::OneOfManyIsFresh, "one fresh and 15 seen", format!("{found:?}")))
}

async fn limited_capacity<S: Subject>(store: &S, proofs: Proofs, capacity: usize) -> Outcome {
    let mut accepted = Vec::new();
    let mut refused = false;
    let most = u64::try_from(capacity).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(64);
    let all: Vec<_> = (0..most).map(|number| ReplayEntry::from_parts(proofs.made(number, BEGIN))).collect();
    for batch in all.chunks(BATCH) {
        let answers = insert_all(store, Rule::CapacityIsLimit, batch, BEGIN).await?;
        for (entry, answer) in batch.iter().zip(answers) {
            match answer {
                Fresh => accepted.push(*entry),
                // A store that counts keys by rows may find one of them greedy at the end.
                Full | ShareFull => refused = true,
                other => return Err(ContractViolation::new(Rule::CapacityIsLimit, "fresh or full", other.name())),
            }
        }
    }
    // A store in parts may round each of them up.
    if !refused || accepted.len() > capacity.saturating_add(1_024) {
        let found = format!("{} entries accepted", accepted.len());
        return Err(ContractViolation::new(Rule::CapacityIsLimit, "no more entries than the capacity", found));
    }
    if accepted.len() < capacity.div_euclid(2) {
        let found = format!("full at {} entries", accepted.len());
        return Err(ContractViolation::new(Rule::CapacityIsLimit, "room for half of the capacity", found));
    }
    for batch in accepted.chunks(BATCH) {
        let answers = insert_all(store, Rule::FullForgetsNothing, batch, BEGIN).await?;
        if let Some(wrong) = answers.into_iter().find(|answer| *answer != Seen) {
            return Err(ContractViolation::new(Rule::FullForgetsNothing, Seen.name(), wrong.name()));
        }
    }
    let later = BEGIN.saturating_add(1_000);
    expect(store, Rule::RoomReturns, proofs.made(most, later), later, Fresh).await
}

async fn limited_share<S: Subject>(store: &S, proofs: Proofs, share: usize) -> Outcome {
    let most = u64::try_from(share).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(64);
    let greedy = thumbprint(0);
    // Spread over all times at which a proof is acceptable: a share is one for all of them together.
    let made = |number: u64| {
        let iat = BEGIN.saturating_sub(number.rem_euclid(MAX_AGE));
        ReplayEntry::from_parts(ReplayEntryParts { thumbprint: greedy, ..proofs.made(number, iat) })
    };
    let all: Vec<_> = (0..most).map(made).collect();
    let mut held: usize = 0;
    for batch in all.chunks(BATCH) {
        let answers = insert_all(store, Rule::ShareIsLimit, batch, BEGIN).await?;
        held = held.saturating_add(answers.iter().filter(|answer| **answer == Fresh).count());
    }
    if held == 0 || held > share {
        let found = format!("{held} entries of {share}");
        return Err(ContractViolation::new(Rule::ShareIsLimit, "at least one entry, at most its share", found));
    }
    // A store that counts by rows may put one of the others beside the greedy one, but not most of them.
    let others: Vec<_> =
        (0..16).map(|number| ReplayEntry::from_parts(proofs.made(most.saturating_add(number), BEGIN))).collect();
    let answers = insert_all(store, Rule::ShareSparesOthers, &others, BEGIN).await?;
    let fresh = answers.iter().filter(|answer| **answer == Fresh).count();
    if fresh >= 8 {
        return Ok(());
    }
    let found = format!("{fresh} of 16");
    Err(ContractViolation::new(Rule::ShareSparesOthers, "room for most of 16 other thumbprints", found))
}
