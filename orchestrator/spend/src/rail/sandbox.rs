//! The embedded rail of the sandbox: well-known cards, no money. Never part of production.
//!
//! It stands for a processor: it has tables and pages of its own, answers an order once and for good, and knows nothing of holds. Its
//! pages are at `/sandbox` of this installation: one on which a card is chosen (no number is typed anywhere), one that is the bank's.

mod bank;
mod card;
mod refund;

use purser_db::jobs::enqueue;
use purser_db::{Db, DbError, Tx, params};
use purser_values::{Env, Timestamp};

use super::event::{Chargeback, ChargebackState, RailEvent, RailNews, take};
use super::{
    Confirmation, Rail, RailError, RailFuture, RailOrder, RailOutcome, RefundOrder, RefundOutcome, SellerToken, SellerTokenOrder,
    SellerTokenUse, SetupOrder, SetupOutcome, SetupPage, WebhookError,
};
use crate::limits::SANDBOX_DISPUTE_AFTER_S;
use crate::method::RailMethod;

pub use bank::{BankQuestion, authenticate, bank_answer, bank_question};
pub use card::SandboxCard;

pub const NAME: &str = "sandbox";

/// Sets a card up at the rail, which the caller then adds as a payment method in the same write.
///
/// # Errors
/// When the store fails.
pub fn set_up(tx: &mut Tx<'_>, env: &Env, card: SandboxCard) -> Result<RailMethod, DbError> {
    let reference = format!("sbx_card_{}", random(env));
    let insert = "insert into rail_sandbox_card (reference, card, authenticated) values ($1, $2, 0)";
    tx.execute(insert, params![reference, card.last4()])?;
    Ok(method(reference, card))
}

fn method(reference: String, card: SandboxCard) -> RailMethod {
    RailMethod {
        rail: NAME.to_owned(),
        reference,
        brand: "visa".to_owned(),
        last4: card.last4().to_owned(),
        needs_authentication: card == SandboxCard::WantsAuthentication,
    }
}

/// A person chose a card on the rail's page. Answers where the page sends them.
///
/// # Errors
/// When the store fails.
pub fn choose(tx: &mut Tx<'_>, env: &Env, setup: &str, card: SandboxCard) -> Result<Option<String>, DbError> {
    let select = "select back, card from rail_sandbox_setup where reference = $1";
    let Some(row) = tx.query_opt(select, params![setup])? else { return Ok(None) };
    if row.get::<Option<String>>("card")?.is_none() {
        let chosen = set_up(tx, env, card)?;
        tx.execute("update rail_sandbox_setup set card = $2 where reference = $1", params![setup, chosen.reference])?;
    }
    row.get("back").map(Some)
}

/// The rail as a [`Rail`], on tables in the orchestrator's own database.
#[derive(Clone, Debug)]
pub struct SandboxRail {
    db: Db,
    env: Env,
    /// The installation's own address, below which the rail's pages are.
    base: String,
}

impl SandboxRail {
    #[must_use]
    pub fn new(db: Db, env: Env, base: &str) -> Self {
        Self { db, env, base: base.trim_end_matches('/').to_owned() }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<T, DbError> + Send + Sync + 'static,
    ) -> Result<T, RailError> {
        self.db.write(move |tx| work(tx)).await.map_err(|e: DbError| RailError(e.to_string()))
    }
}

impl Rail for SandboxRail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn set_up<'a>(&'a self, order: &'a SetupOrder) -> RailFuture<'a, SetupPage> {
        let (reference, back) = (format!("sbx_{}", order.setup), order.back.clone());
        let url = format!("{}/sandbox/cards/{reference}", self.base);
        Box::pin(async move {
            let kept = reference.clone();
            let insert = "insert into rail_sandbox_setup (reference, back) values ($1, $2) on conflict (reference) do nothing";
            self.write(move |tx| tx.execute(insert, params![kept, back]).map(drop)).await?;
            Ok(SetupPage { reference, url })
        })
    }

    fn set_up_outcome<'a>(&'a self, reference: &'a str) -> RailFuture<'a, SetupOutcome> {
        let reference = reference.to_owned();
        Box::pin(self.write(move |tx| {
            let select = "select c.reference, c.card from rail_sandbox_setup s join rail_sandbox_card c on c.reference = s.card
                          where s.reference = $1";
            let Some(row) = tx.query_opt(select, params![reference])? else { return Ok(SetupOutcome::Open) };
            let card = SandboxCard::from_last4(&row.get::<String>("card")?);
            let card = card.ok_or_else(|| DbError::Corrupt("the sandbox has no such card".to_owned()))?;
            Ok(SetupOutcome::Done(method(row.get("reference")?, card)))
        }))
    }

    fn forget<'a>(&'a self, method: &'a str) -> RailFuture<'a, ()> {
        let method = method.to_owned();
        let update = "update rail_sandbox_card set card = '' where reference = $1";
        Box::pin(self.write(move |tx| tx.execute(update, params![method]).map(drop)))
    }

    fn capture<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a> {
        let (order, env) = (order.clone(), self.env.clone());
        Box::pin(self.write(move |tx| answer(tx, &env, &order)))
    }

    fn confirm<'a>(&'a self, order: &'a RailOrder, _: &'a str) -> RailFuture<'a, Confirmation> {
        let (order, env) = (order.clone(), self.env.clone());
        let url = format!("{}/sandbox/bank/{}", self.base, order.charge);
        Box::pin(async move {
            match self.write(move |tx| answer(tx, &env, &order)).await? {
                RailOutcome::RequiresAction => Ok(Confirmation::Page { url }),
                ended => Ok(Confirmation::Ended(ended)),
            }
        })
    }

    fn cancel<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a> {
        let (order, env) = (order.clone(), self.env.clone());
        Box::pin(self.write(move |tx| match answer(tx, &env, &order)? {
            RailOutcome::RequiresAction => {
                bank::end(tx, &order.charge, "confirmation_expired", "nobody confirmed the payment with the bank in time")?;
                answer(tx, &env, &order)
            }
            ended => Ok(ended),
        }))
    }

    fn refund<'a>(&'a self, order: &'a RefundOrder) -> RailFuture<'a, RefundOutcome> {
        let order = order.clone();
        Box::pin(self.write(move |tx| refund::give_back(tx, &order)))
    }

    fn has_seller_tokens(&self) -> bool {
        false
    }

    fn seller_token<'a>(&'a self, _: &'a SellerTokenOrder) -> RailFuture<'a, SellerToken> {
        Box::pin(async { Ok(SellerToken::NotOffered) })
    }

    fn seller_token_use<'a>(&'a self, _: &'a str) -> RailFuture<'a, SellerTokenUse> {
        Box::pin(async { Err(RailError("the sandbox has no tokens of sellers".to_owned())) })
    }

    fn seller_token_revoke<'a>(&'a self, _: &'a str) -> RailFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// It lives in the same process and writes its messages down by itself.
    fn receive(&self, _: &str, _: &[u8], _: Timestamp) -> Result<Option<RailEvent>, WebhookError> {
        Err(WebhookError::Signature)
    }
}

/// What the rail says to an order: the first final answer, for ever.
fn answer(tx: &mut Tx<'_>, env: &Env, order: &RailOrder) -> Result<RailOutcome, DbError> {
    let select = "select outcome, reference from rail_sandbox_charge where request_key = $1";
    if let Some(row) = tx.query_opt(select, params![order.charge])? {
        return Ok(outcome_of(row.get("outcome")?, row.get("reference")?));
    }
    let select = "select card, authenticated from rail_sandbox_card where reference = $1";
    let row = tx.query_opt(select, params![order.method])?;
    let card = row.map(|row| Ok::<_, DbError>((row.get::<String>("card")?, row.get::<bool>("authenticated")?))).transpose()?;
    let card = card.and_then(|(last4, done)| Some((SandboxCard::from_last4(&last4)?, done)));
    let (outcome, reference) = match card {
        None => ("card_unknown", "the rail does not know this card".to_owned()),
        Some((card, authenticated)) => match card.refusal(authenticated) {
            Some((code, message)) => (code, message.to_owned()),
            None => (CAPTURED, format!("sbx_{}", order.charge)),
        },
    };
    let insert = "insert into rail_sandbox_charge (request_key, card, amount, currency, outcome, reference, provider)
                  values ($1, $2, $3, $4, $5, $6, $7)";
    let (minor, currency) = (order.amount.minor(), order.amount.currency());
    tx.execute(insert, params![order.charge, order.method, minor, currency, outcome, reference, order.provider])?;
    if outcome == CAPTURED && card.is_some_and(|(card, _)| card == SandboxCard::DisputesLater) {
        dispute_later(tx, env, order, &reference)?;
    }
    Ok(outcome_of(outcome.to_owned(), reference))
}

const CAPTURED: &str = "captured";
const REQUIRES_ACTION: &str = "requires_action";

fn outcome_of(outcome: String, reference: String) -> RailOutcome {
    match outcome.as_str() {
        CAPTURED => RailOutcome::Captured { reference },
        REQUIRES_ACTION => RailOutcome::RequiresAction,
        _ => RailOutcome::Declined { code: outcome, message: reference },
    }
}

/// The message that a processor would send when the cardholder disputes the payment.
fn dispute_later(tx: &mut Tx<'_>, env: &Env, order: &RailOrder, capture: &str) -> Result<(), DbError> {
    let chargeback = Chargeback {
        capture: capture.to_owned(),
        reference: format!("sbx_dispute_{}", order.charge),
        amount: order.amount,
        reason: "fraudulent".to_owned(),
        state: ChargebackState::Open,
    };
    let event = RailEvent { rail: NAME.to_owned(), id: chargeback.reference.clone(), news: RailNews::Chargeback(chargeback) };
    if let Some(mut job) = take(tx, env, &event)? {
        job.run_at = env.now().plus_secs(SANDBOX_DISPUTE_AFTER_S);
        enqueue(tx, env, &job)?;
    }
    Ok(())
}

fn random(env: &Env) -> String {
    env.bytes::<12>().iter().map(|b| format!("{b:02x}")).collect()
}
