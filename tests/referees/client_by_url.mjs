// A client whose id is the address of its metadata document (CIMD): it serves the document and its keys over TLS, and runs the whole
// code flow with oauth4webapi. It talks to whoever started it by lines: it says where it listens and where a person has to go, and is
// told the issuer and where the person came back to. Environment: KEY, CERTIFICATE (PEM), ID (its own address).
import https from 'node:https';
import assert from 'node:assert/strict';
import readline from 'node:readline';
import * as oauth from 'oauth4webapi';
import { exportJWK } from 'jose';

const { KEY, CERTIFICATE, ID } = process.env;
const base = new URL(ID);
const CALLBACK = new URL('/callback', base).href;
const insecure = { [oauth.allowInsecureRequests]: true };

const keys = await oauth.generateKeyPair('ES256', { extractable: true });
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', use: 'sig', alg: 'ES256' };
const says = {
  [base.pathname]: {
    client_id: ID,
    client_name: 'Far away',
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: new URL('/keys', base).href,
    id_token_signed_response_alg: 'ES256',
    scope: 'openid email offline_access',
  },
  '/keys': { keys: [jwk] },
};
const asked = [];
const server = https.createServer({ key: KEY, cert: CERTIFICATE }, (request, response) => {
  asked.push(`${request.headers.host}${request.url}`);
  const found = says[request.url];
  response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(found ?? {}));
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (it) => process.stdout.write(`${JSON.stringify(it)}\n`);
const told = async () => (await lines.next()).value;

say({ listens: server.address().port });
const issuer = new URL(await told());
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
assert.equal(as.client_id_metadata_document_supported, true);
const client = { client_id: ID, id_token_signed_response_alg: 'ES256' };
const proves = oauth.PrivateKeyJwt({ key: keys.privateKey, kid: 'one' });
const bound = { DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')), ...insecure };

const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const params = new URLSearchParams({
  client_id: ID, redirect_uri: CALLBACK, response_type: 'code', scope: 'openid email offline_access', prompt: 'consent', state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
});
const pushed = await oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(as, client, proves, params, bound));
const page = new URL(as.authorization_endpoint);
page.search = new URLSearchParams({ client_id: ID, request_uri: pushed.request_uri });
say({ go: page.href });

const back = oauth.validateAuthResponse(as, client, new URL(await told()), state);
const redeemed = await oauth.authorizationCodeGrantRequest(as, client, proves, back, CALLBACK, verifier, bound);
const tokens = await oauth.processAuthorizationCodeResponse(as, client, redeemed, { expectedNonce: nonce, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, redeemed, insecure);
const claims = oauth.getValidatedIdTokenClaims(tokens);
assert.equal(claims.aud, ID);
assert.equal(tokens.token_type, 'dpop');
const info = await oauth.processUserInfoResponse(as, client, claims.sub, await oauth.userInfoRequest(as, client, tokens.access_token, bound));
const refreshed = await oauth.refreshTokenGrantRequest(as, client, proves, tokens.refresh_token, bound);
const next = await oauth.processRefreshTokenResponse(as, client, refreshed);
assert.notEqual(next.refresh_token, tokens.refresh_token);
const spoken = await oauth.introspectionRequest(as, client, proves, next.access_token, insecure);
const active = (await oauth.processIntrospectionResponse(as, client, spoken)).active;
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proves, next.refresh_token, insecure));
const again = await oauth.introspectionRequest(as, client, proves, next.access_token, insecure);
const after = (await oauth.processIntrospectionResponse(as, client, again)).active;
say({ email: info.email, active, after, asked });
server.close();
process.exit(0);
