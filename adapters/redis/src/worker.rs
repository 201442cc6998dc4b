//! The task of a store: it keeps a connection open, and takes what is queued into batches.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keybound::UnixTime;
use keybound::replay::redis::{Fault, MAX_BATCH, Next, RedisReplay, UNDER_WAY};
use keybound::replay::{Inserted, Insertion, ReplayEntry, StoreEpoch};
use keybound_aws_lc::AWS_LC;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::builder::Clock;
use crate::connection::{Connection, Connector, Place};
use crate::health::{Noted, Obstacle};
use crate::store::{RedisReplayStore, Request, unavailable};

/// How long to wait before a second attempt to reach the server, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How often to look whether the server is to be looked at.
const TICK: Duration = Duration::from_secs(1);

pub(crate) struct Worker {
    replay: RedisReplay,
    connector: Connector,
    clock: Clock,
    requests: mpsc::Receiver<Request>,
    /// A request that did not fit into the last batch.
    left: Option<Request>,
    noted: Arc<Mutex<Noted>>,
    /// Where the server was that was used last.
    last: Place,
    /// Whether it was said already that the server cannot be used.
    has_warned: bool,
}

/// The store is dropped, and nothing asks any more.
struct Dropped;

impl Worker {
    /// Tries to reach the server once, and starts the task in any case.
    pub(crate) async fn start(
        replay: RedisReplay,
        connector: Connector,
        clock: Clock,
        queue: usize,
    ) -> RedisReplayStore {
        let (sender, requests) = mpsc::channel(queue.max(1));
        let noted = Arc::default();
        let (runtime, answer_timeout) = (Handle::current(), connector.answer_timeout);
        let store = RedisReplayStore::new(replay.clone(), sender, Arc::clone(&noted), runtime, answer_timeout);
        let last = connector.place.clone();
        let mut worker = Self { replay, connector, clock, requests, left: None, noted, last, has_warned: false };
        let opened = worker.connector.open(&worker.replay, &worker.last, &worker.clock).await;
        let connection = worker.reached(opened);
        tokio::spawn(worker.run(connection));
        store
    }

    async fn run(mut self, mut connection: Option<Connection>) {
        loop {
            let open = match connection.take() {
                Some(open) => open,
                None => match self.reach().await {
                    Ok(open) => open,
                    Err(Dropped) => return,
                },
            };
            match self.serve(&open).await {
                Ok(obstacle) => self.note(obstacle),
                Err(Dropped) => return,
            }
        }
    }

    /// Opens anew until that works, with longer and longer pauses. What is asked meanwhile is refused at once.
    async fn reach(&mut self) -> Result<Connection, Dropped> {
        let mut pause = BACKOFF.0;
        // In a cluster, the node that was used last may be gone.
        let mut goes_back = false;
        loop {
            let place = if goes_back { &self.connector.place } else { &self.last };
            let opening = self.connector.open(&self.replay, place, &self.clock);
            let opened = refusing(&mut self.requests, &mut self.left, &self.replay, &self.noted, opening).await?;
            if let Some(connection) = self.reached(opened) {
                return Ok(connection);
            }
            let pausing = sleep(pause.mul_f64(jitter()));
            refusing(&mut self.requests, &mut self.left, &self.replay, &self.noted, pausing).await?;
            pause = pause.saturating_mul(2).min(BACKOFF.1);
            goes_back = !goes_back;
        }
    }

    /// Notes how an attempt to open ended.
    fn reached(&mut self, opened: Result<(Connection, Place), Obstacle>) -> Option<Connection> {
        match opened {
            Ok((connection, place)) => {
                tracing::info!(target: "keybound", lives = self.replay.status().lives, "the replay store is open");
                self.noted().serves = true;
                self.last = place;
                self.has_warned = false;
                Some(connection)
            }
            Err(obstacle) => {
                self.note(obstacle);
                None
            }
        }
    }

    fn note(&mut self, obstacle: Obstacle) {
        if !self.has_warned || self.noted().obstacle.as_ref() != Some(&obstacle) {
            self.has_warned = true;
            tracing::warn!(target: "keybound", fault = obstacle.name(), %obstacle, "the replay store cannot be used");
        }
        *self.noted() = Noted { serves: false, obstacle: Some(obstacle) };
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Nothing panics while it is held.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers what is asked until something is in the way.
    async fn serve(&mut self, connection: &Connection) -> Result<Obstacle, Dropped> {
        let mut under_way = JoinSet::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_room = under_way.len() < UNDER_WAY;
            if has_room && let Some(first) = self.left.take() {
                self.launch(first, connection, &mut under_way);
                continue;
            }
            tokio::select! {
                biased;
                Some(ended) = under_way.join_next() => match ended {
                    Ok(None) => {}
                    Ok(Some(obstacle)) => {
                        // The other batch has its own time: it may still be answered.
                        under_way.detach_all();
                        return Ok(obstacle);
                    }
                    Err(_) => return Ok(Obstacle::Fault(Fault::Lost)),
                },
                _ = ticks.tick() => {
                    let now = (self.clock)();
                    if self.replay.check_is_due(now) {
                        let check = Next::Exchange(self.replay.open(now));
                        let (connection, clock) = (connection.clone(), Arc::clone(&self.clock));
                        under_way.spawn(async move { connection.run(check, &clock).await.into_parts().1 });
                    }
                }
                request = self.requests.recv(), if has_room => match request {
                    Some(first) => self.launch(first, connection, &mut under_way),
                    None => return Err(Dropped),
                },
            }
        }
    }

    /// Sends what is queued in one batch.
    fn launch(&mut self, first: Request, connection: &Connection, under_way: &mut JoinSet<Option<Obstacle>>) {
        let mut batch = Batch { entries: Vec::new(), now: first.now, asked: Vec::new() };
        let mut next = Some(first);
        while let Some(request) = next {
            if !batch.fits(&request) {
                self.left = Some(request);
                break;
            }
            batch.add(request);
            next = self.requests.try_recv().ok();
        }
        let (replay, connection, clock) = (self.replay.clone(), connection.clone(), Arc::clone(&self.clock));
        under_way.spawn(async move {
            let begun = replay.batch(&batch.entries, batch.now);
            // To open a life may take longer than requests wait: it goes on when they have been answered.
            let (answers, obstacle) = connection.run(begun, &clock).await.into_parts();
            // Without one, another batch may have found that the server cannot be used.
            let status = replay.status();
            let of_another = status.fault.as_ref().filter(|_| status.life.is_none()).map(Fault::name);
            let fault = obstacle.as_ref().map(Obstacle::name).or(of_another);
            batch.answer(answers, fault, connection.answer_timeout, replay.epoch());
            obstacle
        });
    }
}

/// What several requests ask, in one round trip.
struct Batch {
    entries: Vec<ReplayEntry>,
    /// The earliest of the requests' times: lifetimes are longest so.
    now: UnixTime,
    /// How many entries each request gave, when it asked, and where its answers go.
    asked: Vec<(usize, Instant, oneshot::Sender<Vec<Inserted>>)>,
}

impl Batch {
    fn fits(&self, request: &Request) -> bool {
        self.entries.len().saturating_add(request.entries.len()) <= MAX_BATCH
    }

    fn add(&mut self, mut request: Request) {
        self.now = self.now.min(request.now);
        self.asked.push((request.entries.len(), request.asked, request.answer));
        self.entries.append(&mut request.entries);
    }

    /// Hands out the answers. Requests for which there is none hear that nothing is decided, and so do those that asked too long ago. `fault`
    /// is the name of what was in the way, if something was.
    fn answer(self, answers: Vec<Inserted>, fault: Option<&'static str>, answer_timeout: Duration, epoch: StoreEpoch) {
        let told = |answer: Inserted| match fault {
            Some(fault) if answer.insertion == Insertion::Unavailable => Inserted::unavailable(fault, answer.epoch),
            _ => answer,
        };
        let mut answers = answers.into_iter().map(told);
        for (count, asked, answer) in self.asked {
            let answered = answers.by_ref().take(count).collect();
            let is_late = asked.elapsed() > answer_timeout;
            let _ = answer.send(if is_late { unavailable(Fault::Lost.name(), epoch, count) } else { answered });
        }
    }
}

/// Does work, and meanwhile refuses what is asked.
async fn refusing<T>(
    requests: &mut mpsc::Receiver<Request>,
    left: &mut Option<Request>,
    replay: &RedisReplay,
    noted: &Mutex<Noted>,
    work: impl Future<Output = T>,
) -> Result<T, Dropped> {
    let refuse = |request: Request| {
        let noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = noted.obstacle.as_ref().map_or(Fault::Lost.name(), Obstacle::name);
        let _ = request.answer.send(unavailable(fault, replay.epoch(), request.entries.len()));
    };
    if let Some(request) = left.take() {
        refuse(request);
    }
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            request = requests.recv() => refuse(request.ok_or(Dropped)?),
        }
    }
}

/// Between a half and one: processes that lost a server at the same time do not come back at the same time.
fn jitter() -> f64 {
    let mut byte = [u8::MAX; 1];
    // Without randomness the pause is the longest one.
    let _ = AWS_LC.random.fill(&mut byte);
    0.5 + f64::from(byte.first().copied().unwrap_or(u8::MAX)) / 512.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_answered_has_the_name_of_what_was_in_the_way() {
        let epoch = StoreEpoch::from_u64(1);
        let said = [Insertion::Fresh, Insertion::Unavailable, Insertion::Full, Insertion::Unavailable];
        let heard = |fault| {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
            let asked = senders.into_iter().map(|sender| (2, Instant::now(), sender)).collect();
            let batch = Batch { entries: Vec::new(), now: UnixTime::from_secs(0), asked };
            let answers = said.map(|insertion| Inserted::new(insertion, epoch)).to_vec();
            batch.answer(answers, fault, Duration::from_secs(60), epoch);
            let heard: Vec<Inserted> =
                receivers.into_iter().flat_map(|mut receiver| receiver.try_recv().unwrap()).collect();
            assert_eq!(heard.iter().map(|answer| answer.insertion).collect::<Vec<_>>(), said);
            heard.iter().map(|answer| answer.fault).collect::<Vec<_>>()
        };
        assert_eq!(heard(Some("evicts")), [None, Some("evicts"), None, Some("evicts")]);
        assert_eq!(heard(None), [None; 4]);
    }

    #[test]
    fn what_is_late_is_not_accepted() {
        let epoch = StoreEpoch::from_u64(1);
        let fresh = Inserted::new(Insertion::Fresh, epoch);
        let (early, late) = (Instant::now(), Instant::now().checked_sub(Duration::from_secs(2)).unwrap());
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let asked = [(1, early), (2, late), (1, early)].into_iter().zip(senders);
        let asked = asked.map(|((count, at), sender)| (count, at, sender)).collect();
        let batch = Batch { entries: Vec::new(), now: UnixTime::from_secs(0), asked };
        batch.answer(vec![fresh; 4], None, Duration::from_secs(1), epoch);
        let heard = receivers.into_iter().map(|mut receiver| receiver.try_recv().unwrap());
        let heard: Vec<Vec<Insertion>> =
            heard.map(|answers| answers.iter().map(|answer| answer.insertion).collect()).collect();
        let (fresh, nothing) = (Insertion::Fresh, Insertion::Unavailable);
        assert_eq!(heard, [vec![fresh], vec![nothing, nothing], vec![fresh]]);
    }
}
