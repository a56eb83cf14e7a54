//! oxkeeper: a server that takes the place of Apache ZooKeeper.

pub mod admin;
pub mod auth;
pub mod base;
pub mod cli;
pub mod client_port;
pub mod config;
pub mod prep;
pub mod replica;
pub mod runtime;
pub mod session;
#[cfg(test)]
mod sim;
pub mod storage;
#[cfg(test)]
mod testkit;
pub mod tree;
pub mod watch;
pub mod zab;
