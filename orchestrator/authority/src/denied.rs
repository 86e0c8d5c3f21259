//! Why a caller may not.

use purser_values::error::{Kind, PublicError};
use serde_json::{Value, json};

use crate::action::words;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("nobody is signed in")]
    Anonymous,
    #[error("your role here, {role}, does not let you {}", words(action))]
    Role { role: &'static str, action: &'static str },
    #[error("an agent may not {}; only a person can", words(action))]
    AgentNever { action: &'static str },
    #[error("to {}, confirm first that it is you", words(action))]
    StepUpRequired { action: &'static str },
    #[error("the grant does not cover {what}")]
    NotGranted { what: String },
    #[error("the grant has ended")]
    GrantEnded,
    #[error("the agent is frozen")]
    Frozen,
    #[error("there is no such thing")]
    NotFound,
}

impl PublicError for Denied {
    fn code(&self) -> &'static str {
        match self {
            Self::Anonymous => "not_signed_in",
            Self::Role { .. } => "role_not_allowed",
            Self::AgentNever { .. } => "agent_not_allowed",
            Self::StepUpRequired { .. } => "step_up_required",
            Self::NotGranted { .. } => "not_granted",
            Self::GrantEnded => "grant_ended",
            Self::Frozen => "agent_frozen",
            Self::NotFound => "not_found",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Anonymous | Self::GrantEnded => Kind::Unauthenticated,
            Self::Role { .. } | Self::Frozen => Kind::Forbidden,
            Self::AgentNever { .. } | Self::StepUpRequired { .. } | Self::NotGranted { .. } => Kind::NeedsPerson,
            Self::NotFound => Kind::NotFound,
        }
    }

    /// What was tried by its name, for programs: the text is for people.
    fn details(&self) -> Option<Value> {
        match self {
            Self::Role { role, action } => Some(json!({ "action": action, "role": role })),
            Self::AgentNever { action } | Self::StepUpRequired { action } => Some(json!({ "action": action })),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Anonymous => "sign in with `purser login`".to_owned(),
            Self::Role { .. } => "ask an owner or admin of the organisation".to_owned(),
            Self::AgentNever { .. } => "ask your person: it is done on their pages, not by any flag".to_owned(),
            Self::StepUpRequired { .. } => "confirm it on the page `/step-up`; in a terminal, sign in again".to_owned(),
            Self::NotGranted { .. } => "run `purser login` again to ask your person for a wider grant".to_owned(),
            Self::GrantEnded => "run `purser login` to ask your person for a new grant".to_owned(),
            Self::Frozen => "a person, or a budget that is spent, froze this agent; a person can thaw it on the agents page".to_owned(),
            Self::NotFound => "check the spelling; what belongs to another organisation is not shown".to_owned(),
        })
    }
}
