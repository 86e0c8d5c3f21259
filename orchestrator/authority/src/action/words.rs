//! What an action is, in the words of people: the end of "your role does not let you …".

/// The words for an action's name. An action without words of its own is told by its name, which a test forbids.
#[must_use]
pub fn words(action: &str) -> &str {
    match action {
        "sign_in" => "sign in",
        "step_up" => "confirm that it is you",
        "security_read" => "see how somebody signs in",
        "session_end" => "sign a browser out",
        "passkey_add" => "add a passkey",
        "passkey_remove" => "remove a passkey",
        "totp_add" => "add an app that shows codes",
        "totp_remove" => "remove the app that shows codes",
        "email_change" => "change the address of the login",
        "sso_link" => "connect a company's sign-in",
        "sso_unlink" => "disconnect a company's sign-in",
        "sso_logout" => "say that somebody signed out at a company",
        "sso_forget" => "part a login from an address",
        "grant_request" => "ask for a grant",
        "grant_decide" => "decide whether an agent may act",
        "grant_accept" => "let an agent act",
        "grant_revoke" => "end what an agent may do",
        "token_issue" => "get a token",
        "token_revoke" => "end a token",
        "authorization_request" => "send a person to decide",
        "authorization_decide" => "let an application know who you are",
        "client_register" => "register an application",
        "client_read" => "see the registered applications",
        "client_remove" => "remove an application",
        "terms_accept" => "accept a provider's terms",
        "membership_read" => "see who belongs to the organisation",
        "member_invite" => "invite somebody",
        "invitation_revoke" => "take an invitation back",
        "invitation_accept" => "take an invitation",
        "member_role_set" => "change somebody's role",
        "member_role_raise" => "give somebody a stronger role",
        "member_remove" => "remove somebody from the organisation",
        "member_leave" => "leave the organisation",
        "organisation_create" => "create an organisation",
        "organisation_rename" => "rename the organisation",
        "session_switch" => "switch to another organisation",
        "bootstrap_mint" => "make the first owner's link",
        "person_disable" => "stop a person",
        "person_enable" => "let a person sign in again",
        "organisation_disable" => "stop an organisation",
        "organisation_enable" => "let an organisation go on",
        "signing_key_read" => "see the signing keys",
        "signing_key_rotate" => "change the signing keys",
        "terms_read" => "see the accepted terms",
        "agent_read" => "see the agents",
        "agent_delegate" => "let another agent help",
        "workload_trust_add" => "let workloads act",
        "workload_trust_read" => "see which workloads may act",
        "workload_trust_remove" => "take a workload's trust back",
        "approval_request" => "ask for an approval",
        "approval_read" => "see the approvals",
        "approval_decide" => "decide over this request",
        "approval_give" => "approve a request",
        "agent_freeze" => "freeze an agent",
        "agent_thaw" => "thaw an agent",
        "cap_read" => "see the limits",
        "cap_set" => "change a limit",
        "cap_raise" => "raise a limit",
        "payment_method_set" => "put a card on file",
        "payment_method_remove" => "remove a card",
        "payment_method_read" => "see the cards on file",
        "spend_read" => "see what was spent",
        "catalogue_read" => "read the catalogue",
        "project_create" => "create a project",
        "project_read" => "see a project",
        "account_link" => "connect an account at a provider",
        "account_confirm" => "confirm an account",
        "account_read" => "see the accounts at providers",
        "resource_add" => "add a service",
        "resource_read" => "see a service",
        "resource_remove" => "remove a service",
        "resource_rotate" => "change a service's credentials",
        "credential_export" => "see credentials in plain text",
        "deployment_create" => "deploy code",
        "trace_read" => "trace who did what",
        "event_read" => "read the log",
        "charge_create" => "charge a payment token",
        "refund_create" => "give money back",
        "provider_event" => "report an event",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ALL;

    #[test]
    fn every_action_has_words_for_people() {
        let bare: Vec<&str> = ALL.iter().map(|rule| rule.name).filter(|name| words(name) == *name).collect();
        assert!(bare.is_empty(), "no words for {bare:?}");
    }
}
