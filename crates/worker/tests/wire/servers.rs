//! Servers that do exactly what a test tells them, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

/// Long enough for a test to have ended.
pub const FOR_EVER: Duration = Duration::from_mins(10);

/// A server on loopback; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub requests: Requests,
    accepting: AbortHandle,
}

/// What was asked so far.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<String>>>);

impl Requests {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn keep(&self, request: String) {
        self.0.lock().unwrap().push(request);
    }

    pub fn only(&self) -> String {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

impl Server {
    /// Each connection is handed to `talk` as it comes.
    pub async fn raw<T, F>(talk: T) -> Self
    where
        T: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::on("127.0.0.1:0", talk).await.unwrap()
    }

    pub async fn on<T, F>(address: &str, talk: T) -> std::io::Result<Self>
    where
        T: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream));
            }
        });
        Ok(Self { address, requests: Requests::default(), accepting: accepting.abort_handle() })
    }

    /// Reads one request, answers these bytes, and closes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::after_request(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                // A probe that has seen enough resets the connection.
                let _ = stream.write_all(&answer).await;
            }
        })
        .await
    }

    /// Reads one request, answers these bytes, and says nothing more.
    pub async fn stalling_after(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::after_request(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                stream.write_all(&answer).await.unwrap();
                tokio::time::sleep(FOR_EVER).await;
            }
        })
        .await
    }

    /// Points every request elsewhere, with the query that it came with.
    pub async fn echoing_query(to: String) -> Self {
        let requests = Requests::default();
        let kept = requests.clone();
        let mut server = Self::raw(move |mut stream| {
            let (kept, to) = (kept.clone(), to.clone());
            async move {
                let request = read_request(&mut stream).await;
                let path = request.split(' ').nth(1).unwrap();
                let query = path.split_once('?').unwrap().1;
                let head = format!("HTTP/1.1 302 Found\r\nlocation: {to}?{query}\r\n\r\n");
                kept.0.lock().unwrap().push(request);
                let _gone = stream.write_all(head.as_bytes()).await;
            }
        })
        .await;
        server.requests = requests;
        server
    }

    /// Reads and keeps one request, then leaves the connection to `talk`.
    pub async fn after_request<T, F>(talk: T) -> Self
    where
        T: Fn(TcpStream) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let requests = Requests::default();
        let kept = requests.clone();
        let mut server = Self::raw(move |mut stream| {
            let (kept, talk) = (kept.clone(), talk.clone());
            async move {
                let request = read_request(&mut stream).await;
                kept.keep(request);
                talk(stream).await;
            }
        })
        .await;
        server.requests = requests;
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Where connections wait for ever, because the queue of those before them is full.
pub struct Full {
    pub address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

pub async fn full() -> Full {
    let listener = TcpSocket::new_v4().unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    Full { address, _queued: fill_the_queue(address).await, _listener: listener }
}

/// Connects until a connection is left waiting; those that got in hold the queue full.
async fn fill_the_queue(address: SocketAddr) -> Vec<TcpStream> {
    let mut queued = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        queued.push(connected.unwrap());
        assert!(queued.len() < 100, "the queue of this listener has no end");
    }
    queued
}

/// One request as it came, head and body.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            return text;
        }
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ended early: {text:?}");
        text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
    }
}

fn content_length(head: &str) -> usize {
    header(head, "content-length").map_or(0, |length| length.parse().unwrap())
}

/// The value of a header in a request.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.split("\r\n\r\n").next().unwrap().lines().skip(1);
    let mut headers = lines.filter_map(|line| line.split_once(": "));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
