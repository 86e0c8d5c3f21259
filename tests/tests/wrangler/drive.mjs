// Drives the official client through every resource that slipway has: one line of JSON for each row of docs/sdk.md.
// Arguments: nothing. Environment: CLOUDFLARE_BASE_URL, CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID, DOMAIN, SDK_MODULES.
import { createRequire } from 'node:module';
const require = createRequire(process.env.SDK_MODULES + '/');
const Cloudflare = require('cloudflare');
const { toFile } = Cloudflare;
const client = new Cloudflare({ baseURL: process.env.CLOUDFLARE_BASE_URL, apiToken: process.env.CLOUDFLARE_API_TOKEN });
const account_id = process.env.CLOUDFLARE_ACCOUNT_ID, domain = process.env.DOMAIN;
const need = (fact, text) => { if (!fact) throw new Error(text) };
const all = async pages => { const found = []; for await (const one of pages) { found.push(one); need(found.length < 5000, 'the list has no end') } return found };
const script = async (name, text) => client.workers.scripts.update(name, {
  account_id, metadata: { main_module: 'index.js', compatibility_date: '2026-04-01' },
  files: [await toFile(Buffer.from(text), 'index.js', { type: 'application/javascript+module' })],
});
const workers = async () => {
  const groups = await all(client.accounts.tokens.permissionGroups.list({ account_id }));
  const id = groups.find(group => group.name === 'Workers Scripts Write').id;
  return [{ effect: 'allow', permission_groups: [{ id }], resources: { [`com.cloudflare.api.account.${account_id}`]: '*' } }];
};
const as = token => new Cloudflare({ baseURL: process.env.CLOUDFLARE_BASE_URL, apiToken: token, maxRetries: 0 });
// the whole life of a token, under a user or an account
const tokens = async (api, scope) => {
  const made = await api.create({ ...scope, name: 'from the client', policies: await workers() });
  need(made.value && made.id, 'no value');
  need((await as(made.value).user.tokens.verify()).status === 'active', 'the new token does not work');
  need((await all(api.list(scope))).filter(t => t.name === 'from the client').length === 1, 'a repeated call made two tokens');
  need((await api.get(made.id, scope)).value === undefined, 'a value is told twice');
  await api.update(made.id, { ...scope, name: 'renamed', policies: await workers() });
  const rolled = await api.value.update(made.id, { ...scope, body: {} });
  need(rolled !== made.value, 'rolling gives the same value');
  need(await as(rolled).accounts.list().then(() => true), 'the rolled token does not work');
  await as(made.value).accounts.list().then(() => need(false, 'the old value works'), () => {});
  await api.delete(made.id, scope);
  await as(rolled).accounts.list().then(() => need(false, 'a deleted token works'), () => {});
};
const zone = async () => (await all(client.zones.list({ name: domain })))[0];

const rows = {
  'accounts: list, get': async () => {
    need((await all(client.accounts.list()))[0].id === account_id, 'another account');
    need((await client.accounts.get({ account_id })).name, 'no name');
  },
  'accounts: members, roles': async () => {
    need((await all(client.accounts.members.list({ account_id })))[0].email, 'no member');
    need((await all(client.accounts.roles.list({ account_id })))[0].name, 'no role');
  },
  'memberships: list, get': async () => {
    const [one] = await all(client.memberships.list());
    need((await client.memberships.get(one.id)).account.id === account_id, 'another account');
  },
  'user: get': async () => need((await client.user.get()).id, 'no user'),
  'user tokens: verify, permission groups': async () => {
    need((await client.user.tokens.verify()).status === 'active', 'not active');
    need((await all(client.user.tokens.permissionGroups.list())).length > 0, 'no groups');
  },
  'user tokens: create, list, get, update, roll, delete': () => tokens(client.user.tokens, undefined),
  'account tokens: create, list, get, update, roll, delete': () => tokens(client.accounts.tokens, { account_id }),
  'subscriptions: of the account, of the user': async () => {
    need((await all(client.accounts.subscriptions.get({ account_id }))).length > 0, 'none');
    need((await all(client.user.subscriptions.get())).length > 0, 'none');
  },
  'usage': async () => {
    const rows = await client.billing.usage.getAccountUsageV2({ account_id });
    need(Array.isArray(rows) && rows.every(row => row.ConsumedUnit && row.ChargePeriodEnd), 'not in the shape of FOCUS');
  },
  'zones: list, get': async () => {
    const found = await zone();
    need((await client.zones.get({ zone_id: found.id })).name === domain, 'another zone');
  },
  'DNS records: create, list, get, edit, update, delete': async () => {
    const zone_id = (await zone()).id;
    const made = await client.dns.records.create({ zone_id, type: 'A', name: `sdk.${domain}`, content: '192.0.2.7', ttl: 300 });
    need((await all(client.dns.records.list({ zone_id, name: { exact: `sdk.${domain}` } }))).length >= 1, 'not listed');
    need((await client.dns.records.get(made.id, { zone_id })).content === '192.0.2.7', 'another record');
    await client.dns.records.edit(made.id, { zone_id, type: 'A', name: `sdk.${domain}`, content: '192.0.2.8', ttl: 300 });
    await client.dns.records.update(made.id, { zone_id, type: 'A', name: `sdk.${domain}`, content: '192.0.2.9', ttl: 300 });
    await client.dns.records.delete(made.id, { zone_id });
  },
  'DNS records: batch, export, import': async () => {
    const zone_id = (await zone()).id;
    const done = await client.dns.records.batch({ zone_id, posts: [{ type: 'TXT', name: `b.${domain}`, content: '"one"', ttl: 300 }] });
    need(done.posts.length === 1, 'not made');
    need((await client.dns.records.export({ zone_id })).includes('one'), 'not exported');
    await client.dns.records.import({ zone_id, file: 'imported 300 IN TXT "two"\n' });
  },
  'workers scripts: update, list, content, delete': async () => {
    await script('sdk-one', "export default { fetch() { return new Response('one') } }");
    need((await all(client.workers.scripts.list({ account_id }))).some(s => s.id === 'sdk-one'), 'not listed');
    need((await (await client.workers.scripts.content.get('sdk-one', { account_id })).text()).includes("'one'"), 'no content');
    await client.workers.scripts.delete('sdk-one', { account_id, force: true });
  },
  'workers settings: get, edit': async () => {
    await script('sdk-two', 'export default { fetch(r, env) { return new Response(env.A) } }');
    await client.workers.scripts.scriptAndVersionSettings.edit('sdk-two', { account_id, settings: { bindings: [{ type: 'plain_text', name: 'A', text: 'x' }] } });
    const now = await client.workers.scripts.scriptAndVersionSettings.get('sdk-two', { account_id });
    need(now.bindings.some(b => b.name === 'A'), 'not there');
    await client.workers.scripts.settings.edit('sdk-two', { account_id, tags: ['a'] });
    await client.workers.scripts.delete('sdk-two', { account_id, force: true });
  },
  'workers secrets: update, list, delete': async () => {
    await script('sdk-three', 'export default { fetch() { return new Response() } }');
    await client.workers.scripts.secrets.update('sdk-three', { account_id, name: 'S', text: 'x', type: 'secret_text' });
    need((await all(client.workers.scripts.secrets.list('sdk-three', { account_id })))[0].name === 'S', 'not listed');
    await client.workers.scripts.secrets.delete('S', { account_id, script_name: 'sdk-three' });
    await client.workers.scripts.delete('sdk-three', { account_id, force: true });
  },
  'workers versions, deployments, subdomain': async () => {
    await script('sdk-four', 'export default { fetch() { return new Response() } }');
    const [version] = await all(client.workers.scripts.versions.list('sdk-four', { account_id }));
    need((await client.workers.scripts.versions.get(version.id, { account_id, script_name: 'sdk-four' })).id === version.id, 'another');
    await client.workers.scripts.deployments.create('sdk-four', { account_id, strategy: 'percentage', versions: [{ percentage: 100, version_id: version.id }] });
    need((await client.workers.scripts.subdomain.create('sdk-four', { account_id, enabled: true })).enabled, 'off');
    need((await client.workers.subdomains.get({ account_id })).subdomain, 'none');
    await client.workers.scripts.delete('sdk-four', { account_id, force: true });
  },
  'registrar: search, check': async () => {
    need(await client.registrar.search({ account_id, q: 'sdk-shop' }), 'nothing');
    need(await client.registrar.check({ account_id, domains: ['sdk-shop.test'] }), 'nothing');
  },
  'registrar: registrations': async () => void (await all(client.registrar.registrations.list({ account_id }))),
  'KV namespaces: create, list, delete': async () => {
    const made = await client.kv.namespaces.create({ account_id, title: 'sdk' });
    need((await all(client.kv.namespaces.list({ account_id }))).some(n => n.id === made.id), 'not listed');
    await client.kv.namespaces.delete(made.id, { account_id });
  },
  'audit log: first form': async () => need((await all(client.auditLogs.list({ account_id, per_page: 7 }))).length > 7, 'too few'),
  'audit log: second form, by cursor': async () => {
    const since = '2020-01-01', before = new Date(Date.now() + 60000).toISOString();
    const found = await all(client.accounts.logs.audit.list({ account_id, since, before, limit: 5 }));
    need(found.length > 5 && new Set(found.map(e => e.id)).size === found.length, 'pages overlap');
    need(found.some(e => e.action.type === 'delete' && e.action.result === 'success'), 'a deletion is missing');
  },
};

for (const [row, run] of Object.entries(rows)) {
  let result = 'works';
  try { await run() } catch (e) {
    const first = e?.errors?.[0];
    result = first ? `refused, ${first.code}: ${first.message}` : `**fails**: ${String(e?.message ?? e).split('\n')[0]}`;
  }
  console.log(JSON.stringify({ row, result }));
}
