//! The second wall around files: what the inmate may do below its root, said to the kernel by itself (landlock(7)).
//!
//! The first wall is the root that holds nothing else. This one holds where a mount would be wrong: only workerd and its libraries
//! can be executed, and only the private space and the folder of Durable Objects can be written.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope,
};

use super::spec::{Bind, PROGRAM, SPACE};
use super::{JailError, Step};

/// The newest interface whose rights are named here; an older kernel enforces what it knows.
const NEWEST: ABI = ABI::V6;

/// Confines this thread and what it starts. Answers how much of it the kernel enforces.
pub fn confine(binds: &[Bind]) -> Result<&'static str, JailError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|r| r.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|r| r.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .step("make rules for files")?;
    let root = PathFd::new("/").step("open the root")?;
    let space = PathFd::new(Path::new("/").join(SPACE)).step("open its space")?;
    let writable = AccessFs::from_all(NEWEST) & !(AccessFs::Execute | AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev);
    let mut ruleset = ruleset
        .add_rule(PathBeneath::new(root, AccessFs::ReadFile | AccessFs::ReadDir))
        .and_then(|r| r.add_rule(PathBeneath::new(space, writable)))
        .step("make rules for files")?;
    for bind in binds {
        let path = Path::new("/").join(&bind.to);
        if bind.writable {
            let folder = PathFd::new(&path).step("open a folder to write to")?;
            ruleset = ruleset.add_rule(PathBeneath::new(folder, writable)).step("make rules for files")?;
        } else if bind.to == PROGRAM || bind.to.starts_with("lib") || bind.to.starts_with("usr/lib") {
            let file = PathFd::new(&path).step("open a library")?;
            ruleset = ruleset.add_rule(PathBeneath::new(file, AccessFs::Execute | AccessFs::ReadFile)).step("make rules for files")?;
        }
    }
    let status = ruleset.restrict_self().step("obey the rules for files")?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => "full",
        RulesetStatus::PartiallyEnforced => "partial",
        RulesetStatus::NotEnforced => "none",
    })
}
