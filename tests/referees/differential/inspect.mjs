// Introspection (RFC 7662), revocation (RFC 7009), logout, and what the metadata promises.
import { verdictOf } from '../lib/target.mjs';

const ask = async (t, client, token, more = {}) => {
  const [fields, headers] = client ? await t.auth(client) : [{}, {}];
  return t.form(t.meta.introspection_endpoint, { ...fields, token, ...more }, headers);
};
const end = async (t, client, token, more = {}) => {
  const [fields, headers] = client ? await t.auth(client) : [{}, {}];
  return t.form(t.meta.revocation_endpoint, { ...fields, token, ...more }, headers);
};
const active = (response) => `${verdictOf(response)}${response.status === 200 ? ` active ${response.body.active}` : ''}`;
const userinfo = (t, token) => t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${token}` });

const rows = [
  ['introspection of an own access token', async (t) => { const { client, access_token } = await t.tokens('basic'); return active(await ask(t, client, access_token)); }],
  ['introspection of an own refresh token', async (t) => { const { client, refresh_token } = await t.tokens('basic'); return active(await ask(t, client, refresh_token)); }],
  ['introspection with a wrong hint', async (t) => { const { client, refresh_token } = await t.tokens('basic'); return active(await ask(t, client, refresh_token, { token_type_hint: 'access_token' })); }],
  ['introspection with an unknown hint', async (t) => { const { client, access_token } = await t.tokens('basic'); return active(await ask(t, client, access_token, { token_type_hint: 'cookie' })); }],
  ['introspection of nonsense', async (t) => active(await ask(t, await t.client('basic'), 'nonsense'))],
  ['introspection without a token', async (t) => verdictOf(await ask(t, await t.client('basic'), undefined))],
  ['introspection without authentication', async (t) => verdictOf(await ask(t, null, 'nonsense'))],
  ['introspection with a wrong secret', async (t) => verdictOf(await t.form(t.meta.introspection_endpoint, { token: 'x' }, t.basic(await t.client('basic'), 'wrong')))],
  ['introspection by GET', async (t) => String((await t.send('GET', `${t.meta.introspection_endpoint}?token=x`, undefined, t.basic(await t.client('basic')))).status >= 400)],
  ['introspection of a used refresh token', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    await t.token(client, { grant_type: 'refresh_token', refresh_token });
    return active(await ask(t, client, refresh_token));
  }],
  ['introspection of an ID token', async (t) => { const { client, id_token } = await t.tokens('basic'); return active(await ask(t, client, id_token)); }],
  ['revocation of a refresh token', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    const said = verdictOf(await end(t, client, refresh_token));
    return `${said}, then ${verdictOf(await t.token(client, { grant_type: 'refresh_token', refresh_token }))}`;
  }],
  ['revocation of a refresh token ends the access token', async (t) => {
    const { client, refresh_token, access_token } = await t.tokens('basic');
    await end(t, client, refresh_token);
    return verdictOf(await userinfo(t, access_token));
  }],
  ['revocation of an access token', async (t) => {
    const { client, access_token } = await t.tokens('basic');
    const said = verdictOf(await end(t, client, access_token));
    return `${said}, then ${verdictOf(await userinfo(t, access_token))}`;
  }],
  ['revocation of nonsense', async (t) => verdictOf(await end(t, await t.client('basic'), 'nonsense'))],
  ['revocation without a token', async (t) => verdictOf(await end(t, await t.client('basic'), undefined))],
  ['revocation without authentication', async (t) => verdictOf(await end(t, null, 'nonsense'))],
  ['revocation with a wrong hint', async (t) => { const { client, refresh_token } = await t.tokens('basic'); return verdictOf(await end(t, client, refresh_token, { token_type_hint: 'access_token' })); }],
  ["revocation of another client's token leaves it alone", async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    await end(t, await t.client('other'), refresh_token);
    return verdictOf(await t.token(client, { grant_type: 'refresh_token', refresh_token }));
  }],
  ['revocation by GET', async (t) => String((await t.send('GET', `${t.meta.revocation_endpoint}?token=x`)).status >= 400)],
  ['logout to an address that nobody registered', async (t) => {
    const { id_token } = await t.tokens('basic');
    const page = await t.person().go(`${t.meta.end_session_endpoint}?${new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: 'https://evil.example.test/' })}`);
    return page.away ? 'redirect' : `page ${page.status}`;
  }],
  ['logout with a hint that is no token', async (t) => {
    const page = await t.person().go(`${t.meta.end_session_endpoint}?id_token_hint=nonsense`);
    return page.away ? 'redirect' : `page ${page.status}`;
  }],
  ...['issuer', 'response_types_supported', 'code_challenge_methods_supported', 'authorization_response_iss_parameter_supported'].map((name) => [`metadata: ${name}`, async (t) => {
    const value = t.meta[name];
    return name === 'issuer' ? String(value === t.issuer) : JSON.stringify(value);
  }]),
  ['metadata: both forms say the same issuer', async (t) => {
    const other = await (await fetch(`${t.issuer}/.well-known/oauth-authorization-server`)).json();
    return String(other.issuer === t.issuer && other.token_endpoint === t.meta.token_endpoint);
  }],
  ['no key of the key set is private', async (t) => {
    const { keys } = await (await fetch(t.meta.jwks_uri)).json();
    return String(keys.length > 0 && keys.every((key) => !key.d));
  }],
];

export default rows.map(([name, run]) => ({ name, run }));
