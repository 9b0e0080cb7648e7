//! Just enough HTTP/1.1 for the lab's own servers.
//!
//! Written on the bare socket because the oracles must do what no server library offers: reset a
//! connection, hang in the middle of one, and cost next to nothing at thousands of hits a second.
//! Bodies need a `content-length`; Pulse sends none of its requests chunked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

const HEAD_LIMIT: usize = 64 * 1024;
/// Between two bytes of an answer that drips: none of them is on its own too late.
const DRIP: Duration = Duration::from_millis(150);

/// One request, read to its end.
#[derive(Debug)]
pub struct Request {
    /// The path with its query, as sent.
    pub path: String,
    /// The headers; names in lower case.
    pub headers: HeaderMap,
    /// The body; empty when none was sent.
    pub body: Bytes,
}

/// What to do with a connection once its request was answered.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// Read the next request.
    KeepOpen,
    /// Leave it: it was reset, or the peer asked for an end.
    Close,
}

/// A connection that has not said everything yet.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: BytesMut,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, unread: BytesMut::with_capacity(2048) }
    }

    /// The next request; `None` when the peer closed between two.
    pub async fn request(&mut self) -> io::Result<Option<Request>> {
        let head_length = loop {
            if let Some(end) = end_of_head(&self.unread) {
                break end;
            }
            if self.unread.len() > HEAD_LIMIT {
                return Err(malformed("the head does not end"));
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        };
        let (path, headers) = parse_head(&self.unread.split_to(head_length))?;
        let body = self.body(&headers).await?;
        Ok(Some(Request { path, headers, body }))
    }

    async fn body(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        if headers.contains_key(http::header::TRANSFER_ENCODING) {
            return Err(malformed("chunked bodies are not read here"));
        }
        let length = match headers.get(http::header::CONTENT_LENGTH) {
            None => 0,
            Some(value) => value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| malformed("content-length is not a number"))?,
        };
        while self.unread.len() < length {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.split_to(length).freeze())
    }

    /// Answers with a short body, and `extra` header lines each ending in CRLF.
    pub async fn answer(&mut self, status: u16, extra: &str, asked: &Request) -> io::Result<After> {
        let body = if matches!(status, 204 | 304) { "" } else { "hello\n" };
        let answer =
            format!("HTTP/1.1 {status} lab\r\ncontent-length: {}\r\n{extra}\r\n{body}", body.len());
        self.stream.write_all(answer.as_bytes()).await?;
        Ok(if wants_close(&asked.headers) { After::Close } else { After::KeepOpen })
    }

    /// Ends the connection with RST instead of FIN.
    pub fn reset(&mut self) -> io::Result<After> {
        self.stream.set_zero_linger()?;
        Ok(After::Close)
    }

    /// Answers one byte at a time, so slowly that no patience of a few seconds sees the end of it.
    pub async fn drip(&mut self) -> io::Result<After> {
        for byte in b"HTTP/1.1 200 lab\r\ncontent-length: 6\r\n\r\nhello\n" {
            self.stream.write_all(&[*byte]).await?;
            tokio::time::sleep(DRIP).await;
        }
        Ok(After::Close)
    }

    /// Answers with what is no HTTP.
    pub async fn babble(&mut self) -> io::Result<After> {
        self.stream.write_all(b"\x16\x03\x01 20O OK\r\n\r\n\x00\xff\xfe").await?;
        Ok(After::Close)
    }

    /// Says nothing until the peer gives up.
    pub async fn hang(&mut self) -> io::Result<After> {
        loop {
            self.unread.clear();
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(After::Close);
            }
        }
    }
}

/// Answers the requests of one oracle.
pub trait Oracle: Send + Sync + 'static {
    /// Looks at one request, writes it down, and answers it.
    fn meet(
        &self,
        connection: &mut Connection,
        request: Request,
    ) -> impl Future<Output = io::Result<After>> + Send;
}

/// Listens on this port of 127.0.0.1, 0 for a free one, until the handle is aborted. That also ends
/// every connection, in whatever it was about to say.
pub async fn serve<O: Oracle>(oracle: Arc<O>, port: u16) -> io::Result<(SocketAddr, AbortHandle)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    Ok((listener.local_addr()?, serve_on(oracle, listener)))
}

/// The same, wherever somebody listens already.
pub fn serve_on<O: Oracle>(oracle: Arc<O>, listener: TcpListener) -> AbortHandle {
    let accepting = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            // Only a lack of descriptors fails here; the peers that waited try again.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            connections.spawn(converse(Arc::clone(&oracle), stream));
            while connections.try_join_next().is_some() {}
        }
    });
    accepting.abort_handle()
}

/// A peer that goes away in mid-sentence is a normal end here: Pulse is being killed after all.
async fn converse<O: Oracle>(oracle: Arc<O>, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request().await? {
        if oracle.meet(&mut connection, request).await? == After::Close {
            break;
        }
    }
    Ok(())
}

fn end_of_head(unread: &[u8]) -> Option<usize> {
    unread.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

fn parse_head(mut head: &[u8]) -> io::Result<(String, HeaderMap)> {
    let first = line(&mut head);
    let path = first.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = String::from_utf8(path.to_vec()).map_err(|_utf8| malformed("odd path"))?;
    let mut headers = HeaderMap::new();
    loop {
        let line = line(&mut head);
        if line.is_empty() {
            return Ok((path, headers));
        }
        let (name, value) = header(line).ok_or_else(|| malformed("odd header"))?;
        headers.append(name, value);
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((name, value))
}

/// Takes the next line off `head`, without its CRLF.
fn line<'a>(head: &mut &'a [u8]) -> &'a [u8] {
    let end = head.windows(2).position(|window| window == b"\r\n").unwrap_or(head.len());
    let line = &head[..end];
    head.advance((end + 2).min(head.len()));
    line
}

fn wants_close(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_its_path_and_headers() {
        let head = b"GET /t/a?b=c HTTP/1.1\r\nHost: x\r\nPulse-Run:  1:2:3 \r\n\r\n";

        let (path, headers) = parse_head(head).unwrap();

        assert_eq!(path, "/t/a?b=c");
        assert_eq!(headers["pulse-run"], "1:2:3");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r\nbody"), Some(18));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n"), None);
    }
}
