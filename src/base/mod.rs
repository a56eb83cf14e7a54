//! Words everyone speaks: zxids, ids, paths, points in time.

pub mod flaw;
mod ids;
pub mod java_map;
mod java_random;
pub mod path;
mod time;
mod zxid;

pub use ids::{ServerId, SessionId};
pub use java_random::JavaRandom;
pub use time::{Mono, Now, Stamp, WallMs};
pub use zxid::{Epoch, Zxid};
