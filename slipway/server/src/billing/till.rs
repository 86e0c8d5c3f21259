//! The orchestrator as billing's till: what the answers of the wire mean.

use purser_crypto::seal::Keyring;
use purser_provider::{OrchestratorClient, OrchestratorError};
use purser_values::Secret;
use purser_wire::charge::{ChargeRequest, ChargeStatus};
use purser_wire::error::ErrorBody;
use purser_wire::id::{IdempotencyKey, ParseWireIdError};
use purser_wire::refund::{RefundRequest, RefundStatus};
use purser_wire::text::excerpt;
use purser_wire::usage::{UsageHoldRequest, UsageHoldStatus, UsageReleaseRequest, UsageReleaseStatus, block_period};
use slipway_accounts::charge::{ChargeOutcome, seal_purpose};
use slipway_accounts::refund::RefundOutcome;
use slipway_billing::till::{Account, BlockAsk, BlockOutcome, ChargeAsk, Pending, RefundAsk, Till, Unanswered};

/// Most characters of the orchestrator's words that are kept.
const WORDS: usize = 300;
/// The orchestrator does not know our key yet, or its clock is off: no word about the money itself.
const NOT_HEARD: &str = "invalid_signature";

pub struct OrchestratorTill {
    pub orchestrator: OrchestratorClient,
    pub keyring: Keyring,
}

impl OrchestratorTill {
    fn token(&self, from: &Account) -> Result<Secret<String>, Unanswered> {
        self.keyring.open_text(&seal_purpose(&from.resource), &from.token).map_err(|e| Unanswered(e.to_string()))
    }
}

impl Till for OrchestratorTill {
    fn charge<'a>(&'a self, ask: &'a ChargeAsk) -> Pending<'a, ChargeOutcome> {
        Box::pin(async move {
            let request = ChargeRequest {
                payment_token: self.token(&ask.from)?,
                quote_id: ask.from.quote.parse().map_err(unusable)?,
                quote_line_id: ask.from.line.parse().map_err(unusable)?,
                amount: ask.amount,
                resource_id: Some((&ask.from.resource).into()),
                period: Some(ask.period.clone()),
            };
            match self.orchestrator.charge(&request, &key(ask.id.as_str())?).await {
                Ok(answer) => Ok(ChargeOutcome {
                    succeeded: match answer.status {
                        ChargeStatus::Succeeded => true,
                        ChargeStatus::Declined | ChargeStatus::Refused => false,
                        // A bank wants to see the person: the same key asks again until it is decided.
                        ChargeStatus::Pending => return Err(Unanswered("the payment waits for its person".to_owned())),
                        ChargeStatus::Other(word) => return Err(unclear(&word)),
                    },
                    charge: answer.id.to_string(),
                    code: cut(answer.code),
                    message: cut(answer.message),
                }),
                Err(e) => {
                    let body = said_no(e)?;
                    Ok(ChargeOutcome {
                        succeeded: false,
                        charge: String::new(),
                        code: cut(Some(body.code)),
                        message: cut(Some(body.message)),
                    })
                }
            }
        })
    }

    fn reserve<'a>(&'a self, ask: &'a BlockAsk) -> Pending<'a, BlockOutcome> {
        Box::pin(async move {
            let period = ask.period.to_string();
            let request = UsageHoldRequest {
                payment_token: self.token(&ask.from)?,
                quote_id: ask.from.quote.parse().map_err(unusable)?,
                quote_line_id: ask.from.line.parse().map_err(unusable)?,
                block: ask.block,
                amount: ask.amount,
                period: period.clone(),
            };
            let key = key(&format!("{}/{}", ask.from.resource, block_period(&period, ask.block)))?;
            match self.orchestrator.usage_hold(&request, &key).await {
                Ok(answer) => match answer.status {
                    UsageHoldStatus::Reserved => Ok(BlockOutcome { reserved: true, code: None }),
                    UsageHoldStatus::Refused => Ok(BlockOutcome { reserved: false, code: cut(answer.code) }),
                    UsageHoldStatus::Other(word) => Err(unclear(&word)),
                },
                // One that does not speak of use sets nothing aside.
                Err(e) => Ok(BlockOutcome { reserved: false, code: cut(Some(said_no(e)?.code)) }),
            }
        })
    }

    fn release<'a>(&'a self, ask: &'a BlockAsk) -> Pending<'a, ()> {
        Box::pin(async move {
            let period = ask.period.to_string();
            let request = UsageReleaseRequest {
                payment_token: self.token(&ask.from)?,
                quote_id: ask.from.quote.parse().map_err(unusable)?,
                quote_line_id: ask.from.line.parse().map_err(unusable)?,
                period: period.clone(),
                block: ask.block,
            };
            let key = key(&format!("{}/{}/release", ask.from.resource, block_period(&period, ask.block)))?;
            let refused = match self.orchestrator.usage_release(&request, &key).await {
                Ok(answer) => match answer.status {
                    UsageReleaseStatus::Released => return Ok(()),
                    UsageReleaseStatus::Refused => answer.code.unwrap_or_default(),
                    UsageReleaseStatus::Other(word) => return Err(unclear(&word)),
                },
                // One that does not know the call lets its time run out.
                Err(e) => said_no(e)?.code,
            };
            tracing::info!(resource = %ask.from.resource, period, block = ask.block, refused, "a block was not there to be given back");
            Ok(())
        })
    }

    fn refund<'a>(&'a self, ask: &'a RefundAsk) -> Pending<'a, RefundOutcome> {
        Box::pin(async move {
            let request = RefundRequest { amount: ask.amount, reason: Some(ask.reason.clone().into()) };
            let charge = ask.charge.parse().map_err(unusable)?;
            match self.orchestrator.refund(&charge, &request, &key(ask.id.as_str())?).await {
                Ok(answer) => Ok(RefundOutcome {
                    succeeded: match answer.status {
                        RefundStatus::Succeeded => true,
                        RefundStatus::Failed => false,
                        RefundStatus::Other(word) => return Err(unclear(&word)),
                    },
                    refund: answer.id.to_string(),
                    code: cut(answer.code),
                    message: cut(answer.message),
                }),
                Err(e) => {
                    let body = said_no(e)?;
                    Ok(RefundOutcome {
                        succeeded: false,
                        refund: String::new(),
                        code: cut(Some(body.code)),
                        message: cut(Some(body.message)),
                    })
                }
            }
        })
    }
}

/// A no that is one; everything else leaves the outcome open.
fn said_no(e: OrchestratorError) -> Result<ErrorBody, Unanswered> {
    match e {
        OrchestratorError::Refused(body) if body.code != NOT_HEARD => Ok(body),
        e => Err(Unanswered(e.to_string())),
    }
}

fn unclear(word: &str) -> Unanswered {
    Unanswered(format!("`{}` says nothing of the money", excerpt(word, WORDS)))
}

fn key(text: &str) -> Result<IdempotencyKey, Unanswered> {
    text.parse().map_err(unusable)
}

fn unusable(e: ParseWireIdError) -> Unanswered {
    Unanswered(e.to_string())
}

fn cut(text: Option<String>) -> Option<String> {
    text.map(|text| excerpt(&text, WORDS))
}
