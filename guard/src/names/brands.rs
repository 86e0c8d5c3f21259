//! The names that imitators imitate.

use std::collections::{HashMap, HashSet};

use super::fold;

/// Written by hand before any held-out name was looked at (CC0); an operator adds its own and its customers'.
const SHIPPED: &str = include_str!("../../data/brands.txt");

/// Shorter names are too often part of ordinary words to be looked for inside a label.
const SHORTEST_INSIDE: usize = 5;

/// Protected names that are also ordinary words: these count only where a lure stands beside them, never alone.
const ORDINARY: &str = "aeon apple bell blur booking bpost chase compound correos crypto curve discord emirates exodus \
    gemini interac jupiter ledger lido lifecard monzo mygov optimism orange phantom pendle poste proton rakuten rogers spectrum \
    target twitch venmo verizon view visa wise zoom celestia raydium outlook nomura blockchain orico telstra";

/// Coined words that are imitated all the time: wherever they stand in a label, it is no accident.
const COINED: &str = "altlayer apecoin arbitrum axelar berachain binance bitfinex bitget bitstamp bittensor bouncebit bscscan bybit chaingpt \
    chainlink coinbase coingecko coinmarketcap collabland cowswap dappradar debank debridge dexscreener eigenlayer \
    eigenpie ethena etherfi etherscan hamsterkombat hyperliquid imtoken instadapp kelpdao kucoin kyberswap layerzero \
    looksrare magiceden mathwallet metamask myetherwallet nillion openocean opensea pancakeswap paraswap pendle \
    pinksale polkadot polkastarter pudgypenguins pumpfun quickswap rarible raydium rocketpool safepal safewallet \
    seedify solana solflare solscan starknet superrare sushiswap thorchain tokenpocket tonkeeper trezor tronlink \
    trustwallet uniswap vechain walletconnect worldcoin worldliberty zerion zetachain zircuit zksync";

/// Names that other people's projects carry because they build on them.
const BUILT_ON: &str = "cloudflare docomo github google wordpress";

/// A table of protected names.
#[derive(Clone, Debug)]
pub struct Brands {
    names: Vec<String>,
    known: HashSet<String>,
    ordinary: HashSet<&'static str>,
    coined: HashSet<&'static str>,
    built_on: HashSet<&'static str>,
    /// Skeleton → position.
    looks: HashMap<String, usize>,
}

impl Brands {
    /// The list that comes with the product.
    #[must_use]
    pub fn shipped() -> Self {
        Self::of(SHIPPED.lines())
    }

    /// Lines that are empty, or that begin with `#`, count for nothing.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let empty = Self {
            names: Vec::new(),
            known: HashSet::new(),
            ordinary: words(ORDINARY),
            coined: words(COINED),
            built_on: words(BUILT_ON),
            looks: HashMap::new(),
        };
        empty.with(names)
    }

    /// These as well: names of an operator, or of customers who asked to be protected.
    #[must_use]
    pub fn with<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            let name = name.trim().to_lowercase();
            if name.is_empty() || name.starts_with('#') || self.known.contains(&name) {
                continue;
            }
            self.looks.entry(fold::skeleton(&name)).or_insert(self.names.len());
            self.known.insert(name.clone());
            self.names.push(name);
        }
        self
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Also an ordinary word.
    pub(crate) fn is_ordinary(&self, name: &str) -> bool {
        self.ordinary.contains(name)
    }

    /// A coined word, and a favourite of imitators.
    pub(super) fn is_coined(&self, name: &str) -> bool {
        self.coined.contains(name)
    }

    /// Carried by projects that build on it.
    pub(crate) fn is_built_on(&self, name: &str) -> bool {
        self.built_on.contains(name)
    }

    /// Long enough to be looked for inside a label.
    pub(super) fn inside(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|name| name.len() >= SHORTEST_INSIDE)
    }

    /// The protected name that this looks like.
    pub(super) fn looking_like(&self, skeleton: &str) -> Option<&str> {
        self.looks.get(skeleton).and_then(|at| self.names.get(*at)).map(String::as_str)
    }
}

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_whitespace().collect()
}
