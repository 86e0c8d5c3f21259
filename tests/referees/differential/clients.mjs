// How a client shows who it is, at the token endpoint, for the grant that needs nobody else.
import { generateKeyPair } from 'jose';
import { ASSERTION, FORM, verdictOf } from '../lib/target.mjs';

const now = () => Math.floor(Date.now() / 1000);
const grant = { grant_type: 'client_credentials' };

// With an assertion, at a client that may use the grant.
const machine = new WeakMap();
const signer = async (t) => {
  if (!machine.has(t)) machine.set(t, await t.newClient({ token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }));
  return machine.get(t);
};
const asserted = async (t, assertion, fields = {}) => verdictOf(await t.form(t.meta.token_endpoint, { ...grant, client_assertion_type: ASSERTION, client_assertion: assertion, ...fields }));
const claims = (name, change, header) => [name, async (t) => {
  const client = await signer(t);
  return asserted(t, await t.assertion(client, change(t, client), { header }), { client_id: client.client_id });
}];

const rows = [
  ['a good secret in the header', async (t) => verdictOf(await t.token(await t.client('machine'), grant))],
  ['a wrong secret in the header', async (t) => verdictOf(await t.token(null, grant, { auth: [{}, t.basic(await t.client('machine'), 'wrong')] }))],
  ['an unknown client in the header', async (t) => verdictOf(await t.token(null, grant, { auth: [{}, t.basic({ client_id: 'nobody' }, 'secret')] }))],
  ['a header that is not base64', async (t) => verdictOf(await t.token(null, grant, { auth: [{}, { authorization: 'Basic !!!' }] }))],
  ['a header without a colon', async (t) => verdictOf(await t.token(null, grant, { auth: [{}, { authorization: `Basic ${Buffer.from('nocolon').toString('base64')}` }] }))],
  ['no authentication at all', async (t) => verdictOf(await t.token(null, grant, { auth: [{}, {}] }))],
  ['only a client_id where a secret is due', async (t) => verdictOf(await t.token(null, grant, { auth: [{ client_id: (await t.client('machine')).client_id }, {}] }))],
  ['the secret in the body where the header is due', async (t) => {
    const client = await t.client('machine');
    return verdictOf(await t.token(null, grant, { auth: [{ client_id: client.client_id, client_secret: client.client_secret }, {}] }));
  }],
  ['the secret in both places', async (t) => {
    const client = await t.client('machine');
    return verdictOf(await t.token(null, grant, { auth: [{ client_id: client.client_id, client_secret: client.client_secret }, t.basic(client)] }));
  }],
  ['another client_id in the body', async (t) => verdictOf(await t.token(null, { ...grant, client_id: (await t.client('other')).client_id }, { auth: [{}, t.basic(await t.client('machine'))] }))],
  ['a public client', async (t) => verdictOf(await t.token(await t.client('public'), grant))],
  ['a client that is not registered for the grant', async (t) => verdictOf(await t.token(await t.client('basic'), grant))],
  ['a good assertion', async (t) => { const client = await signer(t); return asserted(t, await t.assertion(client), { client_id: client.client_id }); }],
  ['a good assertion without client_id', async (t) => asserted(t, await t.assertion(await signer(t)))],
  ['an assertion for the token endpoint as audience', async (t) => asserted(t, await t.assertion(await signer(t), { aud: t.meta.token_endpoint }))],
  ['the same assertion twice', async (t) => {
    const assertion = await t.assertion(await signer(t));
    await asserted(t, assertion);
    return asserted(t, assertion);
  }],
  claims('an assertion for somebody else', () => ({ aud: 'https://elsewhere.example.test' })),
  claims('an assertion without an audience', () => ({ aud: undefined })),
  claims('an assertion that has run out', () => ({ iat: now() - 600, exp: now() - 300 })),
  claims('an assertion without an end', () => ({ exp: undefined })),
  claims('an assertion without jti', () => ({ jti: undefined })),
  claims('an assertion whose issuer is another client', () => ({ iss: 'nobody' })),
  claims('an assertion whose subject is another client', () => ({ sub: 'nobody' })),
  claims('an assertion without a subject', () => ({ sub: undefined })),
  claims('an assertion that is not valid yet', () => ({ nbf: now() + 600 })),
  ['an assertion by another key', async (t) => {
    const { privateKey } = await generateKeyPair('ES256');
    return asserted(t, await t.assertion(await signer(t), {}, { key: privateKey }));
  }],
  ['an assertion without a signature', async (t) => {
    const client = await signer(t);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return asserted(t, `${part({ alg: 'none' })}.${part({ iss: client.client_id, sub: client.client_id, aud: t.issuer, jti: 'x', exp: now() + 60 })}.`);
  }],
  ['an assertion that is no JWT', async (t) => asserted(t, 'nonsense', { client_id: (await signer(t)).client_id })],
  ['an unknown kind of assertion', async (t) => asserted(t, await t.assertion(await signer(t)), { client_assertion_type: 'urn:nothing' })],
  ['an assertion beside a secret', async (t) => asserted(t, await t.assertion(await signer(t)), { client_secret: 'secret' })],
  ['no grant_type', async (t) => verdictOf(await t.token(await t.client('machine'), {}))],
  ['an unknown grant_type', async (t) => verdictOf(await t.token(await t.client('machine'), { grant_type: 'gift' }))],
  ['grant_type password', async (t) => verdictOf(await t.token(await t.client('machine'), { grant_type: 'password', username: 'ada', password: 'x' }))],
  ['grant_type twice', async (t) => verdictOf(await t.token(await t.client('machine'), { grant_type: ['client_credentials', 'client_credentials'] }))],
  ['an unknown scope', async (t) => verdictOf(await t.machine('treasure'))],
  ['a JSON body', async (t) => verdictOf(await t.json('POST', t.meta.token_endpoint, grant, t.basic(await t.client('machine'))))],
  ['no content type', async (t) => verdictOf(await t.send('POST', t.meta.token_endpoint, Buffer.from('grant_type=client_credentials'), t.basic(await t.client('machine'))))],
  ['by GET', async (t) => String((await t.send('GET', `${t.meta.token_endpoint}?grant_type=client_credentials`, undefined, t.basic(await t.client('machine')))).status >= 400)],
  ['no body', async (t) => verdictOf(await t.send('POST', t.meta.token_endpoint, '', { 'content-type': FORM, ...t.basic(await t.client('machine')) }))],
  ['the answer is not kept by caches', async (t) => String((await t.machine()).headers.get('cache-control')?.includes('no-store'))],
  ['the machine asks for an unknown resource', async (t) => verdictOf(await t.token(await t.client('machine'), { ...grant, resource: 'https://elsewhere.example.test/' }))],
];

export default rows.map(([name, run]) => ({ name, run }));
