//! From a parsed request to an encoded answer: EDNS, opcodes, sections.

use std::sync::Arc;

use hickory_proto::op::{Edns, MessageType, Metadata, OpCode, ResponseCode};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::answer::{Answer, answer};
use crate::snapshot::Snapshot;

/// The largest answer over UDP: what crosses every network in one piece (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1_232;

/// Answers requests from the snapshot.
pub struct Handler(pub Arc<Snapshot>);

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut to: R) -> ResponseInfo {
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_version(0).set_max_payload(asked.max_payload().clamp(512, UDP_PAYLOAD));
            edns
        });
        let answer = self.answer(request);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = answer.code;
        metadata.authoritative = answer.authoritative;
        let none: &[hickory_proto::rr::Record] = &[];
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            &answer.answers,
            &answer.authorities,
            none,
            &answer.additionals,
        );
        to.send_response(response).await.unwrap_or_else(|e| {
            tracing::debug!(error = %e, "an answer was not sent");
            failed(request)
        })
    }
}

impl Handler {
    fn answer(&self, request: &Request) -> Answer {
        let code = |code| Answer { code, authoritative: false, answers: vec![], authorities: vec![], additionals: vec![] };
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return code(ResponseCode::BADVERS);
        }
        match (request.metadata.op_code, request.request_info()) {
            (OpCode::Query, Ok(info)) => answer(&self.0, info.query.name(), info.query.query_type(), info.query.query_class()),
            (OpCode::Query, Err(_)) => code(ResponseCode::FormErr),
            _ => code(ResponseCode::NotImp),
        }
    }
}

fn failed(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    metadata.response_code = ResponseCode::ServFail;
    hickory_proto::op::Header { metadata, counts: hickory_proto::op::HeaderCounts::default() }.into()
}
