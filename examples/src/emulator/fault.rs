//! What can be made to go wrong between a client and the inbox.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something that goes wrong with calls of the client SDKs. For `/auth/issue-token` there is the core's
/// [`Fault`](courier_auth_core::emulator::Fault).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InboxFault {
    /// An answer of this status with Courier's error body. A socket is not opened.
    Status(u16),
    /// 200 with this error and `data: null`, as GraphQL has it.
    Errors(String),
    /// 200 with a page of HTML.
    Html,
    /// The right answer, but only after this time. In JSON `{"latency_ms": 500}`.
    #[serde(
        rename = "latency_ms",
        serialize_with = "write_millis",
        deserialize_with = "read_millis"
    )]
    Latency(Duration),
    /// No answer; the connection stays open.
    Hang,
}

/// Which calls a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Surface {
    /// `/q`: the inbox's GraphQL.
    Inbox,
    /// `/client/q`: preferences and brands.
    Client,
    /// REST: `/send`, `/users/…`, `/client/lists/…` and so on.
    Rest,
    /// Opening a socket.
    Socket,
}

#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<Surface, Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: VecDeque<(usize, InboxFault)>,
    standing: Option<InboxFault>,
}

impl Faults {
    pub(super) fn push(&mut self, surface: Surface, calls: usize, fault: InboxFault) {
        if calls > 0 {
            let queue = self.0.entry(surface).or_default();
            queue.next.push_back((calls, fault));
        }
    }

    pub(super) fn stand(&mut self, surface: Surface, fault: InboxFault) {
        self.0.entry(surface).or_default().standing = Some(fault);
    }

    /// The fault of the next call.
    pub(super) fn take(&mut self, surface: Surface) -> Option<InboxFault> {
        let queue = self.0.get_mut(&surface)?;
        let Some((calls, fault)) = queue.next.front_mut() else {
            return queue.standing.clone();
        };
        *calls -= 1;
        if *calls > 0 {
            return Some(fault.clone());
        }
        queue.next.pop_front().map(|(_, fault)| fault)
    }
}

fn write_millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn read_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::{Faults, InboxFault, Surface};

    #[test]
    fn counted_faults_come_first_and_for_their_surface_only() {
        let mut faults = Faults::default();
        faults.stand(Surface::Inbox, InboxFault::Hang);
        faults.push(Surface::Inbox, 2, InboxFault::Status(500));
        faults.push(Surface::Client, 0, InboxFault::Html);
        let taken = [(); 3].map(|()| faults.take(Surface::Inbox));
        let expected = [
            InboxFault::Status(500),
            InboxFault::Status(500),
            InboxFault::Hang,
        ];
        assert_eq!(taken, expected.map(Some));
        assert_eq!(faults.take(Surface::Client), None);
        assert_eq!(faults.take(Surface::Socket), None);
    }
}
