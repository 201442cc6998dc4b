//! Requests that strangers send in great number and break off: nothing of them stays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::alloc::System;
use std::future::pending;

use futures_util::FutureExt as _;
use http::Request;
use http::request::Parts;
use keybound::replay::BoxFuture;
use keybound::server::resource::Schemes;
use keybound_tower::{FetchKeys, HostError, Introspect, Protection};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use story::{Client, Clock, ISSUER, Issuer};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RESOURCE: &str = "https://api.example.com";
/// How many requests wait at most.
const SEATS: usize = 1_024;
/// How many questions about tokens are under way at most.
const AT_A_TIME: usize = 64;

/// An authorization server that never answers.
struct Silent;

impl Introspect for Silent {
    fn introspect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(pending())
    }
}

impl FetchKeys for Silent {
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<u8>, HostError>> {
        Box::pin(pending())
    }
}

fn head(token: &str) -> Parts {
    let request = Request::get("/items").header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap().into_parts().0
}

fn introspecting() -> Protection {
    let builder = Protection::of(RESOURCE).unwrap().tokens(|policy| policy.with_schemes(Schemes::Both));
    builder.introspection_by(Silent).build().unwrap()
}

/// Sends a request and breaks it off while it waits.
fn break_off(protection: &Protection, parts: &Parts) {
    assert!(protection.admit(parts).now_or_never().is_none(), "it waits");
}

/// By how many bytes memory grows.
fn growth(work: impl FnOnce()) -> isize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed()
}

/// One test: another one at the same time would be counted as well.
#[tokio::test]
async fn requests_broken_off_while_they_wait_leave_nothing() {
    let protection = introspecting();
    // Questions belong to no request: this many go on until their time is up, whatever is sent.
    (0..AT_A_TIME).for_each(|number| break_off(&protection, &head(&format!("first-{number}"))));
    let left = growth(|| {
        for number in 0..10_000 {
            break_off(&protection, &head(&format!("opaque-{number}")));
        }
    });
    assert!(left < 65_536, "{left} bytes are left of questions about tokens");
    assert!(format!("{protection:?}").contains(&format!("underway: {AT_A_TIME}")), "{protection:?}");

    let (clock, issuer) = (Clock::real(), Issuer::new("k1"));
    let builder = Protection::of(RESOURCE).unwrap().tokens(|policy| policy.with_schemes(Schemes::Both));
    let protection = builder.issuer_with_source(ISSUER, Silent).unwrap().build().unwrap();
    let token = issuer.token(&Client::new(&clock, RESOURCE, ([127, 0, 0, 1], 1).into()).claims());
    let parts = head(&token);
    break_off(&protection, &parts);
    let left = growth(|| (0..10_000).for_each(|_| break_off(&protection, &parts)));
    assert!(left < 65_536, "{left} bytes are left of waits for keys");

    those_who_wait_are_bounded().await;
}

async fn those_who_wait_are_bounded() {
    let protection = introspecting();
    let heads: Vec<Parts> = (0..SEATS).map(|number| head(&format!("opaque-{number}"))).collect();
    let mut waiting: Vec<_> = heads.iter().map(|parts| Box::pin(protection.admit(parts))).collect();
    for request in &mut waiting {
        assert!(request.as_mut().now_or_never().is_none());
    }
    // One about a token that is asked about already is no exception.
    for token in ["another", "opaque-0"] {
        let refusal = protection.admit(&head(token)).now_or_never().expect("an answer at once").unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (503, "introspection_unavailable"), "{token}");
    }
    waiting.pop();
    break_off(&protection, &head("another"));
}
