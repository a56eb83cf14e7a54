//! What the tests of answers ask.

use std::sync::Arc;

use super::Admin;
use crate::auth::AuthOptions;
use crate::config::{Config, ConfigSources};
use crate::replica::gate::Gate;
use crate::runtime::clock::Clock;
use crate::runtime::pulse::Pulses;
use crate::tree::{Tree, TreeOptions};

/// A server with this configuration, without threads, ports and files.
pub(super) fn server(cfg: &str, myid: &str) -> Admin {
    let sources = ConfigSources {
        cfg: cfg.into(),
        myid: Some(myid.into()),
        ..ConfigSources::default()
    };
    let tree = Tree::new(TreeOptions::default());
    Admin::new(
        Arc::new(Config::parse(&sources).unwrap().config),
        Arc::new(Gate::new(tree, AuthOptions::default(), 1 << 20)),
        Arc::default(),
        Arc::default(),
        Pulses::default(),
        ("/d/version-2".into(), "/d/version-2".into()),
        Clock,
    )
}
