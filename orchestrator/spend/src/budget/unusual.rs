//! Charges that stand out.
//!
//! The rule, exact: the first charge of an organisation by a provider; and a charge of more than five times the median of the up to
//! twenty charges in the same currency that the provider made before it, where there are at least five. Of an even number of charges,
//! the median is the middle between the two in the middle; it is compared doubled, so that nothing is rounded.

use purser_authority::Done;
use purser_db::{DbError, Tx, params};
use purser_values::{Env, Money};

use crate::alert::{self, Cause};
use crate::charge::Charge;
use crate::hold::Hold;
use crate::limits::{UNUSUAL_LEAST, UNUSUAL_LOOK_BACK, UNUSUAL_TIMES};

/// Looks at one captured charge.
pub(super) fn look(tx: &mut Tx<'_>, env: &Env, hold: &Hold, charge: &Charge) -> Result<Done<()>, DbError> {
    let (organisation, provider, amount) = (&hold.spender.organisation, hold.provider.clone(), charge.amount);
    let before = "select amount, currency from spend_charge where organisation = $1 and provider = $2 and state = 'succeeded' and id <> $3
                  and begun_at <= $4 order by begun_at desc, id desc limit $5";
    let look_back = i64::try_from(UNUSUAL_LOOK_BACK).unwrap_or(i64::MAX);
    let rows = tx.query(before, params![organisation, provider, charge.id, charge.begun_at, look_back])?;
    let charge_id = charge.id.clone();
    let cause = if rows.is_empty() {
        Cause::FirstCharge { charge: charge_id, provider, amount }
    } else {
        let mut amounts = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.parse::<purser_values::Currency>("currency")? == amount.currency() {
                amounts.push(row.get::<i64>("amount")?);
            }
        }
        let Some(twice) = twice_the_median(&mut amounts).filter(|_| amounts.len() >= UNUSUAL_LEAST) else { return Ok(Done::quiet(())) };
        if i128::from(amount.minor()) * 2 <= i128::from(UNUSUAL_TIMES) * i128::from(twice) {
            return Ok(Done::quiet(()));
        }
        Cause::UnusualCharge { charge: charge_id, provider, amount, median: Money::from_minor(twice / 2, amount.currency()) }
    };
    Ok(alert::raise(tx, env, organisation, Some(&hold.spender.agent), charge.id.as_str(), &cause)?.map(drop))
}

/// Nothing of nothing.
fn twice_the_median(amounts: &mut [i64]) -> Option<i64> {
    amounts.sort_unstable();
    let middle = amounts.len() / 2;
    let upper = *amounts.get(middle)?;
    let lower = if amounts.len().is_multiple_of(2) { *amounts.get(middle.checked_sub(1)?)? } else { upper };
    lower.checked_add(upper)
}

#[cfg(test)]
mod tests {
    use super::twice_the_median;

    #[test]
    fn the_median_is_exact() {
        for (amounts, twice) in
            [(vec![], None), (vec![7], Some(14)), (vec![1, 100], Some(101)), (vec![9, 1, 5], Some(10)), (vec![4, 1, 3, 2], Some(5))]
        {
            assert_eq!(twice_the_median(&mut amounts.clone()), twice, "{amounts:?}");
        }
    }
}
