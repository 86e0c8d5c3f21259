//! Migrations of Durable Objects: which classes there are, told as steps from one tag to the next.
//!
//! INVARIANT (lasting-key): a class gets its key when it is made and keeps it when it is renamed or moved to another Worker, so its
//! data stays with it. Only deleting a class deletes data.

use purser_values::Env;
use serde::Deserialize;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::plan::ObjectClass;
use crate::upload::metadata::invalid;

/// Classes of one Worker.
const CLASSES: usize = 100;
/// Longest name of a class, in bytes.
const CLASS_BYTES: usize = 255;

/// The classes of one environment of an account, and how far one Worker has come.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub tag: Option<String>,
    pub all: Vec<(ScriptName, ObjectClass)>,
}

/// What a client sends.
#[derive(Clone, Debug, Deserialize)]
pub struct Migrations {
    old_tag: Option<String>,
    new_tag: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
    /// The only step, where there are no `steps`.
    #[serde(flatten)]
    only: Step,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Step {
    #[serde(default)]
    new_classes: Vec<String>,
    #[serde(default)]
    new_sqlite_classes: Vec<String>,
    #[serde(default)]
    deleted_classes: Vec<String>,
    #[serde(default)]
    renamed_classes: Vec<Renamed>,
    #[serde(default)]
    transferred_classes: Vec<Transferred>,
}

#[derive(Clone, Debug, Deserialize)]
struct Renamed {
    from: String,
    to: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Transferred {
    from: String,
    from_script: ScriptName,
    to: String,
}

/// What migrations come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub tag: String,
    pub now: Vec<(ScriptName, ObjectClass)>,
    /// Classes whose data goes.
    pub gone: Vec<ObjectClass>,
}

impl Migrations {
    /// Whether they ask for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new_tag.is_none() && self.steps.is_empty() && self.only.is_empty()
    }

    /// What the account's classes are afterwards.
    ///
    /// # Errors
    /// When they begin elsewhere than the Worker is, or a step does not fit.
    pub fn apply(&self, script: &ScriptName, before: &Objects, env: &Env) -> Result<Change, WorkersError> {
        let Some(tag) = self.new_tag.clone().filter(|tag| !tag.is_empty() && tag.len() <= CLASS_BYTES) else {
            return Err(invalid("the migrations have no `new_tag`; give each a tag of its own"));
        };
        if self.old_tag != before.tag {
            let has = before.tag.as_deref().map_or("none".to_owned(), |tag| format!("`{tag}`"));
            return Err(invalid(format!(
                "the migrations begin at another tag than the Worker has, which is {has}; read it and send what is missing"
            )));
        }
        let mut change = Change { tag, now: before.all.clone(), gone: Vec::new() };
        for step in self.steps.iter().chain((!self.only.is_empty()).then_some(&self.only)) {
            change.step(script, step, env)?;
        }
        if change.now.iter().filter(|(owner, _)| owner == script).count() > CLASSES {
            return Err(invalid(format!("a Worker may have {CLASSES} classes of Durable Objects")));
        }
        Ok(change)
    }
}

impl Step {
    fn is_empty(&self) -> bool {
        self.new_classes.is_empty()
            && self.new_sqlite_classes.is_empty()
            && self.deleted_classes.is_empty()
            && self.renamed_classes.is_empty()
            && self.transferred_classes.is_empty()
    }
}

impl Change {
    fn step(&mut self, script: &ScriptName, step: &Step, env: &Env) -> Result<(), WorkersError> {
        for class in &step.deleted_classes {
            let at = self.find(script, class)?;
            self.gone.push(self.now.remove(at).1);
        }
        for Renamed { from, to } in &step.renamed_classes {
            let at = self.find(script, from)?;
            self.free(script, to)?;
            self.now[at].1.class.clone_from(to);
        }
        for Transferred { from, from_script, to } in &step.transferred_classes {
            let at = self.find(from_script, from)?;
            self.free(script, to)?;
            let class = ObjectClass { class: to.clone(), key: self.now[at].1.key.clone() };
            self.now[at] = (script.clone(), class);
        }
        for class in step.new_classes.iter().chain(&step.new_sqlite_classes) {
            self.free(script, class)?;
            let key = hex::encode(env.bytes::<16>());
            self.now.push((script.clone(), ObjectClass { class: class.clone(), key }));
        }
        Ok(())
    }

    fn find(&self, script: &ScriptName, class: &str) -> Result<usize, WorkersError> {
        let found = self.now.iter().position(|(owner, c)| owner == script && c.class == class);
        found.ok_or_else(|| {
            invalid(format!("a migration names the class `{}`, which `{script}` does not have in this environment", short(class)))
        })
    }

    fn free(&self, script: &ScriptName, class: &str) -> Result<(), WorkersError> {
        let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
        let bytes = class.as_bytes();
        let fits =
            bytes.first().is_some_and(|b| first(*b)) && bytes.len() <= CLASS_BYTES && bytes.iter().all(|b| first(*b) || b.is_ascii_digit());
        if !fits {
            return Err(invalid(format!("`{}` is not the name of a class", short(class))));
        }
        match self.now.iter().any(|(owner, c)| owner == script && c.class == class) {
            true => Err(invalid(format!("a migration makes the class `{class}`, which `{script}` has already"))),
            false => Ok(()),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Timestamp;

    fn apply(before: &Objects, text: &str) -> Result<Change, WorkersError> {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let migrations: Migrations = serde_json::from_str(text).unwrap();
        migrations.apply(&"shop".parse().unwrap(), before, &env)
    }

    #[test]
    fn a_class_keeps_its_key_under_another_name_and_another_worker() {
        let made = apply(&Objects::default(), r#"{"new_tag":"v1","steps":[{"new_sqlite_classes":["Cart"]}]}"#).unwrap();
        let key = made.now[0].1.key.clone();
        let at = |all: &[(ScriptName, ObjectClass)], tag: &str| Objects { tag: Some(tag.into()), all: all.to_vec() };
        let renamed = r#"{"old_tag":"v1","new_tag":"v2","steps":[{"renamed_classes":[{"from":"Cart","to":"Basket"}]}]}"#;
        let renamed = apply(&at(&made.now, "v1"), renamed).unwrap();
        assert_eq!(renamed.now[0].1, ObjectClass { class: "Basket".into(), key: key.clone() });
        let elsewhere = vec![("old".parse().unwrap(), renamed.now[0].1.clone())];
        let moved = r#"{"new_tag":"v1","transferred_classes":[{"from":"Basket","from_script":"old","to":"B"}]}"#;
        let moved = apply(&Objects { tag: None, all: elsewhere }, moved).unwrap();
        assert_eq!((moved.now[0].0.as_str(), &moved.now[0].1.key), ("shop", &key));
        assert!(moved.gone.is_empty());
        let gone = apply(&at(&moved.now, "v1"), r#"{"old_tag":"v1","new_tag":"v2","steps":[{"deleted_classes":["B"]}]}"#).unwrap();
        assert_eq!((gone.now.len(), &gone.gone[0].key), (0, &key));
    }

    #[test]
    fn migrations_that_do_not_fit_change_nothing() {
        for text in [
            r#"{"old_tag":"v0","new_tag":"v1","steps":[{"new_sqlite_classes":["A"]}]}"#,
            r#"{"steps":[{"new_sqlite_classes":["A"]}]}"#,
            r#"{"new_tag":"v1","steps":[{"deleted_classes":["A"]}]}"#,
            r#"{"new_tag":"v1","steps":[{"new_classes":["A","A"]}]}"#,
            r#"{"new_tag":"v1","steps":[{"new_classes":["a\"b"]}]}"#,
        ] {
            assert_eq!(apply(&Objects::default(), text).unwrap_err().code(), 10_021, "{text}");
        }
    }
}
