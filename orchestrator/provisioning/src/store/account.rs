//! Accounts at providers.

use purser_crypto::seal::Keyring;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AccountId, AgentId, GrantId, OrganisationId, PersonId};
use purser_values::name::ProviderName;
use purser_values::{Env, Secret, Timestamp};

/// An organisation's account at a provider, or the request for one.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub organisation: OrganisationId,
    pub provider: ProviderName,
    /// The id sent with the account request, the same at every repetition.
    pub request: String,
    /// The provider's id of the account, once it is open.
    pub provider_account: Option<String>,
    pub person: PersonId,
    pub agent: AgentId,
    pub grant: GrantId,
    pub created_at: Timestamp,
    expires_at: Option<Timestamp>,
    access: Option<Vec<u8>>,
    refresh: Option<Vec<u8>>,
}

/// Who asked for the account.
#[derive(Clone, Debug)]
pub struct Asker<'a> {
    pub organisation: &'a OrganisationId,
    pub person: &'a PersonId,
    pub agent: &'a AgentId,
    pub grant: &'a GrantId,
}

/// The provider's tokens for the account.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: Secret<String>,
    pub refresh: Option<Secret<String>>,
    pub expires_at: Option<Timestamp>,
}

const SELECT: &str =
    "select id, organisation, provider, request, provider_account, person, agent, grant_id, created_at, expires_at, access, refresh
    from account where organisation = $1 and provider = $2";

/// The organisation's account at the provider; the row is made now, before the provider is asked, if there is none.
pub fn ensure(tx: &mut Tx<'_>, env: &Env, asker: &Asker<'_>, provider: &ProviderName) -> Result<Account, DbError> {
    let id = AccountId::mint(env);
    let insert = "insert into account (id, organisation, provider, state, request, person, agent, grant_id, created_at)
                  values ($1, $2, $3, 'requested', $4, $5, $6, $7, $8) on conflict (organisation, provider) do nothing";
    let request = format!("arq_{}", id.as_str().trim_start_matches("acc_"));
    tx.execute(insert, params![id, asker.organisation, provider, request, asker.person, asker.agent, asker.grant, env.now()])?;
    find(tx, asker.organisation, provider)?.ok_or(DbError::NoRow)
}

pub fn find(tx: &mut Tx<'_>, organisation: &OrganisationId, provider: &ProviderName) -> Result<Option<Account>, DbError> {
    tx.query_opt(SELECT, params![organisation, provider])?.map(|row| read(&row)).transpose()
}

pub fn by_provider_account(tx: &mut Tx<'_>, provider: &ProviderName, provider_account: &str) -> Result<Option<Account>, DbError> {
    let select =
        "select id, organisation, provider, request, provider_account, person, agent, grant_id, created_at, expires_at, access, refresh
                  from account where provider = $1 and provider_account = $2";
    tx.query_opt(select, params![provider, provider_account])?.map(|row| read(&row)).transpose()
}

/// The account that is asked for under this id.
pub fn by_request(tx: &mut Tx<'_>, request: &str) -> Result<Option<Account>, DbError> {
    let select =
        "select id, organisation, provider, request, provider_account, person, agent, grant_id, created_at, expires_at, access, refresh
                  from account where request = $1";
    tx.query_opt(select, params![request])?.map(|row| read(&row)).transpose()
}

pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Account>, DbError> {
    let select =
        "select id, organisation, provider, request, provider_account, person, agent, grant_id, created_at, expires_at, access, refresh
                  from account where organisation = $1 order by provider";
    tx.query(select, params![organisation])?.iter().map(read).collect()
}

/// Keeps the provider's account id and tokens. A second organisation with the same account id violates a unique key.
pub fn opened(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    id: &AccountId,
    provider_account: &str,
    tokens: &Tokens,
) -> Result<(), DbError> {
    let (access, refresh) = sealed(env, keyring, id, tokens)?;
    let update = "update account set state = 'open', provider_account = $2, access = $3, refresh = $4, expires_at = $5 where id = $1";
    tx.execute(update, params![id, provider_account, access, refresh, tokens.expires_at]).map(drop)
}

/// The provider does not know the tokens any more: they go, the account stays pinned. False when they were replaced meanwhile.
pub fn unlinked(tx: &mut Tx<'_>, account: &Account) -> Result<bool, DbError> {
    let update = "update account set state = 'unlinked', access = null, refresh = null, expires_at = null where id = $1 and access = $2";
    Ok(tx.execute(update, params![account.id, account.access])? == 1)
}

fn sealed(env: &Env, keyring: &Keyring, id: &AccountId, tokens: &Tokens) -> Result<(Vec<u8>, Option<Vec<u8>>), DbError> {
    let seal = |what: &str, value: &Secret<String>| {
        keyring.seal(env, &format!("account/{id}/{what}"), value.expose().as_bytes()).map_err(|e| DbError::Other(e.to_string()))
    };
    Ok((seal("access", &tokens.access)?, tokens.refresh.as_ref().map(|r| seal("refresh", r)).transpose()?))
}

impl Account {
    /// Whether there are tokens to make calls with.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.access.is_some()
    }

    /// The tokens, when the account is open.
    pub fn tokens(&self, keyring: &Keyring) -> Result<Option<Tokens>, DbError> {
        let open = |what: &str, sealed: &[u8]| {
            keyring.open_text(&format!("account/{}/{what}", self.id), sealed).map_err(|e| DbError::Corrupt(e.to_string()))
        };
        let Some(access) = &self.access else { return Ok(None) };
        let refresh = self.refresh.as_deref().map(|sealed| open("refresh", sealed)).transpose()?;
        Ok(Some(Tokens { access: open("access", access)?, refresh, expires_at: self.expires_at }))
    }
}

fn read(row: &Row) -> Result<Account, DbError> {
    Ok(Account {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        provider: row.parse("provider")?,
        request: row.get("request")?,
        provider_account: row.get("provider_account")?,
        person: row.parse("person")?,
        agent: row.parse("agent")?,
        grant: row.parse("grant_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        access: row.get("access")?,
        refresh: row.get("refresh")?,
    })
}
