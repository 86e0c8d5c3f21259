//! Authorization requests (RFC 6749, 4.1; OAuth 2.1): a client sends a person here to sign on with it, or to grant an agent something.
//!
//! A request is checked as a whole ([`Asked`]), kept, bound to the browser that brings it, and answered once: with a code, or with
//! the reason why not. Codes work with PKCE only. What a person is asked for is either a **sign-on** (who they are) or a **grant**
//! (an agent acting for them): a grant goes through the same request, page and decision as one that a terminal asks for.

mod ask;
mod begin;
pub mod code;
pub mod consent;
mod decide;
pub mod details;
pub mod device;
mod push;
mod redirect;
pub mod sign_on;

pub use ask::{Asked, AskedGrant, Prompt, Refusal, answer, resource_of};
pub use begin::{BeginError, Pending, authorization_begin, authorization_find};
pub use decide::{Answer, Choice, DecideError, authorization_decide, authorization_refuse, of_grant_request};
pub use push::{Pushed, authorization_push, authorization_take};
pub use redirect::{RedirectError, redirect_of};
