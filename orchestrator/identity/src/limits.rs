//! Every limit of this domain that is not shared with other rooms (those are in `purser_values::limits`).

/// Window in which unused sign-in codes are counted, in seconds.
pub const SIGN_IN_WINDOW_S: i64 = 900;
/// Unused codes in a window that one peer may ask for, and that it may ask for one address.
pub const SIGN_IN_CODES_PER_PEER: i64 = 30;
pub const SIGN_IN_CODES_PER_PEER_AND_ADDRESS: i64 = 5;
/// Unused codes in a window, and in a day, that a browser may ask for that signed in with the address before.
pub const SIGN_IN_CODES_PER_BROWSER: i64 = 5;
pub const SIGN_IN_CODES_PER_BROWSER_DAY: i64 = 20;
/// Unused codes of one address, in a window and in a day, whoever asks for them, from which on codes are rare and long: with five
/// tries each, a guesser has one chance in ten thousand a day.
pub const SIGN_IN_CODES_PER_ADDRESS: i64 = 5;
pub const SIGN_IN_CODES_PER_ADDRESS_DAY: i64 = 20;
/// Time between two mails with a code to an address that is asked for too often, in seconds.
pub const SIGN_IN_RARE_S: i64 = 60;
/// Digits of a code, and of one to an address that is asked for too often: with five tries a minute for a whole day, a guesser has
/// less than one chance in a million.
pub const SIGN_IN_DIGITS: usize = 6;
pub const SIGN_IN_DIGITS_LONG: usize = 10;
/// Time for which a browser is known after it signed in, in seconds.
pub const KNOWN_BROWSER_LIFE_S: i64 = 365 * 86_400;
/// Codes that a signed-in person may ask for to prove once more that it is they, in a window and in a day; used ones count too.
pub const PRESENCE_CODES: i64 = 5;
pub const PRESENCE_CODES_DAY: i64 = 20;
/// Passkeys of one person, and the longest name of one, in characters.
pub const PASSKEYS: usize = 20;
pub const PASSKEY_NAME_CHARS: usize = 60;
/// Time from the page that asks for a passkey to the answer, in seconds.
pub const PASSKEY_CHALLENGE_LIFE_S: i64 = 300;
/// Wrong codes of an app (or recovery codes) of one person in a window and in a day: with three codes right at a time, a guesser
/// with a stolen session has less than one chance in ten thousand a day.
pub const TOTP_TRIES: i64 = 5;
pub const TOTP_TRIES_DAY: i64 = 20;
/// Recovery codes that come with an app.
pub const RECOVERY_CODES: usize = 10;
/// Time from asking for a recovery to its end, in seconds: long enough to notice the mail; and how long it can then be finished.
pub const RECOVERY_WAIT_S: i64 = 86_400;
pub const RECOVERY_OPEN_S: i64 = 7 * 86_400;
/// Time for which a mailed link undoes a change of address, in seconds; what was added so long before the change goes with it.
pub const UNDO_LIFE_S: i64 = 7 * 86_400;
pub const UNDO_BEFORE_S: i64 = 86_400;
/// Time from sending a person to their company's sign-in to the answer, and to the proof of a login that exists, in seconds.
pub const SSO_ATTEMPT_LIFE_S: i64 = 600;
/// How long ago a company may have asked who somebody is for a sign-in here, in seconds: as long as a session lives.
pub const SSO_MAX_AGE_S: i64 = purser_values::limits::SESSION_LIFE_S;
/// Sign-ins with a company that one peer may have begun and not ended at a time: all of an office may come from one address.
pub const SSO_ATTEMPTS_PER_PEER: i64 = 300;
/// Longest life that an ID token of a company's may still have, in seconds.
pub const ID_TOKEN_FOREIGN_LIFE_S: i64 = 86_400;
/// How old a company's word of a logout may be, in seconds, and its longest `jti`, in characters.
pub const LOGOUT_FOREIGN_AGE_S: i64 = 300;
pub const LOGOUT_JTI_CHARS: usize = 255;
/// Longest `sub` (OpenID Connect Core 1.0, 2), and most and longest groups, `amr` and `acr` that are kept.
pub const SSO_SUBJECT_CHARS: usize = 255;
pub const SSO_GROUPS: usize = 1_000;
pub const SSO_WORDS: usize = 16;
pub const SSO_WORD_CHARS: usize = 256;
/// Connected company accounts of one person.
pub const SSO_IDENTITIES: usize = 10;
/// Longest name of a browser that the list of sessions keeps, in characters.
pub const BROWSER_NAME_CHARS: usize = 200;
/// Undecided grant requests of one peer at a time.
pub const GRANT_REQUESTS_PER_PEER: i64 = 30;
/// Life of a grant when the agent asks for none, and the longest, in seconds.
pub const GRANT_LIFE_S: i64 = 30 * 86_400;
pub const GRANT_LIFE_MAX_S: i64 = 90 * 86_400;
/// Shortest life of a grant, in seconds.
pub const GRANT_LIFE_MIN_S: i64 = 60;
/// Agents between a grant that a person gave and the last one derived from it.
pub const GRANT_DEPTH: usize = 4;
/// Grants in force that may be derived from one grant.
pub const GRANT_CHILDREN: i64 = 100;
/// Life of a request for an approval, and then of the approval itself, in seconds.
pub const APPROVAL_LIFE_S: i64 = 3_600;
/// Undecided requests of one agent or person at a time.
pub const APPROVALS_PER_REQUESTER: usize = 20;
/// Longest reason of a request, in characters.
pub const APPROVAL_REASON_CHARS: usize = 500;
/// Most projects, environments, providers and services that one grant writes out.
pub const SCOPE_ENTRIES: usize = 20;
/// Age, both ways, at which a DPoP proof is stale, in seconds.
pub const DPOP_TOLERANCE_S: i64 = 60;
/// Longest `jti` of a DPoP proof, in bytes.
pub const DPOP_JTI_BYTES: usize = 128;
/// Time for which one nonce for DPoP proofs is handed out, in seconds; it is taken for as long again.
pub const DPOP_NONCE_S: i64 = 300;
/// Longest life of the statement by which a sub-agent shows its key, in seconds.
pub const ACTOR_TOKEN_LIFE_S: i64 = 300;
/// Shortest and longest life of a grant that a workload gets, in seconds.
pub const WORKLOAD_LIFE_MIN_S: i64 = 60;
pub const WORKLOAD_LIFE_MAX_S: i64 = 900;
/// Longest that another issuer's token may still live when it is exchanged, in seconds.
pub const WORKLOAD_TOKEN_LIFE_S: i64 = 86_400;
/// Longest issuer, audience, subject and claim that a trust names, in characters, and most claims.
pub const WORKLOAD_TEXT_CHARS: usize = 512;
pub const WORKLOAD_CLAIMS: usize = 16;
/// Trusts that one organisation may have.
pub const WORKLOAD_TRUSTS: i64 = 200;
/// Longest life of a client assertion, in seconds (libraries sign them for an hour; each works once anyway), and by how much the
/// clocks of others may differ from ours.
pub const ASSERTION_LIFE_S: i64 = 3_600;
pub const CLOCK_SKEW_S: i64 = 60;
/// Clients that one peer may register in an hour, and that may register themselves in an hour all together.
pub const CLIENTS_PER_PEER_HOUR: i64 = 20;
pub const CLIENTS_PER_HOUR: i64 = 1_000;
/// Life of a pushed authorization request, and of one that a browser has begun, in seconds.
pub const PUSHED_LIFE_S: i64 = 60;
pub const AUTHORIZATION_LIFE_S: i64 = 900;
/// Authorization requests of one peer that wait at a time.
pub const AUTHORIZATIONS_PER_PEER: i64 = 200;
/// Life of an authorization code, in seconds.
pub const CODE_LIFE_S: i64 = 60;
/// Life of a client's refresh tokens after the sign-on, all rotations together, in seconds.
pub const SIGN_ON_LIFE_S: i64 = 30 * 86_400;
/// Life of an ID token and of a logout token, in seconds.
pub const ID_TOKEN_LIFE_S: i64 = 600;
pub const LOGOUT_TOKEN_LIFE_S: i64 = 120;
/// Longest name of an organisation, in characters.
pub const ORGANISATION_NAME_CHARS: usize = 80;
/// Organisations that one person may own.
pub const ORGANISATIONS_PER_PERSON: i64 = 20;
/// Life of an invitation, in seconds.
pub const INVITATION_LIFE_S: i64 = 7 * 86_400;
/// Invitations of one organisation that wait at a time, that it may send in a day, and that anybody may send to one address in a day.
pub const INVITATIONS_WAITING: i64 = 100;
pub const INVITATIONS_PER_ORGANISATION_DAY: i64 = 200;
pub const INVITATIONS_PER_ADDRESS_DAY: i64 = 5;
/// Life of the first owner's link, in seconds.
pub const BOOTSTRAP_LIFE_S: i64 = 86_400;
/// Time for which a client may use a fetched key set without asking again, in seconds.
pub const KEY_SET_FRESH_S: i64 = 300;
/// Longest time for which a provider may trust a key that it has fetched, in seconds.
pub const KEY_TRUST_S: i64 = 86_400;
/// Time between a signing key's publication and its first signature, in seconds: whoever keeps our keys for as long as we allow has
/// the new one by then.
pub const KEY_HEAD_START_S: i64 = KEY_TRUST_S + 3_600;
/// The same in an emergency: time in which every node reads the new key from the store.
pub const KEY_SETTLE_S: i64 = 2;
/// Time for which a key stays published after its last signature, in seconds: the longest life of what it signed.
pub const KEY_VERIFIES_S: i64 = GRANT_LIFE_MAX_S;
/// Time after its last signature in which a token of a key is still taken, in seconds: whoever steals a retired key later makes
/// nothing of it.
pub const KEY_TOKENS_S: i64 = purser_values::limits::ACCESS_TOKEN_LIFE_S + CLOCK_SKEW_S;
