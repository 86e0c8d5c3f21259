// Stands before localstripe and is as strict as Stripe: it takes only requests of the documented shape, keeps idempotency keys, and has
// what localstripe lacks: Checkout in setup mode, and the bank's page. Everything else is localstripe's own work.
//
// Environment: LOCALSTRIPE (its URL). Says its own URL on stdout. `/_…` is for the test and no part of Stripe.
import http from 'node:http';

const UPSTREAM = process.env.LOCALSTRIPE;
const KEY = 'sk_test_purser';
const VERSION = '2026-04-22.dahlia';
const PREVIEW = '2026-04-22.preview';
const METADATA = (...names) => names.map((name) => `metadata[${name}]`);

// Which fields each request may and must have.
const SHAPES = [
  [/^\/v1\/customers$/, METADATA('organisation')],
  [
    /^\/v1\/checkout\/sessions$/,
    ['mode', 'customer', 'payment_method_types[0]', 'success_url', 'cancel_url', 'client_reference_id', 'metadata[setup]', 'setup_intent_data[metadata][setup]'],
  ],
  [/^\/v1\/setup_intents$/, ['customer', 'usage', 'payment_method_types[0]', 'metadata[setup]']],
  [
    /^\/v1\/payment_intents$/,
    ['amount', 'currency', 'customer', 'payment_method', 'payment_method_types[0]', 'off_session', 'confirm', ...METADATA('charge', 'provider', 'description')],
  ],
  [/^\/v1\/payment_intents\/pi_\w+\/confirm$/, ['payment_method', 'return_url']],
  [/^\/v1\/payment_intents\/pi_\w+\/cancel$/, []],
  [/^\/v1\/refunds$/, ['payment_intent', 'amount', ...METADATA('refund')]],
  [/^\/v1\/payment_methods\/pm_\w+\/detach$/, []],
  [
    /^\/v1\/shared_payment\/issued_tokens$/,
    ['payment_method', 'seller_details[network_business_profile]', 'usage_limits[currency]', 'usage_limits[max_amount]', 'usage_limits[expires_at]', 'shared_metadata[charge]'],
  ],
  [/^\/v1\/shared_payment\/issued_tokens\/spt_\w+\/revoke$/, []],
];

const asked = []; // every request of the orchestrator's
const keys = new Map(); // idempotency key -> what was asked and answered
const sessions = new Map(); // Checkout sessions
const onSession = new Map(); // payment intents that a person was sent to the bank for
let tokens = false; // whether the account has shared payment tokens
const issued = new Map(); // shared payment tokens, as the account that issued them sees them
let down = 0; // how many of the next requests take effect and lose their answer

const readBody = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

async function upstream(method, path, body = undefined, key = KEY) {
  const headers = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
  const answer = await fetch(UPSTREAM + path, { method, headers, body });
  const text = await answer.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = text;
  }
  return { status: answer.status, json };
}

const form = (fields) => new URLSearchParams(fields).toString();
const refuse = (status, code, message, type = 'invalid_request_error') => ({ status, json: { error: { type, code, message } } });

// The shape of a request, or what is wrong with it.
function wrong(request, path, fields) {
  const { headers, method } = request;
  if (headers.authorization !== `Bearer ${KEY}`) return refuse(401, 'api_key_invalid', 'who are you');
  const preview = path.startsWith('/v1/shared_payment/');
  if (headers['stripe-version'] !== (preview ? PREVIEW : VERSION)) return refuse(400, 'version', `which version: ${headers['stripe-version']}`);
  if (method === 'GET') return null;
  if (headers['content-type'] !== 'application/x-www-form-urlencoded') return refuse(400, 'content_type', 'no form');
  if (!headers['idempotency-key']) return refuse(400, 'no_key', 'no idempotency key');
  const shape = SHAPES.find(([pattern]) => pattern.test(path));
  if (!shape) return refuse(404, 'unknown_route', path);
  const names = [...fields.keys()];
  if (names.join() !== shape[1].join()) return refuse(400, 'shape', `${path}: ${names.join()} instead of ${shape[1].join()}`);
  return null;
}

// A shared payment token as its documentation shows one.
function issue(id, fields) {
  const limit = (name) => fields.get(`usage_limits[${name}]`);
  return {
    id,
    object: 'shared_payment.issued_token',
    livemode: false,
    created: now(),
    deactivated_at: null,
    deactivated_reason: null,
    payment_method: fields.get('payment_method'),
    seller_details: { external_id: null, network_business_profile: fields.get('seller_details[network_business_profile]') },
    setup_future_usage: null,
    shared_metadata: { charge: fields.get('shared_metadata[charge]') },
    status: 'active',
    usage_details: { amount_captured: { value: 0, currency: limit('currency') } },
    usage_limits: { currency: limit('currency'), expires_at: Number(limit('expires_at')), max_amount: Number(limit('max_amount')) },
  };
}

const now = () => Math.floor(Date.now() / 1000);

function end(token, reason) {
  if (token.status !== 'active') return;
  Object.assign(token, { status: 'deactivated', deactivated_at: now(), deactivated_reason: reason });
}

// What the seller's payment intent with the token comes to: the processor keeps its limits.
function take(id, amount) {
  const token = issued.get(id);
  const captured = token?.usage_details.amount_captured;
  const { max_amount, expires_at } = token?.usage_limits ?? {};
  if (token?.status !== 'active' || expires_at <= now() || captured.value + amount > max_amount) return refuse(402, 'card_declined', 'not with this token');
  captured.value += amount;
  if (captured.value === max_amount) end(token, 'consumed');
  return { status: 200, json: token };
}

// As Stripe shows an intent whose bank wants the person: an off-session one has failed, one with the person there has a page.
function seen(origin, intent) {
  if (intent.status !== 'requires_action') return intent;
  const back = onSession.get(intent.id);
  if (back === undefined) {
    const last_payment_error = { type: 'card_error', code: 'authentication_required', decline_code: 'authentication_required', message: 'the bank wants the person' };
    return { ...intent, status: 'requires_payment_method', next_action: null, last_payment_error };
  }
  const url = `${origin}/_bank/${intent.id}`;
  return { ...intent, next_action: { type: 'redirect_to_url', redirect_to_url: { url, return_url: back } } };
}

async function answer(origin, method, path, query, fields) {
  if (path === '/v1/checkout/sessions' && method === 'POST') {
    const made = await upstream('POST', '/v1/setup_intents', form({ customer: fields.get('customer'), usage: 'off_session', 'metadata[setup]': fields.get('metadata[setup]') }));
    if (made.status !== 200) return made;
    const id = `cs_test_${made.json.id.slice(5)}`;
    const session = { id, object: 'checkout.session', mode: 'setup', status: 'open', customer: fields.get('customer'), setup_intent: made.json.id };
    sessions.set(id, { ...session, secret: made.json.client_secret, success_url: fields.get('success_url') });
    return { status: 200, json: { ...session, url: `${origin}/_checkout/${id}` } };
  }
  const session = path.match(/^\/v1\/checkout\/sessions\/(cs_test_\w+)$/);
  if (session && method === 'GET') {
    const found = sessions.get(session[1]);
    if (!found) return refuse(404, 'resource_missing', 'no such session');
    if (query !== '?expand%5B0%5D=setup_intent.payment_method') return refuse(400, 'shape', `nothing is expanded: ${query}`);
    const intent = await upstream('GET', `/v1/setup_intents/${found.setup_intent}?expand[]=payment_method`);
    const { secret, ...shown } = found;
    return { status: 200, json: { ...shown, url: null, setup_intent: intent.json } };
  }
  if (tokens && path.startsWith('/v1/shared_payment/')) {
    const id = path.split('/')[4];
    if (id === undefined) {
      const made = issue(`spt_${issued.size + 1}`, fields);
      issued.set(made.id, made);
      return { status: 200, json: made };
    }
    const token = issued.get(id);
    if (!token) return refuse(404, 'resource_missing', 'no such token');
    if (path.endsWith('/revoke')) end(token, 'revoked');
    return { status: 200, json: token };
  }
  const confirm = path.match(/^\/v1\/payment_intents\/(pi_\w+)\/confirm$/);
  if (confirm) {
    onSession.set(confirm[1], fields.get('return_url'));
    const intent = await upstream('GET', `/v1/payment_intents/${confirm[1]}`);
    return { status: 200, json: seen(origin, intent.json) };
  }
  const told = await upstream(method, path + query, method === 'POST' ? fields.toString() : undefined);
  if (told.json?.object !== 'payment_intent') return told;
  const intent = seen(origin, told.json);
  if (path === '/v1/payment_intents' && intent.last_payment_error?.code === 'authentication_required') {
    return { status: 402, json: { error: { ...intent.last_payment_error, payment_intent: intent } } };
  }
  return { status: told.status, json: intent };
}

// What the person's browser does: types the number into Checkout, and says yes or no to the bank.
async function person(path, fields) {
  const checkout = path.match(/^\/_checkout\/(cs_test_\w+)$/);
  if (checkout) {
    const session = sessions.get(checkout[1]);
    const card = { type: 'card', 'card[number]': fields.get('number'), 'card[exp_month]': 12, 'card[exp_year]': 2039, 'card[cvc]': '123' };
    const method = await upstream('POST', '/v1/payment_methods', form(card));
    const confirmed = await upstream('POST', `/v1/setup_intents/${session.setup_intent}/confirm`, form({ payment_method: method.json.id, client_secret: session.secret }));
    if (confirmed.status === 200 && confirmed.json.status === 'requires_action') {
      // Checkout takes the person to their bank by itself.
      await upstream('POST', `/v1/setup_intents/${session.setup_intent}/confirm`, form({ client_secret: session.secret }));
    }
    if (confirmed.status === 200) session.status = 'complete';
    return { status: confirmed.status, json: { back: session.success_url, said: confirmed.json } };
  }
  const bank = path.match(/^\/_bank\/(pi_\w+)$/);
  const intent = await upstream('GET', `/v1/payment_intents/${bank[1]}`);
  const said = await upstream('POST', `/v1/payment_intents/${bank[1]}/_authenticate`, form({ client_secret: intent.json.client_secret, success: fields.get('yes') }));
  return { status: 200, json: { back: onSession.get(bank[1]), said: said.json } };
}

const server = http.createServer(async (request, response) => {
  const origin = `http://${request.headers.host}`;
  const url = new URL(request.url, origin);
  const body = await readBody(request);
  const send = ({ status, json }) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(json));
  };
  if (url.pathname === '/_asked') return send({ status: 200, json: asked });
  if (url.pathname === '/_tokens') {
    tokens = true;
    return send({ status: 200, json: {} });
  }
  if (url.pathname === '/_take') {
    const taken = new URLSearchParams(body);
    return send(take(taken.get('token'), Number(taken.get('amount'))));
  }
  if (url.pathname === '/_lose') {
    down = Number(body);
    return send({ status: 200, json: {} });
  }
  const fields = new URLSearchParams(body);
  if (url.pathname.startsWith('/_')) return send(await person(url.pathname, fields));
  const key = request.headers['idempotency-key'];
  asked.push({ method: request.method, path: url.pathname, query: url.search, body, key, version: request.headers['stripe-version'] });
  const refusal = wrong(request, url.pathname, fields);
  if (refusal) {
    asked.at(-1).refused = refusal.json.error;
    return send(refusal);
  }
  const known = request.method === 'POST' ? keys.get(key) : undefined;
  if (known && known.asked !== url.pathname + body) return send(refuse(400, '', 'the key belongs to another request', 'idempotency_error'));
  const told = known?.told ?? (await answer(origin, request.method, url.pathname, url.search, fields));
  if (request.method === 'POST' && told.status < 500) keys.set(key, { asked: url.pathname + body, told });
  if (down > 0) {
    down -= 1;
    return response.destroy();
  }
  send(told);
});

server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
