//! What can happen, and what comes of it.

use keybound::replay::Insertion;
use stateright::{Model, Property};

use crate::faults::Fault;
use crate::server::{Answer, Role, Server};
use crate::verifier::{Event, History, Memory, Outcome, Proof, Settings, is_timely};
use crate::world::{Flight, Lane, Verifier, World};

/// What may happen, and how often.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// By how many seconds the clock of each verifier is ahead of the true time.
    pub clocks: &'static [i64],
    /// The verifier to which each exchange belongs that can be under way: one that has two sends two pipelines at a time.
    pub lanes: &'static [usize],
    /// Whether there is a second server, which follows the first.
    pub has_replica: bool,
    /// Whether servers are older than version 7, and are asked for each section of INFO in a command of its own.
    pub are_old: bool,
    pub settings: Settings,
    /// When the proofs were made. The last one gets a nonce first.
    pub made_at: &'static [i64],
    /// Which proofs are presented together.
    pub asked: &'static [&'static [usize]],
    pub faults: &'static [Fault],
    pub most_faults: u8,
    pub most_presentations: u8,
    /// Times that a verifier looks at its server without a proof.
    pub most_opens: u8,
    /// Times that a connection breaks under a pipeline and the client silently sends what is left, or everything, over another one.
    pub most_reconnects: u8,
    /// Whether that may go to another server.
    pub strays: bool,
    /// What has happened before the exploration begins.
    pub begin: &'static [Action],
    /// What is taken out of the protocol.
    pub without: Option<Rule>,
    pub memory: Memory,
}

/// A rule of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The life, the run and the replication history are read again with each batch.
    Reads,
    /// They are read after the inserts.
    ReadsAfter,
    RunId,
    ReplicationId,
    RandomEpoch,
    Floor,
    Clock,
    Quorum,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Present {
        lane: usize,
        proofs: &'static [usize],
    },
    /// The same, and nothing else happens until it is answered.
    Ask {
        lane: usize,
        proofs: &'static [usize],
    },
    Open {
        lane: usize,
    },
    /// The same, and nothing else happens until it is done.
    Look {
        lane: usize,
    },
    /// The server executes so many of the commands under way.
    Run {
        lane: usize,
        commands: usize,
    },
    /// The server executes all of them, and those of the exchanges after them.
    Finish {
        lane: usize,
    },
    /// The time is up.
    Lose {
        lane: usize,
    },
    /// A new connection takes what is left of a pipeline.
    Reconnect {
        lane: usize,
        server: usize,
    },
    /// A new connection takes all of a pipeline once more.
    Repeat {
        lane: usize,
        server: usize,
    },
    /// A client makes the last proof, with a nonce of this verifier's.
    Nonce {
        verifier: usize,
    },
    /// The replica has caught up.
    Replicate,
    Suffer {
        fault: Fault,
        server: usize,
        item: usize,
    },
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    /// A life that was founded 100 s ago, and verifiers that have just looked at it.
    fn init_states(&self) -> Vec<World> {
        let server = |run| Server { is_old: self.are_old, ..Server::new(run) };
        let mut servers = vec![server(1)];
        if self.has_replica {
            servers[0].role = Role::Followed;
            servers.push(Server { role: Role::Replica, replication: 101, ..server(2) });
        }
        let last = self.made_at.len() - 1;
        let proof =
            |(number, iat): (usize, &i64)| Proof { number: u8::try_from(number).unwrap(), iat: *iat, nonce: None };
        let proofs = self.made_at.iter().enumerate().map(|made| (made.0 < last).then(|| proof(made))).collect();
        let verifier = |number| Verifier {
            history: History::new(self.settings_of(number).0, self.settings_of(number).1),
            seen: None,
        };
        let lane = Lane { server: 0, wrote: false, flight: None };
        let mut world = World {
            time: -100,
            servers,
            names: 200,
            // The founder goes away.
            verifiers: (0..=self.clocks.len()).map(verifier).collect(),
            lanes: vec![lane; self.lanes.len() + 1],
            proofs,
            accepted: vec![0; self.made_at.len()],
            faults: 0,
            presentations: 0,
            opens: 0,
            reconnects: 0,
        };
        let founder = self.lanes.len();
        self.happen(&mut world, founder, Event::Open, Vec::new());
        self.finish(&mut world, founder);
        world.lanes.pop();
        world.verifiers.pop();
        world.time = -1;
        for verifier in 0..self.clocks.len() {
            let lane = self.lanes.iter().position(|owner| *owner == verifier).unwrap();
            self.happen(&mut world, lane, Event::Open, Vec::new());
            self.finish(&mut world, lane);
        }
        world.time = 0;
        self.replicate(&mut world);
        for action in self.begin {
            world = self.next_state(&world, action.clone()).unwrap();
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (lane, state) in world.lanes.iter().enumerate() {
            let elsewhere = |server: &usize| self.has_replica && *server != state.server;
            match &state.flight {
                None => {
                    if world.presentations < self.most_presentations {
                        let is_asked =
                            |proofs: &&&[usize]| proofs.iter().all(|proof| self.is_presented(world, *proof, lane));
                        let asked = self.asked.iter().filter(is_asked);
                        actions.extend(
                            asked.flat_map(|proofs| [Action::Present { lane, proofs }, Action::Ask { lane, proofs }]),
                        );
                    }
                    if world.opens < self.most_opens {
                        actions.extend([Action::Open { lane }, Action::Look { lane }]);
                    }
                    // Where a client connects next is up to it.
                    let servers = (0..world.servers.len()).filter(elsewhere);
                    actions.extend(servers.map(|server| Action::Reconnect { lane, server }));
                }
                Some(flight) => {
                    let left = flight.commands.len() - flight.replies.len();
                    actions.extend((1..=left).map(|commands| Action::Run { lane, commands }));
                    actions.push(Action::Finish { lane });
                    actions.push(Action::Lose { lane });
                    if world.reconnects < self.most_reconnects && !flight.replies.is_empty() {
                        let servers = (0..world.servers.len()).filter(|server| self.strays || *server == state.server);
                        actions.extend(
                            servers.flat_map(|server| {
                                [Action::Reconnect { lane, server }, Action::Repeat { lane, server }]
                            }),
                        );
                    }
                }
            }
        }
        if world.proofs.contains(&None) {
            actions.extend((0..world.verifiers.len()).map(|verifier| Action::Nonce { verifier }));
        }
        let pair = world.pair().map(|(primary, replica)| (&world.servers[primary], &world.servers[replica]));
        if pair.is_some_and(|(primary, replica)| primary.items != replica.items) {
            actions.push(Action::Replicate);
        }
        if world.faults < self.most_faults {
            for fault in self.faults {
                self.suffered(world, *fault, actions);
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Ask { lane, proofs } => {
                world = self.next_state(last, Action::Present { lane, proofs })?;
                self.finish(&mut world, lane);
            }
            Action::Look { lane } => {
                world = self.next_state(last, Action::Open { lane })?;
                self.finish(&mut world, lane);
            }
            Action::Present { lane, proofs } => {
                world.presentations += 1;
                let proofs: Vec<_> = proofs.iter().map(|proof| world.proofs[*proof].unwrap()).collect();
                self.happen(&mut world, lane, Event::Batch(proofs.clone()), proofs);
            }
            Action::Open { lane } => {
                world.opens += 1;
                self.happen(&mut world, lane, Event::Open, Vec::new());
            }
            Action::Run { lane, commands } => {
                for _ in 0..commands {
                    self.execute(&mut world, lane);
                }
                self.resume_if_replied(&mut world, lane);
            }
            Action::Finish { lane } => self.finish(&mut world, lane),
            Action::Lose { lane } => {
                let proofs = world.lanes[lane].flight.take().unwrap().proofs;
                self.happen(&mut world, lane, Event::Lost, proofs);
                world.lanes[lane].wrote = false;
            }
            Action::Reconnect { lane, server } => {
                let state = &mut world.lanes[lane];
                world.reconnects += u8::from(state.flight.is_some());
                (state.server, state.wrote) = (server, false);
            }
            Action::Repeat { lane, server } => {
                let state = &mut world.lanes[lane];
                world.reconnects += 1;
                (state.server, state.wrote) = (server, false);
                state.flight.as_mut().unwrap().replies.clear();
            }
            Action::Nonce { verifier } => {
                let number = world.proofs.iter().position(Option::is_none).unwrap();
                let nonce = Some(world.verifiers[verifier].history.epoch());
                let iat = world.time + self.made_at[number];
                world.proofs[number] = Some(Proof { number: u8::try_from(number).unwrap(), iat, nonce });
            }
            Action::Replicate => self.replicate(&mut world),
            Action::Suffer { fault, server, item } => {
                world.faults += 1;
                self.suffer(&mut world, fault, server, item);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each proof is accepted once", |_: &Self, world: &World| {
                world.accepted.iter().all(|times| *times <= 1)
            }),
            Property::sometimes("a proof is accepted after a fault", |scenario: &Self, world: &World| {
                scenario.most_faults == 0 || world.faults > 0 && world.accepted.iter().any(|times| *times > 0)
            }),
        ]
    }
}

impl Scenario {
    fn now(&self, world: &World, lane: usize) -> i64 {
        world.time + self.clocks.get(self.owner(lane)).unwrap_or(&0)
    }

    fn settings_of(&self, verifier: usize) -> (u64, Settings, usize) {
        let settings = Settings { draws_the_same: self.without == Some(Rule::RandomEpoch), ..self.settings };
        (u64::try_from(verifier).unwrap(), settings, self.lanes.len() + 1)
    }

    fn owner(&self, lane: usize) -> usize {
        // One more founds the life.
        self.lanes.get(lane).copied().unwrap_or(self.clocks.len())
    }

    fn is_presented(&self, world: &World, proof: usize, lane: usize) -> bool {
        world.proofs[proof].is_some_and(|proof| is_timely(&proof, self.now(world, lane)))
    }

    /// Leads the verifier of `lane` on.
    fn happen(&self, world: &mut World, lane: usize, event: Event, proofs: Vec<Proof>) {
        let (now, owner) = (self.now(world, lane), self.owner(lane));
        let verifier = &mut world.verifiers[owner];
        verifier.history = verifier.history.then(&self.memory, self.settings_of(owner), now, lane, event);
        world.lanes[lane].flight = match verifier.history.outcome() {
            Outcome::Commands(commands) => Some(Flight { proofs, commands: commands.clone(), replies: Vec::new() }),
            Outcome::Answers(answers) => {
                for (proof, answer) in proofs.iter().zip(answers) {
                    if answer.insertion == Insertion::Fresh && is_timely(proof, now) {
                        world.accepted[usize::from(proof.number)] += 1;
                    }
                }
                None
            }
        };
    }

    fn finish(&self, world: &mut World, lane: usize) {
        while world.lanes[lane].flight.is_some() {
            while self.is_under_way(world, lane) {
                self.execute(world, lane);
            }
            self.resume_if_replied(world, lane);
        }
    }

    fn is_under_way(&self, world: &World, lane: usize) -> bool {
        world.lanes[lane].flight.as_ref().is_some_and(|flight| flight.replies.len() < flight.commands.len())
    }

    fn resume_if_replied(&self, world: &mut World, lane: usize) {
        if self.is_under_way(world, lane) {
            return;
        }
        let Flight { proofs, commands, mut replies } = world.lanes[lane].flight.take().unwrap();
        if self.without == Some(Rule::ReadsAfter) && is_batch(&commands) {
            replies.rotate_left(self.reads());
        }
        if self.without == Some(Rule::Reads) {
            self.remember(world, lane, &commands, &replies);
        }
        self.happen(world, lane, Event::Replies(replies), proofs);
    }

    /// Executes the next command of `lane` at the server it is connected with.
    fn execute(&self, world: &mut World, lane: usize) {
        let (time, now) = (world.time, self.now(world, lane));
        let World { servers, lanes, verifiers, .. } = world;
        let Lane { server, wrote, flight } = &mut lanes[lane];
        let flight = flight.as_mut().unwrap();
        let (next, count) = (flight.replies.len(), flight.commands.len());
        // Reads that come first, where they should come last.
        let is_rotated = self.without == Some(Rule::ReadsAfter) && is_batch(&flight.commands);
        let place = if is_rotated { (next + count - self.reads()) % count } else { next };
        let words = &flight.commands[place];
        let from_end = count - place;
        if self.without == Some(Rule::Reads) && is_batch(&flight.commands) && from_end <= self.reads() {
            let seen = verifiers[self.owner(lane)].seen.as_ref().unwrap();
            let time = time + servers[*server].clock;
            let answer = seen[self.reads() - from_end].clone().map(&|answer| match answer {
                Answer::AboutServer { run, .. } => Answer::AboutServer { run, time },
                other => other,
            });
            flight.replies.push(answer);
            return;
        }
        if words[0] == b"WAIT" {
            let role = servers[*server].role;
            let count = i64::from(role == Role::Followed || role == Role::Deserted && !*wrote);
            let answer = if role == Role::Replica {
                Answer::Error("ERR WAIT cannot be used with replica instances.")
            } else {
                Answer::Integer(count)
            };
            let answer = if self.without == Some(Rule::Quorum) { Answer::Integer(1) } else { answer };
            let replicates = role == Role::Followed;
            flight.replies.push(answer);
            if replicates {
                self.replicate(world);
            }
            return;
        }
        let mut words = words.clone();
        if self.without == Some(Rule::Floor) && words[0] == b"SET" && words[1].windows(5).any(|part| part == b"life:") {
            words[2] = without_floor(&words[2]);
        }
        let answer = servers[*server].run(&words, time);
        let writes = words[0] == b"SET" && answer == Answer::Ok
            || words[0] == b"GETEX" && words.len() > 2 && answer != Answer::Nil;
        *wrote |= writes && servers[*server].role != Role::Replica;
        flight.replies.push(answer.map(&|answer| match (answer, self.without) {
            (Answer::AboutServer { time, .. }, Some(Rule::RunId)) => Answer::AboutServer { run: 1, time },
            (Answer::AboutServer { run, .. }, Some(Rule::Clock)) => Answer::AboutServer { run, time: now },
            (Answer::AboutReplication { is_primary, replicas, .. }, Some(Rule::ReplicationId)) => {
                Answer::AboutReplication { is_primary, replication: 1, replicas }
            }
            (answer, _) => answer,
        }));
    }

    /// Keeps what a verifier reads of a life when it opens it.
    fn remember(&self, world: &mut World, lane: usize, commands: &[Vec<Vec<u8>>], replies: &[Answer]) {
        let seen = &mut world.verifiers[self.owner(lane)].seen;
        let sections = match replies {
            [Answer::About(sections), ..] => vec![Answer::About(sections[..2].to_vec())],
            [Answer::AboutServer { .. }, ..] => replies[..2].to_vec(),
            _ => Vec::new(),
        };
        if !sections.is_empty() {
            *seen = Some([vec![Answer::Nil], sections].concat());
        } else if let Some(place) = commands.iter().position(|words| words[0] == b"GETEX")
            && let Some(seen) = seen
        {
            seen[0] = replies[place].clone();
        }
    }

    /// How many commands read after the inserts, where no replica is waited for: the life, and INFO in one or two.
    const fn reads(&self) -> usize {
        if self.are_old { 3 } else { 2 }
    }

    fn replicate(&self, world: &mut World) {
        if let Some((primary, replica)) = world.pair() {
            world.servers[replica].items = world.servers[primary].items.clone();
            world.lanes.iter_mut().filter(|lane| lane.server == primary).for_each(|lane| lane.wrote = false);
        }
    }
}

/// Whether these are inserts and the reads after them.
fn is_batch(commands: &[Vec<Vec<u8>>]) -> bool {
    commands[0][0] == b"SET" && commands[0][2] == b"1"
}

/// A life with a floor long ago.
fn without_floor(life: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(life.to_vec()).unwrap();
    let fields: Vec<_> =
        text.split(' ').enumerate().map(|(place, field)| if place == 3 { "0" } else { field }).collect();
    fields.join(" ").into_bytes()
}
