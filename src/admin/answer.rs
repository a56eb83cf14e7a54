//! What a command is asked with and what it answers.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode, header};
use serde_json::{Map, Value};

use super::json;

/// Bytes of an HTTP answer, whole or streamed.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Parameters of a URL; of equal names the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Takes the part of a URL behind the question mark apart.
    pub fn parse(text: &str) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            parameters
                .entry(name.into_owned())
                .or_insert_with(|| value.into_owned());
        }
        Query(parameters)
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A request for a command that does something and may take its time.
pub struct Call {
    /// Parameters of the URL.
    pub query: Query,
    /// Headers, `Authorization` among them.
    pub headers: HeaderMap,
    /// Who asks.
    pub remote: IpAddr,
    /// What was sent along.
    pub upload: Upload,
}

/// The body of a request, as it arrives. Nothing of it is read before it is asked for.
pub struct Upload {
    body: Incoming,
    /// Longest pause between two parts; `None`: any.
    idle: Option<Duration>,
}

impl Upload {
    pub(super) fn new(body: Incoming, idle: Option<Duration>) -> Self {
        Upload { body, idle }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// The client went away, or sent nothing for as long as a connection may be idle (`admin.idleTimeout`).
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let frame = match self.idle {
                Some(idle) => tokio::time::timeout(idle, self.body.frame())
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?,
                None => self.body.frame().await,
            };
            let Some(frame) = frame else { return Ok(None) };
            // What is no data are trailers.
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// What a command answers: fields in their order, or a stream of bytes.
pub struct Answer {
    /// HTTP's status.
    pub status: StatusCode,
    /// What comes before `command` and `error`.
    pub fields: Map<String, Value>,
    /// Why there is nothing to tell.
    pub error: Option<String>,
    /// Headers beside the content type.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Sent instead of the fields, as `application/octet-stream`.
    pub stream: Option<Body>,
}

impl Default for Answer {
    fn default() -> Self {
        Answer {
            status: StatusCode::OK,
            fields: Map::new(),
            error: None,
            headers: Vec::new(),
            stream: None,
        }
    }
}

impl Answer {
    /// No fields, a status and what is wrong.
    pub fn failed(status: StatusCode, error: &str) -> Self {
        Answer {
            status,
            error: Some(error.to_owned()),
            ..Answer::default()
        }
    }

    /// Appends a field.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.insert(key.to_owned(), value.into());
    }

    /// Appends a header; its value must be plain ASCII.
    pub fn header(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
    }

    /// As HTTP, for `command`. A field `error` stays where the command put it, as in `CommandResponse.toMap`.
    pub(super) fn into_response(self, command: &str) -> Response<Body> {
        let mut fields = self.fields;
        fields.insert("command".to_owned(), command.into());
        if !fields.contains_key("error") {
            fields.insert("error".to_owned(), self.error.into());
        }
        let (kind, body) = match self.stream {
            Some(stream) => ("application/octet-stream", stream),
            None => ("application/json", whole(json::pretty(&fields))),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.extend(self.headers);
        response
    }
}

/// A body that is complete.
pub(super) fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repeated_parameter_the_first_counts() {
        let query = Query::parse("a=1&a=2&b=x+y%C3%A9&c");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("x yé"));
        assert_eq!((query.get("c"), query.get("d")), (Some(""), None));
    }

    #[tokio::test]
    async fn an_error_of_the_commands_own_keeps_its_place() {
        let text = async |answer: Answer| {
            let body = answer
                .into_response("leader")
                .into_body()
                .collect()
                .await
                .unwrap();
            String::from_utf8(body.to_bytes().to_vec()).unwrap()
        };
        let mut own = Answer::default();
        own.put("error", "not initialized");
        assert_eq!(
            text(own).await,
            "{\n  \"error\" : \"not initialized\",\n  \"command\" : \"leader\"\n}"
        );
        let failed = Answer::failed(StatusCode::OK, "no");
        assert_eq!(
            text(failed).await,
            "{\n  \"command\" : \"leader\",\n  \"error\" : \"no\"\n}"
        );
    }
}
