//! Stands between Pulse and a store, and plays what a network can do to them.
//!
//! One proxy has one [`Weather`] at a time, for the connections it carries as for those to come.
//! Bytes that were swallowed are gone: a connection that lost some is reset when the weather
//! changes, as by a host that has never heard of it. The store's side of a connection lost in a
//! hole stays open until then, for nobody tells the store either.

mod lane;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use lane::Lane;

/// Connections carried at once; one more is reset.
const CONNECTIONS: usize = 1024;
const BACKLOG: u32 = 1024;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Carries everything.
    Fair,
    /// Closes what is open, and refuses what is new.
    Cut,
    /// Resets what is open, and what is new as soon as it is accepted.
    Reset,
    /// Accepts, and swallows what is said in a direction; in both, and the store is not even dialled.
    Hole(Way),
    /// Swallows for good what is said on the connections of this instant, as a firewall does that has
    /// lost its memory; carries those to come.
    Forgetful,
    /// Each direction takes so much longer.
    Delay(Duration),
    /// Each direction carries so many bytes a second.
    Throttle(u32),
    /// A direction is shut down: its reader sees an end, the other direction goes on.
    HalfClosed(Way),
}

/// A direction, as seen by the one who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the store.
    There,
    /// From the store.
    Back,
    /// Both.
    Both,
}

impl Way {
    fn covers(self, other: Self) -> bool {
        self == Self::Both || self == other
    }
}

impl Weather {
    fn swallows(self, way: Way) -> bool {
        matches!(self, Self::Hole(hole) if hole.covers(way))
    }

    fn half_closes(self, way: Way) -> bool {
        matches!(self, Self::HalfClosed(closed) if closed.covers(way))
    }

    fn delay(self) -> Duration {
        if let Self::Delay(delay) = self { delay } else { Duration::ZERO }
    }
}

/// A proxy on a port of its own. Dropping it ends all it carries.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    seen: Arc<Seen>,
    listening: AbortHandle,
}

#[derive(Debug, Default)]
struct Seen {
    /// Connections carried now.
    carried: AtomicUsize,
    /// Bytes swallowed on the way back.
    answers_lost: AtomicUsize,
}

impl Proxy {
    /// Begins to carry connections to `store` in fair weather. To be called within a runtime.
    pub fn before(store: SocketAddr) -> io::Result<Self> {
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into())?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (weather, told) = watch::channel(Weather::Fair);
        let seen = Arc::<Seen>::default();
        let door = Door { store, address, weather: told, seen: seen.clone() };
        let listening = tokio::spawn(door.listen(listener)).abort_handle();
        Ok(Self { address, weather, seen, listening })
    }

    /// Where it is dialled.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, for living connections too.
    pub fn play(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections it carries.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.seen.carried.load(Ordering::Relaxed)
    }

    /// How many bytes of the store's answers it has swallowed so far.
    #[must_use]
    pub fn answers_lost(&self) -> usize {
        self.seen.answers_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Those carried notice that nobody can change their weather any more.
        self.listening.abort();
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Where connections come in.
#[derive(Clone)]
struct Door {
    store: SocketAddr,
    address: SocketAddr,
    weather: watch::Receiver<Weather>,
    seen: Arc<Seen>,
}

impl Door {
    async fn listen(mut self, mut listener: TcpListener) -> io::Result<()> {
        loop {
            if *self.weather.borrow_and_update() == Weather::Cut {
                drop(listener);
                // Bound but not listening: who dials is refused, and nobody else takes the port.
                let closed = bind(self.address)?;
                if self.weather.wait_for(|weather| *weather != Weather::Cut).await.is_err() {
                    return Ok(());
                }
                listener = closed.listen(BACKLOG)?;
            }
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => drop(tokio::spawn(self.clone().admit(client))),
                    // Only a lack of descriptors fails here; those who waited try again.
                    Err(_) => tokio::task::yield_now().await,
                },
                changed = self.weather.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    async fn admit(self, mut client: TcpStream) -> io::Result<()> {
        let seen = self.seen.clone();
        let full = seen.carried.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS;
        let ended = if full { client.set_zero_linger() } else { self.carry(&mut client).await };
        seen.carried.fetch_sub(1, Ordering::Relaxed);
        ended
    }

    async fn carry(mut self, client: &mut TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let weather = *self.weather.borrow_and_update();
        match weather {
            Weather::Cut => return Ok(()),
            Weather::Reset => return client.set_zero_linger(),
            Weather::Hole(Way::Both) => return self.swallow(client).await,
            _ => {}
        }
        let Ok(mut store) = TcpStream::connect(self.store).await else {
            // Refused, as far as one that was accepted still can be.
            return client.set_zero_linger();
        };
        store.set_nodelay(true)?;
        let fate = Fate::default();
        let end = {
            let ((from_client, to_client), (from_store, to_store)) =
                (client.split(), store.split());
            let lane =
                |way| Lane { way, weather: self.weather.clone(), fate: &fate, seen: &self.seen };
            let there = lane(Way::There).run(from_client, to_store);
            let back = lane(Way::Back).run(from_store, to_client);
            tokio::select! {
                ended = async { tokio::try_join!(there, back) } => ended.map(|_| End::Close),
                end = fate.until_the_end(weather, self.weather.clone()) => Ok(end),
            }
        };
        if !matches!(end, Ok(End::Close)) {
            client.set_zero_linger()?;
            store.set_zero_linger()?;
        }
        end.map(drop)
    }

    /// A connection that was made in a hole: the store has never heard of it.
    async fn swallow(self, client: &mut TcpStream) -> io::Result<()> {
        let fate = Fate::default();
        fate.lost.store(true, Ordering::Relaxed);
        let weather = self.weather.clone();
        let mut nowhere = BytesMut::new();
        let swallowing = async {
            while client.read_buf(&mut nowhere).await? > 0 {
                nowhere.clear();
            }
            io::Result::Ok(())
        };
        tokio::select! {
            ended = swallowing => ended,
            _end = fate.until_the_end(Weather::Hole(Way::Both), weather) => client.set_zero_linger(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// What has become of one connection.
#[derive(Debug, Default)]
struct Fate {
    /// It has lost something that was said on it.
    lost: AtomicBool,
    /// Nothing that is said on it arrives any more.
    forgotten: AtomicBool,
}

impl Fate {
    /// Waits for weather that the connection does not survive.
    async fn until_the_end(&self, mut now: Weather, mut weather: watch::Receiver<Weather>) -> End {
        loop {
            let forgotten = self.forgotten.load(Ordering::Relaxed);
            match now {
                Weather::Cut => return End::Close,
                Weather::Reset => return End::Reset,
                Weather::Hole(_) => {}
                _ if self.lost.load(Ordering::Relaxed) && !forgotten => return End::Reset,
                _ => {}
            }
            if weather.changed().await.is_err() {
                return End::Reset;
            }
            now = *weather.borrow_and_update();
            if now == Weather::Forgetful {
                self.forgotten.store(true, Ordering::Relaxed);
            }
        }
    }
}
