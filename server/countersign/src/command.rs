//! One file a subcommand: reads, asks, prints. Nothing here decides what is recorded.

pub(crate) mod blame;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod enrol;
pub(crate) mod log;
pub(crate) mod pause;
pub(crate) mod purge;
pub(crate) mod settle;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod trace;
pub(crate) mod verify;
