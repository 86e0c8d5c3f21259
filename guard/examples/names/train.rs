//! Training: linear support vectors by dual coordinate descent (Hsieh et al. 2008, algorithm 1, squared hinge loss).
//!
//! Additions and multiplications in a fixed order only, so the weights come out the same, byte for byte, on every
//! machine that keeps IEEE 754.

use std::path::Path;

use purser_guard::names::learned::{BUCKETS, Model, Thresholds, read};
use purser_guard::{Context, Kind, Names};
use sha2::{Digest, Sha256};

use crate::data::{Group, Half, Lists};
use crate::report::{Fired, Table};

const FOLDS: usize = 4;
const EPOCHS: usize = 30;
const COST: f64 = 0.01;
/// Weights beyond this many thousandths of the largest are cut: one byte has to do.
const SPAN: f64 = 0.5;

/// Shares of benign names that may be held or refused, rules and learned detector together; a little under the bars.
const MID_HELD: f64 = 0.0044;
const POPULAR_HELD: f64 = 0.0039;
const HOSTS_HELD: f64 = 0.0038;
const PACKAGES_HELD: f64 = 0.0021;
const REFUSED: f64 = 0.0004;

type Features = Vec<(usize, i8)>;

pub fn run(folder: &Path, out: &Path) {
    let lists = Lists::load(folder, Half::Develop).expect("the lists to develop with");
    let (thresholds, table) = cross_validate(&lists);
    table.print();
    let rows: Vec<(Features, bool)> = reported(&lists).into_iter().chain(benign(&lists, |_| true)).collect();
    let mut model = fit(&rows);
    (model.domains, model.projects) = thresholds;
    let bytes = model.to_bytes();
    println!("sha256 of the model: {}", hexadecimal(&Sha256::digest(&bytes)));
    std::fs::write(out, bytes).expect("the model is written");
}

/// Thresholds, and how the detectors do on reported names that come later than what was trained on and on benign names
/// that were left out of the training.
pub fn cross_validate(lists: &Lists) -> ((Thresholds, Thresholds), Table) {
    let names = Names::default();
    let by_rules = |name: &str, kind: Kind| !names.judge_by_rules(name, Context::stranger(kind)).passes();
    let late: Vec<_> = lists.reported.iter().filter(|row| row.is_late()).collect();
    let late_features: Vec<Features> = late.iter().map(|row| read(&row.name, row.kind)).collect();
    let benign_features: Vec<Features> = lists.benign.iter().map(|row| read(&row.name, row.group.kind())).collect();
    let mut margins_late: Vec<Vec<i32>> = vec![Vec::new(); late.len()];
    let mut margins_benign = vec![0; lists.benign.len()];
    for fold in 0..FOLDS {
        let rows: Vec<(Features, bool)> = reported(lists).into_iter().chain(benign(lists, |name| fold_of(name) != fold)).collect();
        let model = fit(&rows);
        for (margins, features) in margins_late.iter_mut().zip(&late_features) {
            margins.push(model.margin_over(features));
        }
        for (at, _) in lists.benign.iter().enumerate().filter(|(_, row)| fold_of(&row.name) == fold) {
            margins_benign[at] = model.margin_over(&benign_features[at]);
        }
    }
    let ruled: Vec<bool> = lists.benign.iter().map(|row| by_rules(&row.name, row.group.kind())).collect();
    let bound = |group: Group, share: f64, with_rules: bool| {
        let of: Vec<(i32, bool)> = lists
            .benign
            .iter()
            .zip(margins_benign.iter().zip(&ruled))
            .filter(|(row, _)| row.group == group)
            .map(|(_, (margin, ruled))| (*margin, with_rules && *ruled))
            .collect();
        threshold(&of, share)
    };
    let domains = Thresholds {
        review: bound(Group::Mid, MID_HELD, true).max(bound(Group::Popular, POPULAR_HELD, true)),
        block: bound(Group::Mid, REFUSED, false).max(bound(Group::Popular, REFUSED, false)),
    };
    let projects = Thresholds {
        review: bound(Group::Hosts, HOSTS_HELD, true).max(bound(Group::Packages, PACKAGES_HELD, true)),
        block: bound(Group::Hosts, REFUSED, false).max(bound(Group::Packages, REFUSED, false)),
    };
    let thresholds = |kind: Kind| if kind == Kind::Domain { domains } else { projects };
    let mut table = Table::default();
    for (row, margins) in late.iter().zip(&margins_late) {
        let ruled = by_rules(&row.name, row.kind);
        for margin in margins {
            table.reported(row, &Fired::of(ruled, *margin, thresholds(row.kind)), FOLDS);
        }
    }
    for (row, (margin, ruled)) in lists.benign.iter().zip(margins_benign.iter().zip(&ruled)) {
        table.benign(row, &Fired::of(*ruled, *margin, thresholds(row.group.kind())));
    }
    ((domains, projects), table)
}

/// The smallest margin at which no more than a share fires, those that fire anyway among them.
fn threshold(rows: &[(i32, bool)], share: f64) -> i32 {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands of rows")]
    let allowed = (rows.len() as f64 * share) as usize;
    let anyway = rows.iter().filter(|(_, anyway)| *anyway).count();
    let mut margins: Vec<i32> = rows.iter().filter(|(_, anyway)| !anyway).map(|(margin, _)| *margin).collect();
    margins.sort_unstable_by(|a, b| b.cmp(a));
    margins.get(allowed.saturating_sub(anyway)).map_or(i32::MAX - 1, |margin| margin + 1)
}

fn reported(lists: &Lists) -> Vec<(Features, bool)> {
    lists.reported.iter().filter(|row| !row.is_late()).map(|row| (read(&row.name, row.kind), true)).collect()
}

fn benign(lists: &Lists, of: impl Fn(&str) -> bool) -> Vec<(Features, bool)> {
    lists.benign.iter().filter(|row| of(&row.name)).map(|row| (read(&row.name, row.group.kind()), false)).collect()
}

fn fold_of(name: &str) -> usize {
    usize::from(Sha256::digest(format!("fold:{name}"))[0]) % FOLDS
}

fn fit(rows: &[(Features, bool)]) -> Model {
    let mut weights = vec![0.0_f64; BUCKETS];
    let mut bias = 0.0_f64;
    let mut alphas = vec![0.0_f64; rows.len()];
    let diagonal = 0.5 / COST;
    let squares: Vec<f64> =
        rows.iter().map(|(features, _)| 1.0 + features.iter().map(|(_, x)| f64::from(*x) * f64::from(*x)).sum::<f64>()).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut random = 1_u64;
    for _ in 0..EPOCHS {
        shuffle(&mut order, &mut random);
        for &at in &order {
            let (features, reported) = &rows[at];
            let sign = if *reported { 1.0 } else { -1.0 };
            let margin = bias + features.iter().map(|(bucket, x)| weights[*bucket] * f64::from(*x)).sum::<f64>();
            let gradient = sign * margin - 1.0 + diagonal * alphas[at];
            let alpha = (alphas[at] - gradient / (squares[at] + diagonal)).max(0.0);
            let step = (alpha - alphas[at]) * sign;
            if step != 0.0 {
                alphas[at] = alpha;
                bias += step;
                features.iter().for_each(|(bucket, x)| weights[*bucket] += step * f64::from(*x));
            }
        }
    }
    quantised(&weights, bias)
}

#[allow(clippy::cast_possible_truncation, reason = "clamped before")]
fn quantised(weights: &[f64], bias: f64) -> Model {
    let largest = weights.iter().fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
    let scale = 127.0 / (largest * SPAN);
    Model {
        weights: weights.iter().map(|weight| (weight * scale).round().clamp(-127.0, 127.0) as i8).collect(),
        bias: (bias * scale).round() as i32,
        ..Model::silent()
    }
}

/// Fisher–Yates by SplitMix64.
fn shuffle(order: &mut [usize], random: &mut u64) {
    for at in (1..order.len()).rev() {
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        order.swap(at, usize::try_from(mixed % (at as u64 + 1)).unwrap());
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
