//! Tokens that a token made: created, listed, changed, rolled and deleted by the one that made them, or by what that one descends from.
//!
//! INVARIANT (agent-cannot-widen): a token's permissions and life lie within those of the token that made it, when it is made and
//! whenever either changes, whoever of those above it changes it. It belongs to the same agent and the same resource, so that a stop, a freeze and a removal end all of them.

use purser_crypto::token;
use purser_db::{DbError, Row, Tx, params};
use purser_values::{Env, Secret, Timestamp};

use super::{ApiToken, PREFIX, Permissions};
use crate::account::HexId;
use crate::limits::{TOKEN_NAME_CHARS, TOKEN_RETRY_S, TOKENS_OF_A_TOKEN};

/// What a token is to be.
#[derive(Clone, Debug)]
pub struct Wish {
    pub name: String,
    pub permissions: Permissions,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
}

/// A token as its maker sees it. Never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub id: String,
    pub name: String,
    pub permissions: Permissions,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    /// Whether it was delivered with a resource, and not made by another token.
    pub delivered: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("there is no such token, or it was not made by this one")]
    NotFound,
    #[error("a token can give no permission that it does not hold; `{0}` is missing")]
    Wider(String),
    #[error("a token cannot outlive the one that made it; set an earlier `expires_on`")]
    Outlives,
    #[error("a token cannot work before the one that made it; set a later `not_before`")]
    Precedes,
    #[error("the token that made this one is disabled; enable that first")]
    MakerDisabled,
    #[error("a token that was delivered with a resource is changed where that was ordered: rotate or remove the resource")]
    Delivered,
    #[error("this token already made {TOKENS_OF_A_TOKEN} others; delete some first")]
    TooMany,
    #[error("the name of a token has 1 to {TOKEN_NAME_CHARS} characters")]
    Name,
    #[error(transparent)]
    Store(#[from] DbError),
}

/// A statement over the token `$1` itself and everything that descends from it.
macro_rules! own {
    ($rest:literal) => {
        concat!(
            "with recursive own(id) as (
                select id from api_token where id = $1 and revoked_at is null
                union select t.id from api_token t join own o on t.parent = o.id where t.revoked_at is null) ",
            $rest
        )
    };
}

/// Mints a token. `again` says that the client repeats itself: what it then made a moment ago under the same name is revoked, because
/// its value reached nobody.
///
/// # Errors
/// When it would be more than its maker.
pub fn token_create(tx: &mut Tx<'_>, env: &Env, maker: &ApiToken, wish: &Wish, again: bool) -> Result<(Told, Secret<String>), TokenError> {
    // the maker as it is now, not as it was when the request began
    let now = env.now();
    check(&token_get(tx, maker, &maker.id)?, wish, now)?;
    if again {
        let lost = "update api_token set revoked_at = $4 where parent = $1 and name = $2 and permissions = $3 and revoked_at is null
                    and created_at > $5";
        let since = now.plus_secs(-TOKEN_RETRY_S);
        tx.execute(lost, params![maker.id, wish.name, wish.permissions.to_string(), now, since])?;
    }
    let count = own!("select count(*) as n from own");
    if tx.query_one(count, params![maker.id])?.get::<i64>("n")? > TOKENS_OF_A_TOKEN {
        return Err(TokenError::TooMany);
    }
    let (id, (plain, hash)) = (HexId::mint(env), token::mint(env, PREFIX));
    let insert =
        "insert into api_token (id, account, agent, resource, hash, prefix, last_four, permissions, created_at, link, parent, name,
            not_before, expires_at, disabled, changed_at)
        select $1, account, agent, resource, $3, $4, $5, $6, $7, link, id, $8, $9, $10, $11, $7 from api_token where id = $2";
    let values = params![
        id.as_str(),
        maker.id,
        hash,
        token::public_prefix(plain.expose()),
        last_four(&plain),
        wish.permissions.to_string(),
        now,
        wish.name,
        wish.not_before,
        wish.expires_at,
        wish.disabled
    ];
    tx.execute(insert, values)?;
    Ok((token_get(tx, maker, id.as_str())?, plain))
}

/// The maker's own token and all that descend from it, oldest first.
///
/// # Errors
/// When the store fails.
pub fn token_list(tx: &mut Tx<'_>, maker: &ApiToken) -> Result<Vec<Told>, DbError> {
    let select = own!("select t.* from api_token t join own o on o.id = t.id order by t.created_at, t.id");
    tx.query(select, params![maker.id])?.iter().map(read).collect()
}

/// # Errors
/// [`TokenError::NotFound`] for every token that is not the maker's.
pub fn token_get(tx: &mut Tx<'_>, maker: &ApiToken, id: &str) -> Result<Told, TokenError> {
    let select = own!("select t.* from api_token t join own o on o.id = t.id where t.id = $2");
    tx.query_opt(select, params![maker.id, id])?.map(|row| read(&row)).transpose()?.ok_or(TokenError::NotFound)
}

/// Replaces what a token is. What descends from it loses what it loses.
///
/// # Errors
/// When it would be more than its maker, or is the maker's own.
pub fn token_update(tx: &mut Tx<'_>, env: &Env, maker: &ApiToken, id: &str, wish: &Wish) -> Result<Told, TokenError> {
    made(tx, maker, id)?;
    let parent: String = tx.query_one("select parent from api_token where id = $1", params![id])?.get("parent")?;
    // its own maker's bounds: whoever holds that one can roll this one and so have what it may do
    check(&token_get(tx, maker, &parent)?, wish, env.now())?;
    let update = "update api_token set name = $2, permissions = $3, not_before = $4, expires_at = $5, disabled = $6, changed_at = $7
                  where id = $1";
    let text = wish.permissions.to_string();
    tx.execute(update, params![id, wish.name, text, wish.not_before, wish.expires_at, wish.disabled, env.now()])?;
    let below = own!("select t.* from api_token t join own o on o.id = t.id where t.id <> $1");
    for row in tx.query(below, params![id])? {
        let told = read(&row)?;
        let permissions = told.permissions.within(wish.permissions).to_string();
        let expires_at = told.expires_at.into_iter().chain(wish.expires_at).min();
        let not_before = told.not_before.max(wish.not_before);
        tx.execute(
            "update api_token set permissions = $2, expires_at = $3, disabled = $4, not_before = $5 where id = $1",
            params![told.id, permissions, expires_at, told.disabled || wish.disabled, not_before],
        )?;
    }
    token_get(tx, maker, id)
}

/// Another value for the same token; the old one is worth nothing from now on.
///
/// # Errors
/// [`TokenError::Delivered`] for a token that was not made by one.
pub fn token_roll(tx: &mut Tx<'_>, env: &Env, maker: &ApiToken, id: &str) -> Result<Secret<String>, TokenError> {
    if token_get(tx, maker, id)?.delivered {
        return Err(TokenError::Delivered);
    }
    let (plain, hash) = token::mint(env, PREFIX);
    let update = "update api_token set hash = $2, prefix = $3, last_four = $4, changed_at = $5 where id = $1";
    tx.execute(update, params![id, hash, token::public_prefix(plain.expose()), last_four(&plain), env.now()])?;
    Ok(plain)
}

/// Ends a token and all that descend from it.
///
/// # Errors
/// [`TokenError::Delivered`] for a token that was not made by one.
pub fn token_delete(tx: &mut Tx<'_>, env: &Env, maker: &ApiToken, id: &str) -> Result<(), TokenError> {
    if token_get(tx, maker, id)?.delivered {
        return Err(TokenError::Delivered);
    }
    let update = own!("update api_token set revoked_at = $2 where id in (select id from own)");
    tx.execute(update, params![id, env.now()])?;
    Ok(())
}

/// A token that descends from the maker and is not the maker itself.
fn made(tx: &mut Tx<'_>, maker: &ApiToken, id: &str) -> Result<Told, TokenError> {
    let told = token_get(tx, maker, id)?;
    if told.id == maker.id { Err(TokenError::Delivered) } else { Ok(told) }
}

/// Whether a wish lies within a token that makes or made it.
fn check(maker: &Told, wish: &Wish, now: Timestamp) -> Result<(), TokenError> {
    if wish.name.trim().is_empty() || wish.name.chars().count() > TOKEN_NAME_CHARS || wish.name.chars().any(char::is_control) {
        return Err(TokenError::Name);
    }
    let missing = wish.permissions.without(maker.permissions).to_string();
    if !missing.is_empty() {
        return Err(TokenError::Wider(missing));
    }
    if maker.expires_at.is_some_and(|end| wish.expires_at.is_none_or(|wished| wished > end)) {
        return Err(TokenError::Outlives);
    }
    if maker.not_before.is_some_and(|begin| begin > now && wish.not_before.is_none_or(|wished| wished < begin)) {
        return Err(TokenError::Precedes);
    }
    if maker.disabled && !wish.disabled { Err(TokenError::MakerDisabled) } else { Ok(()) }
}

fn last_four(plain: &Secret<String>) -> String {
    let text = plain.expose();
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

fn read(row: &Row) -> Result<Told, DbError> {
    let created_at = row.get("created_at")?;
    Ok(Told {
        id: row.get("id")?,
        name: row.get::<Option<String>>("name")?.unwrap_or_else(|| "delivered with a resource".to_owned()),
        permissions: row.parse("permissions")?,
        created_at,
        changed_at: row.get::<Option<Timestamp>>("changed_at")?.unwrap_or(created_at),
        not_before: row.get("not_before")?,
        expires_at: row.get("expires_at")?,
        disabled: row.get::<Option<bool>>("disabled")?.unwrap_or(false),
        delivered: row.get::<Option<String>>("parent")?.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Owner;
    use crate::account::open::{AccountOpened, AccountOpening, account_open};
    use crate::link::scope::Scopes;
    use crate::realm::testing::realm;
    use crate::store::MIGRATIONS;
    use crate::token::Permission;
    use crate::token::mint::{TokenOrder, token_mint};
    use crate::token::verify::{Presented, token_verify};
    use purser_db::testing::{START, each_engine};
    use purser_values::id::CloudResourceId;

    fn valid(tx: &mut Tx<'_>, plain: &Secret<String>, now: Timestamp) -> Option<ApiToken> {
        match token_verify(tx, plain.expose(), now).unwrap() {
            Presented::Valid { token, .. } => Some(token),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_token_makes_tokens_that_are_never_more_than_itself() {
        each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| async move {
            let (env, _) = Env::test(START, 5);
            db.write(move |tx| -> Result<(), TokenError> {
                let opening = AccountOpening {
                    owner: Owner { issuer: "o".into(), subject: "s".into(), attested: true },
                    email: "a@b.test".parse().unwrap(),
                    organisation: "A".into(),
                    scopes: Scopes::ALL,
                    request: None,
                };
                let AccountOpened::Account(opened) = account_open(tx, &realm(&env), &opening).unwrap() else { panic!("no account") };
                let account = opened.account;
                let mint = |tx: &mut Tx<'_>, permissions| {
                    let resource = CloudResourceId::mint(&env);
                    let order = TokenOrder { account: &account.id, link: None, agent: None, resource: &resource, permissions };
                    let plain = token_mint(tx, &env, &order).unwrap();
                    valid(tx, &plain, START).unwrap()
                };
                let root = mint(tx, Permissions::of(&[Permission::Workers, Permission::Assets]));
                let stranger = mint(tx, Permissions::ALL);
                let wish = |list: &[Permission]| Wish {
                    name: "ci".into(),
                    permissions: Permissions::of(list),
                    not_before: None,
                    expires_at: Some(START.plus_secs(60)),
                    disabled: false,
                };
                let wider = token_create(tx, &env, &root, &wish(&[Permission::Domains]), false);
                assert!(matches!(wider, Err(TokenError::Wider(what)) if what == "domains"));

                let (told, plain) = token_create(tx, &env, &root, &wish(&[Permission::Workers, Permission::Assets]), false)?;
                let child = valid(tx, &plain, START).unwrap();
                assert_eq!(child.resource, root.resource);
                assert!(valid(tx, &plain, START.plus_secs(60)).is_none(), "an expired token works");
                let endless = Wish { expires_at: None, ..wish(&[Permission::Workers]) };
                assert!(matches!(token_create(tx, &env, &child, &endless, false), Err(TokenError::Outlives)));
                let (_, grandchild) = token_create(tx, &env, &child, &wish(&[Permission::Workers, Permission::Assets]), false)?;

                assert!(matches!(token_get(tx, &stranger, &told.id), Err(TokenError::NotFound)), "a stranger sees it");
                assert!(matches!(token_roll(tx, &env, &child, &root.id), Err(TokenError::NotFound)), "a child rolls its maker");
                assert!(matches!(token_roll(tx, &env, &root, &root.id), Err(TokenError::Delivered)));
                assert!(matches!(token_update(tx, &env, &child, &child.id, &wish(&[Permission::Workers])), Err(TokenError::Delivered)));

                let below = valid(tx, &grandchild, START).unwrap();
                let later = Wish { not_before: Some(START.plus_secs(9)), disabled: true, ..wish(&[Permission::Workers]) };
                token_update(tx, &env, &root, &told.id, &later)?;
                let sooner = token_update(tx, &env, &root, &below.id, &Wish { not_before: None, ..later.clone() });
                assert!(matches!(sooner, Err(TokenError::Precedes)), "{sooner:?}");
                let on = token_update(tx, &env, &root, &below.id, &Wish { disabled: false, ..later });
                assert!(matches!(on, Err(TokenError::MakerDisabled)), "{on:?}");
                token_update(tx, &env, &root, &told.id, &Wish { expires_at: Some(START.plus_secs(30)), ..wish(&[Permission::Workers]) })?;
                let wider = token_update(tx, &env, &root, &below.id, &wish(&[Permission::Workers, Permission::Assets]));
                assert!(matches!(wider, Err(TokenError::Wider(_))), "wider than its own maker: {wider:?}");
                let longer = token_update(tx, &env, &root, &below.id, &wish(&[Permission::Workers]));
                assert!(matches!(longer, Err(TokenError::Outlives)), "longer than its own maker: {longer:?}");
                token_update(tx, &env, &root, &below.id, &Wish { expires_at: Some(START.plus_secs(30)), ..wish(&[Permission::Workers]) })?;
                assert!(
                    !valid(tx, &grandchild, START).unwrap().permissions.contains(Permission::Assets),
                    "a descendant kept what was taken"
                );
                let rolled = token_roll(tx, &env, &root, &told.id)?;
                assert!(valid(tx, &plain, START).is_none() && valid(tx, &rolled, START).is_some());

                let (_, lost) = token_create(tx, &env, &root, &Wish { name: "lost".into(), ..wish(&[Permission::Workers]) }, false)?;
                let (_, kept) = token_create(tx, &env, &root, &Wish { name: "lost".into(), ..wish(&[Permission::Workers]) }, true)?;
                assert!(valid(tx, &lost, START).is_none() && valid(tx, &kept, START).is_some());

                token_delete(tx, &env, &root, &told.id)?;
                assert!(valid(tx, &rolled, START).is_none() && valid(tx, &grandchild, START).is_none(), "a descendant outlived its maker");
                assert_eq!(token_list(tx, &root)?.len(), 2);
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
