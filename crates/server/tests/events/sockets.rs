//! A client by WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::world::PATIENCE;

pub struct Socket(pub WebSocketStream<TcpStream>);

impl Socket {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let connection = socket.connect(address).await.unwrap();
        let (socket, response) =
            client_async(format!("ws://{address}/api/v1/ws"), connection).await.unwrap();
        assert_eq!(response.status(), 101);
        Self(socket)
    }

    /// Connected, and subscribed to `wish`.
    pub async fn hearing(address: SocketAddr, wish: &Value) -> Self {
        let mut socket = Self::connect(address).await;
        let answer = socket.subscribe(wish).await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
        socket
    }

    /// Says what it wants to hear of; the answer.
    pub async fn subscribe(&mut self, wish: &Value) -> Value {
        let mut request = json!({"type": "subscribe"});
        request.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        self.say(Message::text(request.to_string())).await;
        loop {
            let said = self.event().await;
            if matches!(said["type"].as_str(), Some("subscribed" | "error")) {
                return said;
            }
        }
    }

    pub async fn say(&mut self, message: Message) {
        // One that has been sent away may find nobody to write to.
        let _gone = self.0.send(message).await;
    }

    pub async fn event(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("a message comes");
            match message.expect("it goes on").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code that it is ended with; `None` when it is ended without.
    pub async fn end(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("it ends") {
                Some(Ok(Message::Close(Some(frame)))) => return Some(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(Error::Io(_))) | None => return None,
                Some(Err(other)) => panic!("{other:?}"),
            }
        }
    }
}
