// A person at our orchestrator, on the real pages: signs in with the mailed code and says yes or no.
import fs from 'node:fs';
import path from 'node:path';
import { Browser, decode, forms } from './browser.mjs';

export class Person {
  constructor(origin, mailbox, email) {
    Object.assign(this, { mailbox, email, browser: new Browser(origin) });
  }

  // Opens an address and does what the pages ask, until one leads elsewhere or asks nothing more.
  async go(url, { answer = 'accept', method, body, headers } = {}) {
    let page = await this.browser.go(url, { method, body, headers });
    for (let step = 0; step < 12; step += 1) {
      if (page.away || page.status >= 400) return page;
      const on = page.body.match(/<meta http-equiv="refresh" content="0;url=([^"]*)"/);
      if (on) {
        page = await this.browser.go(decode(on[1]));
        if (page.away || page.status >= 400) return page;
      }
      const found = forms(page.body);
      const email = found.find((form) => form.inputs.some((it) => it.name === 'email' && it.type !== 'hidden'));
      const code = found.find((form) => form.inputs.some((it) => it.name === 'code' && it.type !== 'hidden'));
      const decision = found.find((form) => form.buttons.some((it) => it.name === 'decision'));
      const path = new URL(page.url).pathname;
      if (decision) {
        const button = decision.buttons.find((it) => it.name === 'decision' && it.value === answer);
        if (!button) throw new Error(`no button \`${answer}\` at ${page.url}`);
        page = await this.browser.submit(page, decision, { button });
      } else if (code && (path.startsWith('/sign-in') || path.startsWith('/step-up'))) {
        page = await this.browser.submit(page, code, { code: await this.code() });
      } else if (email && path.startsWith('/sign-in')) {
        this.before = this.mails().length;
        page = await this.browser.submit(page, email, { email: this.email });
      } else return page;
    }
    throw new Error(`the pages never end: ${page.url}`);
  }

  mails() {
    const files = fs.existsSync(this.mailbox) ? fs.readdirSync(this.mailbox).filter((it) => it.endsWith('.eml')).map((it) => path.join(this.mailbox, it)) : [];
    const dated = files.map((file) => [fs.statSync(file).mtimeMs, fs.readFileSync(file, 'utf8')]).sort((a, b) => a[0] - b[0]);
    return dated.map(([, text]) => text).filter((text) => text.split('\n').some((line) => line.startsWith('To:') && line.includes(this.email)));
  }

  async code() {
    for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((done) => setTimeout(done, 20))) {
      for (const mail of this.mails().slice(this.before ?? 0).reverse()) {
        const found = mail.replaceAll('\r\n', '\n').split('\n\n').slice(1).join('\n\n').match(/(?<![0-9A-Za-z])\d{6}(?![0-9A-Za-z])/);
        if (found) return found[0];
      }
    }
    throw new Error(`no code was mailed to ${this.email}`);
  }
}
