//! The address at which verifiers find a server, as a balancer or a DNS name is one: tests turn it to another server.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Server;

/// Passes connections on until it is dropped.
pub(crate) struct Relay {
    pub(crate) port: u16,
    target: Arc<Mutex<u16>>,
    /// Counts the turns: connections of before a turn are cut.
    turns: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(Mutex::new(server.port));
        let (turns, turned) = watch::channel(0);
        let task = tokio::spawn(serve(listener, Arc::clone(&target), turned));
        Self { port, target, turns, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Leads to another server from now on. Connections are cut.
    pub(crate) fn turn_to(&self, server: &Server) {
        *self.target.lock().unwrap() = server.port;
        self.turns.send_modify(|turns| *turns += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: Arc<Mutex<u16>>, turned: watch::Receiver<u64>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let port = *target.lock().unwrap();
        let mut turned = turned.clone();
        turned.mark_unchanged();
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = turned.changed() => {}
            }
        });
    }
}
