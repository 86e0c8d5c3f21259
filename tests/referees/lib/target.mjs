// One authorization server under comparison, spoken to the same way whoever it is. A verdict is what a client would act on:
// `code`, `redirect ERROR`, `page`, `200`, or `STATUS ERROR`.
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { createHash, randomBytes, randomUUID } from 'node:crypto';

export const CALLBACK = 'https://client.example.test/callback';
export const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
export const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
export const FORM = 'application/x-www-form-urlencoded';

const KINDS = {
  public: { token_endpoint_auth_method: 'none' },
  basic: { token_endpoint_auth_method: 'client_secret_basic' },
  other: { token_endpoint_auth_method: 'client_secret_basic' },
  post: { token_endpoint_auth_method: 'client_secret_post' },
  jwt: { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' },
  native: { token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: ['http://127.0.0.1/callback', 'com.example.app:/callback'] },
  machine: { token_endpoint_auth_method: 'client_secret_basic', grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
  device: { token_endpoint_auth_method: 'none', grant_types: [DEVICE, 'refresh_token'], response_types: [], redirect_uris: [] },
  codeonly: { token_endpoint_auth_method: 'client_secret_basic', grant_types: ['authorization_code'] },
};

export class Target {
  // `person()` gives somebody who can sign in, with a fresh browser.
  constructor(name, issuer, person) {
    Object.assign(this, { name, issuer, person, clients: new Map() });
    this.ada = person();
  }

  async start() {
    this.meta = await (await fetch(`${this.issuer}/.well-known/openid-configuration`)).json();
    return this;
  }

  async client(kind) {
    if (!this.clients.has(kind)) this.clients.set(kind, await this.newClient(KINDS[kind]));
    return this.clients.get(kind);
  }

  async newClient(metadata) {
    const keys = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'client', alg: 'ES256', use: 'sig' };
    const asked = { redirect_uris: [CALLBACK], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], client_name: 'a client', ...metadata };
    if (metadata.token_endpoint_auth_method === 'private_key_jwt') asked.jwks = { keys: [jwk] };
    const response = await this.json('POST', this.meta.registration_endpoint, asked);
    if (response.status !== 201) throw new Error(`${this.name} refused to register ${JSON.stringify(asked)}: ${response.status} ${response.text}`);
    return { ...response.body, keys };
  }

  async json(method, url, body, headers = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.send(method, url, body === undefined ? undefined : text, { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers });
  }

  async send(method, url, body, headers = {}) {
    const response = await fetch(url, { method, body, headers, redirect: 'manual' });
    const text = await response.text();
    let parsed = {};
    try {
      parsed = JSON.parse(text);
    } catch {
      // not JSON: the verdict then has no error in it
    }
    return { status: response.status, body: parsed ?? {}, text, headers: response.headers };
  }

  form(url, params, headers = {}) {
    const body = typeof params === 'string' ? params : new URLSearchParams(entries(params)).toString();
    return this.send('POST', url, body, { 'content-type': FORM, ...headers });
  }

  // ---- authorization endpoint

  pkce() {
    const verifier = randomBytes(32).toString('base64url');
    return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
  }

  async good(client, more = {}) {
    const { verifier, challenge } = this.pkce();
    const params = { client_id: client.client_id, response_type: 'code', redirect_uri: client.redirect_uris?.[0] ?? CALLBACK, scope: 'openid', state: randomUUID(), nonce: randomUUID(), code_challenge: challenge, code_challenge_method: 'S256', ...more };
    return { params, verifier };
  }

  // What comes of a request, with whatever login and consent it needs.
  async authorize(params, { who = this.ada, method = 'GET', answer = 'accept' } = {}) {
    const query = new URLSearchParams(entries(params)).toString();
    const url = this.meta.authorization_endpoint;
    const page = method === 'GET' ? await who.go(`${url}?${query}`, { answer }) : await who.go(url, { method, body: query, headers: { 'content-type': FORM }, answer });
    return { page, verdict: verdictOfPage(page), answer: page.away ? Object.fromEntries([...page.away.searchParams, ...new URLSearchParams(page.away.hash.slice(1))]) : {} };
  }

  async code(kind, more = {}) {
    const client = await this.client(kind);
    const { params, verifier } = await this.good(client, more);
    const { answer, verdict } = await this.authorize(params);
    if (!answer.code) throw new Error(`${this.name} gave no code: ${verdict} ${JSON.stringify(answer)}`);
    return { client, params, verifier, code: answer.code };
  }

  // ---- token endpoint

  basic(client, secret = client.client_secret) {
    return { authorization: `Basic ${Buffer.from(`${encodeURIComponent(client.client_id)}:${encodeURIComponent(secret)}`).toString('base64')}` };
  }

  // How a client shows who it is, by its registered method: [form fields, headers].
  async auth(client, { audience = this.issuer } = {}) {
    switch (client.token_endpoint_auth_method) {
      case 'none': return [{ client_id: client.client_id }, {}];
      case 'client_secret_post': return [{ client_id: client.client_id, client_secret: client.client_secret }, {}];
      case 'private_key_jwt': return [{ client_id: client.client_id, client_assertion_type: ASSERTION, client_assertion: await this.assertion(client, { aud: audience }) }, {}];
      default: return [{}, this.basic(client)];
    }
  }

  assertion(client, claims = {}, { key = client.keys.privateKey, header = {} } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: client.client_id, sub: client.client_id, aud: this.issuer, jti: randomUUID(), iat: now, exp: now + 60, ...claims };
    for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
    return new SignJWT(all).setProtectedHeader({ alg: 'ES256', kid: 'client', ...header }).sign(key);
  }

  async token(client, params, { dpop, headers = {}, auth } = {}) {
    const [fields, own] = auth ?? (await this.auth(client));
    const more = dpop ? { dpop: typeof dpop === 'string' ? dpop : await dpop.proof('POST', this.meta.token_endpoint) } : {};
    return this.form(this.meta.token_endpoint, { ...fields, ...params }, { ...own, ...more, ...headers });
  }

  async tokens(kind, { scope = 'openid offline_access', dpop, ...more } = {}) {
    const { client, params, verifier, code } = await this.code(kind, { scope, prompt: 'consent', ...more });
    const response = await this.token(client, { grant_type: 'authorization_code', code, redirect_uri: params.redirect_uri, code_verifier: verifier }, { dpop });
    if (response.status !== 200) throw new Error(`${this.name} gave no tokens: ${response.status} ${response.text}`);
    return { client, ...response.body };
  }

  async machine(scope) {
    const client = await this.client('machine');
    return this.token(client, { grant_type: 'client_credentials', ...(scope ? { scope } : {}) });
  }

  async dpopKey(alg = 'ES256') {
    const target = this;
    const keys = await generateKeyPair(alg, { extractable: true });
    const jwk = await exportJWK(keys.publicKey);
    const proof = (htm, htu, claims = {}, { header = {}, key = keys.privateKey } = {}) => {
      const all = { jti: randomUUID(), htm, htu, iat: Math.floor(Date.now() / 1000), ...(target.nonce ? { nonce: target.nonce } : {}), ...claims };
      for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
      return new SignJWT(all).setProtectedHeader({ typ: 'dpop+jwt', alg, jwk, ...header }).sign(key);
    };
    return { proof, jwk, keys, jkt: await calculateJwkThumbprint(jwk) };
  }
}

// Parameters, one pair for each value: an array is a parameter that is there more than once.
export function entries(params) {
  return Object.entries(params).filter(([, value]) => value !== undefined).flatMap(([name, value]) => (Array.isArray(value) ? value.map((one) => [name, one]) : [[name, String(value)]]));
}

export function verdictOf(response) {
  if (response.status < 400) return String(response.status);
  return `${response.status} ${response.body.error ?? '-'}`;
}

function verdictOfPage(page) {
  if (!page.away) return page.status >= 400 ? 'page' : `page ${page.status}`;
  const answer = new URLSearchParams([...page.away.searchParams, ...new URLSearchParams(page.away.hash.slice(1))]);
  if (answer.has('error')) return `redirect ${answer.get('error')}`;
  return answer.has('code') ? 'code' : 'redirect without an answer';
}
