//! The ports for operators: the AdminServer's, and the one Prometheus scrapes. Both answer from before the recovery on.
//!
//! Source: `MetricsProviderBootstrap`, which opens the latter before anything is read.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio_util::task::TaskTracker;

use super::Admin;
use super::http::AdminSite;
use super::port::{self, BindError, HttpPort, Purpose, Site};
use super::scrape::ScrapeSite;
use crate::client_port::Stop;
use crate::config::{Config, HostPort};
use crate::runtime::StartError;

/// Whoever answers at the moment.
#[derive(Clone)]
pub struct Current {
    /// What is known until there is a server.
    before: Arc<Admin>,
    server: Arc<OnceLock<Arc<Admin>>>,
}

impl Current {
    /// `before` answers until [`Operators::meet`].
    pub fn new(before: Arc<Admin>) -> Self {
        Current {
            before,
            server: Arc::default(),
        }
    }

    /// The server's, or what is known before there is one.
    pub fn admin(&self) -> &Arc<Admin> {
        self.server.get().unwrap_or(&self.before)
    }
}

/// The ports that are open.
pub struct Operators {
    /// Where the AdminServer listens, if there is one.
    pub admin_address: Option<SocketAddr>,
    /// Where Prometheus finds the metrics, if it does.
    pub metrics_address: Option<SocketAddr>,
    current: Current,
}

impl Operators {
    /// Opens what `config` asks for. `before` answers until [`Operators::meet`].
    ///
    /// # Errors
    /// A port that is asked for cannot be had.
    pub async fn open(
        config: &Config,
        before: Admin,
        stop: &Stop,
        tasks: &TaskTracker,
    ) -> Result<Operators, StartError> {
        let scraped = match &config.prometheus {
            None => None,
            Some(options) => {
                let is_needed = options.is_asked_for;
                let port = http_port(ScrapeSite::PURPOSE, Some(&options.addr), is_needed).await;
                let port = port.map_err(StartError::Metrics)?;
                port.map(|port| (port, options.process_metrics))
            }
        };
        // A member of an ensemble goes on without, as in Java.
        let is_needed = config.admin_addr_is_written && config.member.is_none();
        let admin = http_port(AdminSite::PURPOSE, config.admin_addr.as_ref(), is_needed).await;
        let admin = admin.map_err(StartError::Admin)?;

        let current = Current::new(Arc::new(before));
        let mut operators = Operators {
            admin_address: None,
            metrics_address: None,
            current: current.clone(),
        };
        if let Some(port) = admin {
            operators.admin_address = Some(port.address()?);
            let site = AdminSite::new(current.clone());
            tasks.spawn(port.run(site, stop.clone(), tasks.clone()));
        }
        if let Some((port, process_metrics)) = scraped {
            operators.metrics_address = Some(port.address()?);
            let site = ScrapeSite::new(current, process_metrics);
            tasks.spawn(port.run(site, stop.clone(), tasks.clone()));
        }
        operators.tell();
        Ok(operators)
    }

    fn tell(&self) {
        if let Some(address) = self.admin_address {
            tracing::info!("recovering; http://{address}/readyz says how far it is");
        } else if let Some(address) = self.metrics_address {
            tracing::info!("recovering; http://{address}/metrics says how far it is");
        }
    }

    /// The data is recovered, and the server about to serve.
    pub fn meet(&self, admin: &Arc<Admin>) {
        // It happens once.
        let _ = self.current.server.set(admin.clone());
    }
}

/// Many servers on one machine have the same default: only who asks for a port cannot do without it.
async fn http_port(
    purpose: Purpose,
    addr: Option<&HostPort>,
    is_needed: bool,
) -> Result<Option<HttpPort>, BindError> {
    let Some(HostPort { host, port }) = addr else {
        return Ok(None);
    };
    match port::bind(purpose, host.as_deref().unwrap_or_default(), *port).await {
        Ok(port) => Ok(Some(port)),
        Err(error) if is_needed => Err(error),
        Err(error) => {
            tracing::warn!("{error}; going on without it");
            Ok(None)
        }
    }
}
