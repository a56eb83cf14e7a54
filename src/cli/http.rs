//! HTTP to a server's admin port, for what asks a running server.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The port of the AdminServer where none is given.
const PORT: u16 = 8080;

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or number, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Both, as the header `Host` has them.
    authority: String,
}

impl Address {
    /// `http://HOST:PORT`, `HOST:PORT` or `HOST`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Address, String> {
        let root: Uri = text.parse().map_err(|_| "is no URL")?;
        let (Some(authority), Some("http") | None) = (root.authority(), root.scheme_str()) else {
            return Err("only http://HOST:PORT can be asked".into());
        };
        let host = authority.host();
        Ok(Address {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(PORT),
            authority: authority.as_str().to_owned(),
        })
    }
}

/// An open connection; closed when it and the last answer are dropped.
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    authority: String,
}

impl Connection {
    /// Connects. Takes as long as the system lets it: the caller sets the limit.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn open(address: &Address) -> Result<Connection, String> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
        let stream = stream.map_err(|error| format!("cannot be reached: {error}"))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("does not answer: {error}"))?;
        // Ends by itself once the sender and the last answer are dropped.
        tokio::spawn(connection);
        Ok(Connection {
            sender,
            authority: address.authority.clone(),
        })
    }

    /// Asks for `path`, with the header `Authorization` if there is one to send. The answer before must have been read.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn get(
        &mut self,
        path: &str,
        auth: Option<&str>,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::get(path).header(header::HOST, &self.authority);
        if let Some(auth) = auth {
            request = request.header(header::AUTHORIZATION, auth);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let broken = |error: hyper::Error| format!("does not answer: {error}");
        self.sender.ready().await.map_err(broken)?;
        self.sender.send_request(request).await.map_err(broken)
    }

    /// The answer to `path` as JSON, of at most `limit` bytes.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn json(&mut self, path: &str, limit: usize) -> Result<serde_json::Value, String> {
        let response = self.get(path, None).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), limit).collect().await;
        let body = body.map_err(|error| format!("the answer broke off: {error}"))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| {
            format!("answers {path} with {status} and no JSON; is this its admin port?")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_url_or_a_host_and_port() {
        let parsed = |text: &str| Address::parse(text).map(|it| (it.host, it.port));
        assert_eq!(parsed("http://zk1:9090"), Ok(("zk1".into(), 9090)));
        assert_eq!(parsed("http://zk1:9090/x"), Ok(("zk1".into(), 9090)));
        assert_eq!(parsed("zk1:9090"), Ok(("zk1".into(), 9090)));
        assert_eq!(parsed("zk1"), Ok(("zk1".into(), 8080)));
        assert_eq!(parsed("http://[::1]:1"), Ok(("::1".into(), 1)));
        assert!(parsed("https://zk1:9090").is_err());
        assert!(parsed("").is_err() && parsed("/a").is_err());
    }
}
