//! Minting codes and token pairs: plain text to the caller once, digests to the store.

use std::sync::Arc;

use purser_crypto::token;
use purser_values::{Env, Secret, Sha256Digest};
use purser_wire::id::{AccountId, AccountRequestId, LinkId};
use purser_wire::limits::CODE_LIFE_S;
use purser_wire::token::{AccountRef, TokenSet};

use crate::error::ProviderError;
use crate::store::{Access, CodeRecord, Exchange, PairRecord, Store};

const CODE: &str = "app_code";
const ACCESS: &str = "app_at";
const REFRESH: &str = "app_rt";

/// What a code is for.
#[derive(Clone, Debug)]
pub struct CodeFor {
    pub account: AccountId,
    pub link: Option<LinkId>,
    pub request: Option<AccountRequestId>,
    /// The request's PKCE challenge.
    pub challenge: Option<String>,
}

/// A code that no store has yet, and what to store.
#[derive(Debug)]
pub struct MintedCode {
    pub code: Secret<String>,
    pub digest: Sha256Digest,
    pub record: CodeRecord,
}

/// A fresh single-use code. A provider's consent page puts the record into the write that records the person's yes, so that there
/// is never the one without the other.
#[must_use]
pub fn mint_code(env: &Env, what: CodeFor) -> MintedCode {
    let (code, digest) = token::mint(env, CODE);
    let CodeFor { account, link, request, challenge } = what;
    let record = CodeRecord { account, request, challenge, link, expires_at: env.now().plus_secs(CODE_LIFE_S) };
    MintedCode { code, digest, record }
}

/// Hands out codes and tokens.
#[derive(Debug)]
pub struct Codes<S> {
    store: Arc<S>,
    env: Env,
    access_life_s: i64,
    refresh_life_s: i64,
}

impl<S> Clone for Codes<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), env: self.env.clone(), ..*self }
    }
}

impl<S: Store> Codes<S> {
    #[must_use]
    pub fn new(store: Arc<S>, config: &crate::Config) -> Self {
        Self { store, env: config.env.clone(), access_life_s: config.access_life_s, refresh_life_s: config.refresh_life_s }
    }

    /// A fresh single-use code for an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn issue(&self, what: CodeFor) -> Result<Secret<String>, ProviderError> {
        let MintedCode { code, digest, record } = mint_code(&self.env, what);
        self.store.code_put(digest, record).await?;
        Ok(code)
    }

    /// The record of a code that may still be redeemed.
    pub(crate) async fn find(&self, code: &Secret<String>) -> Result<Option<CodeRecord>, ProviderError> {
        if !token::is_well_formed(code.expose(), CODE) {
            return Ok(None);
        }
        Ok(self.store.code_find(token::hash(code.expose())).await?)
    }

    /// Redeems a code. INVARIANT (code-once) is the store's.
    pub(crate) async fn redeem(&self, code: &Secret<String>, account: AccountRef) -> Result<Option<(TokenSet, Access)>, ProviderError> {
        let (tokens, pair) = self.mint(Some(account));
        match self.store.code_exchange(token::hash(code.expose()), pair, self.env.now()).await? {
            Exchange::Done(access) => Ok(Some((tokens, access))),
            Exchange::Refused => Ok(None),
        }
    }

    /// A pair without a code.
    pub(crate) async fn grant(&self, account: AccountRef, link: Option<LinkId>) -> Result<TokenSet, ProviderError> {
        let (tokens, pair) = self.mint(Some(account.clone()));
        self.store.pair_put(account.id, link, pair).await?;
        Ok(tokens)
    }

    /// Rotates a pair. INVARIANT (refresh-once) is the store's.
    pub(crate) async fn refresh(&self, refresh: &Secret<String>) -> Result<Option<(TokenSet, Access)>, ProviderError> {
        if !token::is_well_formed(refresh.expose(), REFRESH) {
            return Ok(None);
        }
        let (tokens, pair) = self.mint(None);
        let access = self.store.pair_rotate(token::hash(refresh.expose()), pair, self.env.now()).await?;
        Ok(access.map(|access| (tokens, access)))
    }

    /// What a living access token opens.
    pub(crate) async fn access(&self, access: &str) -> Result<Option<Access>, ProviderError> {
        if !token::is_well_formed(access, ACCESS) {
            return Ok(None);
        }
        Ok(self.store.access_find(token::hash(access), self.env.now()).await?)
    }

    fn mint(&self, account: Option<AccountRef>) -> (TokenSet, PairRecord) {
        let now = self.env.now();
        let (access_token, access): (_, Sha256Digest) = token::mint(&self.env, ACCESS);
        let (refresh_token, refresh) = token::mint(&self.env, REFRESH);
        let pair = PairRecord {
            access,
            refresh,
            access_expires_at: now.plus_secs(self.access_life_s),
            refresh_expires_at: now.plus_secs(self.refresh_life_s),
        };
        (TokenSet { access_token, refresh_token: Some(refresh_token), expires_in: Some(self.access_life_s), account }, pair)
    }
}
