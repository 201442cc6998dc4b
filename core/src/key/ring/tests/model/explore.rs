//! Runs processes in every order of their steps.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use super::{Process, World};

/// Ends the turn of this process.
pub(super) async fn step() {
    let mut ended = false;
    poll_fn(|_| if core::mem::replace(&mut ended, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Every order in which the processes can take their steps, with as many as `crashes` processes that end before one of them.
/// `then` is told how many did.
///
/// What a process does next follows from what it was answered. So where a world and all answers in it are those of an earlier order,
/// what follows is known.
pub(super) fn every_order(
    crashes: usize,
    world: impl Fn() -> World,
    processes: impl Fn(&World) -> Vec<Process>,
    then: impl Fn(&World, usize),
) {
    let mut script: Vec<(usize, usize)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut ends = 0_u32;
    loop {
        let mut place = 0;
        let choose = |options, state: &dyn Fn() -> String| {
            if place == script.len() {
                if !seen.insert(state()) {
                    return None;
                }
                script.push((0, options));
            }
            place += 1;
            Some(script[place - 1].0)
        };
        ends += u32::from(run(crashes, &world(), &processes, &then, choose));
        // The next script: the last choice that has an alternative takes it.
        while script.last().is_some_and(|(choice, options)| choice + 1 == *options) {
            script.pop();
        }
        match script.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => break,
        }
    }
    assert!(ends > 10 && seen.len() > 50, "{ends} ends, {} states", seen.len());
}

/// The same with orders that are drawn, of any number of crashes.
pub(super) fn some_orders(
    runs: u32,
    world: impl Fn() -> World,
    processes: impl Fn(&World) -> Vec<Process>,
    then: impl Fn(&World),
) {
    let mut seed = 1_u64;
    for _ in 0..runs {
        run(usize::MAX, &world(), &processes, &|world, _| then(world), |options, state| {
            state();
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Most turns are steps: the first half of the options.
            let options = if (seed >> 40).is_multiple_of(16) { options } else { options.div_ceil(2) };
            Some(usize::try_from(seed >> 48).unwrap() % options)
        });
    }
}

/// Whether it came to its end: `choose` says `None` where what follows is known.
fn run(
    crashes: usize,
    world: &World,
    processes: &impl Fn(&World) -> Vec<Process>,
    then: &impl Fn(&World, usize),
    mut choose: impl FnMut(usize, &dyn Fn() -> String) -> Option<usize>,
) -> bool {
    let mut running: Vec<(usize, Process)> = processes(world).into_iter().enumerate().collect();
    let mut crashed = 0;
    while !running.is_empty() {
        let steps = running.len();
        let options = if crashed < crashes { 2 * steps } else { steps };
        let numbers: Vec<usize> = running.iter().map(|(number, _)| *number).collect();
        let state = || {
            world.check();
            format!("{numbers:?} {crashed} {}", world.state())
        };
        let Some(choice) = choose(options, &state) else { return false };
        if choice >= steps {
            crashed += 1;
            drop(running.remove(choice - steps));
            continue;
        }
        world.take_turn(running[choice].0);
        if poll(&mut running[choice].1) {
            drop(running.remove(choice));
        }
    }
    world.check();
    then(world, crashed);
    let mut survivor: Process = alloc::boxed::Box::pin(world.clone().survive());
    while !poll(&mut survivor) {
        world.check();
    }
    true
}

fn poll(process: &mut Process) -> bool {
    process.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
