// Sets two token endpoints up for a load generator: ours at ISSUER, and the independent server in this process. One line of JSON
// says where they are, with a client and refresh tokens of each; then this process serves until it is killed.
// Argument: how many refresh tokens.
import { exportPKCS8 } from 'jose';
import { startOracle } from './lib/oracle.mjs';
import { CALLBACK, Target } from './lib/target.mjs';
import { Person } from './lib/person.mjs';
import { Browser } from './lib/browser.mjs';

const { ISSUER, MAILBOX } = process.env;
const count = Number(process.argv[2]);
const api = 'https://api.example.test';

console.error = console.warn = console.info = () => undefined;

// The other server's clients are configured: those that are registered lie in its memory with the tokens, which push them out.
const machine = { client_id: 'machine', client_secret: 'a secret of a client in a measurement', token_endpoint_auth_method: 'client_secret_basic', grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
const application = { client_id: 'public', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [CALLBACK] };
const oracle = await startOracle({ api, clients: [machine, application] });
const theirs = await new Target('theirs', oracle.issuer, () => new Browser(oracle.issuer)).start();
theirs.clients.set('machine', machine).set('public', application);
const ours = await new Target('ours', ISSUER, () => new Person(ISSUER, MAILBOX, 'ada@example.test')).start();

async function prepare(target, resource) {
  const machine = await target.client('machine');
  const refresh = [];
  for (let number = 0; number < count; number += 1) {
    const key = await target.dpopKey();
    const { refresh_token, client } = await target.tokens('public', { dpop: key });
    if (!refresh_token) throw new Error(`${target.name} gave no refresh token`);
    refresh.push({ refresh_token, client_id: client.client_id, pkcs8: await exportPKCS8(key.keys.privateKey) });
  }
  return { token_endpoint: target.meta.token_endpoint, machine: { authorization: target.basic(machine).authorization, resource }, refresh };
}

// Only with a resource does the other server sign a JWT; ours always does.
const ready = { pid: process.pid, ours: await prepare(ours), theirs: await prepare(theirs, api) };
process.stdout.write(`${JSON.stringify(ready)}\n`);
