//! The evaluation lists, as they come.

use std::fs;
use std::path::Path;

use purser_guard::{Kind, Names};

/// The first month whose reported names are never trained on.
pub const LATE: &str = "202506";

#[derive(Clone, Copy)]
pub enum Half {
    Develop,
    HeldOut,
}

pub struct Reported {
    pub name: String,
    pub kind: Kind,
    pub month: String,
    pub source: String,
}

impl Reported {
    pub fn is_late(&self) -> bool {
        self.month.as_str() >= LATE
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    Mid,
    Popular,
    Hosts,
    Packages,
}

pub struct Benign {
    pub name: String,
    pub group: Group,
}

impl Group {
    pub fn kind(self) -> Kind {
        if matches!(self, Self::Mid | Self::Popular) { Kind::Domain } else { Kind::Project }
    }
}

pub struct Lists {
    pub reported: Vec<Reported>,
    pub benign: Vec<Benign>,
}

impl Lists {
    pub fn load(folder: &Path, half: Half) -> Option<Self> {
        let ending = match half {
            Half::Develop => "dev",
            Half::HeldOut => "heldout",
        };
        let rows = |name: &str| -> Option<Vec<Vec<String>>> {
            let text = fs::read_to_string(folder.join(format!("{name}.{ending}.txt"))).ok()?;
            Some(text.lines().filter(|line| !line.is_empty()).map(|line| line.split('\t').map(str::to_owned).collect()).collect())
        };
        let reported = |list: &str, kind: Kind| -> Option<Vec<Reported>> {
            let of = |row: Vec<String>| Reported { name: row[0].clone(), kind, month: row[1].clone(), source: row[2].clone() };
            Some(rows(list)?.into_iter().map(of).collect())
        };
        let mut lists = Self { reported: reported("phish-domains", Kind::Domain)?, benign: Vec::new() };
        lists.reported.extend(reported("phish-projects", Kind::Project)?);
        let brands = Names::default();
        for row in rows("benign-midtail")? {
            lists.benign.push(Benign { name: row[0].clone(), group: Group::Mid });
        }
        for row in rows("benign-popular")? {
            // the names of protected brands themselves belong to their owners
            let first = row[0].split('.').next().unwrap_or_default();
            if !brands.brands().contains(first) {
                lists.benign.push(Benign { name: row[0].clone(), group: Group::Popular });
            }
        }
        for row in rows("benign-projects")? {
            let group = if row[0].ends_with(".project") { Group::Packages } else { Group::Hosts };
            lists.benign.push(Benign { name: row[0].clone(), group });
        }
        Some(lists)
    }
}
