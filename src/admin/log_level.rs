//! `/loglevel` of the AdminServer: GET says what is logged, POST with `level=…` changes it.
//!
//! Only from the machine itself: a level that logs everything slows a server down, and there are no passwords here.

use std::net::IpAddr;

use hyper::header::{self, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::answer::{Body, Query, whole};
use crate::logging;

/// Where it is.
pub const PATH: &str = "/loglevel";

/// Answers one request: the level in force, or why it stays.
pub fn respond(method: &Method, query: &Query, remote: IpAddr) -> Response<Body> {
    let (status, text) = match *method {
        Method::GET | Method::HEAD => (StatusCode::OK, shown()),
        Method::POST if !remote.is_loopback() => (
            StatusCode::FORBIDDEN,
            "the log level can only be changed from the machine the server runs on".to_owned(),
        ),
        Method::POST => change(query.get("level")),
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            "GET shows the log level, POST with level=... changes it".to_owned(),
        ),
    };
    let mut response = Response::new(whole(text + "\n"));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn shown() -> String {
    logging::level().unwrap_or_else(|| "logging was not started by this process".to_owned())
}

fn change(level: Option<&str>) -> (StatusCode, String) {
    let Some(level) = level else {
        let usage = "say which level: POST /loglevel?level=debug";
        return (StatusCode::BAD_REQUEST, usage.to_owned());
    };
    match logging::set_level(level) {
        Ok(before) => {
            tracing::warn!(
                "the log level was {before} and is {level} now; POST /loglevel sets it back"
            );
            (StatusCode::OK, shown())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn strangers_may_look_and_not_change() {
        let status = |method, query: &str, remote: [u8; 4]| {
            let remote = Ipv4Addr::from(remote).into();
            respond(&method, &Query::parse(query), remote).status()
        };
        let (home, away) = ([127, 0, 0, 1], [192, 0, 2, 1]);
        assert_eq!(status(Method::GET, "", away), StatusCode::OK);
        let wanted = "level=debug";
        assert_eq!(status(Method::POST, wanted, away), StatusCode::FORBIDDEN);
        for bad in ["", "level=loud"] {
            assert_eq!(status(Method::POST, bad, home), StatusCode::BAD_REQUEST);
        }
        let put = status(Method::PUT, wanted, home);
        assert_eq!(put, StatusCode::METHOD_NOT_ALLOWED);
    }
}
