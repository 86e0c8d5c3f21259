//! The learned detector: a linear model over pieces of the label, trained on names that were reported before.
//!
//! Support vector weights, quantised to whole numbers, so that a margin is the same on every machine. The weights come
//! from `cargo xtask gen guard`, which trains on reported names from before 2025-06 only: what is measured on later
//! names is how it does on campaigns that it has not seen. Public for the trainer and the measurement, not for callers.

mod features;
mod lexicon;

pub use features::BUCKETS;

use std::sync::LazyLock;

use super::Kind;
use super::label::Label;
use features::features;

const SHIPPED: &[u8] = include_bytes!("../../data/names.model");

/// The first bytes of a model file: the format, and with it the meaning of every bucket.
const MAGIC: [u8; 4] = *b"PGN1";

/// The thresholds of one kind of name, in the unit of margins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// From here on a person looks.
    pub review: i32,
    /// From here on it is refused.
    pub block: i32,
}

/// The weights, and where to draw the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    pub domains: Thresholds,
    pub projects: Thresholds,
    /// Added to every margin.
    pub bias: i32,
    /// One for every bucket of [`read`].
    pub weights: Vec<i8>,
}

#[derive(Debug, thiserror::Error)]
#[error("this is no model of names: {0}")]
pub struct ModelError(&'static str);

impl Model {
    /// The model that comes with the product.
    #[must_use]
    pub fn shipped() -> &'static Self {
        static MODEL: LazyLock<Model> = LazyLock::new(|| Model::from_bytes(SHIPPED).unwrap_or_else(|_| Model::silent()));
        &MODEL
    }

    /// A model that finds nothing.
    #[must_use]
    pub fn silent() -> Self {
        let never = Thresholds { review: i32::MAX, block: i32::MAX };
        Self { domains: never, projects: never, bias: 0, weights: vec![0; BUCKETS] }
    }

    #[must_use]
    pub const fn thresholds(&self, kind: Kind) -> Thresholds {
        match kind {
            Kind::Domain => self.domains,
            Kind::Project => self.projects,
        }
    }

    /// How far on the side of reported names: larger is worse.
    #[must_use]
    pub fn margin(&self, name: &str, kind: Kind) -> i32 {
        self.margin_of(&Label::of(name, kind).shown)
    }

    pub(super) fn margin_of(&self, label: &str) -> i32 {
        self.margin_over(&features(label))
    }

    /// The margin of what was read before.
    #[must_use]
    pub fn margin_over(&self, features: &[(usize, i8)]) -> i32 {
        let weight = |bucket: &usize| self.weights.get(*bucket).copied().unwrap_or(0);
        features.iter().map(|(bucket, times)| i32::from(weight(bucket)) * i32::from(*times)).sum::<i32>() + self.bias
    }

    /// The file of a model.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = [self.domains.review, self.domains.block, self.projects.review, self.projects.block, self.bias];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(self.weights.iter().map(|weight| weight.to_le_bytes()[0]));
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(ModelError("it does not begin like one"))?;
        let (numbers, weights) = rest.split_at_checked(20).ok_or(ModelError("it ends too early"))?;
        if weights.len() != BUCKETS {
            return Err(ModelError("it has another number of weights"));
        }
        let number = |at: usize| numbers.get(at * 4..).and_then(|it| it.first_chunk()).map_or(0, |it| i32::from_le_bytes(*it));
        Ok(Self {
            domains: Thresholds { review: number(0), block: number(1) },
            projects: Thresholds { review: number(2), block: number(3) },
            bias: number(4),
            weights: weights.iter().map(|byte| i8::from_le_bytes([*byte])).collect(),
        })
    }
}

/// What the model sees of a name: buckets below [`BUCKETS`], and how many times each counts.
#[must_use]
pub fn read(name: &str, kind: Kind) -> Vec<(usize, i8)> {
    features(&Label::of(name, kind).shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_weights_are_a_model() {
        let model = Model::from_bytes(SHIPPED).unwrap();
        assert_eq!(model.to_bytes(), SHIPPED);
        assert!(SHIPPED.len() < 1_000_000, "kept in the repository");
        assert!(model.domains.review < model.domains.block && model.projects.review < model.projects.block);
    }

    #[test]
    fn names_like_those_that_were_reported_stand_apart_from_ordinary_ones() {
        let model = Model::shipped();
        for name in ["claim-airdrop-allocation.com", "dapp-walletsync-fix.com", "connect-mainnet-rectify.org"] {
            assert!(model.margin(name, Kind::Domain) >= model.domains.review, "{name}");
        }
        for name in ["example.com", "bakery-in-the-lane.co.uk", "weather.org", "purser.dev", "slipway.cloud", "bitcoin.org"] {
            assert!(model.margin(name, Kind::Domain) < model.domains.review, "{name}");
        }
    }

    #[test]
    fn a_damaged_model_is_refused() {
        assert!(Model::from_bytes(&SHIPPED[..1000]).is_err() && Model::from_bytes(b"other").is_err());
    }
}
