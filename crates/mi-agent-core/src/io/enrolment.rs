//! An enrolment over a socket of its own, which ends with it.

use plumi_proto::NodeAddress;
use tokio::time;
use tracing::debug;

use super::node_link::NodeLink;
use crate::error::SystemError;
use crate::state::enrolling::{EnrolEnd, Enrolling};

/// The outcome of an enrolment.
pub(crate) struct Enrolled {
    pub(crate) end: EnrolEnd,
    /// The address of the node that was asked last, and the reason why that was not possible.
    pub(crate) node: NodeAddress,
    pub(crate) unsent: Option<SystemError>,
}

/// Carries out an enrolment.
pub(crate) async fn carry_out(link: &NodeLink, mut enrolling: Enrolling) -> Enrolled {
    let mut datagram = Vec::new();
    let mut unsent = None;
    loop {
        while let Some((to, message)) = enrolling.poll_output() {
            let sent = link.send(to, &message.encode()).await;
            unsent = sent.err().as_ref().and_then(SystemError::of);
        }
        let end = tokio::select! {
            received = link.receive(&mut datagram, |from| enrolling.is_node(from)) => match received {
                Ok(from) => enrolling.handle_datagram(now(), from, &datagram),
                // Such as a node's host that reports that nobody listens. The next attempt decides.
                Err(error) => {
                    debug!(%error, "cannot receive an answer to an enrolment");
                    time::sleep_until(enrolling.poll_timeout().into()).await;
                    enrolling.handle_timeout(now())
                }
            },
            () = time::sleep_until(enrolling.poll_timeout().into()) => enrolling.handle_timeout(now()),
        };
        if let Some(end) = end {
            debug!(strays = enrolling.strays(), ?end, "the enrolment has ended");
            return Enrolled { end, node: enrolling.node(), unsent };
        }
    }
}

fn now() -> std::time::Instant {
    time::Instant::now().into_std()
}
