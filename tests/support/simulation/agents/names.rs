//! Names of requests and results, for the trace and the summary.

use mi_agent_core::{LumiAnswer, LumiRequest};
use plumi_proto::LocateOutcome;

use crate::emulators::Failure;

pub(super) fn request_name(kind: LumiRequest) -> &'static str {
    match kind {
        LumiRequest::Register => "register",
        LumiRequest::Deregister => "deregister",
        LumiRequest::Locate(_) => "locate",
        other => unreachable!("{other:?} is new"),
    }
}

pub(super) fn answer_name(answer: LumiAnswer) -> String {
    match answer {
        LumiAnswer::Register(code) => format!("{code:?}"),
        LumiAnswer::Deregister(code) => format!("{code:?}"),
        LumiAnswer::Locate { outcome: LocateOutcome::Found(_), .. } => "Found".to_owned(),
        LumiAnswer::Locate { outcome, .. } => format!("{outcome:?}"),
        LumiAnswer::NotAdmitted => "not admitted".to_owned(),
        LumiAnswer::KeyNotKnown => "the key is not known".to_owned(),
        LumiAnswer::SeenElsewhere(_) => "seen elsewhere".to_owned(),
        LumiAnswer::Malformed(_) => "Malformed".to_owned(),
        LumiAnswer::PeerSilent => "the peer is silent".to_owned(),
        LumiAnswer::None => "no answer".to_owned(),
        other => unreachable!("{other:?} is new"),
    }
}

pub(super) fn failure_name(failure: &Failure) -> String {
    match failure {
        Failure::Code(code) => format!("code {code}"),
        Failure::NoAnswer => "no answer".to_owned(),
        Failure::Misread(_) => "misread".to_owned(),
    }
}
