//! What imitators do to a protected name, without any training.

use super::brands::Brands;
use super::label::Label;
use super::{Context, Kind, fold};
use crate::verdict::{Action, Reason, Score, Sign};

/// Names shorter than this are one keystroke away from too many ordinary words; a name of this length counts only
/// beside a lure, longer ones count alone.
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

/// Of these, what owners and developers put there as well; they count in a word of their own only, and for projects not
/// at all.
const EVERYDAY: &str = "access event mail new online package pay service support";

/// Every finding, and the protected name it points at. What is the buyer's own is protected from others only.
pub(super) fn find(label: &Label, brands: &Brands, context: &Context<'_>) -> (Vec<Reason>, Option<String>) {
    let own = |name: &str| context.owned.contains(&name);
    let beside = match context.kind {
        Kind::Domain => beside_in_domains,
        Kind::Project => beside_in_projects,
    };
    let found = [
        exact(label, brands),
        look_alike(label, brands),
        typo(label, brands, context.kind, &own),
        brands.inside().filter(|name| !own(name)).find_map(|name| lure(label, brands, name, beside)),
    ];
    let found: Vec<(Reason, &str)> = found.into_iter().flatten().filter(|(_, name)| !own(name)).collect();
    let target = found.first().map(|(_, name)| (*name).to_owned());
    let mut reasons: Vec<Reason> = found.into_iter().map(|(reason, _)| reason).collect();
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
fn typo<'a>(label: &Label, brands: &'a Brands, kind: Kind, own: &impl Fn(&str) -> bool) -> Option<(Reason, &'a str)> {
    let lured = label.words.len() > 1 && label.words.iter().any(|word| is_lure(word));
    let near = |piece: &str, name: &str| !brands.contains(piece) && one_keystroke(piece, name) && !inflected(piece, name);
    let name = brands.iter().filter(|name| name.len() >= SHORTEST_TYPO && !own(name)).find(|name| {
        let alone = kind == Kind::Domain && name.len() > SHORTEST_TYPO && !label.words.iter().any(|word| word == name);
        alone && near(&label.plain, name) || lured && !brands.is_ordinary(name) && label.words.iter().any(|word| near(word, name))
    })?;
    let words = format!("`{}` is one keystroke away from the protected name `{name}`", label.shown);
    Some((reason(Sign::Typo, Action::Review, 750, words), name))
}

/// What makes a protected name inside a label suspicious.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Lure,
    OtherWords,
}

/// A protected name inside the label, with something beside it.
fn lure<'a>(label: &Label, brands: &Brands, name: &'a str, beside: fn(&Found<'_>) -> Option<Beside>) -> Option<(Reason, &'a str)> {
    let (before, after) = label.plain.split_once(name)?;
    if before.is_empty() && after.is_empty() {
        return None;
    }
    let is_word = label.words.iter().any(|word| word == name);
    let (score, how) = match beside(&Found { label, brands, name, before, after, is_word })? {
        Beside::Lure => (850, "together with a word that phishing names carry"),
        Beside::OtherWords => (650, "together with other words"),
    };
    let words = format!("`{}` uses the protected name `{name}` {how}", label.shown);
    Some((reason(Sign::Lure, Action::Review, score, words), name))
}

struct Found<'a> {
    label: &'a Label,
    brands: &'a Brands,
    name: &'a str,
    before: &'a str,
    after: &'a str,
    is_word: bool,
}

fn beside_in_domains(found: &Found<'_>) -> Option<Beside> {
    let Found { label, brands, name, before, after, is_word } = *found;
    if is_word && label.words.iter().any(|word| is_lure(word)) {
        return Some(Beside::Lure);
    }
    if brands.is_ordinary(name) {
        return (is_clear(before) || is_clear(after)).then_some(Beside::Lure);
    }
    if lures().any(|lure| is_clear(lure) && (before.ends_with(lure) || after.starts_with(lure))) {
        return Some(Beside::Lure);
    }
    (brands.is_coined(name) || is_word && label.words.len() > 1 && !brands.is_built_on(name)).then_some(Beside::OtherWords)
}

/// Developers name projects after what they build on: only the clear cases.
fn beside_in_projects(found: &Found<'_>) -> Option<Beside> {
    let Found { label, brands, name, before, after, is_word } = *found;
    if brands.is_built_on(name) {
        return None;
    }
    if is_word && label.words.iter().any(|word| is_clear(word)) {
        return Some(Beside::Lure);
    }
    if brands.is_ordinary(name) {
        return (is_clear(before) || is_clear(after)).then_some(Beside::Lure);
    }
    if lures().any(|lure| is_clear(lure) && (before.ends_with(lure) || after.starts_with(lure))) {
        return Some(Beside::Lure);
    }
    (brands.is_coined(name) && label.words.len() <= 2).then_some(Beside::OtherWords)
}

fn lures() -> impl Iterator<Item = &'static str> {
    LURES.split_whitespace()
}

fn is_lure(word: &str) -> bool {
    lures().any(|lure| lure == word)
}

fn is_clear(word: &str) -> bool {
    is_lure(word) && !EVERYDAY.split_whitespace().any(|everyday| everyday == word)
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
    use super::super::Names;
    use super::*;

    fn judged(name: &str) -> Option<(Action, Sign, String)> {
        let verdict = Names::default().judge_by_rules(name, Context::stranger(Kind::Domain));
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
            ("uniswpa-claim.app", Sign::Typo, "uniswap"),
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
        for name in [
            "example.com",
            "wordpress-themes.org",
            "orangecounty.org",
            "jupiterbrewing.com",
            "ledgers.com",
            "campbell.edu",
            "müller.de",
            "wallet.guide",
        ] {
            assert_eq!(judged(name), None, "{name}");
        }
    }

    #[test]
    fn a_verified_owner_buys_names_of_its_own() {
        let names = Names::default();
        let owned = Context { kind: Kind::Domain, owned: &["paypal"] };
        assert!(names.judge("paypal-login.com", owned).passes());
        assert!(!names.judge("coinbase-login.com", owned).passes());
        assert_eq!(names.judge("paypal-coinbase-login.com", owned).target.as_deref(), Some("coinbase"));
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
