//! What the protocol owes, carried out or passed on, in its order.
//!
//! ```text
//!   Peer -- Deliver ---------------------------> the tree, many under one guard (write.rs)
//!        -- Serving, Looking, Replay, .. ------> member.rs
//!        -- Request, Revalidate, Touched ------> leading.rs
//!        -- Confirmed -------------------------> doubts.rs
//!        -- Revalidated, TouchesWanted, Synced > learning.rs
//!        -- all others ------------------------> Output
//! ```

use super::{DiskOp, Output, Replica};
use crate::base::Now;
use crate::zab::io::Effect;

impl Replica {
    /// Carries out everything owed. To be called after every call of the peer, but not from within one of these.
    pub(super) fn drain(&mut self, now: Now) {
        let mut next = self.peer.next_effect();
        while let Some(effect) = next {
            next = match effect {
                Effect::Deliver(proposal) => self.deliver(now, proposal),
                effect => {
                    if let Some(effect) = self.pass_on(effect) {
                        self.carry_out(now, effect);
                    }
                    self.peer.next_effect()
                }
            };
        }
    }

    /// Hands out what is not for this server's tree and sessions; gives back what is.
    pub(super) fn pass_on(&mut self, effect: Effect) -> Option<Effect> {
        let output = match effect {
            Effect::Notify { to, notification } => Output::Notify { to, notification },
            Effect::Dial { leader } => Output::Dial { leader },
            Effect::ToLearner { link, packet } => {
                self.measures.tell(link, &packet);
                Output::ToLearner { link, packet }
            }
            Effect::ToLeader { link, packet } => Output::ToLeader { link, packet },
            Effect::Close { link } => Output::Close { link },
            Effect::ReportDrained { link } => Output::ReportDrained { link },
            Effect::MakeSnapshot { link, at_least } => Output::MakeSnapshot { link, at_least },
            Effect::StreamSnapshot { link } => Output::StreamSnapshot { link },
            Effect::ReadLog { link, after, upto } => Output::ReadLog { link, after, upto },
            Effect::ProbeLog { link, learner } => Output::ProbeLog { link, learner },
            Effect::Append { zxid, payload } => {
                self.measures.append(zxid);
                Output::Disk(DiskOp::Append { zxid, payload })
            }
            Effect::SaveAcceptedEpoch(epoch) => Output::Disk(DiskOp::SaveAcceptedEpoch(epoch)),
            Effect::SaveCurrentEpoch(epoch) => Output::Disk(DiskOp::SaveCurrentEpoch(epoch)),
            Effect::Truncate { to, reload } => {
                self.go_back(reload);
                Output::Disk(DiskOp::Truncate { to, reload })
            }
            own => return Some(own),
        };
        self.outputs.push(output);
        None
    }

    fn carry_out(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::InstallSnapshot { zxid } => self.install(zxid),
            Effect::ToReceived(proposal) => self.apply_to_received(&proposal),
            Effect::Replay(proposal) => self.replay(&proposal),
            Effect::Looking => {
                self.measures.look(now.mono);
                self.look();
            }
            Effect::Serving { role, epoch } => self.serve(now, role, epoch),
            Effect::Request { link, request } => self.requested(now, link, request),
            Effect::Touched(touched) => self.touched(now, &touched),
            Effect::Revalidate { link, touch } => self.claimed(now, link, touch),
            Effect::Revalidated { session, valid } => self.revalidated(now, session, valid),
            Effect::TouchesWanted { last_proposed } => self.report_touches(last_proposed),
            Effect::Synced => self.synced(now),
            Effect::Confirmed => self.confirmed(now),
            // Its sessions keep it as their owner: a connection's number comes only once, so nobody writes for them
            // before their client has brought them to another server, and that one has claimed them.
            Effect::LearnerGone { link } => tracing::debug!("link {}: learner gone", link.0),
            effect => unreachable!("{effect:?} is delivered or passed on"),
        }
    }
}
