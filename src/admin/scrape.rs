//! The port that Prometheus scrapes.
//!
//! Source: `PrometheusMetricsProvider`, `MetricsServlet` of Java's Prometheus client.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{Body, Upload, whole};
use super::operators::Current;
use super::port::{Purpose, Site, allowing, plain};
use super::{monitor, prometheus};

/// Serves `/metrics` and nothing else.
pub struct ScrapeSite {
    current: Current,
    process_metrics: bool,
}

impl ScrapeSite {
    /// The metrics of whoever is there; those about the process too, if asked for.
    pub fn new(current: Current, process_metrics: bool) -> Self {
        ScrapeSite {
            current,
            process_metrics,
        }
    }

    async fn metrics(&self, only: BTreeSet<String>) -> Response<Body> {
        let process = self.process_metrics;
        let looked = self.current.admin().look(move |admin| {
            let metrics = &admin.counters.metrics;
            metrics.tick(admin.clock.mono());
            let families = prometheus::families(metrics, &monitor::gauges(admin), process);
            prometheus::text(&families, &only)
        });
        let Some(text) = looked.await else {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics could not be gathered; the log says why\n",
            );
        };
        let mut response = Response::new(whole(text));
        let kind = HeaderValue::from_static(prometheus::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

impl Site for ScrapeSite {
    const PURPOSE: Purpose = Purpose {
        name: "the port for Prometheus",
        keys: "metricsProvider.httpPort, metricsProvider.httpHost",
    };

    fn idle_timeout(&self) -> Option<Duration> {
        Some(IDLE)
    }

    async fn respond(&self, request: Request<Incoming>, _: IpAddr) -> Response<Body> {
        if request.method() == Method::TRACE {
            return plain(StatusCode::FORBIDDEN, "TRACE is not allowed\n");
        }
        if request.uri().path() != "/metrics" {
            return plain(
                StatusCode::NOT_FOUND,
                "nothing here; metrics are at /metrics\n",
            );
        }
        let mut only = BTreeSet::new();
        names(
            request.uri().query().unwrap_or_default().as_bytes(),
            &mut only,
        );
        match *request.method() {
            Method::GET | Method::HEAD => {}
            Method::POST => match form(Upload::new(request.into_body(), Some(IDLE))).await {
                Some(form) => names(&form, &mut only),
                None => {
                    return plain(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "a form of names is shorter\n",
                    );
                }
            },
            Method::OPTIONS => return allowing(StatusCode::OK, METHODS),
            _ => return allowing(StatusCode::METHOD_NOT_ALLOWED, METHODS),
        }
        self.metrics(only).await
    }
}

/// As Jetty's.
const IDLE: Duration = Duration::from_secs(30);

const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// Longest form that is read, in bytes.
const FORM_BYTES: usize = 64 << 10;

/// The body of a request; `None` if it is too long or ends badly.
async fn form(mut upload: Upload) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    while let Some(chunk) = upload.next().await.ok()? {
        form.extend_from_slice(&chunk);
        if form.len() > FORM_BYTES {
            return None;
        }
    }
    Some(form)
}

/// The samples that are asked for.
fn names(form: &[u8], into: &mut BTreeSet<String>) {
    let fields = form_urlencoded::parse(form);
    into.extend(
        fields
            .filter(|(key, _)| key == "name[]")
            .map(|(_, name)| name.into_owned()),
    );
}
