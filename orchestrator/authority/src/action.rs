//! What can be asked for, and by whom: the role table.
//!
//! Each action is a type, so that a [`crate::Permit`] for one cannot be spent on another. Its name is the audit verb, the
//! route's operation and the metric.

mod words;

pub use words::{verb_words, words};

use crate::caller::Role;

/// Who may do an action, before the facts of the case are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub name: &'static str,
    /// Roles of persons who may.
    pub persons: &'static [Role],
    /// Whether an agent may, if its grant lists the action.
    pub agents: bool,
    pub providers: bool,
    pub anonymous: bool,
    /// Whether a frozen agent may still do it. Only for looking.
    pub while_frozen: bool,
    /// Whether a person must have proved within [`crate::STEP_UP_S`] that they are there: what raises authority, lets money
    /// out, or changes who can get in. What stops something never needs it.
    pub step_up: bool,
}

/// A marker type for one action.
pub trait Action: Send + Sync + 'static {
    const RULE: Rule;
}

/// An action that agents can be granted may be named in a grant; the rest are for people.
pub fn grantable() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|rule| rule.agents).map(|rule| rule.name)
}

const EVERYBODY: &[Role] = &[Role::Owner, Role::Admin, Role::Member, Role::Billing, Role::Auditor];
const MAKERS: &[Role] = &[Role::Owner, Role::Admin, Role::Member];
const LEADERS: &[Role] = &[Role::Owner, Role::Admin];
const PAYERS: &[Role] = &[Role::Owner, Role::Admin, Role::Billing];
const HOLDERS: &[Role] = &[Role::Owner, Role::Admin, Role::Member, Role::Billing];
const OWNERS: &[Role] = &[Role::Owner];
const NOBODY: &[Role] = &[];

macro_rules! actions {
    ($($(#[$doc:meta])* $type:ident = $name:literal by $persons:ident $(, $flag:ident)*;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $type {}
            impl Action for $type {
                const RULE: Rule = {
                    #[allow(unused_mut, reason = "actions without flags leave the rule as it is")]
                    let mut rule = Rule { name: $name, persons: $persons, agents: false, providers: false, anonymous: false, while_frozen: false, step_up: false };
                    $(rule.$flag = true;)*
                    rule
                };
            }
        )*
        /// Every action, for the golden table of who may do what.
        pub const ALL: &[Rule] = &[$($type::RULE),*];
    };
}

actions! {
    /// Ask for a sign-in code and use it.
    SignIn = "sign_in" by EVERYBODY, anonymous;
    /// Prove once more that it is oneself.
    StepUp = "step_up" by EVERYBODY;
    /// See one's own passkeys, app and sessions, and end sessions.
    SecurityRead = "security_read" by EVERYBODY;
    SessionEnd = "session_end" by EVERYBODY;
    PasskeyAdd = "passkey_add" by EVERYBODY, step_up;
    PasskeyRemove = "passkey_remove" by EVERYBODY, step_up;
    TotpAdd = "totp_add" by EVERYBODY, step_up;
    TotpRemove = "totp_remove" by EVERYBODY, step_up;
    EmailChange = "email_change" by EVERYBODY, step_up;
    /// Connect one's login with an account at a company's OpenID provider, and undo it.
    SsoLink = "sso_link" by EVERYBODY, step_up;
    SsoUnlink = "sso_unlink" by EVERYBODY, step_up;
    /// A company says that somebody signed out there.
    SsoLogout = "sso_logout" by NOBODY, anonymous;
    /// The operator's: part a login from a company account or an address that changed hands.
    SsoForget = "sso_forget" by NOBODY;
    /// Start a device flow: ask a person for a grant.
    GrantRequest = "grant_request" by EVERYBODY, agents, anonymous;
    /// Accept or deny an agent's request; raises authority, so never an agent.
    GrantDecide = "grant_decide" by MAKERS;
    /// What a decision needs besides when it is a yes.
    GrantAccept = "grant_accept" by MAKERS, step_up;
    GrantRevoke = "grant_revoke" by MAKERS;
    /// Exchange a decision or a refresh token for an access token.
    TokenIssue = "token_issue" by NOBODY, agents, anonymous;
    /// End a token that one holds.
    TokenRevoke = "token_revoke" by NOBODY, anonymous;
    /// Ask, as a client, that a person be sent to decide.
    AuthorizationRequest = "authorization_request" by EVERYBODY, anonymous;
    /// Let a client know who one is, or not.
    AuthorizationDecide = "authorization_decide" by EVERYBODY;
    /// Make an OAuth client known here: a person for the organisation, or the client for itself.
    ClientRegister = "client_register" by LEADERS, anonymous, step_up;
    ClientRead = "client_read" by EVERYBODY;
    ClientRemove = "client_remove" by LEADERS;
    TermsAccept = "terms_accept" by MAKERS, step_up;
    MembershipRead = "membership_read" by EVERYBODY;
    /// Offer somebody a role; only an owner may offer an owner's.
    MemberInvite = "member_invite" by LEADERS, step_up;
    InvitationRevoke = "invitation_revoke" by LEADERS;
    /// Take an offered role, as the person whom it was offered to.
    InvitationAccept = "invitation_accept" by EVERYBODY;
    MemberRoleSet = "member_role_set" by LEADERS;
    /// What setting a role needs besides when it becomes a stronger one.
    MemberRoleRaise = "member_role_raise" by LEADERS, step_up;
    MemberRemove = "member_remove" by LEADERS;
    /// Leave the organisation oneself.
    MemberLeave = "member_leave" by EVERYBODY;
    OrganisationCreate = "organisation_create" by OWNERS;
    OrganisationRename = "organisation_rename" by LEADERS;
    /// Use another organisation of one's own from here on.
    SessionSwitch = "session_switch" by EVERYBODY;
    /// The operator's: make the link by which the first owner comes.
    BootstrapMint = "bootstrap_mint" by NOBODY;
    /// The operator's: stop a person or an organisation as a whole, or let it go on.
    PersonDisable = "person_disable" by NOBODY;
    PersonEnable = "person_enable" by NOBODY;
    OrganisationDisable = "organisation_disable" by NOBODY;
    OrganisationEnable = "organisation_enable" by NOBODY;
    /// The operator's: see the signing keys, and put new ones in their place.
    SigningKeyRead = "signing_key_read" by NOBODY;
    SigningKeyRotate = "signing_key_rotate" by NOBODY;
    /// The operator's: go on although the books did not add up.
    LedgerAcknowledge = "ledger_acknowledge" by NOBODY;
    /// See which terms are in force and who accepted which text.
    TermsRead = "terms_read" by EVERYBODY;
    AgentRead = "agent_read" by EVERYBODY;
    /// Let another agent act within one's own grant.
    AgentDelegate = "agent_delegate" by NOBODY, agents;
    /// Let workloads of another issuer act within a grant.
    WorkloadTrustAdd = "workload_trust_add" by MAKERS, step_up;
    WorkloadTrustRead = "workload_trust_read" by EVERYBODY;
    WorkloadTrustRemove = "workload_trust_remove" by MAKERS;
    /// Ask for a person's yes to one exact request.
    ApprovalRequest = "approval_request" by MAKERS, agents;
    ApprovalRead = "approval_read" by EVERYBODY, agents, while_frozen;
    /// Say yes or no to one exact request; an agent never can.
    ApprovalDecide = "approval_decide" by MAKERS;
    /// What a decision over a request needs besides when it is a yes.
    ApprovalGive = "approval_give" by MAKERS, step_up;
    AgentFreeze = "agent_freeze" by MAKERS, while_frozen;
    AgentThaw = "agent_thaw" by MAKERS, step_up;
    CapRead = "cap_read" by EVERYBODY, agents, while_frozen;
    /// Raise or lower a cap; an agent can never.
    CapSet = "cap_set" by LEADERS;
    /// What setting a cap needs besides when it goes up.
    CapRaise = "cap_raise" by LEADERS, step_up;
    /// State by which rate purchases count against ceilings in other currencies; an agent can never.
    RateSet = "rate_set" by OWNERS, step_up;
    /// Plan what is to be spent, and what happens at which part of it; an agent can never.
    BudgetSet = "budget_set" by PAYERS;
    /// What changing a budget needs besides when it stops less than before.
    BudgetLoosen = "budget_loosen" by PAYERS, step_up;
    /// Have messages sent to an address, with a secret that signs them; and stop that.
    WebhookAdd = "webhook_add" by PAYERS, step_up;
    WebhookRotate = "webhook_rotate" by PAYERS, step_up;
    WebhookRemove = "webhook_remove" by PAYERS;
    WebhookRead = "webhook_read" by EVERYBODY;
    /// Put a card on file, and confirm it.
    PaymentMethodSet = "payment_method_set" by PAYERS, step_up;
    PaymentMethodRemove = "payment_method_remove" by PAYERS;
    PaymentMethodRead = "payment_method_read" by EVERYBODY;
    /// Charges go on although a payment is disputed.
    ChargebackLift = "chargeback_lift" by PAYERS, step_up;
    /// Goes to the bank for a charge that waits there; the bank has the last word.
    ChargeConfirm = "charge_confirm" by HOLDERS;
    SpendRead = "spend_read" by EVERYBODY, agents, while_frozen;
    CatalogueRead = "catalogue_read" by EVERYBODY, agents, anonymous, while_frozen;
    ProjectCreate = "project_create" by MAKERS, agents;
    ProjectRead = "project_read" by EVERYBODY, agents, while_frozen;
    AccountLink = "account_link" by MAKERS, agents;
    /// A provider says that a person agreed at its side.
    AccountConfirm = "account_confirm" by NOBODY, providers;
    AccountRead = "account_read" by EVERYBODY, agents, while_frozen;
    ResourceAdd = "resource_add" by MAKERS, agents;
    /// Say what a provider wants to know before it makes a resource.
    ResourceInform = "resource_inform" by MAKERS;
    ResourceRead = "resource_read" by EVERYBODY, agents, while_frozen;
    ResourceRemove = "resource_remove" by MAKERS, agents;
    ResourceRotate = "resource_rotate" by MAKERS, agents;
    /// Turn a resource into another service of its provider; what is dearer needs `resource_add` too.
    ResourceUpdate = "resource_update" by MAKERS, agents;
    /// See a credential in plain text.
    CredentialExport = "credential_export" by MAKERS, agents, step_up;
    DeploymentCreate = "deployment_create" by MAKERS, agents;
    TraceRead = "trace_read" by EVERYBODY, agents, while_frozen;
    EventRead = "event_read" by EVERYBODY, agents, while_frozen;
    /// Ask for a provider's credit for the organisation.
    CreditApply = "credit_apply" by HOLDERS, agents;
    CreditRead = "credit_read" by EVERYBODY, agents, while_frozen;
    /// Attest that an organisation is eligible, or not: for the people whom the operator names.
    CreditDecide = "credit_decide" by EVERYBODY, step_up;
    /// A provider takes money from a payment token.
    ChargeCreate = "charge_create" by NOBODY, providers;
    /// A provider sets money aside for use that has not accrued yet.
    UsageHold = "usage_hold" by NOBODY, providers;
    /// A provider gives back money that it set aside for use and does not need.
    UsageRelease = "usage_release" by NOBODY, providers;
    /// A provider gives back what it charged.
    RefundCreate = "refund_create" by NOBODY, providers;
    /// A provider tells what happened at its side.
    ProviderEvent = "provider_event" by NOBODY, providers;
}
