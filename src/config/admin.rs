//! The AdminServer's keys.

use super::ensemble::HostPort;
use super::fill;
use super::lookup::Lookup;
use super::server::Config;

/// Source: `AdminServerFactory`, `JettyAdminServer`, `Commands`.
pub(super) fn fill(config: &mut Config, keys: &mut Lookup<'_>) {
    let [address, port] = ["admin.serverAddress", "admin.serverPort"];
    config.admin_addr_is_written = keys.find(address).is_some() || keys.find(port).is_some();
    config.admin_addr = listener(keys, address, port);
    config.admin_idle_timeout = fill::positive(keys.number("admin.idleTimeout"));
    config.admin_command_url = keys.text("admin.commandURL").unwrap_or_default();
    let url = &config.admin_command_url;
    if !url.is_empty() && !url.starts_with('/') && config.admin_addr.take().is_some() {
        let why = "must begin with a slash; the AdminServer is not started, as in Java";
        keys.warn("admin.commandURL", why);
    }
    config.admin_snapshot_enabled = keys.flag("admin.snapshot.enabled");
    config.admin_restore_enabled = keys.flag("admin.restore.enabled");
    config.admin_rate_interval = fill::millis(keys.number("admin.rateLimiterIntervalInMS"));
    config.ip_auth_forwarded_for = keys.flag("IPAuthenticationProvider.usexforwardedfor");
    without_tls(config, keys);
}

fn listener(keys: &mut Lookup<'_>, address: &str, port: &str) -> Option<HostPort> {
    // Only this very text switches it off.
    if keys.text("admin.enableServer").as_deref() == Some("false") {
        return None;
    }
    let host = keys.text(address);
    let Ok(number) = u16::try_from(keys.number(port)) else {
        keys.error(port, "must be from 0 to 65535");
        return None;
    };
    Some(HostPort { host, port: number })
}

/// Nobody is served in plain text who asked for TLS alone.
fn without_tls(config: &mut Config, keys: &mut Lookup<'_>) {
    if keys.flag("admin.forceHttps") && config.admin_addr.take().is_some() {
        let why = "TLS is not built yet, so the AdminServer is not started";
        keys.warn("admin.forceHttps", why);
    }
    if keys.flag("admin.portUnification") && config.admin_addr.is_some() {
        let why = "TLS is not built yet; the AdminServer takes HTTP alone";
        keys.warn("admin.portUnification", why);
    }
}
