//! What imitators do to a protected name, without any training.

use super::brands::Brands;
use super::label::Label;
use super::{Context, fold};
use crate::verdict::{Action, Reason, Score, Sign};

/// Names shorter than this are one keystroke away from too many ordinary words.
const SHORTEST_TYPO: usize = 7;

/// A look-alike of a shorter name is too often an abbreviation.
const SHORTEST_LOOK: usize = 5;

/// Words that phishing names put beside a name: what they promise, threaten, or ask for.
const LURES: &str = "access account activate activation airdrop alert allocation auth authenticate authorize billing bonus bridge bridging \
    cancel card claim claims coin confirm connect dapp dashboard defi delivery device dex distribution document drop earn eligibility \
    event exchange fix free gift giveaway help helpdesk identity invoice launch launchpad live login logon logins mail migrate \
    migration mint nft notice official online pack package parcel pay payment portal presale promo protocol recover recovery redeem \
    refund register registration reset restore reward rewards secure security service session sign signin signup stake staking \
    start support suspended swap sync token tracking trade trading transfer unlock update upgrade validate validation verification \
    verify vault wallet wallets web3 win x2y2 zone";

/// Every finding, and the protected name it points at.
pub(super) fn find(label: &Label, brands: &Brands, context: &Context<'_>) -> (Vec<Reason>, Option<String>) {
    let mut reasons = Vec::new();
    let mut target = None;
    let found = [exact(label, brands), look_alike(label, brands), typo(label, brands), lure(label, brands)];
    for (reason, name) in found.into_iter().flatten() {
        if context.owned.contains(&name) {
            return (Vec::new(), None);
        }
        target.get_or_insert_with(|| name.to_owned());
        reasons.push(reason);
    }
    if fold::mixes_scripts(&label.shown) {
        let words = format!("`{}` mixes letters of several alphabets", label.shown);
        reasons.push(reason(Sign::MixedScripts, Action::Review, 700, words));
    }
    (reasons, target)
}

/// The protected name itself.
fn exact<'a>(label: &Label, brands: &'a Brands) -> Option<(Reason, &'a str)> {
    let name = brands.iter().find(|name| *name == label.plain)?;
    if brands.is_ordinary(name) {
        return None;
    }
    let words = format!("`{name}` is a protected name, and this buyer was not verified as its owner");
    Some((reason(Sign::ProtectedName, Action::Review, 800, words), name))
}

/// Not the protected name, but nobody would see the difference.
fn look_alike<'a>(label: &Label, brands: &'a Brands) -> Option<(Reason, &'a str)> {
    let pieces = std::iter::once(label.shown.as_str()).chain(label.shown.split('-'));
    for piece in pieces {
        let Some(name) = brands.looking_like(&fold::skeleton(piece)) else { continue };
        let plain: String = piece.chars().filter(|letter| letter.is_alphanumeric()).collect();
        if plain != name && name.len() >= SHORTEST_LOOK {
            let words = format!("`{}` looks like the protected name `{name}`", label.shown);
            return Some((reason(Sign::LookAlike, Action::Block, 1000, words), name));
        }
    }
    None
}

/// One keystroke away from the protected name: one letter more, less, changed, or two swapped. Never two keystrokes:
/// at distance two, false alarms outnumber hits.
fn typo<'a>(label: &Label, brands: &'a Brands) -> Option<(Reason, &'a str)> {
    let pieces = || std::iter::once(label.plain.as_str()).chain(label.words.iter().map(String::as_str));
    let near = |name: &&str| pieces().any(|piece| !brands.contains(piece) && one_keystroke(piece, name) && !inflected(piece, name));
    let name = brands.iter().filter(|name| name.len() >= SHORTEST_TYPO).find(near)?;
    let words = format!("`{}` is one keystroke away from the protected name `{name}`", label.shown);
    Some((reason(Sign::Typo, Action::Review, 750, words), name))
}

/// A protected name, and beside it a word that phishing names carry.
fn lure<'a>(label: &Label, brands: &'a Brands) -> Option<(Reason, &'a str)> {
    let name = brands.inside().find_map(|name| {
        let as_word = label.words.iter().any(|word| word == name);
        let (before, after) = label.plain.split_once(name)?;
        if before.is_empty() && after.is_empty() {
            return None;
        }
        let beside = LURES.split_whitespace().any(|lure| {
            label.words.iter().any(|word| word == lure)
                || before.ends_with(lure)
                || after.starts_with(lure)
                || before == lure
                || after == lure
        });
        (beside || (as_word && label.words.len() > 1 && !brands.is_ordinary(name))).then_some((name, beside))
    })?;
    let (name, beside) = name;
    let (score, how) = if beside { (850, "together with a word that phishing names carry") } else { (650, "together with other words") };
    let words = format!("`{}` uses the protected name `{name}` {how}", label.shown);
    Some((reason(Sign::Lure, Action::Review, score, words), name))
}

/// `paypals` is the plural of nothing, but `ledgers` and `gemini2` are words of their own.
fn inflected(piece: &str, name: &str) -> bool {
    piece.strip_prefix(name).is_some_and(|end| end == "s" || end.bytes().all(|it| it.is_ascii_digit()))
}

/// Damerau–Levenshtein distance of exactly one, in linear time.
fn one_keystroke(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let same = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[same..], &right[same..]);
    match (left, right) {
        ([], []) => false,
        ([_, rest @ ..], right) if rest == right => true,
        (left, [_, rest @ ..]) if rest == left => true,
        ([_, left @ ..], [_, right @ ..]) if left == right => true,
        ([a, b, left @ ..], [c, d, right @ ..]) => a == d && b == c && left == right,
        _ => false,
    }
}

fn reason(sign: Sign, action: Action, score: u16, words: String) -> Reason {
    Reason { sign, action, score: Score::from_thousandths(score), words, place: None }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Names};
    use super::*;

    fn judged(name: &str) -> Option<(Action, Sign, String)> {
        let verdict = Names::default().judge(name, Context::stranger(Kind::Domain));
        let first = verdict.reasons.first()?;
        Some((verdict.action, first.sign, verdict.target.unwrap_or_default()))
    }

    #[test]
    fn imitations_are_found_and_say_whom_they_imitate() {
        for (name, sign, target) in [
            ("metamаsk.io", Sign::LookAlike, "metamask"),
            ("c0inbase.com", Sign::LookAlike, "coinbase"),
            ("c0inbase-login.com", Sign::LookAlike, "coinbase"),
            ("coimbase.com", Sign::Typo, "coinbase"),
            ("uniswpa.app", Sign::Typo, "uniswap"),
            ("walletconnect.support", Sign::ProtectedName, "walletconnect"),
            ("ledger-recovery.com", Sign::Lure, "ledger"),
            ("verifypaypal.net", Sign::Lure, "paypal"),
        ] {
            let (action, found, whom) = judged(name).unwrap_or_else(|| panic!("`{name}` passed"));
            assert_eq!((found, whom.as_str()), (sign, target), "{name}");
            assert_eq!(action == Action::Block, sign == Sign::LookAlike, "{name}: only look-alikes are refused outright");
        }
    }

    #[test]
    fn ordinary_names_pass() {
        for name in ["example.com", "orangecounty.org", "jupiterbrewing.com", "ledgers.com", "campbell.edu", "müller.de", "wallet.guide"] {
            assert_eq!(judged(name), None, "{name}");
        }
    }

    #[test]
    fn a_verified_owner_buys_names_of_its_own() {
        let names = Names::default();
        let owned = Context { kind: Kind::Domain, owned: &["paypal"] };
        assert!(names.judge("paypal-login.com", owned).passes());
        assert!(!names.judge("coinbase-login.com", owned).passes());
    }

    #[test]
    fn one_keystroke_is_one_keystroke() {
        for (left, right) in [("abcd", "abd"), ("abd", "abcd"), ("abcd", "abed"), ("abcd", "acbd"), ("abc", "abcd"), ("xabc", "abc")] {
            assert!(one_keystroke(left, right), "{left} {right}");
        }
        for (left, right) in [("abcd", "abcd"), ("abcd", "adcb"), ("abcd", "ab"), ("", ""), ("abcd", "bcda")] {
            assert!(!one_keystroke(left, right), "{left} {right}");
        }
    }
}
