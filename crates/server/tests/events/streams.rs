//! A client of server-sent events, over a connection of its own.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::world::PATIENCE;

pub struct Stream {
    pub head: Vec<String>,
    pub connection: BufReader<TcpStream>,
}

/// What a stream says: an event, or the lines of one that is none.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub event: String,
    pub id: String,
    pub data: Value,
    pub retry: String,
}

impl Stream {
    /// Asks for `path` and reads the head of the answer, and of a good one the greeting.
    pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (Self, Said) {
        let mut stream = Self::ask(address, path, headers).await;
        assert_eq!(stream.head[0], "HTTP/1.1 200 OK", "{:?}", stream.head);
        let greeting = stream.next().await.unwrap();
        assert_eq!(greeting.retry, "2000");
        (stream, greeting)
    }

    pub async fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut connection = socket.connect(address).await.unwrap();
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        connection.write_all((request + "\r\n").as_bytes()).await.unwrap();
        let mut stream = Self { head: Vec::new(), connection: BufReader::new(connection) };
        while let Some(line) = stream.line().await.filter(|line| !line.is_empty()) {
            stream.head.push(line);
        }
        stream
    }

    /// The next event or the next block without one; `None` when the answer has ended.
    pub async fn next(&mut self) -> Option<Said> {
        let mut said = Said::default();
        loop {
            let line = self.line().await?;
            let (field, value) = line.split_once(": ").unwrap_or((&line, ""));
            match field {
                "event" => value.clone_into(&mut said.event),
                "id" => value.clone_into(&mut said.id),
                "retry" => value.clone_into(&mut said.retry),
                "data" => said.data = serde_json::from_str(value).unwrap(),
                "" if said != Said::default() => return Some(said),
                // The end of a chunk, the length of the next, a comment; and a chunk of nothing is the last.
                "0" => return None,
                _ => {}
            }
        }
    }

    /// The next event that is one.
    pub async fn event(&mut self) -> Said {
        loop {
            let said = self.next().await.expect("the stream goes on");
            if !said.event.is_empty() {
                return said;
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.connection.read_line(&mut line)).await;
        let read = read.expect("a line comes").unwrap_or_default();
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
