// Stories of persons with real browsers: one line of JSON for each on stdout. A story that does not end is ended, named, and shown as
// its pages were at that moment. Environment: ISSUER, SLIPWAY, MAILBOX, PURSER (the command), CHROMIUM; SHOTS is a folder for pictures.
import assert from 'node:assert/strict';
import path from 'node:path';
import { Agent } from './agent.mjs';
import { open, overflows, violations } from './chromium.mjs';
import { Person } from './person.mjs';

export const { ISSUER, SLIPWAY, MAILBOX, SHOTS } = process.env;
const STORY_MS = 150_000;
const CLOSE_MS = 5_000;
const ALL_MS = 300_000;
const wanted = process.argv.slice(2);

const after = (ms, what) => new Promise((_, fail) => setTimeout(() => fail(new Error(what)), ms).unref());
const within = (ms, work, what) => Promise.race([work, after(ms, `${what} is not over after ${ms} ms`)]);

// Whatever happens, the script ends, and Playwright takes its browsers along.
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ check: 'all stories', ok: false, why: `not over after ${ALL_MS} ms` })}\n`);
  process.exit(1);
}, ALL_MS).unref();

const run = Math.random().toString(36).slice(2, 7);
let pictures = 0;

// Addresses are new in every run, so that a system can be used twice.
export const address = (name) => `${name}-${run}@example.test`;

export async function story(name, tell) {
  if (wanted.length > 0 && !wanted.some((it) => name.includes(it))) return;
  const [browsers, agents] = [[], []];
  const seat = async (options) => {
    const browser = await open(options);
    browsers.push(browser);
    return browser;
  };
  const agent = (title) => {
    agents.push(new Agent(ISSUER, title));
    return agents.at(-1);
  };
  const began = Date.now();
  const said = (answer) => process.stdout.write(`${JSON.stringify({ check: name, ms: Date.now() - began, ...answer })}\n`);
  try {
    await within(STORY_MS, tell(seat, agent), 'the story');
    said({ ok: true });
  } catch (error) {
    const at = error.stack?.split('\n').find((it) => it.includes('/pages/'))?.trim() ?? '';
    const seen = await Promise.all(browsers.map((browser) => leftAt(browser.page)));
    said({ ok: false, why: `${error.message} ${at} ${seen.join(' ')}` });
  } finally {
    for (const one of agents) one.end();
    for (const one of browsers) await within(CLOSE_MS, one.close(), 'closing').catch(() => undefined);
  }
}

async function leftAt(page) {
  const text = await within(CLOSE_MS, page.innerText('main'), 'reading').catch(() => '');
  const shot = await picture(page, 'failed').catch(() => 'no picture');
  return `[left at ${page.url()}: ${text.slice(0, 300).replaceAll('\n', ' / ')}; ${shot}]`;
}

async function picture(page, name) {
  if (!SHOTS) return 'SHOTS is not set';
  const file = path.join(SHOTS, `${String((pictures += 1)).padStart(3, '0')}-${name}.png`);
  await page.screenshot({ path: file, fullPage: true, timeout: CLOSE_MS });
  return file;
}

// A page as it is now: nothing that keeps anybody out, nothing wider than the window.
export async function look(page, name) {
  await picture(page, name);
  const found = await violations(page);
  assert.deepEqual(found, [], `accessibility of ${name}: ${JSON.stringify(found)}`);
  assert.equal(await overflows(page), false, `${name} is wider than the window`);
}

export async function go(page, url, name) {
  const answer = await page.goto(new URL(url, ISSUER).href);
  assert.equal(answer.status(), 200, `${url}: ${answer.status()} ${(await page.innerText('main')).slice(0, 200)}`);
  if (name) await look(page, name);
}

// Presses a button (or what is given) and waits until the page that follows is there.
export async function press(page, button, inside = page) {
  const found = typeof button === 'string' ? inside.getByRole('button', { name: button, exact: true }) : inside.getByRole('button', { name: button });
  await Promise.all([page.waitForEvent('load'), found.click()]);
}

// From a sign-in page, of ours or slipway's, to where it leads.
export async function signedIn(page, email, seen) {
  const person = new Person(ISSUER, MAILBOX, email);
  person.before = person.mails().length;
  await page.getByLabel('Your e-mail address').fill(email);
  await press(page, 'Send me a code');
  if (seen) await look(page, `${seen}-code`);
  await page.getByLabel('The digits from the mail').fill(await person.code());
  await press(page, 'Sign in');
}

export async function signIn(page, email, next = '/') {
  await page.goto(`${ISSUER}/sign-in?next=${encodeURIComponent(next)}`);
  await signedIn(page, email);
}

// The address in the newest mail to somebody that has `part` in it.
export async function mailed(email, part) {
  const person = new Person(ISSUER, MAILBOX, email);
  for (const end = Date.now() + 15_000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const text = person.mails().reverse().map((mail) => mail.replace(/=\r?\n/g, '').replaceAll('=3D', '=')).find((mail) => mail.includes(part));
    if (text) return text.split(/\s+/).find((word) => word.includes(part));
  }
  throw new Error(`nobody mailed ${part} to ${email}`);
}
