//! The AdminServer: HTTP on a port of its own, also while there is no quorum.
//!
//! ```text
//!   /commands        a page of links          /livez /readyz /healthz   for Kubernetes
//!   /commands/NAME   the table of commands    /loglevel                 shown and changed
//!   everything else  404
//! ```
//!
//! It must not be able to harm the server: connections, headers, idle time and answers in work are bounded, and what
//! looks at the server runs beside the tasks of its clients. Source: `JettyAdminServer`.

mod target;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, Version, header};

use self::target::Target;
use super::answer::{Answer, Body, Call, Upload, whole};
use super::commands::{self, Command, Run};
use super::operators::Current;
use super::port::{Purpose, Site, allowing, plain};
use super::{Admin, NOT_SERVING, backup, health, log_level};

/// What there is to be asked for.
pub struct AdminSite {
    current: Current,
    /// Where the commands are, without a slash at its end.
    root: String,
}

impl Site for AdminSite {
    const PURPOSE: Purpose = Purpose {
        name: "the AdminServer",
        keys: "admin.serverPort, admin.serverAddress, admin.enableServer=false",
    };

    fn idle_timeout(&self) -> Option<Duration> {
        self.admin().config.admin_idle_timeout
    }

    async fn respond(&self, request: Request<Incoming>, remote: IpAddr) -> Response<Body> {
        let uri = request.uri();
        let Some(target) = Target::parse(uri.path(), uri.query().unwrap_or_default()) else {
            return plain(StatusCode::BAD_REQUEST, "this URL cannot be read\n");
        };
        let is_anonymous = !request.headers().contains_key(header::HOST);
        if is_anonymous && request.version() == Version::HTTP_11 {
            return plain(StatusCode::BAD_REQUEST, "a Host header is missing\n");
        }
        if request.method() == Method::TRACE {
            return plain(StatusCode::FORBIDDEN, "TRACE is not allowed\n");
        }
        if let Some(refusal) = odd(&request) {
            return refusal;
        }
        if target.path == log_level::PATH {
            return log_level::respond(request.method(), &target.query, remote);
        }
        if let Some(own) = backup::find(&target.path) {
            return self.own(own, &target, request, remote).await;
        }
        let below = self.below_root(&target.path);
        if let Some(refusal) = refused(request.method(), below.is_some()) {
            return refusal;
        }
        match below {
            Some("" | "/") => Response::new(whole(self.links())),
            Some(name) => self.command(&name[1..], &target, request, remote).await,
            None => match health::respond(self.admin(), &target.path, &target.query).await {
                Some(response) => response,
                None => plain(
                    StatusCode::NOT_FOUND,
                    "nothing here; commands are below /commands\n",
                ),
            },
        }
    }
}

/// What Jetty refuses in a request whatever it asks for. Source: `HttpParser`, `HttpChannelOverHttp`.
fn odd<B>(request: &Request<B>) -> Option<Response<Body>> {
    let (uri, headers) = (request.uri(), request.headers());
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    let expects = headers.get(header::EXPECT);
    let unknown = expects.is_some_and(|wish| !wish.as_bytes().eq_ignore_ascii_case(CONTINUE));
    let old = request.version() == Version::HTTP_10;
    match *request.method() {
        _ if length > LONGEST_URL => Some(plain(
            StatusCode::URI_TOO_LONG,
            "this URL is longer than 8000 bytes\n",
        )),
        _ if chunked && headers.contains_key(header::CONTENT_LENGTH) => Some(plain(
            StatusCode::BAD_REQUEST,
            "Content-Length and Transfer-Encoding contradict each other\n",
        )),
        _ if unknown => Some(plain(
            StatusCode::EXPECTATION_FAILED,
            "only 100-continue can be expected\n",
        )),
        Method::PUT | Method::DELETE if old => Some(plain(
            StatusCode::BAD_REQUEST,
            "no such method in HTTP/1.0\n",
        )),
        _ => None,
    }
}

/// What a client may expect.
const CONTINUE: &[u8] = b"100-continue";

/// Bytes of a path with its parameters. Jetty has 8192 for all of a request's head.
const LONGEST_URL: usize = 8000;

/// The answer to a method that nothing is done for; a POST is only for commands.
fn refused(method: &Method, is_command: bool) -> Option<Response<Body>> {
    let posted = if is_command { " POST," } else { "" };
    match *method {
        Method::GET | Method::HEAD => None,
        Method::POST if is_command => None,
        Method::OPTIONS => {
            let methods = format!("GET, HEAD,{posted} TRACE, OPTIONS");
            Some(allowing(StatusCode::OK, &methods))
        }
        Method::POST | Method::PUT | Method::DELETE => {
            let methods = format!("GET, HEAD,{posted} OPTIONS");
            Some(allowing(StatusCode::METHOD_NOT_ALLOWED, &methods))
        }
        _ => Some(plain(
            StatusCode::NOT_IMPLEMENTED,
            "this method does not exist here\n",
        )),
    }
}

impl AdminSite {
    /// The commands, answered by whoever is there.
    pub fn new(current: Current) -> Self {
        let root = &current.admin().config.admin_command_url;
        AdminSite {
            root: root.trim_end_matches('/').to_owned(),
            current,
        }
    }

    fn admin(&self) -> &Arc<Admin> {
        self.current.admin()
    }

    /// What is behind the path of the commands, with its slash.
    fn below_root<'a>(&self, path: &'a str) -> Option<&'a str> {
        let below = path.strip_prefix(&self.root)?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }

    /// Source: `JettyAdminServer.commandLinks`.
    fn links(&self) -> String {
        let mut names: Vec<_> = commands::COMMANDS.iter().map(Command::name).collect();
        names.sort_unstable();
        let root = &self.admin().config.admin_command_url;
        let links = names
            .iter()
            .map(|name| format!("<a href=\"{root}/{name}\">{name}</a>\n<br/>\n"));
        links.collect()
    }

    /// Source: `Commands.runCommand`.
    async fn command(
        &self,
        name: &str,
        target: &Target,
        request: Request<Incoming>,
        remote: IpAddr,
    ) -> Response<Body> {
        let Some(command) = commands::find(name) else {
            let error = format!("Unknown command: {name}");
            return Answer::failed(StatusCode::OK, &error).into_response(name);
        };
        let ensemble = self.admin().counters.ensemble();
        if command.needs_server && self.admin().mode(&ensemble).is_none() {
            return Answer::failed(StatusCode::OK, NOT_SERVING).into_response(name);
        }
        let asked = match *request.method() {
            Method::HEAD => Method::GET,
            ref other => other.clone(),
        };
        if asked != command.method {
            return allowing(StatusCode::METHOD_NOT_ALLOWED, command.method.as_str());
        }
        let answer = self.run(command, target, request, remote).await;
        let shown = match answer.status {
            // Whoever may not run it is told so under the name that was used.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => name,
            _ => command.name(),
        };
        answer.into_response(shown)
    }

    /// What no other server has, on paths of its own.
    async fn own(
        &self,
        command: &Command,
        target: &Target,
        request: Request<Incoming>,
        remote: IpAddr,
    ) -> Response<Body> {
        let ensemble = self.admin().counters.ensemble();
        if request.method() != command.method {
            return allowing(StatusCode::METHOD_NOT_ALLOWED, command.method.as_str());
        }
        let answer = match self.admin().mode(&ensemble) {
            None => Answer::failed(StatusCode::SERVICE_UNAVAILABLE, NOT_SERVING),
            Some(_) => self.run(command, target, request, remote).await,
        };
        answer.into_response(command.name())
    }

    async fn run(
        &self,
        command: &Command,
        target: &Target,
        request: Request<Incoming>,
        remote: IpAddr,
    ) -> Answer {
        let query = target.query.clone();
        match command.run {
            Run::Look(look) => {
                let answer = self.admin().look(move |admin| look(admin, &query)).await;
                answer.unwrap_or_else(|| {
                    let error = "the command failed; the log says why";
                    Answer::failed(StatusCode::INTERNAL_SERVER_ERROR, error)
                })
            }
            Run::Act(act) => {
                let (head, body) = request.into_parts();
                let call = Call {
                    query,
                    headers: head.headers,
                    remote,
                    upload: Upload::new(body, self.admin().config.admin_idle_timeout),
                };
                act(self.admin().clone(), call).await
            }
        }
    }
}
