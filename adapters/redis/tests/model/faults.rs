//! What befalls servers and time.

use crate::model::{Action, Scenario};
use crate::server::{Role, Server};
use crate::world::World;

/// What befalls a server, or time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    Flush,
    /// The same data in another run, but for the last writes.
    RestartWithout(usize),
    RestartEmpty,
    /// The replica takes over, and the primary follows it.
    Failover,
    /// The replica takes over with another one, and the primary goes on; it may still count the replica for a while.
    Split {
        noticed: bool,
    },
    /// The older of two primaries follows the newer.
    Heal,
    /// Between two looks of the verifiers, an entry is evicted.
    Evict,
    /// The server's clock steps.
    Step(i64),
    /// Time passes.
    Pass(i64),
}

impl Scenario {
    /// The ways in which `fault` can happen now.
    pub fn suffered(&self, world: &World, fault: Fault, actions: &mut Vec<Action>) {
        let suffer = |server| Action::Suffer { fault, server, item: 0 };
        let primaries = (0..world.servers.len()).filter(|server| world.servers[*server].role != Role::Replica);
        let primary_count = primaries.clone().count();
        match fault {
            Fault::Flush | Fault::RestartEmpty | Fault::Step(_) => actions.extend(primaries.map(suffer)),
            Fault::RestartWithout(count) => {
                actions.extend(primaries.filter(|server| world.servers[*server].items.len() >= count).map(suffer));
            }
            Fault::Failover | Fault::Split { .. } => {
                if let Some((primary, _)) = world.pair() {
                    actions.push(suffer(primary));
                }
            }
            Fault::Heal => {
                if primary_count == 2 {
                    actions.push(suffer(0));
                }
            }
            Fault::Evict => {
                // What is under way then is not protected before the next look, which is at most 8 s away.
                if world.lanes.iter().all(|lane| lane.flight.is_none()) {
                    for server in primaries {
                        let items = 0..world.servers[server].items.len();
                        actions.extend(items.map(|item| Action::Suffer { fault, server, item }));
                    }
                }
            }
            Fault::Pass(_) => actions.push(suffer(0)),
        }
    }

    /// Lets `fault` happen to a server.
    pub fn suffer(&self, world: &mut World, fault: Fault, server: usize, item: usize) {
        let other = (server + 1) % world.servers.len();
        match fault {
            Fault::Flush => world.servers[server].items.clear(),
            Fault::RestartWithout(count) => {
                let run = world.name();
                let server = &mut world.servers[server];
                server.items.truncate(server.items.len() - count);
                (server.run, server.evicted) = (run, 0);
            }
            Fault::RestartEmpty => {
                let run = world.name();
                world.servers[server] = Server { run, items: Vec::new(), evicted: 0, ..world.servers[server].clone() };
            }
            Fault::Failover => {
                world.servers[other].replication = world.name();
                self.follow(world, server, other);
            }
            Fault::Split { noticed } => {
                world.servers[server].role = if noticed { Role::Alone } else { Role::Deserted };
                world.servers[other].replication = world.name();
                world.servers[other].role = Role::Followed;
            }
            Fault::Heal => {
                let older = usize::from(world.servers[1].replication < world.servers[0].replication);
                self.follow(world, older, 1 - older);
            }
            Fault::Evict => {
                let server = &mut world.servers[server];
                server.items.remove(item);
                server.evicted += 1;
                world.time += 9;
            }
            Fault::Step(seconds) => world.servers[server].clock += seconds,
            Fault::Pass(seconds) => world.time += seconds,
        }
        let time = world.time;
        world.servers.iter_mut().for_each(|server| server.expire(time));
    }

    /// Makes a server the replica of another.
    fn follow(&self, world: &mut World, follower: usize, primary: usize) {
        let (items, replication) = (world.servers[primary].items.clone(), world.servers[primary].replication);
        world.servers[primary].role = Role::Followed;
        let follower = &mut world.servers[follower];
        (follower.role, follower.items, follower.replication) = (Role::Replica, items, replication);
    }
}
