//! oxkeeper: a server that takes the place of Apache ZooKeeper.

pub mod auth;
pub mod base;
pub mod config;
pub mod prep;
pub mod session;
pub mod storage;
pub mod tree;
