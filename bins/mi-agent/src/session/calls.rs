//! Calls that have not been answered.

use std::future;
use std::task::Poll;

use futures_util::future::BoxFuture;
use mi_agent_core::{Agent, CallError, Conversation};
use plumi_proto::MiAddress;

use crate::options::values::MAX_CONVERSATIONS;

/// Names one call of a session. A number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(u64);

#[cfg(test)]
impl CallId {
    /// The call with this number.
    pub(crate) fn of_test(number: u64) -> Self {
        Self(number)
    }
}

/// The calls under way. Dropped, a call is given up.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    begun: u64,
}

struct Call {
    id: CallId,
    to: MiAddress,
    outcome: BoxFuture<'static, Result<Conversation, CallError>>,
}

impl Calls {
    /// Calls the user at `to`, after `before`; `None` if [`MAX_CALLS`] are under way.
    pub(super) fn begin(
        &mut self,
        agent: &Agent,
        to: MiAddress,
        before: impl Future<Output = ()> + Send + 'static,
    ) -> Option<CallId> {
        if self.calls.len() >= MAX_CALLS {
            return None;
        }
        self.begun += 1;
        let id = CallId(self.begun);
        let agent = agent.clone();
        let outcome = Box::pin(async move {
            before.await;
            agent.call(to).await
        });
        self.calls.push(Call { id, to, outcome });
        Some(id)
    }

    pub(super) fn give_up(&mut self, id: CallId) {
        self.calls.retain(|call| call.id != id);
    }

    pub(super) fn give_all_up(&mut self) {
        self.calls.clear();
    }

    /// The next call that is answered or fails; never ready while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> (CallId, MiAddress, Result<Conversation, CallError>) {
        future::poll_fn(|cx| {
            for (at, call) in self.calls.iter_mut().enumerate() {
                if let Poll::Ready(outcome) = call.outcome.as_mut().poll(cx) {
                    let Call { id, to, .. } = self.calls.remove(at);
                    return Poll::Ready((id, to, outcome));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Calls at a time: as many as there can be conversations.
const MAX_CALLS: usize = MAX_CONVERSATIONS as usize;
